"""The table of folds: values, deviations and what is said of them, against numbers by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from dferlib.evidence import folds_table as folds

CLASSES = ("anger", "fear", "joy")


def predictions(right: dict[tuple[int, int], int], truth=(0, 1, 2, 0)) -> pd.DataFrame:
    """Clips of (seed, fold), of which the first so many are right, of one row."""
    parts = []
    for (seed, fold), count in right.items():
        taken = [y if k < count else (y + 1) % 3 for k, y in enumerate(truth)]
        part = pd.DataFrame({"y_true": truth, "y_pred": taken, "fold": fold, "seed": seed})
        parts.append(part.assign(variant="stcam", select="last"))
    return pd.concat(parts, ignore_index=True)


def test_folds_mean_and_population_deviation():
    rows = predictions({(0, 10): 4, (0, 2): 2})
    table = folds.folds_table(rows, CLASSES, labels={"stcam": "STCAM"})
    assert list(table.columns) == ["fold 2", "fold 10", folds.MEAN, folds.FOLDS_SD]
    assert table.loc[("STCAM", "WAR")].tolist() == pytest.approx([50, 100, 75, 25])
    # fold 2: anger 1 of 2, fear 1 of 1, joy 0 of 1
    assert table.loc[("STCAM", "UAR"), "fold 2"] == pytest.approx(50)


def test_seeds_are_averaged_in_a_fold_and_have_a_deviation_of_their_own():
    rows = predictions({(0, 1): 4, (0, 2): 2, (1, 1): 2, (1, 2): 2})
    war = folds.folds_table(rows, CLASSES).loc[("stcam", "WAR")]
    assert war[["fold 1", "fold 2", folds.MEAN]].tolist() == pytest.approx([75, 50, 62.5])
    assert war[folds.FOLDS_SD] == pytest.approx(12.5)
    assert war[folds.SEEDS_SD] == pytest.approx(12.5)  # means 75 and 50
    assert "over the means of 2 seeds" in folds.caption_folds(rows, CLASSES)


def test_a_class_that_a_fold_does_not_test_is_no_zero():
    rows = predictions({(0, 1): 2}, truth=(0, 1))
    assert folds.folds_table(rows, CLASSES).loc[("stcam", "UAR"), "fold 1"] == 100
    said = folds.caption_folds(rows, CLASSES)
    assert "those that do: 1 (2)." in said
    assert "no deviation" in said
    assert "Not all" not in folds.caption_folds(predictions({(0, 1): 4}), CLASSES)
