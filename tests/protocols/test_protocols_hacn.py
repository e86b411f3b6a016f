"""HACN's settings are those of its text, and its published numbers the published ones."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dferlib.protocols import load_protocol
from dferlib.protocols.hacn import (
    CLIPS,
    EVALUATIONS,
    OWN,
    reported_auc,
    reported_differences,
)

TABLES = Path(__file__).parents[3] / "shared" / "papers" / "tables"
needs_sheets = pytest.mark.skipif(
    not TABLES.is_dir(), reason="the fact sheets are not part of the project"
)
NAMES = {"AFEW": "afew", "CK+": "ckplus", "Oulu-CASIA": "oulu", "-": "-"}
PAPER = load_protocol("hacn")


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
    for row in read("hacn_table*.csv"):
        value = row["value"]
        if row["table"] != "1":
            value = float(value) if value else None
        key = (int(row["table"]), NAMES[row["dataset"]], row["method"], row["metric"])
        expected[key] = value
    ours = {(c.table, c.dataset, c.row, c.metric): c.value for c in PAPER.reported()}
    assert ours == expected
    assert len(ours) == len(PAPER.reported()) == 12 + 8 + 9 + 8


@needs_sheets
def test_differences_and_figures_are_those_of_the_fact_sheet():
    expected = {(NAMES[r["dataset"]], r["method"]): float(r["value"]) for r in read("hacn_text*")}
    ours = {}
    for cell in reported_differences():
        row = cell.row.split(":")[0] if cell.row.startswith("Control") else cell.row
        ours[cell.dataset, row] = cell.value
    assert ours == expected
    for row in read("hacn_fig7*.csv"):
        classes, matrix = PAPER.reported_confusion(NAMES[row["dataset"]])
        index = classes.index(row["true"].lower())
        assert matrix[index, index] == float(row["value"]) / 100
        assert np.nansum(matrix[index]) == 1
    known = {
        (NAMES[r["dataset"]], r["method"], r["metric"]): r["value"] for r in read("hacn_fig8*")
    }
    for (dataset, _, metric), value in known.items():
        kind = metric.split("-")[0].split(" ")[0]
        assert reported_auc(dataset).get(kind) == (float(value) if value else None)
    assert sum(len(reported_auc(name)) for name in PAPER.classes) == 3


def test_values_from_differences_say_so_and_add_up():
    own = {c.dataset: c.value for c in PAPER.reported() if c.row == OWN}
    assert own == {"afew": 53.44, "ckplus": 98.46, "oulu": 87.31}
    cells = {(c.dataset, c.row): c for c in PAPER.reported()}
    for difference in reported_differences():
        cell = cells[difference.dataset, difference.row]
        assert own[cell.dataset] - cell.value == pytest.approx(difference.value)
        assert cell.note
    lost = [c for c in PAPER.reported() if c.value is None]
    assert len(lost) == 4 + 4 + 3
    assert all("lost" in c.note for c in lost)


def test_table_1_is_torchvisions_resnet50():
    import torch

    from dferlib.models.parts.resnet import ResNet50

    sizes = {c.row: c.value for c in PAPER.reported(1) if c.metric == "output size"}
    with torch.device("meta"):
        trunk, x = ResNet50(), torch.empty(1, 3, 224, 224)
        found = {}
        for name, layer in trunk.named_children():
            x = layer(x)
            found[name] = f"{x.shape[2]}x{x.shape[3]}"
    names = {"conv1": "conv1", "layer1": "conv2_x", "layer2": "conv3_x", "layer3": "conv4_x"}
    names["layer4"] = "conv5_x"
    assert {names[k]: v for k, v in found.items() if k in names} | {"pool": "1x1"} == sizes
    layers = {c.row: c.value for c in PAPER.reported(1) if c.metric == "layer"}
    depths = [int(layers[f"conv{k}_x"].split("x ")[-1]) for k in (2, 3, 4, 5)]
    assert depths == [len(trunk[k]) for k in range(4, 8)]


# --------------------------------------------------------------------------------------- settings


def test_settings_are_those_of_section_4():
    expected = {"num_frames": 5, "input_size": 224, "batch_size": 16, "lr": 0.001, "epochs": 100}
    expected |= {"momentum": 0.9, "weight_decay": 0.0001, "gamma": 0.8, "hidden": 128}
    expected |= {"optimizer": "sgd", "num_folds": 5, "sampler": "one_per_segment"}
    for dataset in ("ckplus", "oulu"):
        recipe = PAPER.resolve("paper", dataset, "hacn")
        assert {name: getattr(recipe, name) for name in expected} == expected
        assert recipe.milestones == (20, 40, 60, 80)
        assert recipe.deviations() == []
    afew = PAPER.resolve("paper", "afew", "hacn")
    assert (afew.lr, afew.epochs, len(afew.milestones)) == (0.0001, 200, 9)
    assert afew.deviations() == []
    assert {"mode", "dropout", "init", "milestones", "flip", "select"} <= set(PAPER.assumed)


def test_the_learning_rate_falls_as_stated():
    import torch

    from dferlib.training.train import create_optimizer, create_scheduler

    for dataset, factor in (("ckplus", 0.8**4), ("afew", 0.8**9)):
        recipe = PAPER.resolve("paper", dataset, "hacn")
        optimizer = create_optimizer(torch.nn.Linear(1, 1), recipe)
        scheduler = create_scheduler(optimizer, recipe)
        for _ in range(recipe.epochs - 1):
            optimizer.step()
            scheduler.step()
        assert scheduler.get_last_lr()[0] == pytest.approx(recipe.lr * factor)


# --------------------------------------------------------------------------- folds of both kinds


def clips(split: list[str]) -> pd.DataFrame:
    ids = [f"{name}/{k:04d}" for k, name in enumerate(split)]
    return pd.DataFrame({"clip_id": ids, "subject": ids, "split": split, "label": "fear"})


def test_five_folds_mix_afews_lists_and_train_val_keeps_them():
    from dferlib.datasets.folds import split_fold

    manifest = clips(["train"] * 30 + ["val"] * 20)
    five = PAPER.resolve("paper", "afew", "hacn")
    splits = [
        split_fold(manifest, fold, five.num_folds, use_official=five.official_split)
        for fold in five.folds
    ]
    tested = np.concatenate([split.test for split in splits])
    assert sorted(tested) == list(range(50))
    assert [len(split.test) for split in splits] == [10] * 5
    assert set(manifest["split"].iloc[splits[0].test]) == {"train", "val"}
    official = five.override(**EVALUATIONS["train-val"])
    assert official.key() != five.key()
    split = split_fold(manifest, 1, official.num_folds, use_official=official.official_split)
    assert set(manifest["split"].iloc[split.test]) == {"val"}
    assert len(split.test) == 20
    assert set(manifest["split"].iloc[split.train]) == {"train"}
    with pytest.raises(ValueError, match="ckplus has no official lists"):
        PAPER.resolve("paper", "ckplus", "hacn").override(**EVALUATIONS["train-val"])


def test_both_evaluations_are_named_and_reach_the_run(tmp_path):
    from dferlib.training.tasks import plan_tasks

    class Store:
        dataset = "afew"
        manifest = clips(["train"] * 30 + ["val"] * 20)

    assert set(EVALUATIONS) == {"five-fold", "train-val"}
    (task,) = plan_tasks(PAPER, "smoke", ["hacn"], [1], [0], Store, tmp_path)
    other = task.with_settings("train-val", **EVALUATIONS["train-val"])
    assert other.variant == "hacn, train-val"
    assert other.recipe.key() != task.recipe.key()
    assert len(task.split.test) == 10
    assert len(other.split.test) == 20


# --------------------------------------------------------------------------------------- variants


def test_both_control_groups_can_be_run_in_every_table():
    for table in (2, 3, 4):
        named = {v.rows[table] for v in PAPER.variants.values() if table in v.rows}
        rows = {cell.row for cell in PAPER.reported(table=table)}
        assert len(named) == 3
        assert named <= rows
    printed = {PAPER.printed_on(name) for name in PAPER.datasets}
    assert printed == {("control-1", "control-2", "hacn")}


@pytest.mark.parametrize("variant", PAPER.variants)
@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
def test_a_variant_is_a_model(variant, preset):
    import torch

    from dferlib.models import create_model

    recipe = PAPER.resolve(preset, "oulu", variant)
    with torch.device("meta"):
        model = create_model(recipe.model, 6, **recipe.model_options())
    gru, weights = model.gru is not None, model.frame_weights is not None
    expected = {"control-1": (True, False), "control-2": (False, True)}
    assert (gru, weights) == expected.get(variant, (True, True))


# -------------------------------------------------------------------------------------- criterion


@pytest.mark.parametrize(("dataset", "correct"), [("ckplus", 322), ("oulu", 419), ("afew", 618)])
def test_the_criterion_is_the_binomial_interval_of_the_nearest_count(dataset, correct):
    from scipy.stats import binom

    criterion = PAPER.criterion(dataset, "hacn")
    assert (criterion.correct, criterion.n) == (correct, CLIPS[dataset])
    assert binom.sf(correct - 1, criterion.n, criterion.low) == pytest.approx(0.025, abs=1e-6)
    assert binom.cdf(correct, criterion.n, criterion.high) == pytest.approx(0.025, abs=1e-6)
    assert criterion.holds(criterion.published)
