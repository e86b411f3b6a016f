"""Every fold of every row, and how far folds and seeds lie apart: computed from predictions alone.

Papers print a mean over folds with its deviation and do not say which. Here it is the population's
(divided by the number of folds, as numpy has it), and the caption says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dferlib.evidence import metrics

MEAN, FOLDS_SD, SEEDS_SD = "mean", "s.d. over folds", "s.d. over seeds"


def fold_scores(
    predictions: pd.DataFrame, classes: Sequence[str], select: str = "last"
) -> pd.DataFrame:
    """WAR and UAR of each variant, seed and fold in per cent: a row each.

    Columns variant, seed, fold, n, classes (how many of them occur), WAR, UAR. UAR is the mean
    recall over the classes that the fold tests: a class without a clip there has no recall.
    """
    rows = []
    chosen = metrics.choose(predictions, select)
    for (variant, seed, fold), part in chosen.groupby(["variant", "seed", "fold"], sort=False):
        recalls = metrics.per_class_recall(part["y_true"], part["y_pred"], len(classes))
        there = int(np.isfinite(recalls).sum())
        values = 100 * metrics.war(part["y_true"], part["y_pred"]), 100 * np.nanmean(recalls)
        rows.append((variant, seed, fold, len(part), there, *values))
    columns = ["variant", "seed", "fold", "n", "classes", "WAR", "UAR"]
    return pd.DataFrame(rows, columns=columns)


def folds_table(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    select: str = "last",
    labels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """A row for each variant and metric: its folds, their mean, and population s.d., in per cent.

    Index (row, metric), with `labels` for variants; columns "fold 1" and so on, `MEAN`, `FOLDS_SD`
    and, where a row has several seeds, `SEEDS_SD`. A fold's value is the mean over its seeds; the
    deviation over seeds is that of their means over folds.
    """
    scores = fold_scores(predictions, classes, select)
    rows = {}
    for variant, part in scores.groupby("variant", sort=False):
        for metric in ("WAR", "UAR"):
            grid = part.pivot(index="seed", columns="fold", values=metric)
            folds = grid.mean()
            row = {f"fold {fold}": value for fold, value in folds.sort_index().items()}
            row |= {MEAN: folds.mean(), FOLDS_SD: folds.std(ddof=0) if len(folds) > 1 else np.nan}
            if len(grid) > 1:
                row[SEEDS_SD] = grid.mean(axis=1).std(ddof=0)
            rows[(labels or {}).get(variant, variant), metric] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(rows, names=["row", "metric"])
    numbered = sorted((k for k in table if k.startswith("fold ")), key=lambda k: int(k[5:]))
    return table[[*numbered, *(k for k in (MEAN, FOLDS_SD, SEEDS_SD) if k in table)]]


def caption_folds(predictions: pd.DataFrame, classes: Sequence[str], select: str = "last") -> str:
    """Say what the deviations of `folds_table` are, and which folds test not all classes."""
    scores = fold_scores(predictions, classes, select)
    said = "The s.d. is the population's (divided by the number, not by one less), over folds"
    seeds = scores["seed"].nunique()
    said += f", and over the means of {seeds} seeds." if seeds > 1 else " of one seed."
    if scores["fold"].nunique() == 1:
        said += " There is one fold only: it has no deviation."
    few = scores[scores["classes"] < len(classes)].drop_duplicates("fold").sort_values("fold")
    if len(few):
        listed = ", ".join(f"{row.fold} ({row.classes})" for row in few.itertuples())
        said += (
            f" In these folds not all {len(classes)} classes have a clip, and UAR is over those "
            f"that do: {listed}."
        )
    return said
