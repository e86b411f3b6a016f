"""Exercises of the CEFLNet notebook whose answers do not depend on a run."""

from __future__ import annotations

from dferlib.teaching.exercise import Exercise, Mistake

EXERCISES = (
    Exercise(
        key="ceflnet.1",
        expected=1 / 7,
        mistakes=(
            Mistake(0, "The scores go to 0; a softmax always adds up to 1."),
            Mistake(1, "That is the other end, a very large constant, where one clip takes all."),
        ),
        hint="A softmax over seven equal numbers.",
        well="Flat scores: the maximum then hardly depends on them.",
    ),
    Exercise(
        key="ceflnet.3",
        expected=7,
        mistakes=(
            Mistake(1, "That would be a choice of one clip. A sum adds up all of them."),
            Mistake(512, "That is the number of features; the question is about clips."),
        ),
        hint="Each clip, scaled by its score, is a part of the sum.",
        well="All seven, in proportion to their scores.",
        tolerance=1e-6,
    ),
)
