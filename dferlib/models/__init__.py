"""Models by name: one architecture per file, and the file name is the registry.

A model file defines `build(num_classes, *, option=default, ...)` and returns an `nn.Module` with

- `forward(clip, lengths=None) -> logits`, clip of shape (B, 3, T, H, W);
- `forward_features(clip) -> (B, D)`, what the classifier reads, and D as `num_features`;
- `head`, the classifier that is re-initialised when weights are transferred;
- `cam_layer`, the module whose output Grad-CAM explains, and optionally
  `cam_reshape(activation, num_frames) -> (B, C, T, H, W)` where that output has another order;
- `spec`, its name and options, set by `create_model`;
- `record_attention` (bool) and `attention` (dict of name -> tensor), the maps of the last forward.

`INPUT` is the clip (3, T, H, W) that the model's paper gives it, for tables of costs.

The module may also say how weights get in: `PRETRAIN_OPTIONS`, the options changed for pre-training
(no attention, say), or `PRETRAIN_AS`, the name of a model with the same backbone, which is
pre-trained in its place; and `torchvision_weights(**options) -> state dict`.

What several models are made of lies in `parts/`.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dferlib.names import unknown_name

if TYPE_CHECKING:
    from torch import nn

_FOLDER = Path(__file__).parent


def list_models() -> tuple[str, ...]:
    """Name every model, in alphabetical order, without importing any of them."""
    return tuple(path.stem for path in sorted(_FOLDER.glob("[!_]*.py")))


def list_options(name: str) -> dict[str, Any]:
    """Return the options that `create_model(name, ...)` takes, with their defaults."""
    parameters = inspect.signature(_load(name).build).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def paper_input(name: str) -> tuple[int, int, int, int]:
    """Return the clip (3, T, H, W) that a model's paper gives it."""
    return _load(name).INPUT


def create_model(name: str, num_classes: int, **options: Any) -> nn.Module:
    """Build a freshly initialised model.

    `options` are the model's own (see `list_options`). Raises ValueError for a name or an option
    that does not exist, and names the ones that do.
    """
    module = _load(name)
    valid = list_options(name)
    for option in options:
        if option not in valid:
            raise ValueError(unknown_name(f"option of model {name!r}", option, valid))
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(f"num_classes is {num_classes!r}; a classifier needs an int of 2 or more")
    from dferlib.models.parts.stem import guard_convolutions

    model = guard_convolutions(module.build(num_classes, **options))
    model.spec = {"name": name, "options": {**valid, **options}}  # what rebuilds it
    return model


def _load(name: str):
    models = list_models()
    if name not in models:
        raise ValueError(unknown_name("model", name, models))
    return import_module(f"{__name__}.{name}")
