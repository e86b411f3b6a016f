"""Exercises of the ECNN-FSA notebook whose answers do not depend on a run."""

from __future__ import annotations

from dferlib.evidence.audit import chance_of_fit
from dferlib.teaching.exercise import Exercise, Mistake

CLIPS, RARE = 10_000, 0.05

EXERCISES = (
    Exercise(
        key="ecnn_fsa.1",
        expected=False,
        mistakes=(
            Mistake(
                True,
                "A permutation of the rows of X permutes those of X*. What does their mean do?",
            ),
            Mistake("no", "As a truth value: False.", when=lambda a: str(a).lower() == "no"),
        ),
        hint="Hand in True or False: do the logits of ECNN-FSA change?",
        well="So onset and offset of an expression look alike to it.",
    ),
    Exercise(
        key="ecnn_fsa.5",
        expected=next(d for d in range(1, 6) if chance_of_fit(CLIPS, d) < RARE),
        mistakes=(
            Mistake(2, "With two decimals there are as many values as counts: all of them fit."),
            Mistake(
                3, "Three decimals let one value in ten pass; less than one in twenty is asked for."
            ),
        ),
        hint="Try `audit.chance_of_fit(10_000, decimals)` for 2, 3, 4.",
        well="One value in a hundred would fit by chance.",
        tolerance=1e-6,
    ),
)
