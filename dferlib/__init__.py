"""Dynamic facial expression recognition: papers reproduced in notebooks."""

__version__ = "0.1.0"
