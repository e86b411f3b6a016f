"""Predictions that must not be scored or compared: what is wrong is named before a number is made.

Pairs of models are checked clip by clip in `paired`; here is what one table can show by itself, and
whether runs belong to one set of clips at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

NEEDED = ("clip_id", "variant", "select", "y_true", "y_pred")
ONE_ROW = ["variant", "seed", "fold", "select", "clip_id"]


class PredictionsError(ValueError):
    """Predictions that cannot be scored; the message names the row, the value and the way out."""


def check_predictions(predictions: pd.DataFrame, num_classes: int) -> None:
    """Refuse predictions with a missing column, a gap, a wrong class, or a clip twice.

    `y_true` and `y_pred` are class indices 0 to K - 1, and where there are probabilities p_0, p_1,
    ..., there are K of them, none NaN, and `y_pred` has the largest. Raises PredictionsError.
    """
    missing = [name for name in NEEDED if name not in predictions]
    if missing:
        raise PredictionsError(f"predictions lack the columns {', '.join(missing)}")
    if predictions.empty:
        raise PredictionsError("predictions are empty: there is no clip to score")
    if predictions["clip_id"].isna().any() or (predictions["clip_id"] == "").any():
        row = predictions[predictions["clip_id"].isna() | (predictions["clip_id"] == "")].iloc[0]
        raise PredictionsError(f"a row of {row['variant']!r} names no clip: clip_id is empty")
    for name in ("y_true", "y_pred"):
        wrong = predictions[~predictions[name].isin(range(num_classes))]
        if len(wrong):
            raise PredictionsError(
                f"{name} of clip {wrong['clip_id'].iloc[0]!r} is {wrong[name].iloc[0]}; class "
                f"indices are 0 to {num_classes - 1}, without gaps"
            )
    _check_twice(predictions)
    _check_truth(predictions)
    _check_probabilities(predictions, num_classes)


def _check_twice(predictions: pd.DataFrame) -> None:
    keys = [name for name in ONE_ROW if name in predictions]
    twice = predictions.duplicated(keys)
    if twice.any():
        row = predictions[twice].iloc[0]
        raise PredictionsError(
            f"clip {row['clip_id']!r} of {row['variant']!r} is predicted twice by one fold and "
            "seed: pass one run of each"
        )


def _check_truth(predictions: pd.DataFrame) -> None:
    """One clip has one true class, in whatever run it was tested."""
    pairs = predictions[["clip_id", "y_true"]].drop_duplicates()
    several = pairs["clip_id"].duplicated()
    if several.any():
        clip = pairs.loc[several, "clip_id"].iloc[0]
        found = sorted(pairs.loc[pairs["clip_id"] == clip, "y_true"])
        raise PredictionsError(
            f"clip {clip!r} has the true classes {', '.join(map(str, found))}: runs of another "
            "class order, or of another manifest, are among these predictions"
        )


def _check_probabilities(predictions: pd.DataFrame, num_classes: int) -> None:
    columns = [name for name in predictions if str(name).startswith("p_")]
    if not columns:
        return
    wanted = [f"p_{k}" for k in range(num_classes)]
    if sorted(columns) != sorted(wanted):
        raise PredictionsError(
            f"predictions have {len(columns)} probabilities, {num_classes} classes were given: "
            "score them with the classes of their own runs"
        )
    values = predictions[wanted].to_numpy(dtype=float)
    if np.isnan(values).any():
        row = predictions.iloc[int(np.isnan(values).any(1).argmax())]
        raise PredictionsError(f"clip {row['clip_id']!r} of {row['variant']!r} has a NaN among p_k")
    chosen = values[np.arange(len(values)), predictions["y_pred"].to_numpy(int)]
    off = chosen < values.max(1) - 1e-6
    if off.any():
        row = predictions.iloc[int(off.argmax())]
        raise PredictionsError(
            f"y_pred of clip {row['clip_id']!r} of {row['variant']!r} is {row['y_pred']}, and "
            "another probability is larger: the classes stand in another order there"
        )


def check_one_set(records: Iterable[Mapping[str, Any]], what: str) -> None:
    """Refuse runs that are not about one list of clips with one order of classes.

    `records` hold classes and manifest_hash where they are known; `what` names the runs. Raises
    PredictionsError.
    """
    records = list(records)
    for name, way in (("classes", "class order"), ("manifest_hash", "manifest")):
        found: dict[Any, str] = {}
        for record in records:
            if name in record:
                value = record[name]
                value = tuple(value) if isinstance(value, list) else value
                found.setdefault(value, str(record.get("run_id", record.get("variant", "a run"))))
        if len(found) > 1:
            (first, one), (second, other) = list(found.items())[:2]
            raise PredictionsError(
                f"{what}: {one} and {other} differ in their {way} ({first} and {second}), so they "
                "were not tested on the same clips; keep the runs of one, or run both again"
            )
