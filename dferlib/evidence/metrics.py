"""Metrics as pure functions of predictions.

Conventions. Classes are indices 0..K-1 in the order of the protocol. WAR is accuracy. UAR is the
mean recall over *all* K classes: a class without a true clip counts as 0, it is not dropped (as
scikit-learn's `balanced_accuracy_score` does). Pooled over folds every class of the papers occurs;
in a single fold a rare class may be missing, so UAR of a fold is a lower bound.

A predictions table has a row per test clip and selection rule: clip_id, subject, fold, select,
y_true, y_pred, p_0..p_k (see DESIGN, "the predictions").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import auc, confusion_matrix, recall_score, roc_curve, silhouette_score


@dataclass(frozen=True)
class Roc:
    """One receiver operating characteristic: rising `fpr` and `tpr`, and the area under it."""

    fpr: np.ndarray
    tpr: np.ndarray
    auc: float


def war(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the accuracy, the recall weighted by class size."""
    y_true, y_pred = _pair(y_true, y_pred)
    return float((y_true == y_pred).mean())


def uar(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int) -> float:
    """Return the mean recall over all classes; a class without true clips counts as 0."""
    y_true, y_pred = _pair(y_true, y_pred, num_classes)
    labels = range(num_classes)
    return float(recall_score(y_true, y_pred, labels=labels, average="macro", zero_division=0))


def per_class_recall(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int) -> np.ndarray:
    """Return the recall of each class (K,); NaN for a class without true clips."""
    y_true, y_pred = _pair(y_true, y_pred, num_classes)
    labels = range(num_classes)
    return recall_score(y_true, y_pred, labels=labels, average=None, zero_division=np.nan)


def confusion(
    y_true: ArrayLike, y_pred: ArrayLike, num_classes: int, *, normalise: bool = False
) -> np.ndarray:
    """Return the confusion matrix (K, K), rows true and columns predicted.

    Counts, or with `normalise` fractions of each row; the row of an absent class is then NaN.
    """
    y_true, y_pred = _pair(y_true, y_pred, num_classes)
    counts = confusion_matrix(y_true, y_pred, labels=range(num_classes))
    if not normalise:
        return counts
    sizes = counts.sum(1, keepdims=True)
    return np.divide(counts, sizes, out=np.full(counts.shape, np.nan), where=sizes > 0)


def roc(y_true: ArrayLike, scores: ArrayLike, classes: Sequence[str]) -> dict[str, Roc]:
    """Return the ROC of each class against the rest, and "macro" and "micro".

    `scores` (N, K) are probabilities. Macro averages the curves of the classes at all their false
    positive rates; micro pools all decisions. A class without, or with nothing but, true clips has
    no curve and is left out.
    """
    scores = np.asarray(scores, dtype=float)
    y_true, _ = _pair(y_true, y_true, len(classes))
    if scores.shape != (len(y_true), len(classes)):
        raise ValueError(f"scores has shape {scores.shape}; {(len(y_true), len(classes))} needed")
    truth = np.eye(len(classes), dtype=int)[y_true]
    curves = {}
    for index, name in enumerate(classes):
        if 0 < truth[:, index].sum() < len(truth):
            curves[name] = _curve(truth[:, index], scores[:, index])
    if curves:
        curves["macro"] = _macro(list(curves.values()))
    return curves | {"micro": _curve(truth.ravel(), scores.ravel())}


