"""Dynamic facial expression recognition: papers reproduced in notebooks, with a thin package behind them."""

__version__ = "0.1.0"
