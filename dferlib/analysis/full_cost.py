"""What a training costs by counted operations, and what the papers' full protocols cost.

    python -m dferlib.sweep costs      writes results/costs/README.md and costs.csv

Operations are counted on networks without values, as in `dferlib.analysis.cost`; hours are those of
one data-centre card that sustains `HOUR_TFLOPS` in bf16, which is an assumption and no measurement.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch

from dferlib.analysis.cost import count_cost, peak_memory
from dferlib.models import create_model


class Size(NamedTuple):
    """Parameters, and MACs of a forward pass of one clip."""

    parameters: int
    macs: int


@cache
def size_of(
    name: str, options: tuple[tuple[str, object], ...], num_classes: int, shape: tuple[int, ...]
) -> Size:
    """Count a model, by name and options (as sorted pairs), for clips of `shape` (3, T, H, W)."""
    with torch.device("meta"):
        model = create_model(name, num_classes, **dict(options))
    cost = count_cost(model, shape)
    return Size(cost.parameters, cost.macs)


@cache
def training_bytes(
    name: str,
    options: tuple[tuple[str, object], ...],
    num_classes: int,
    shape: tuple[int, ...],
    batch_size: int,
) -> int:
    """Bytes of tensors in a training step: weights, gradients and what the backward pass keeps.

    Counted in float32 for batches of two clips and of four, and drawn out to `batch_size`; two
    times the weights are added for the optimiser.
    """
    with torch.device("meta"):
        model = create_model(name, num_classes, **dict(options))
    two, four = (peak_memory(model, shape, batch_size=n, training=True) for n in (2, 4))
    per_clip = (four - two) // 2
    weights = 4 * sum(p.numel() for p in model.parameters())
    return two + (batch_size - 2) * per_clip + 2 * weights
