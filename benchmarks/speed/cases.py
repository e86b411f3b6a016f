"""What is timed: every network, with the input and batch of a preset of a paper that trains it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from dferlib.analysis.cost import count_cost
from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.store import FrameStore
from dferlib.models import create_model, list_models
from dferlib.protocols import load_protocol
from dferlib.protocols.recipe import Recipe
from dferlib.training.single_frame import peak_tasks
from dferlib.training.tasks import Task

PAPERS = ("stcam", "hacn", "ceflnet", "stt", "ecnn_fsa")
SIZES = ("quick", "paper")
CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
CPU_GMACS = 100  # of the forward pass of a batch, above which a processor gets fewer clips
TOY = {"width": 0.125}


@dataclass(frozen=True)
class Case:
    """A network at a size, "quick" or "paper", and the recipe that trains it there."""

    model: str
    size: str
    recipe: Recipe
    options: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.model}-{self.size}"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """A clip, (3, T, H, W)."""
        return (3, self.recipe.num_frames, self.recipe.input_size, self.recipe.input_size)

    def build(self) -> nn.Module:
        """The network with fresh weights, always the same."""
        torch.manual_seed(0)
        return create_model(self.model, len(CLASSES), **self.options)

    def macs(self) -> int:
        """Counted multiplications of a forward pass for one clip."""
        return count_cost(self.build(), self.shape).macs

    def clips(self, device: torch.device) -> int:
        """Clips in a batch: the recipe's, fewer where a processor would take too long."""
        if device.type != "cpu":
            return self.recipe.batch_size
        return min(self.recipe.batch_size, max(2, CPU_GMACS * 10**9 // self.macs()))

    def loader(self, batches: int, batch_size: int, device: torch.device) -> ClipLoader:
        """A loader of so many batches of coloured clouds, read as the recipe says."""
        recipe = self.recipe
        store = cloud_store(batches * batch_size, recipe.num_frames + 2, recipe.store_size)
        options = (recipe.crop, recipe.flip, "last", recipe.sampler_options(), recipe.normalise)
        sizes = (recipe.sampler, recipe.num_frames, recipe.input_size, batch_size)
        return ClipLoader(store, *sizes, device, *options)


def find_case(model: str, size: str, toy: bool = False) -> Case:
    """The network in the recipe of the first paper that trains it, its own before others.

    With `toy` it is narrow and a batch has two clips. ValueError where no paper trains it.
    """
    for slug in PAPERS:
        paper = load_protocol(slug)
        dataset = next(iter(paper.datasets))
        for variant in sorted(paper.variants, key=lambda name: name != slug):
            recipe = paper.resolve(size, dataset, variant)
            if model == "peak_cnn":
                recipe = peak_tasks([Task(recipe, variant, 1, 0, None, Path("a/b/c"))])[0].recipe
            if recipe.model == model:
                return _case(recipe, size, toy)
    raise ValueError(f"no paper trains {model!r}; the models are {', '.join(list_models())}")


def _case(recipe: Recipe, size: str, toy: bool) -> Case:
    options = recipe.model_options()
    if toy:
        recipe = recipe.override(batch_size=2)
        options |= {name: value for name, value in TOY.items() if name in options}
    return Case(recipe.model, size, recipe, options)


def cloud_store(clips: int, length: int, size: int) -> FrameStore:
    """Clips of soft colours, whose JPEGs are about as large as those of faces."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (clips * length, 9, 9, 3), dtype=np.uint8)
    steps = np.linspace(0, 8, size).round().astype(int)
    frames = coarse[:, steps[:, None], steps[None, :]]
    frames += rng.integers(0, 8, frames.shape, dtype=np.uint8)
    rows = {
        "clip_id": [f"cloud{i}" for i in range(clips)],
        "subject": [f"S{i:03d}" for i in range(clips)],
        "label": [CLASSES[i % len(CLASSES)] for i in range(clips)],
    }
    table = pd.DataFrame(rows).assign(n_frames=length, offset=np.arange(clips) * length)
    table = table.assign(fps=25.0, apex=length - 1, onset=0, split="", dataset="oulu")
    return FrameStore(
        manifest=table.assign(source="synthetic"),
        frames=frames,
        key="clouds",
        path=Path("clouds"),
        size=size,
        dataset="oulu",
        source="synthetic",
        classes=CLASSES,
        pixels="clouds",
    )
