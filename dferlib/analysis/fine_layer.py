"""Explanations on a grid fine enough to tell a mouth from a chin.

The last layer of a network has 7 x 7 places at the papers' 224 pixels and 2 x 2 at the small inputs
of quick runs. An earlier layer has more of them; there Grad-CAM's one weight a channel says little,
and LayerCAM weighs each place on its own (Jiang et al., TIP 2021).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

MOUTH_CELLS = 12  # places along a side: an open mouth, a sixth of a face, then is two of them high
MOUTH_GRID = 8  # places on a side from which on one of them is no wider than half a mouth is


class Layer(NamedTuple):
    """A module of a model, its name there, and the places along a side of its output."""

    name: str
    module: nn.Module
    side: int


def grid_of(model: nn.Module, clip: Tensor, module: nn.Module) -> Layer:
    """Trace a clip (1, 3, T, H, W) and say how fine the output of a module is.

    ValueError for a module that the clip does not pass through.
    """
    passed = _passed(model, clip)
    found = [layer for layer in passed if layer.module is module]
    if not found:
        raise ValueError(f"{type(module).__name__} is not passed by a clip of this model")
    return found[-1]


def fine_layer(
    model: nn.Module, clip: Tensor, cells: int = MOUTH_CELLS, *, blocks: bool = False
) -> Layer:
    """The last layer with at least so many places along a side, not after `model.cam_layer`.

    The finest one, where none has as many. `clip` is (1, 3, T, H, W). With `blocks` it is the last
    of the modules that lie no deeper in the model than `cam_layer` does, to which papers give names
    and of which one may hold `cam_layer`.
    """
    passed = _passed(model, clip)
    last = max(k for k, layer in enumerate(passed) if layer.module is model.cam_layer)
    depth = passed[last].name.count(".")
    named = [layer for layer in passed if layer.name.count(".") <= depth]
    before = named if blocks else passed[: last + 1]
    fine = [layer for layer in before if layer.side >= cells]
    return fine[-1] if fine else max(before, key=lambda layer: layer.side)


def _passed(model: nn.Module, clip: Tensor) -> list[Layer]:
    """Modules with maps as output, in the order in which they were done."""
    found, hooks = [], []

    def note(name: str):
        def hook(module, _inputs, output) -> None:
            if isinstance(output, Tensor) and output.ndim in (4, 5):
                found.append(Layer(name, module, min(output.shape[-2:])))

        return hook

    modes = {module: module.training for module in model.modules()}
    try:
        for name, module in model.named_modules():
            hooks.append(module.register_forward_hook(note(name)))
        model.eval()
        with torch.no_grad():
            model(clip.to(next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    return found
