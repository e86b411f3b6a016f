"""What a model computes, as a short hash: part of every run id."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dferlib import models
from dferlib.files import digest
from dferlib.protocols.recipe import Recipe


def behaviour_fingerprint(recipe: Recipe, num_classes: int) -> str:
    """Hash of the rounded logits and gradient sizes of a seeded tiny forward and backward pass.

    It changes when the model computes something else, not when its code is only rearranged. Double
    precision keeps the rounded digits the same on other machines and numbers of threads.
    """
    options = recipe.model_options()
    return network_fingerprint(recipe.model, options, num_classes, recipe.num_frames)


def network_fingerprint(
    name: str, options: Mapping[str, Any], num_classes: int, num_frames: int
) -> str:
    """The same of a network by its name and options, for clips of so many frames."""
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn(2, 3, num_frames, 32, 32, generator=generator).double()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.create_model(name, num_classes, **options)
        logits = model.apply(_wake).double().train()(clip)
        logits.square().sum().backward()
    sizes = [p.grad.norm().item() if p.grad is not None else 0.0 for p in model.parameters()]
    values = (*logits.flatten().tolist(), *sizes)
    # what is zero on paper differs from it by rounding alone
    return digest([f"{value:.2g}" if abs(value) > 1e-9 else "0" for value in values])


@cache
def known_fingerprint(recipe: Recipe, num_classes: int, age: int) -> str:
    """The same, computed once for all folds and seeds; `age` is `age_of_models()`."""
    return behaviour_fingerprint(recipe, num_classes)


@cache
def known_network_fingerprint(
    name: str, options: tuple[tuple[str, Any], ...], num_classes: int, num_frames: int, age: int
) -> str:
    """That of a network, likewise; `options` are pairs of name and value."""
    return network_fingerprint(name, dict(options), num_classes, num_frames)


def age_of_models() -> int:
    """When the code of the models was last changed, which a living process may have reloaded."""
    return max(path.stat().st_mtime_ns for path in Path(models.__file__).parent.rglob("*.py"))


def _wake(module: nn.Module) -> None:
    """Set zero-initialised scales of norms to one, or what they switch off would not be seen."""
    weight = getattr(module, "weight", None)
    if isinstance(weight, nn.Parameter) and weight.ndim == 1 and not weight.any():
        nn.init.ones_(weight)
