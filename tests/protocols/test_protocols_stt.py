"""STT's settings are those of its text, and its published numbers the published ones."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dferlib.protocols import load_protocol
from dferlib.protocols.stt import LAYERS, reported_layers

TABLES = Path(__file__).parents[3] / "shared" / "papers" / "tables"
needs_sheets = pytest.mark.skipif(
    not TABLES.is_dir(), reason="the fact sheets are not part of the project"
)
NAMES = {"DFEW (5-fold)": "dfew", "AFEW (val)": "afew"}
PAPER = load_protocol("stt")
DFEW_COUNTS = (2445, 1894, 2669, 2173, 1469, 145, 902)  # of the classes, over the five test folds


def read(pattern: str) -> list[dict]:
    rows = []
    for path in sorted(TABLES.glob(pattern)):
        with path.open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    return rows


# -------------------------------------------------------------------------------- published cells


@needs_sheets
def test_every_published_value_is_that_of_the_fact_sheet():
    expected = {}
    for row in read("stt_table*.csv"):
        label = row["method"]
        if row["table"] == "3":
            label += f" ({row['note'].removeprefix('sampling strategy ')[:2]})"
        metric = row["metric"].replace("accuracy ", "recall ")
        metric = metric if metric in ("UAR", "WAR") else metric.lower()
        key = (int(row["table"]), NAMES[row["dataset"]], label, metric)
        expected[key] = float(row["value"]) if row["value"] else None
    ours = {(c.table, c.dataset, c.row, c.metric): c.value for c in PAPER.reported()}
    assert ours == expected
    assert len(ours) == len(PAPER.reported()) == 8 + 6 + 14 * 9 + 9 * 2


@needs_sheets
def test_figure_6_is_that_of_the_fact_sheet():
    expected = {n: {} for n in LAYERS}
    for row in read("stt_fig6*.csv"):
        value = float(row["value"]) if row["value"] else None
        expected[int(row["method"].removeprefix("N="))][row["metric"]] = value
    assert reported_layers() == expected


def test_sums_of_table_3_follow_from_its_recalls():
    rows: dict[str, dict[str, float]] = {}
    for cell in PAPER.reported(table=3):
        rows.setdefault(cell.row, {})[cell.metric] = cell.value
    wrong = []
    for row, cells in rows.items():
        recalls = [cells[f"recall {name}"] for name in PAPER.classes["dfew"]]
        uar = sum(recalls) / 7
        war = sum(r * n for r, n in zip(recalls, DFEW_COUNTS, strict=True)) / sum(DFEW_COUNTS)
        if abs(uar - cells["UAR"]) > 0.0101 or abs(war - cells["WAR"]) > 0.0101:
            wrong.append((row, round(uar, 2), round(war, 2)))
    assert wrong == [("Resnet18+GRU [9,16] (DS)", 51.90, 64.10)]


def test_with_a_recall_of_345_for_disgust_stts_own_row_is_exact():
    counts = (2136, 1286, 1734, 1548, 780, 5, 307)
    cells = {c.metric: c.value for c in PAPER.reported(table=3) if c.row == "STT (Ours) (DS)"}
    recalls = [100 * k / n for k, n in zip(counts, DFEW_COUNTS, strict=True)]
    for name, recall in zip(PAPER.classes["dfew"], recalls, strict=True):
        if name != "disgust":
            assert recall == pytest.approx(cells[f"recall {name}"], abs=0.005)
    assert sum(counts) == 7796
    assert 100 * sum(counts) / sum(DFEW_COUNTS) == pytest.approx(cells["WAR"], abs=0.005)
    assert sum(recalls) / 7 == pytest.approx(cells["UAR"], abs=0.005)


def test_cells_that_do_not_fit_say_why():
    noted = {(c.table, c.row, c.metric) for c in PAPER.reported() if c.note}
    assert (3, "STT (Ours) (DS)", "recall disgust") in noted
    assert {c.row for c in PAPER.reported() if c.value is None} == {"EmotiW-2019 Baseline [11]"}
    assert all(c.note for c in PAPER.reported() if c.value is None)


# --------------------------------------------------------------------------------------- settings


def test_settings_are_those_of_section_4():
    expected = {"num_frames": 16, "input_size": 112, "batch_size": 32, "epochs": 100, "lr": 0.01}
    expected |= {"milestones": (40, 80), "gamma": 0.1, "optimizer": "sgd", "beta": 0.2}
    expected |= {"layers": 4, "heads": 8, "dim": 512, "loss": "compact", "num_folds": 5}
    assert {name: getattr(PAPER.stated, name) for name in expected} == expected
    assert PAPER.stated.folds == (1, 2, 3, 4, 5)
    assert {"readout", "stage", "class_frame", "mlp_ratio", "weight_decay"} <= set(PAPER.assumed)
    assert "epochs" not in PAPER.assumed


def test_afews_own_settings_are_the_papers_and_not_deviations():
    afew = PAPER.resolve("paper", "afew", "stt")
    assert (afew.epochs, afew.lr, afew.milestones, afew.folds) == (20, 0.001, (), (1,))
    found = {d.name: (d.paper, d.value) for d in afew.deviations()}
    assert found["init"] == ("ms-celeb-1m", "torchvision")
    assert afew.transfer == "dfew"
    assert found["normalise"] == ("unit", "imagenet")
    assert len(found) == 2
    longer = {d.name: d for d in afew.override(epochs=100).deviations()}
    assert longer["epochs"] == ("epochs", 20, 100, "set by the caller")
    quick = {d.name: d for d in PAPER.resolve("quick", "afew", "stt").deviations()}
    assert quick["epochs"][1:3] == (20, 12)
    assert "num_folds" not in quick


# --------------------------------------------------------------------------------------- variants


def test_every_row_of_every_table_can_be_run():
    for table in (1, 2, 3, 4):
        named = {v.rows[table] for v in PAPER.variants.values() if table in v.rows}
        rows = {cell.row for cell in PAPER.reported(table=table)}
        assert rows - named == ({"EmotiW-2019 Baseline [11]"} if table == 4 else set())
        assert named <= rows


@pytest.mark.parametrize("variant", PAPER.variants)
def test_a_variant_names_a_network_with_its_options_and_a_loss_with_its_own(variant):
    import torch

    from dferlib.models import create_model
    from dferlib.training.losses import create_loss

    recipe = PAPER.resolve("smoke", "dfew", variant)
    model = create_model(recipe.model, 7, **recipe.model_options())
    assert model.spec["name"] == recipe.network
    options = recipe.loss_options()
    loss = create_loss(recipe.loss, num_classes=7, feature_dim=model.num_features, **options)
    extra = (torch.zeros(2, model.num_features),) if getattr(loss, "needs_features", 0) else ()
    assert torch.isfinite(loss(torch.zeros(2, 7), torch.tensor([0, 1]), *extra))
    in_name = {"ti": "time_interpolation", "ds": "dynamic_sampling"}
    assert recipe.sampler == in_name.get(variant[-2:], "dynamic_sampling")


def test_the_losses_of_table_2_have_the_papers_factors():
    assert PAPER.stated.loss_options() == {"beta": 0.2}
    smoothed = PAPER.resolve("paper", "dfew", "label-smoothing")
    assert (smoothed.loss, smoothed.loss_options()) == ("label_smoothing", {"smoothing": 0.1})
    assert PAPER.resolve("paper", "dfew", "cross-entropy").loss_options() == {}


# -------------------------------------------------------------------------------------- criterion


def test_the_criterion_is_the_binomial_interval_of_the_published_count():
    from scipy.stats import binom

    criterion = PAPER.criterion("dfew", "stt")
    assert (criterion.correct, criterion.n) == (7796, 11_697)
    assert binom.sf(7795, 11_697, criterion.low) == pytest.approx(0.025, abs=1e-6)
    assert binom.cdf(7796, 11_697, criterion.high) == pytest.approx(0.025, abs=1e-6)
    afew = PAPER.criterion("afew", "stt")
    assert (afew.correct, afew.n) == (205, 378)
    former = PAPER.criterion("afew", "former-dfer-ds")
    assert (former.correct, former.n) == (194, 381)


# ---------------------------------------------------------------------------------------- presets


def test_every_preset_runs_rows_that_the_paper_prints():
    assert set(PAPER.variants_of("paper", "dfew")) == set(PAPER.printed_on("dfew"))
    assert set(PAPER.variants_of("paper", "afew")) == set(PAPER.printed_on("afew"))
    for preset in PAPER.presets:
        for dataset in PAPER.datasets:
            assert set(PAPER.variants_of(preset, dataset)) <= set(PAPER.printed_on(dataset))
