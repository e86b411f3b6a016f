"""Exercises of the STT notebook whose answers do not depend on a run."""

from __future__ import annotations

from dferlib.teaching.exercise import Exercise, Mistake

EXERCISES = (
    Exercise(
        key="stt.2",
        expected=6 / 7,
        mistakes=(
            Mistake(1, "The recall of disgust is 0, and it counts as much as any other."),
            Mistake(5 / 6, "There are seven classes in DFEW."),
        ),
        hint="Six recalls of at most 1 and one of 0, over seven.",
        well="Its WAR would hardly suffer, as disgust is rare.",
    ),
    Exercise(
        key="stt.4",
        expected=12,
        mistakes=(
            Mistake(1170, "Divide by a hundred: the gain is in per cent.", when=lambda a: a > 1000),
            Mistake(11.7, "Clips are whole; round it."),
        ),
        hint="0.5 / 100 times 2,340, rounded.",
        well="A dozen clips of one fold.",
        tolerance=1e-6,
    ),
)
