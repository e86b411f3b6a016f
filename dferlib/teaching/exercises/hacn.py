"""Exercises of the HACN notebook whose answers do not depend on a run."""

from __future__ import annotations

from dferlib.evidence.audit import find_count
from dferlib.teaching.exercise import Exercise, Mistake

CHANNELS = 2 * 2048  # of [T_i : g], which omega reads

EXERCISES = (
    Exercise(
        key="hacn.3",
        expected=find_count(97.25, 327).correct,
        mistakes=(
            Mistake(0, "There is one: try 318 of 327."),
            Mistake(317, "317 of 327 print as 96.94."),
            Mistake(319, "319 of 327 print as 97.55."),
        ),
        hint="97.25 times 327, over a hundred, rounded; then check that it prints as 97.25.",
        well="Now ask `audit.chance_of_fit` what the fit is worth.",
        tolerance=1e-6,
    ),
    Exercise(
        key="hacn.5",
        expected=8 * CHANNELS,
        mistakes=(
            Mistake(9 * CHANNELS, "Those are all of its weights; the middle tap does get one."),
            Mistake(CHANNELS, "Those are the weights of the middle tap, which do get a gradient."),
            Mistake(8 * CHANNELS // 2, "[T : g] puts two vectors of 2,048 side by side."),
        ),
        hint="Eight of nine taps, times the channels of [T : g].",
        well="32,768 parameters that a table of costs counts and that never move.",
        tolerance=1e-6,
    ),
)
