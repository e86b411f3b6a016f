"""Two models on the same clips, person by person: the arrays that every paired test starts from.

A clip counts once. Where a model was trained with several seeds, a clip holds one answer per seed,
and what a test sees is the mean of them: seeds of one clip are not independent clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dferlib.evidence.metrics import choose
from dferlib.evidence.stats import units_of

CLIP = ["clip_id", "fold"]


class UnequalClipsError(ValueError):
    """Two tables of predictions that cannot be compared clip by clip."""


@dataclass(frozen=True)
class Paired:
    """Right or wrong of two models on the same N clips of U units.

    `y_true` (N,) class indices, `unit` (N,) codes 0..U-1, `kind` "subjects" or "clips", `first`
    and `second` (N, seeds) 0 or 1, `classes` the class names in order.
    """

    y_true: np.ndarray
    unit: np.ndarray
    kind: str
    first: np.ndarray
    second: np.ndarray
    classes: tuple[str, ...]

    @property
    def units(self) -> int:
        """How many units there are."""
        return int(self.unit.max()) + 1

    @property
    def sizes(self) -> np.ndarray:
        """Clips of each class (K,)."""
        return np.bincount(self.y_true, minlength=len(self.classes))

    def steps(self) -> np.ndarray:
        """What each clip (N,) says of second minus first, the mean over seeds, from -1 to 1."""
        return self.second.mean(1) - self.first.mean(1)

    def effects(self, metric: str) -> np.ndarray:
        """What each unit (U,) adds to second minus first of "war" or "uar"; they sum to it."""
        if metric not in ("war", "uar"):
            raise ValueError(f"metric is {metric!r}; valid: war, uar")
        weight = np.full(len(self.y_true), 1 / len(self.y_true))
        if metric == "uar":
            weight = 1 / (len(self.classes) * self.sizes[self.y_true])
        return np.bincount(self.unit, self.steps() * weight, minlength=self.units)


def pair_predictions(
    first: pd.DataFrame, second: pd.DataFrame, classes: Sequence[str], select: str = "last"
) -> Paired:
    """Lay two models' predictions beside each other, clip by clip.

    Columns: clip_id, fold, select, y_true, y_pred, and subject and seed where they are known. The
    unit is the subject where every clip has one and there are at least two, the clip otherwise.
    UnequalClipsError names what does not fit: clips that only one has, a clip that one seed
    predicts twice or not at all, another true class, a value that is no class index.
    """
    tables = [
        _answers(choose(rows, select), name, len(classes))
        for name, rows in (("first", first), ("second", second))
    ]
    a, b = tables
    if not a.index.equals(b.index):
        only = a.index.symmetric_difference(b.index)
        raise UnequalClipsError(
            f"{len(only)} clips were tested for one model only, {only[0][0]!r} of fold "
            f"{only[0][1]} for instance; run both on the same folds and the same manifest"
        )
    if not (a["y_true"] == b["y_true"]).all():
        wrong = a.index[a["y_true"] != b["y_true"]][0]
        raise UnequalClipsError(
            f"clip {wrong[0]!r} has another true class in each table: compare "
            "runs of one class order and one manifest"
        )
    kind, unit = units_of(a.reset_index())
    seeds = [table.drop(columns=["y_true", "subject"]).to_numpy(float) for table in tables]
    return Paired(a["y_true"].to_numpy(int), unit, kind, *seeds, tuple(classes))


def _answers(rows: pd.DataFrame, name: str, k: int) -> pd.DataFrame:
    """One row per clip: y_true, subject, and a column of 0 and 1 for each seed."""
    rows = rows.assign(seed=rows.get("seed", 0))
    rows["subject"] = rows.get("subject", "")
    rows["fold"] = rows.get("fold", 1)
    for column in ("y_true", "y_pred"):
        known = rows[column].isin(range(k))
        if not known.all():
            value = rows.loc[~known, column].iloc[0]
            raise UnequalClipsError(
                f"{column} of the {name} model holds {value}; 0 to {k - 1} needed"
            )
    twice = rows.duplicated([*CLIP, "seed"])
    if twice.any():
        clip = rows.loc[twice, "clip_id"].iloc[0]
        raise UnequalClipsError(f"the {name} model predicts clip {clip!r} twice with one seed")
    rows = rows.assign(right=(rows["y_true"] == rows["y_pred"]).astype(float))
    wide = rows.pivot(index=CLIP, columns="seed", values="right")
    if wide.isna().any(axis=None):
        clip = wide.index[wide.isna().any(axis=1)][0][0]
        raise UnequalClipsError(
            f"clip {clip!r} lacks a seed of the {name} model: run every seed on the same folds"
        )
    facts = rows.drop_duplicates(CLIP).set_index(CLIP)[["y_true", "subject"]]
    return wide.join(facts).sort_index()
