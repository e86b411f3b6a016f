"""Lesson 5: evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom, chi2

from dferlib.evidence import metrics, stats
from dferlib.teaching.exercise import Exercise, Mistake

_TRUE = [0, 0, 0, 0, 0, 0, 1, 1, 2]
_PREDICTED = [0, 0, 0, 0, 0, 1, 1, 0, 0]
_RNG = np.random.default_rng(5)
_CURVES = _RNG.uniform(0.4, 0.7, (3, 6))


def uar(y_true: Sequence[int], y_pred: Sequence[int], num_classes: int) -> float:
    """Return the mean recall over all classes."""
    return metrics.uar(y_true, y_pred, num_classes)


def _accuracy(y_true: Sequence[int], y_pred: Sequence[int], num_classes: int) -> float:
    return metrics.war(y_true, y_pred)


def _mean_precision(y_true: Sequence[int], y_pred: Sequence[int], num_classes: int) -> float:
    return metrics.uar(y_pred, y_true, num_classes)


def oracle_gap(curves: np.ndarray) -> float:
    """Return what choosing each fold's best epoch adds to the last one; curves (folds, epochs)."""
    return float((curves.max(1) - curves[:, -1]).mean())


def _of_mean_curve(curves: np.ndarray) -> float:
    return float(curves.mean(0).max() - curves.mean(0)[-1])


def _to_first(curves: np.ndarray) -> float:
    return float((curves.max(1) - curves[:, 0]).mean())


EXERCISES = (
    Exercise(
        key="evaluation.2",
        expected=uar,
        mistakes=(
            Mistake(
                _accuracy,
                "That is WAR, the share of all clips. UAR takes the recall of each "
                "class first and then their mean.",
            ),
            Mistake(
                _mean_precision,
                "You divide by how often a class was predicted: that is "
                "precision. Recall divides by how many clips of the class there are.",
            ),
        ),
        hint="For each class: of its true clips, which share is predicted right? Then the mean.",
        well="A rare class now weighs as much as a common one.",
        tolerance=1e-3,
        calls=(
            (np.array(_TRUE), np.array(_PREDICTED), 3),
            (np.array([0, 1, 1, 1]), np.array([1, 1, 1, 1]), 2),
        ),
    ),
    Exercise(
        key="evaluation.3",
        expected=1 / 7,
        mistakes=(
            Mistake(0, "One class is always right: its recall is 1."),
            Mistake(
                1, "Only the recall of the class that it always says is 1; the six others are 0."
            ),
            Mistake(0.5, "That would be two classes; here there are seven."),
        ),
        hint="Six recalls of 0 and one of 1.",
        well="However uneven the classes are. WAR would be the share of the largest one.",
    ),
    Exercise(
        key="evaluation.1",
        expected=lambda train, test: set(train) & set(test),
        mistakes=(
            Mistake(
                lambda train, test: set(train) | set(test),
                "That is everybody (union); a leak is who is in both (intersection).",
            ),
            Mistake(
                lambda train, test: set(test) - set(train),
                "Those are the subjects that are *not* a problem.",
            ),
        ),
        hint="A set holds everybody once; & gives what two sets share.",
        well="An empty set is what you want to see. Put this line into every project.",
        calls=((["S1", "S1", "S2", "S3"], ["S3", "S4"]), (["a", "b", "c"], ["b", "c", "d"])),
    ),
    Exercise(
        key="evaluation.4",
        expected=oracle_gap,
        mistakes=(
            Mistake(
                _of_mean_curve,
                "You average the folds first and choose one epoch for all. The "
                "oracle chooses in each fold, which gives more.",
            ),
            Mistake(_to_first, "The gap is to the last epoch, not to the first."),
        ),
        hint="Of each fold (row) its best epoch minus its last; then the mean over folds.",
        well="It cannot be negative: whoever peeks never loses.",
        calls=((_CURVES,),),
    ),
    Exercise(
        key="evaluation.5",
        expected=stats.mcnemar(*np.array([[0] * 17, [1] * 12 + [0] * 5, [0] * 12 + [1] * 5])).p,
        mistakes=(
            Mistake(
                float(binom.cdf(5, 17, 0.5)),
                "That is one tail. Either model could have been the better one: both tails.",
            ),
            Mistake(
                float(chi2.sf(49 / 17, 1)),
                "That is the chi-square approximation; with 17 clips use the exact binomial.",
            ),
        ),
        hint="17 fair coins: how often are 5 or fewer heads, or 12 or more?",
        well="Twelve to five looks like a lot, and is not enough.",
    ),
)
