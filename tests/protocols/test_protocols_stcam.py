"""STCAM's settings are those of its text, and its published numbers the published ones."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from dferlib.protocols import load_protocol
from dferlib.protocols.stcam import SEQUENCES

TABLES = Path(__file__).parents[3] / "shared" / "papers" / "tables"
NAMES = {"CK+": "ckplus", "Oulu-CASIA": "oulu", "MMI": "mmi"}
PAPER = load_protocol("stcam")


def test_settings_are_those_of_section_4():
    expected = {"num_frames": 7, "store_size": 240, "input_size": 224, "epochs": 100}
    expected |= {"batch_size": 16, "lr": 0.001, "momentum": 0.9, "nesterov": True}
    expected |= {"milestones": (40, 90), "gamma": 0.1, "weight_decay": 0.01, "num_folds": 10}
    expected |= {"reduction": 16, "optimizer": "sgd", "attention": "3dcam+stam", "crop": "five"}
    assert {name: getattr(PAPER.stated, name) for name in expected} == expected
    assert PAPER.stated.folds == tuple(range(1, 11))
    assert "loss" in PAPER.assumed
    assert "epochs" not in PAPER.assumed


def read_tables() -> list[dict]:
    rows = []
    for path in sorted(TABLES.glob("stcam_table*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    return rows


@pytest.mark.skipif(not TABLES.is_dir(), reason="the fact sheets are not part of the project")
def test_every_published_value_is_that_of_the_fact_sheet():
    names = {"An": "anger", "Co": "contempt", "Di": "disgust", "Fe": "fear"}
    names |= {"Ha": "happiness", "Sa": "sadness", "Su": "surprise"}
    expected = {}
    for row in read_tables():
        place = int(row["table"]), NAMES[row["dataset"]]
        if "true" in row:
            key = (*place, names[row["true"]], f"predicted {names[row['pred']]}")
        else:
            key = (*place, row["method"], row["metric"])
        text = row["value"]
        expected[key] = None if text == "" else text if row["unit"] == "-" else float(text)
    ours = {(c.table, c.dataset, c.row, c.metric): c.value for c in PAPER.reported()}
    assert ours == expected
    assert len(ours) == len(PAPER.reported())


def test_own_accuracies_are_whole_clips():
    own = {label for variant in PAPER.variants.values() for label in variant.rows.values()}
    cells = [c for c in PAPER.reported() if c.metric == "accuracy" and c.row in own]
    assert len(cells) == 15 + 6 + 12
    for cell in cells:
        n = SEQUENCES[cell.dataset]
        assert abs(100 * round(cell.value * n / 100) / n - cell.value) < 0.01, cell


def test_confusion_rows_sum_to_one_and_match_the_accuracy():
    sizes = {"ckplus": (45, 18, 59, 25, 69, 28, 83), "oulu": (80,) * 6}
    for dataset in NAMES.values():
        classes, matrix = PAPER.reported_confusion(dataset)
        assert classes == PAPER.classes[dataset]
        whole = ~np.isnan(matrix).any(1)
        np.testing.assert_allclose(matrix[whole].sum(1), 1, atol=0.0021)
        if dataset in sizes:
            correct = np.rint(np.diag(matrix) * sizes[dataset]).sum()
            assert correct / SEQUENCES[dataset] == pytest.approx(
                {"ckplus": 0.99083, "oulu": 0.9125}[dataset], abs=1e-4
            )
    assert np.isnan(PAPER.reported_confusion("mmi")[1]).sum() == 5
    lost = [c for c in PAPER.reported(table=11) if c.value is None]
    assert len(lost) == 5
    assert all(c.note for c in lost)


def test_the_criterion_is_the_binomial_interval_of_the_published_count():
    criterion = PAPER.criterion("ckplus", "stcam")
    assert (criterion.correct, criterion.n) == (324, 327)
    # Clopper-Pearson by its definition: 2.5 % beyond each end
    from scipy.stats import binom

    assert binom.sf(323, 327, criterion.low) == pytest.approx(0.025, abs=1e-6)
    assert binom.cdf(324, 327, criterion.high) == pytest.approx(0.025, abs=1e-6)
    assert criterion.holds(0.99)
    assert not criterion.holds(0.95)
