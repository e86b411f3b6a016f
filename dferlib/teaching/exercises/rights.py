"""Lesson 8: data, consent, bias and law."""

from __future__ import annotations

import math

import numpy as np

from dferlib.teaching.exercise import Exercise, Mistake

MARGIN = math.ceil(1.96**2 * 0.25 / 0.05**2)


def gap(recalls: np.ndarray) -> float:
    """Return the best group's recall minus the worst's."""
    return float(np.max(recalls) - np.min(recalls))


EXERCISES = (
    Exercise(
        key="rights.1",
        expected={"a", "b"},
        mistakes=(
            Mistake(
                {"a", "b", "e"},
                "Medical and safety reasons are excepted in Article 5(1)(f) "
                "itself. Other rules still hold for them.",
            ),
            Mistake(
                {"a", "b", "c"},
                "A smart television at home is neither a workplace nor "
                "education. It is high-risk at least, and people have to be told.",
            ),
            Mistake({"a"}, "Workplaces are one of the two areas; which is the other?"),
            Mistake(
                {"a", "b", "d"},
                "Acted clips, recorded with consent for research, infer "
                "nobody's emotion at work or in education.",
            ),
        ),
        hint="Two areas are named: the workplace, and institutions of education; with an exception "
        "for medical and safety reasons.",
        well="And therefore no demonstration in this course on the people in the room.",
    ),
    Exercise(
        key="rights.2",
        expected=gap,
        mistakes=(
            Mistake(
                lambda recalls: float(np.mean(recalls)),
                "The mean hides exactly what is asked for: how far apart the groups are.",
            ),
            Mistake(
                lambda recalls: float(np.std(recalls)),
                "The spread is one summary; here the best group minus the worst is asked for.",
            ),
            Mistake(
                lambda recalls: float(recalls[0] - recalls[-1]),
                "The first group need not be the best one; use the maximum and the minimum.",
            ),
        ),
        hint="The largest minus the smallest.",
        well="Report it with the number of people in each group.",
        calls=((np.array([0.8, 0.9, 0.6]),), (np.array([0.5, 0.7]),)),
    ),
    Exercise(
        key="rights.3",
        expected=MARGIN,
        mistakes=(
            Mistake(
                97,
                "97 people give a margin of 10 points. Half the margin costs four times "
                "the people.",
            ),
            Mistake(
                400, "A good rule of thumb, 1 / margin squared. With 1.96 it is a little fewer."
            ),
            Mistake(384, "384 is just below; round up, since people are whole."),
        ),
        hint="1.96 sqrt(p (1 - p) / n) = 0.05 with p = 0.5; solve for n and round up.",
        well="In each group! Five skin tones times two sexes are 3,850 people.",
        tolerance=1e-6,
    ),
)
