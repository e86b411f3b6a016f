"""Lesson 1: FACS and the face."""

from __future__ import annotations

from collections.abc import Set

from dferlib.synthface.action_units import REQUIRED
from dferlib.teaching.exercise import Exercise, Mistake

PROTOTYPES = {name: set(aus) for name, aus in REQUIRED.items() if aus}


def name_expression(aus: Set[int]) -> str:
    """Return the expression whose required action units overlap most, by Jaccard's index."""
    return max(PROTOTYPES, key=lambda k: len(PROTOTYPES[k] & aus) / len(PROTOTYPES[k] | aus))


def _most_shared(aus: Set[int]) -> str:
    return max(PROTOTYPES, key=lambda k: len(PROTOTYPES[k] & aus))


def _least_overlap(aus: Set[int]) -> str:
    return min(PROTOTYPES, key=lambda k: len(PROTOTYPES[k] & aus) / len(PROTOTYPES[k] | aus))


EXERCISES = (
    Exercise(
        key="faces.1",
        expected=set(PROTOTYPES["sadness"]),
        mistakes=(
            Mistake(
                {1, 2, 4},
                "AU 2 lifts the outer brow, as in fear and surprise. Sadness leaves "
                "it, and pulls the corners of the mouth down.",
            ),
            Mistake(
                {1, 4, 12},
                "AU 12 pulls the lip corners up, which makes a smile. Which unit pulls them down?",
            ),
            Mistake({1, 15}, "Those two belong to it. The brows also draw together: one more."),
        ),
        hint="Look at the inner brows (up and together) and at the corners of the mouth (down).",
        well="Inner brow up, brows together, lip corners down.",
    ),
    Exercise(
        key="faces.2",
        expected="surprise",
        mistakes=(
            Mistake(
                "fear",
                "The two look alike: fear also draws the brows together (AU 4) and "
                "stretches the lips sideways (AU 20). Are these units in the list?",
            ),
            Mistake("happiness", "A smile needs AU 12. Here the mouth only opens.", kind="wrong"),
        ),
        hint="Both parts of the brow go up, the eyes widen, the jaw drops.",
        well="Brows up, lids up, jaw down, and neither AU 4 nor AU 20, which fear would add.",
    ),
    Exercise(
        key="faces.3",
        expected=(0, 1),
        mistakes=(
            Mistake(
                (1, 0), "That is the viewer's left. The pair reads (viewer's left, viewer's right)."
            ),
            Mistake((1, 1), "That shows it on both sides; contempt is shown on one.", kind="wrong"),
        ),
        hint="A pair of strengths: first the viewer's left, then the viewer's right; 0 is absent.",
        well="The person's own left side is the viewer's right: always say whose left you mean.",
    ),
    Exercise(
        key="faces.4",
        expected=name_expression,
        mistakes=(
            Mistake(
                _most_shared,
                "You count what is shared. Then a long list of action units "
                "wins by being long: divide by the size of the union.",
            ),
            Mistake(_least_overlap, "The best name has the largest overlap, not the smallest."),
            Mistake(
                lambda aus: 0.5,
                "Your function gives a number; the name of the expression is asked for.",
                when=lambda given: all(isinstance(one, int | float) for one in given),
            ),
        ),
        hint="For every name divide the size of the intersection by that of the union, and return "
        "the name with the largest value.",
        well="Two sets of action units, one number between 0 and 1: Jaccard's index.",
        calls=(({1, 2, 5, 25, 26},), ({6, 12, 25},), ({1, 4},), ({4, 7},), ({9, 10},)),
    ),
)
