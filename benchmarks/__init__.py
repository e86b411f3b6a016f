"""What the project measures about itself: `python -m benchmarks list`."""
