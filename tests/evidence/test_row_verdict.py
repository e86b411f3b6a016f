"""Verdicts on published rows: each of the five, by predictions made to earn it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dferlib.evidence import row_verdict
from dferlib.evidence.row_verdict import judge_rows
from dferlib.protocols import Criterion, Reported

CLASSES = ("a", "b", "c")
PRINTED = {"Base": 70.0, "Better": 80.0, "Same": 70.0, "Worse": 60.0}


def paper():
    cells = [Reported(1, "d", row, "accuracy", value, "%") for row, value in PRINTED.items()]
    cells.append(Reported(1, "d", "Lost", "accuracy", None, "%"))
    variants = {row.lower(): SimpleNamespace(rows={1: row}) for row in (*PRINTED, "Lost")}
    return SimpleNamespace(slug="own", variants=variants, reported=lambda table, dataset: cells)


def predictions(**accuracies) -> pd.DataFrame:
    """Forty persons of six clips; a model of accuracy x is right on the first x of all clips."""
    rows = []
    for name, accuracy in accuracies.items():
        index = np.random.default_rng(0).permutation(240)
        true = np.arange(240) % 3
        right = index < round(240 * accuracy)
        table = pd.DataFrame({"clip_id": np.arange(240).astype(str), "y_true": true})
        table["subject"] = [f"s{k // 6}" for k in range(240)]
        table["y_pred"] = np.where(right, true, (true + 1) % 3)
        rows.append(table.assign(variant=name, fold=1, seed=0, select="last"))
    return pd.concat(rows, ignore_index=True)


def verdicts(source="synthetic", criteria=None, **accuracies) -> pd.DataFrame:
    options = {"dataset": "d", "source": source, "criteria": criteria}
    rows = predictions(**accuracies)
    return judge_rows(paper(), 1, rows, CLASSES, "base", **options).set_index("variant")


def criterion(low: float, high: float) -> Criterion:
    return Criterion("war", 0.8, 192, 240, low, high, "interval of the published 192 of 240")


@pytest.mark.parametrize(
    ("better", "worse", "expected"),
    [
        (0.85, 0.5, (row_verdict.DIRECTION, row_verdict.DIRECTION)),
        (0.5, 0.85, (row_verdict.CONTRADICTED, row_verdict.CONTRADICTED)),
        (0.7, 0.69, (row_verdict.CANNOT_TELL, row_verdict.CANNOT_TELL)),
    ],
)
def test_directions_on_stand_ins(better, worse, expected):
    table = verdicts(base=0.7, better=better, worse=worse, same=0.7)
    assert (table.loc["better", "verdict"], table.loc["worse", "verdict"]) == expected
    assert table.loc["base", "verdict"] == row_verdict.REAL_ONLY
    assert table.loc["same", "verdict"] == row_verdict.REAL_ONLY
    assert "no difference is published" in table.loc["same", "text"]
    assert "on stand-ins" in table.loc["better", "text"]
    assert table.loc["better", "published_difference"] == 10


def test_what_cannot_be_told_names_the_clips_it_takes():
    row = verdicts(base=0.7, better=0.71).loc["better"]
    assert row["verdict"] == row_verdict.CANNOT_TELL
    assert f"{row['clips_needed']:,.0f} clips would show what is published" in row["text"]
    assert row["clips_needed"] > 50
    assert row["low"] < row["difference"] < row["high"]


@pytest.mark.parametrize(
    ("low", "high", "better", "expected"),
    [
        (0.75, 0.85, 0.8, row_verdict.REPRODUCED),
        (0.85, 0.95, 0.8, row_verdict.CONTRADICTED),  # outside
        (0.55, 0.65, 0.6, row_verdict.CONTRADICTED),  # inside, yet below the reference
    ],
)
def test_real_data_meet_the_criterion_or_do_not(low, high, better, expected):
    table = verdicts("real", {"better": criterion(low, high)}, base=0.7, better=better)
    assert table.loc["better", "verdict"] == expected
    assert "on stand-ins" not in table.loc["better", "text"]
    alone = verdicts("real", {"base": criterion(0.65, 0.75)}, base=0.7, better=better)
    assert alone.loc["base", "verdict"] == row_verdict.REPRODUCED
    synthetic = verdicts("synthetic", {"base": criterion(0.65, 0.75)}, base=0.7, better=better)
    assert synthetic.loc["base", "verdict"] == row_verdict.REAL_ONLY


def test_a_reference_without_a_value_is_named():
    with pytest.raises(ValueError, match="no value of 'lost' on d; it has: base"):
        judge_rows(
            paper(), 1, predictions(lost=0.5), CLASSES, "lost", dataset="d", source="synthetic"
        )
