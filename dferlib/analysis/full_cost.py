"""What a training costs by counted operations, and what the papers' full protocols cost.

    python -m dferlib.sweep costs      writes results/costs/README.md and its tables

Operations are counted on networks without values, as in `dferlib.analysis.cost`; hours are those of
one data-centre card that sustains `HOUR_TFLOPS` in bf16, which is an assumption and no measurement.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from dferlib.analysis.cost import count_cost, peak_memory
from dferlib.datasets.folds import split_fold
from dferlib.datasets.sources import synthetic_source
from dferlib.models import create_model
from dferlib.protocols import Paper, Recipe, load_protocol
from dferlib.protocols.presets import HOUR_TFLOPS

Options = tuple[tuple[str, object], ...]
STEP = 3  # forward passes that a training step is worth: the backward pass is worth two


class Size(NamedTuple):
    """Parameters, and MACs of a forward pass of one clip."""

    parameters: int
    macs: int


@cache
def size_of(name: str, options: Options, num_classes: int, shape: tuple[int, ...]) -> Size:
    """Count a model, by name and options (as sorted pairs), for clips of `shape` (3, T, H, W)."""
    with torch.device("meta"):
        model = create_model(name, num_classes, **dict(options))
    cost = count_cost(model, shape)
    return Size(cost.parameters, cost.macs)


@cache
def training_bytes(
    name: str, options: Options, num_classes: int, shape: tuple[int, ...], batch_size: int
) -> int:
    """Bytes of tensors in a training step: weights, gradients and what the backward pass keeps.

    Counted in float32 for batches of two clips and of four, and drawn out to `batch_size`; two
    times the weights are added for the optimiser.
    """
    with torch.device("meta"):
        model = create_model(name, num_classes, **dict(options))
    two, four = (peak_memory(model, shape, batch_size=n, training=True) for n in (2, 4))
    weights = 4 * sum(p.numel() for p in model.parameters())
    return two + (batch_size - 2) * (four - two) // 2 + 2 * weights


def what_of(recipe: Recipe, num_classes: int) -> tuple[str, Options, int, tuple[int, ...]]:
    """What of a recipe `size_of` and `training_bytes` take."""
    shape = (3, recipe.num_frames, recipe.input_size, recipe.input_size)
    return recipe.model, tuple(sorted(recipe.model_options().items())), num_classes, shape


def operations_of(recipe: Recipe, macs: int, trained: int, tested: int) -> float:
    """Operations of a training on so many clips, tested on so many after every epoch.

    A MAC is two operations, and a step costs `STEP` forward passes.
    """
    return 2.0 * macs * recipe.epochs * (STEP * trained * recipe.passes + tested)


def gpu_hours(operations: float) -> float:
    """Hours on one card at `HOUR_TFLOPS`."""
    return operations / (HOUR_TFLOPS * 1e12) / 3600


@cache
def _clips(dataset: str) -> pd.DataFrame:
    """Manifest of the whole stand-in, which has the clips and the lengths of the real dataset."""
    return synthetic_source(dataset, 1.0, None).manifest


def protocol_costs(slug: str, preset: str = "paper") -> pd.DataFrame:
    """What a paper's full protocol, or another preset, costs on each of its datasets, one seed.

    Columns paper, dataset, clips, rows, folds, runs (rows times folds), macs (one clip, the paper's
    own network), run_operations and run_gpu_hours (one training of it), operations and gpu_hours
    (all runs), memory (bytes in a step, float32), store (bytes). Every network is counted once for
    all datasets, with the classes of the paper's first: one more is a row of weights of the head.
    """
    paper = load_protocol(slug)
    return pd.DataFrame([_protocol(paper, dataset, preset) for dataset in paper.datasets])


def _protocol(paper: Paper, dataset: str, preset: str) -> dict:
    clips, classes = _clips(dataset), len(paper.classes[paper.datasets[0]])
    spent, own = 0.0, None
    rows = paper.variants_of(preset, dataset)
    for row in rows:
        recipe = paper.resolve(preset, dataset, row)
        size = size_of(*what_of(recipe, classes))
        each = [operations_of(recipe, size.macs, *counts) for counts in _counts(recipe, clips)]
        spent += sum(each)
        if own is None or row == paper.slug:
            own = recipe, size, float(np.mean(each))
    recipe, size, single = own
    frames = int(clips["n_frames"].sum())
    return {
        "paper": paper.slug,
        "dataset": dataset,
        "clips": len(clips),
        "rows": len(rows),
        "folds": len(recipe.folds),
        "runs": sum(len(paper.resolve(preset, dataset, row).folds) for row in rows),
        "macs": size.macs,
        "run_operations": single,
        "run_gpu_hours": gpu_hours(single),
        "operations": spent,
        "gpu_hours": gpu_hours(spent),
        "memory": training_bytes(*what_of(recipe, classes), recipe.batch_size),
        "store": frames * 3 * recipe.store_size**2,
    }


def _counts(recipe: Recipe, clips: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Clips that are trained on, and tested or validated on, in every fold of a recipe."""
    for fold in recipe.folds:
        split = split_fold(
            clips,
            fold,
            recipe.num_folds,
            use_official=recipe.official_split,
            holdout=recipe.holdout,
        )
        yield len(split.train), len(split.val) + len(split.test)


def growth(slug: str, preset: str = "paper") -> pd.DataFrame:
    """How a step of the paper's own network grows when frames or resolution are doubled.

    Columns paper, what ("frames", "resolution"), low and high (the two sizes), times (MACs), memory
    (times the bytes of a step with a batch of the paper). Both are NaN for a network of a fixed
    length. Clips are not counted: twice as many clips are twice as many steps.
    """
    paper = load_protocol(slug)
    recipe = paper.resolve(preset, paper.datasets[0], slug)
    frames, side = recipe.num_frames, recipe.input_size
    cases = (
        ("frames", frames, 2 * frames, (side, side)),
        ("resolution", side // 2, side, (frames, frames)),
    )
    rows = []
    for what, low, high, other in cases:
        shapes = [
            (3, n, other[0], other[0]) if what == "frames" else (3, other[0], n, n)
            for n in (low, high)
        ]
        ratios = _ratios(recipe, len(paper.classes[paper.datasets[0]]), shapes)
        rows.append({"paper": slug, "what": what, "low": low, "high": high} | ratios)
    return pd.DataFrame(rows)


def _ratios(recipe: Recipe, classes: int, shapes: list[tuple[int, ...]]) -> dict[str, float]:
    name, options = recipe.model, tuple(sorted(recipe.model_options().items()))
    try:
        sizes = [size_of(name, options, classes, shape).macs for shape in shapes]
        spaces = [
            training_bytes(name, options, classes, shape, recipe.batch_size) for shape in shapes
        ]
    except (ValueError, RuntimeError):  # a network of fixed length
        return {"times": float("nan"), "memory": float("nan")}
    return {"times": sizes[1] / sizes[0], "memory": spaces[1] / spaces[0]}
