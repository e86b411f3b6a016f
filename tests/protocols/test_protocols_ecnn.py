"""ECNN-FSA's settings are those of its text, and its published numbers the published ones."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from dferlib.protocols import load_protocol
from dferlib.protocols.ecnn_fsa import NUMBERS_OF_FRAMES
from dferlib.protocols.reported.ecnn_fsa import SAME_NETWORK, reported_differences

TABLES = Path(__file__).parents[3] / "shared" / "papers" / "tables"
NAMES = {"CK+": "ckplus", "AFEW": "afew", "-": "-"}
PAPER = load_protocol("ecnn_fsa")
SHORT = {name[:2].capitalize(): name for name in PAPER.classes["afew"]}
COUNTS = (  # of Table 10: rows and columns in the order of the classes
    (32, 2, 4, 9, 2, 9, 6),
    (3, 10, 1, 9, 7, 6, 4),
    (12, 2, 6, 7, 3, 11, 3),
    (3, 1, 0, 49, 3, 4, 2),
    (6, 5, 5, 12, 25, 4, 2),
    (3, 5, 2, 12, 4, 31, 3),
    (13, 2, 1, 7, 8, 7, 7),
)


# -------------------------------------------------------------------------------- published cells


@pytest.mark.skipif(not TABLES.is_dir(), reason="the fact sheets are not part of the project")
def test_every_published_value_is_that_of_the_fact_sheet():
    expected = {}
    for path in sorted(TABLES.glob("ecnn_fsa_table*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                place = int(row["table"]), NAMES[row["dataset"]]
                if "true" in row:
                    key = (*place, SHORT[row["true"]], f"predicted {SHORT[row['pred']]}")
                else:
                    key = (*place, row["method"], row["metric"])
                text = row["value"]
                plain = float(text) if row["unit"] != "-" and text else text
                expected[key] = None if text == "" else plain
    ours = {(c.table, c.dataset, c.row, c.metric): c.value for c in PAPER.reported()}
    assert ours == expected
    assert len(ours) == len(PAPER.reported()) == 12 + 10 + 10 + 7 + 49 + 8 + 11 + 4 + 3 + 49


def test_table_10_is_made_of_counts_that_give_160_of_374():
    counts = np.array(COUNTS)
    _, published = PAPER.reported_confusion("afew")
    shares = 100 * counts / counts.sum(1, keepdims=True)
    assert np.abs(shares - 100 * published).max() < 0.00501
    assert (np.trace(counts), counts.sum()) == (160, 374)


def test_same_networks_are_one_variant_but_for_the_s_that_is_printed_twice():
    by_row = {
        table: {v.rows[table]: slug for slug, v in PAPER.variants.items() if table in v.rows}
        for table in (6, 7)
    }
    pairs = [(by_row[6][sixth], by_row[7][seventh]) for sixth, seventh in SAME_NETWORK]
    assert [pair for pair in pairs if pair[0] != pair[1]] == [("fsa-s0.01", "fsa-s0.001")]
    printed = {(c.table, c.row): c.value for c in PAPER.reported() if c.metric == "accuracy"}
    differences = [round(printed[7, b] - printed[6, a], 2) for a, b in SAME_NETWORK]
    assert differences == [2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 1.0, 2.0]
    differing = {b for (_, b), d in zip(SAME_NETWORK, differences, strict=True) if d}
    assert {c.row for c in PAPER.reported(7) if "Table 6" in c.note} == differing


def test_every_cell_that_is_lost_says_so():
    (lost,) = [c for c in PAPER.reported() if c.value is None]
    assert (lost.table, lost.row, lost.metric) == (3, "Baseline", "F1")
    assert lost.note


def test_one_difference_of_the_text_is_not_that_of_the_tables():
    wrong = [d for d in reported_differences() if d.text != d.tables]
    assert [(d.table, d.text, d.tables) for d in wrong] == [(9, 4.21, 8.21)]
    assert len(reported_differences()) == 6


def test_confusion_rows_sum_to_one():
    for dataset in PAPER.classes:
        names, matrix = PAPER.reported_confusion(dataset)
        assert names == PAPER.classes[dataset]
        assert np.abs(matrix.sum(1) - 1).max() < 2e-4


# --------------------------------------------------------------------------------------- settings


def test_settings_are_those_of_the_text():
    expected = {"num_frames": 5, "input_size": 224, "batch_size": 48, "lr": 0.001, "momentum": 0.9}
    expected |= {"optimizer": "sgd", "num_folds": 5, "s": 0.1, "dropout": 0.5, "fc_layers": 1}
    expected |= {"backbone_dim": 1024, "branch_dim": 1024, "branch_kernel": 7}
    expected |= {"sampler": "one_per_segment", "width": 1.0, "batch_norm": False}
    assert {name: getattr(PAPER.stated, name) for name in expected} == expected
    assert {"epochs", "milestones", "weight_decay", "tap", "readout"} <= set(PAPER.assumed)
    assert "lr" not in PAPER.assumed


def test_afews_own_settings_are_not_deviations():
    afew = PAPER.resolve("paper", "afew", "ecnn_fsa")
    assert (afew.epochs, afew.milestones, afew.folds) == (180, (60, 120), (1,))
    assert {d.name for d in afew.deviations()} == {"init", "normalise", "transfer"}
    ckplus = PAPER.resolve("paper", "ckplus", "ecnn_fsa")
    assert (ckplus.epochs, ckplus.milestones, ckplus.folds) == (60, (20, 40), (1, 2, 3, 4, 5))


# --------------------------------------------------------------------------------------- variants


def test_every_own_row_of_every_table_can_be_run():
    others = {"Baseline", "AFEW baseline", "ECNN-LSTM(FC6, 7x7, LBP)"}
    others |= {"3DCNN-DAP [4]", "LOMo [34]", "STM-ExpLet [28]", "DTAGN [13]"}
    for table in (2, 3, 4, 6, 7, 9):
        named = {v.rows[table] for v in PAPER.variants.values() if table in v.rows}
        rows = {cell.row for cell in PAPER.reported(table=table)}
        assert named <= rows
        assert rows - named <= others
    assert {PAPER.variants[slug].changes.get("num_frames", 5) for slug in NUMBERS_OF_FRAMES} == {
        *(3, 5, 6, 9)
    }


@pytest.mark.parametrize("variant", PAPER.variants)
def test_a_variant_names_a_network_with_its_options(variant):
    import torch

    from dferlib.models import create_model

    recipe = PAPER.resolve("paper", "afew", variant)
    with torch.device("meta"):
        model = create_model(recipe.model, 7, **recipe.model_options())
    assert model.spec["name"] == recipe.network
    if variant.startswith("fsa") or variant == "ecnn_fsa":
        label = PAPER.variants[variant].label
        assert str(model.num_features) in label
        assert f"s={recipe.s:g}" in label
        assert ("2xfc" in label) == (recipe.fc_layers == 2)
    if "lstm" in variant:
        states = [layer.hidden_size for layer in model.recurrent.layers]
        assert tuple(states) == recipe.states


def test_presets_run_rows_that_exist_and_the_papers_own_model_among_them():
    for preset in PAPER.presets:
        for dataset in PAPER.datasets:
            chosen = PAPER.variants_of(preset, dataset)
            assert set(chosen) <= set(PAPER.variants)
            assert "ecnn_fsa" in chosen
    assert set(PAPER.printed_on("afew")) <= set(PAPER.variants_of("paper", "afew"))
    assert set(PAPER.printed_on("ckplus")) == set(PAPER.variants_of("paper", "ckplus"))


def test_only_score_fusion_tests_on_all_frames():
    recipes = [PAPER.resolve("quick", "ckplus", slug) for slug in PAPER.variants]
    every = [r.variant for r in recipes if r.sampler_options() == {"test_frames": "all"}]
    assert every == ["score-fusion"]


# -------------------------------------------------------------------------------------- criterion


def test_the_criterion_on_afew_is_that_of_the_confusion_matrix():
    from scipy.stats import binom

    criterion = PAPER.criterion("afew", "ecnn_fsa")
    assert (criterion.correct, criterion.n) == (160, 374)
    assert binom.sf(159, 374, criterion.low) == pytest.approx(0.025, abs=1e-6)
    assert binom.cdf(160, 374, criterion.high) == pytest.approx(0.025, abs=1e-6)
    assert not criterion.holds(0.4978)


def test_the_criterion_on_ck_plus_is_the_count_nearest_to_the_published_value():
    criterion = PAPER.criterion("ckplus", "ecnn_fsa")
    assert criterion.n == 309 + 106
    nearest = min(range(416), key=lambda k: abs(k / 415 - 0.9795))
    assert criterion.correct == nearest
    assert criterion.holds(0.9795)
    with pytest.raises(ValueError, match="Valid: ecnn_fsa"):
        PAPER.criterion("ckplus", "score-fusion")
