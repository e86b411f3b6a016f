"""Presets: quick converges by one recipe, gpu fits into an hour, every row is run somewhere."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
import torch

from dferlib.analysis.cost import count_cost
from dferlib.models import create_model
from dferlib.protocols import OWN_CLIPS, list_protocols, load_protocol
from dferlib.protocols.ceflnet import SWEEPS
from dferlib.protocols.ecnn_fsa import NUMBERS_OF_FRAMES
from dferlib.protocols.presets import CONVERGING, HOUR_TFLOPS

PAPERS = [load_protocol(slug) for slug in list_protocols()]
every_paper = pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.slug)
# clips of a whole copy; of AFEW (training, test) where its own lists are used
CLIPS = {"ckplus": 327, "oulu": 480, "mmi": 208, "bu4dfe": 606, "afew": 1156, "dfew": 11_697}
AFEW_LISTS = (773, 383)


# ---------------------------------------------------------------------------------------- quick


@every_paper
def test_quick_is_one_recipe(paper):
    for dataset in (*paper.datasets, OWN_CLIPS):
        for variant in paper.variants:
            recipe = paper.resolve("quick", dataset, variant)
            expected = {name: value for name, (value, _) in CONVERGING.items()}
            if paper.slug == "stt":  # whose subject is the loss
                expected |= {"loss": recipe.loss, "label_smoothing": recipe.label_smoothing}
            assert {name: getattr(recipe, name) for name in expected} == expected


def test_stts_losses_stay_its_own():
    stt = load_protocol("stt")
    losses = {row: stt.resolve("quick", "dfew", row).loss for row in ("stt", "cross-entropy")}
    assert losses == {"stt": "compact", "cross-entropy": "cross_entropy"}


@every_paper
def test_all_are_trained_on_unless_a_part_has_to_validate(paper):
    dataset = paper.datasets[0]
    for preset in paper.presets:
        recipe = paper.resolve(preset, dataset, paper.slug)
        assert recipe.select in ("last", "best_test")
        assert recipe.holdout == (preset in ("smoke", "quick"))
        listed = {d.name: d.reason for d in recipe.deviations()}
        assert ("holdout" in listed) == recipe.holdout
    assert (
        "never looks at test clips"
        in {d.name: d.reason for d in paper.resolve("quick", dataset, paper.slug).deviations()}[
            "holdout"
        ]
    )


@every_paper
def test_quick_runs_every_row_that_the_authors_ran(paper):
    for cell in paper.reported():
        if cell.metric not in ("accuracy", "WAR"):
            continue
        rows = [v.slug for v in paper.variants.values() if v.rows.get(cell.table) == cell.row]
        run_on = [
            name
            for name in {c.dataset for c in paper.reported(cell.table) if c.row == cell.row}
            if set(rows) & set(paper.variants_of("quick", name))
        ]
        others = re.search(r"\[\d+", cell.row)  # cited
        assert run_on or cell.row in paper.not_run or (others and not rows), cell


def test_quick_runs_the_points_of_figures_and_text():
    ceflnet, ecnn = load_protocol("ceflnet"), load_protocol("ecnn_fsa")
    for points in SWEEPS.values():
        assert set(points.values()) <= set(ceflnet.variants_of("quick", "bu4dfe"))
    assert set(NUMBERS_OF_FRAMES) <= set(ecnn.variants_of("quick", "afew"))


# ------------------------------------------------------------------------------ initial weights


@every_paper
@pytest.mark.parametrize("preset", ["gpu", "paper"])
def test_initial_weights_exist_and_images_are_normalised_for_them(paper, preset):
    for dataset in paper.datasets:
        for variant in paper.variants:
            recipe = paper.resolve(preset, dataset, variant)
            module = import_module(f"dferlib.models.{recipe.model}")
            offered = hasattr(module, "torchvision_weights")
            assert recipe.init == ("torchvision" if offered else "synthetic"), variant
            assert recipe.normalise == "imagenet"
    stated = {"ceflnet": "unit", "stt": "unit", "ecnn_fsa": "vggface"}
    assert paper.stated.normalise == stated.get(paper.slug, "imagenet")


# ------------------------------------------------------------------------------------------ gpu


COUNTED: dict[tuple, int] = {}  # rows that differ in nothing else cost the same within 1 %


def macs_of(recipe) -> int:
    options = recipe.model_options()
    kind = recipe.model, options.get("attention"), recipe.num_frames, recipe.input_size
    if kind not in COUNTED:
        with torch.device("meta"):
            network = create_model(recipe.model, 7, **options)
        shape = (3, recipe.num_frames, recipe.input_size, recipe.input_size)
        COUNTED[kind] = count_cost(network, shape).macs
    return COUNTED[kind]


def hours(paper, dataset: str) -> float:
    """Hours of all rows and folds: three passes for a training clip, one for a tested clip."""
    clips = 415 if (paper.slug, dataset) == ("ecnn_fsa", "ckplus") else CLIPS[dataset]
    macs = 0.0
    for variant in paper.variants_of("gpu", dataset):
        recipe = paper.resolve("gpu", dataset, variant)
        tested = clips / recipe.num_folds
        train, test = AFEW_LISTS if recipe.num_folds == 1 else (clips - tested, tested)
        macs += len(recipe.folds) * recipe.epochs * (3 * train + test) * macs_of(recipe)
    return 2 * macs / (HOUR_TFLOPS * 1e12) / 3600


@every_paper
def test_gpu_is_the_papers_training_in_about_an_hour(paper):
    for dataset in paper.datasets:
        recipe = paper.resolve("gpu", dataset, paper.slug)
        full = paper.resolve("paper", dataset, paper.slug)
        shortened = {"epochs", "milestones", "period", "warmup", "folds", "precision"}
        for name, value in full.key().items():
            assert getattr(recipe, name) == value or name in shortened, name
        spent, whole = hours(paper, dataset), recipe.epochs == full.epochs
        assert spent < 1.05
        assert spent > 0.85 or whole
        share = recipe.epochs / full.epochs
        assert recipe.milestones == tuple(round(share * k) for k in full.milestones)