def silhouette(features: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean silhouette of the classes in a feature space (N, D).

    1 is best, 0 is none. NaN where it is not defined: one class only, or no class with two clips.
    """
    labels = np.asarray(labels)
    if not 1 < len(np.unique(labels)) < len(labels):
        return float("nan")
    return float(silhouette_score(features, labels))


def choose(predictions: pd.DataFrame, select: str) -> pd.DataFrame:
    """Return the rows of one selection rule; ValueError with the rules there are, otherwise."""
    rules = sorted(predictions["select"].unique())
    if select not in rules:
        raise ValueError(f"select is {select!r}; these predictions hold: {', '.join(rules)}")
    return predictions[predictions["select"] == select]


def scores_of(predictions: pd.DataFrame, num_classes: int) -> np.ndarray:
    """Return the probability columns p_0..p_k as an array (N, K)."""
    return predictions[[f"p_{k}" for k in range(num_classes)]].to_numpy(dtype=float)


def score(predictions: pd.DataFrame, classes: Sequence[str], select: str = "last") -> dict:
    """Return the metrics of one selection rule, pooled over all folds.

    Keys: select, n, folds, war, uar, recall (dict of class -> recall), and mean and standard
    deviation over folds (`war_fold_mean`, `war_fold_sd`, the same for uar; the deviation is the
    sample's, NaN for one fold).
    """
    rows = choose(predictions, select)
    y_true, y_pred = rows["y_true"], rows["y_pred"]
    recall = per_class_recall(y_true, y_pred, len(classes))
    folds = score_folds(predictions, classes, select)
    result = {
        "select": select,
        "n": len(rows),
        "folds": len(folds),
        "war": war(y_true, y_pred),
        "uar": uar(y_true, y_pred, len(classes)),
        "recall": dict(zip(classes, recall.tolist(), strict=True)),
    }
    for name in ("war", "uar"):
        result[f"{name}_fold_mean"] = float(folds[name].mean())
        result[f"{name}_fold_sd"] = float(folds[name].std(ddof=1))
    return result


def score_folds(
    predictions: pd.DataFrame, classes: Sequence[str], select: str = "last"
) -> pd.DataFrame:
    """Return one row per fold: fold, n, classes (how many occur), war, uar."""
    rows = []
    for fold, part in choose(predictions, select).groupby("fold"):
        y_true, y_pred = part["y_true"], part["y_pred"]
        values = war(y_true, y_pred), uar(y_true, y_pred, len(classes))
        rows.append((fold, len(part), y_true.nunique(), *values))
    return pd.DataFrame(rows, columns=["fold", "n", "classes", "war", "uar"])


def _pair(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None):
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if y_true.shape != y_pred.shape or y_true.ndim != 1 or len(y_true) == 0:
        raise ValueError(
            f"y_true and y_pred have shapes {y_true.shape} and {y_pred.shape}; "
            "two vectors of the same length, not empty, needed"
        )
    for name, values in (("y_true", y_true), ("y_pred", y_pred)):
        if num_classes is not None and not np.isin(values, range(num_classes)).all():
            wrong = sorted(set(values.tolist()) - set(range(num_classes)))
            raise ValueError(f"{name} holds {wrong[:3]}; class indices are 0 to {num_classes - 1}")
    return y_true, y_pred


def _curve(truth: np.ndarray, scores: np.ndarray) -> Roc:
    fpr, tpr, _ = roc_curve(truth, scores)
    return Roc(fpr, tpr, float(auc(fpr, tpr)))


def _macro(curves: list[Roc]) -> Roc:
    """Mean of the curves over false positive rate; its area is the mean of their areas."""
    grid = np.unique(np.concatenate([curve.fpr for curve in curves]))
    before = np.mean([_at(curve, grid, "left") for curve in curves], axis=0)
    after = np.mean([_at(curve, grid, "right") for curve in curves], axis=0)
    fpr, tpr = np.repeat(grid, 2), np.stack([before, after], axis=1).ravel()
    return Roc(fpr, tpr, float(auc(fpr, tpr)))


def _at(curve: Roc, grid: np.ndarray, side: str) -> np.ndarray:
    """True positive rate at each grid point; where the curve jumps, before or after the jump."""
    index = np.searchsorted(curve.fpr, grid, side) - (side == "right")
    exact = np.take(curve.fpr, index, mode="clip") == grid
    between = np.interp(grid, curve.fpr, curve.tpr)
    return np.where(exact, np.take(curve.tpr, index, mode="clip"), between)
