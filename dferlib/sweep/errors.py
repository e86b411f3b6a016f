"""What may go wrong with a sweep as a whole; what goes wrong with one training is in its report."""

from __future__ import annotations


class SweepError(RuntimeError):
    """A sweep cannot begin or go on; finished runs are stored, and the same command goes on."""
