"""CEFLNet's settings are those of its text, and its published numbers the published ones."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dferlib.models import create_model
from dferlib.protocols import load_protocol
from dferlib.protocols.ceflnet import (
    reported_locating,
    reported_spread,
    reported_sweep,
    training_settings,
)
from dferlib.training.losses import create_loss
from dferlib.training.pretrain import pretrained_as
from dferlib.training.train import create_optimizer, create_scheduler

TABLES = Path(__file__).parents[3] / "shared" / "papers" / "tables"
needs_sheets = pytest.mark.skipif(
    not TABLES.is_dir(), reason="the fact sheets are not part of the project"
)
NAMES = {"BU-3DFE": "bu4dfe", "MMI": "mmi", "AFEW": "afew", "DFEW": "dfew", "-": "-"}
PAPER = load_protocol("ceflnet")


def read(pattern: str) -> list[dict]:
    rows = []
    for path in sorted(TABLES.glob(pattern)):
        with path.open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    return rows


def number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


# -------------------------------------------------------------------------------- published cells


@needs_sheets
def test_every_published_value_is_that_of_the_fact_sheet():
    expected = {}
    for row in read("ceflnet_table*.csv"):
        dataset = NAMES[row["dataset"].split(" (")[0].removesuffix(" 8.0")]
        key = (int(row["table"]), dataset, row["method"], row["metric"])
        expected[key] = number(row["value"])
    ours = {(c.table, c.dataset, c.row, c.metric): c.value for c in PAPER.reported()}
    assert ours == expected
    assert len(ours) == len(PAPER.reported()) == 8 + 7 + 10 + 9 + 6 + 5 + 4 + 12 + 8


@needs_sheets
def test_figures_and_text_are_those_of_the_fact_sheet():
    for row in read("ceflnet_text_mean_std.csv"):
        index = ("accuracy mean", "accuracy std").index(row["metric"])
        assert reported_spread(NAMES[row["dataset"]])[index] == float(row["value"])
    known = {name: {} for name in PAPER.datasets}
    for row in read("ceflnet_fig5*.csv"):
        if row["true"] == row["pred"] and "+" not in row["true"]:
            known[NAMES[row["dataset"]]][row["true"].lower()] = float(row["value"]) / 100
    for dataset, recalls in known.items():
        classes, matrix = PAPER.reported_confusion(dataset)
        assert classes == PAPER.classes[dataset]
        diagonal = dict(zip(classes, np.diag(matrix), strict=True))
        assert {k: v for k, v in diagonal.items() if not math.isnan(v)} == recalls
        assert np.isfinite(matrix).sum() == len(recalls)
    for row in read("ceflnet_fig8*.csv"):
        what, value = row["method"].split(" "), float(row["value"])
        assert reported_sweep(NAMES[row["dataset"]])[what[1]][int(what[0])] == value


def test_locating_is_table_7():
    cells = {cell.dataset: cell.value for cell in PAPER.reported(table=7)}
    assert {name: reported_locating(name) for name in PAPER.datasets} == cells


def test_own_accuracies_are_whole_clips():
    whole = {}
    for cell in PAPER.reported(dataset="bu4dfe"):
        if cell.metric == "accuracy":
            k = round(cell.value * 6)
            whole[cell.table, cell.row] = abs(k / 6 - cell.value) < 0.0051
    others = {"FERAtt+Rep+Cls [37] (frame-based)", "ICNP [39] (sequence-based)", "ResNet-18"}
    assert {row for (_, row), fits in whole.items() if not fits} == others


# --------------------------------------------------------------------------------------- settings


def test_table_1_is_the_protocol():
    cells = {cell.metric: cell.value for cell in PAPER.reported(table=1)}
    for name, field in training_settings().items():
        value = getattr(PAPER.stated, field)
        assert cells[name] == (value.upper() if isinstance(value, str) else value)


def test_settings_are_those_of_section_4():
    stated = PAPER.stated
    assert (stated.sampler, stated.num_frames, stated.input_size) == ("windowed_clips", 35, 224)
    assert stated.sampler_options() == {"num_clips": 7}
    folds = {name: PAPER.resolve("paper", name, "ceflnet").folds for name in PAPER.datasets}
    assert {name: len(k) for name, k in folds.items()} == {
        "bu4dfe": 10,
        "mmi": 10,
        "afew": 1,
        "dfew": 5,
    }
    for name in PAPER.datasets:
        found = PAPER.resolve("paper", name, "ceflnet").deviations()
        assert {d.name: d.value for d in found} == {"init": "torchvision", "normalise": "imagenet"}
    assert {"loss", "warmup", "reading", "norm", "select"} <= set(PAPER.assumed)
    assert not {"epochs", "lr", "batch_size", "num_clips"} & set(PAPER.assumed)


def test_the_rate_warms_up_and_follows_a_cosine_that_the_training_ends_before():
    model = torch.nn.Linear(2, 2)
    optimizer = create_optimizer(model, PAPER.stated)
    assert isinstance(optimizer, torch.optim.Adam)
    scheduler = create_scheduler(optimizer, PAPER.stated)
    rates = []
    for _ in range(PAPER.stated.epochs):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    rising = [1e-4 * (e + 1) / 11 * (1 + math.cos(math.pi * e / 160)) / 2 for e in range(10)]
    assert rates[:10] == pytest.approx(rising)
    assert rates[80] == pytest.approx(0.5e-4)
    assert scheduler.get_last_lr()[0] == pytest.approx(1.464e-5, rel=1e-3)  # at epoch 120
    assert max(rates) < 1e-4
    for dataset in PAPER.datasets:
        gpu = PAPER.resolve("gpu", dataset, "ceflnet")
        assert 0.1 < gpu.lr_factor(gpu.epochs) < 0.2


# ------------------------------------------------------------------------------------------- loss


def test_the_binary_loss_is_equation_11_with_brackets():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 3, 0])
    total = 0.0
    for row, true in zip(logits, target.tolist(), strict=True):
        p = [math.exp(z) / sum(map(math.exp, row.tolist())) for z in row.tolist()]
        total -= sum(math.log(q) if c == true else math.log(1 - q) for c, q in enumerate(p))
    loss = create_loss("binary")
    assert loss(logits, target).item() == pytest.approx(total / 5, rel=1e-5)
    sure = torch.tensor([[80.0, 0.0]], requires_grad=True)
    loss(sure, torch.tensor([1])).backward()
    assert torch.isfinite(sure.grad).all()
    assert loss(sure.detach(), torch.tensor([1])).item() == pytest.approx(160)


# --------------------------------------------------------------------------------------- variants


def test_every_variant_finds_its_row_in_every_table_it_names():
    for variant in PAPER.variants.values():
        for table, row in variant.rows.items():
            assert any(cell.row == row for cell in PAPER.reported(table)), (variant.slug, table)
    for table in (6, 8, 9):
        named = {v.rows[table] for v in PAPER.variants.values() if table in v.rows}
        assert named == {cell.row for cell in PAPER.reported(table=table)}


@pytest.mark.parametrize("variant", PAPER.variants)
def test_a_variant_names_a_network_and_clips_that_it_takes(variant):
    recipe = PAPER.resolve("smoke", "mmi", variant)
    model = create_model(recipe.model, 6, **recipe.model_options()).eval()
    assert model.spec["name"] == recipe.network
    assert recipe.num_frames == recipe.num_clips * recipe.frames_per_clip
    with torch.no_grad():
        assert model(torch.zeros(1, 3, recipe.num_frames, 32, 32)).shape == (1, 6)


def test_points_of_figure_8_change_one_number_each():
    for slug in ("clips-1", "clips-3", "clips-5", "clips-9"):
        point = PAPER.resolve("paper", "mmi", slug)
        assert (point.num_clips, point.frames_per_clip) == (int(slug[6:]), 5)
    for slug in ("frames-2", "frames-10", "frames-15"):
        point = PAPER.resolve("paper", "mmi", slug)
        assert (point.num_clips, point.frames_per_clip) == (7, int(slug[7:]))


def test_rows_with_resnet18_start_from_the_same_weights():
    kept = set()
    for slug in ("resnet18", "cnn-lstm", "sal", "ceflnet", "fan", "clips-1", "frames-2"):
        recipe = PAPER.resolve("quick", "bu4dfe", slug)
        model = create_model(recipe.model, 6, **recipe.model_options())
        name, options = pretrained_as(model.spec["name"], model.spec["options"])
        kept.add((name, *sorted(options.items()), recipe.init_frames))
    assert len(kept) == 1
    assert load_protocol("stcam").stated.init_frames == 7


def test_presets_run_the_rows_of_figure_7_on_every_dataset():
    for preset in ("smoke", "quick"):
        for dataset in PAPER.datasets:
            rows = PAPER.variants_of(preset, dataset)
            assert {"resnet18", "cnn-lstm", "ceflnet", "fan"} <= set(rows) <= set(PAPER.variants)
    assert PAPER.variants_of("paper", "mmi") == tuple(PAPER.variants)
    ablation = {slug for slug, variant in PAPER.variants.items() if 6 in variant.rows}
    assert ablation <= set(PAPER.variants_of("quick", "bu4dfe"))


# -------------------------------------------------------------------------------------- criterion


@pytest.mark.parametrize(
    ("dataset", "correct", "n"),
    [("bu4dfe", 512, 600), ("mmi", 182, 200), ("afew", 190, 352), ("dfew", 7644, 11_697)],
)
def test_the_criterion_is_the_binomial_interval_of_the_published_count(dataset, correct, n):
    from scipy.stats import binom

    criterion = PAPER.criterion(dataset, "ceflnet")
    assert (criterion.correct, criterion.n) == (correct, n)
    assert binom.sf(correct - 1, n, criterion.low) == pytest.approx(0.025, abs=1e-6)
    assert binom.cdf(correct, n, criterion.high) == pytest.approx(0.025, abs=1e-6)
