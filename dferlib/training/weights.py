"""Weights on disk and between models: written with a checksum, read without executing anything.

What comes from elsewhere is matched by name and shape, so that a backbone finds its place in a
model; classifiers are never carried over.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors.torch import load_file
from torch import nn

from dferlib.files import cache_folder, write_atomic, write_json

INITS = ("random", "torchvision", "synthetic")
RUN = "run:"  # and then <paper>/<run id>


class WeightsError(ValueError):
    """Initial weights cannot be had or do not fit; the message names them."""


def copy_backbone(model: nn.Module, state: dict[str, torch.Tensor]) -> int:
    """Copy every tensor outside the classifier whose name and shape fit; returns how many.

    Raises WeightsError when less than half of the tensors that the weights hold, and less than half
    of those that the model has, find a partner: then they belong to another architecture.
    """
    head = {id(p) for p in model.head.parameters()}
    own = model.state_dict(keep_vars=True)
    fitting = {
        name: value
        for name, value in state.items()
        if name in own and own[name].shape == value.shape and id(own[name]) not in head
    }
    wanted = [name for name, value in own.items() if id(value) not in head]
    if 2 * len(fitting) < min(len(wanted), len(state)) or not fitting:
        raise WeightsError(
            f"only {len(fitting)} of {len(wanted)} tensors fit {model.spec['name']} "
            f"with {model.spec['options']}; "
            f"the model has for example {wanted[0]!r}, the weights {next(iter(state), 'nothing')!r}"
        )
    model.load_state_dict(fitting, strict=False)
    return len(fitting)


def save_weights(model: nn.Module, path: Path, record: dict) -> None:
    """Write a state dict as safetensors and beside it a JSON record with its sha256, the record
    last.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    content = safetensors.torch.save(state)
    write_atomic(path, lambda file: file.write(content))
    write_json(path.with_suffix(".json"), {**record, "sha256": file_digest(path)})


def run_weights(init: str) -> Path:
    """Where the weights of ``run:<paper>/<run id>`` lie in the cache; see ``sweep.run_init``."""
    return cache_folder() / "runs" / f"{init.removeprefix(RUN)}.safetensors"


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict written by ``save_weights``; raises WeightsError when there is none, or its
    checksum does not fit.
    """
    if not path.with_suffix(".json").is_file():
        raise WeightsError(f"there are no weights at {path}; run what leaves them there again")
    expected = json.loads(path.with_suffix(".json").read_text())["sha256"]
    if file_digest(path) != expected:
        raise WeightsError(
            f"{path} is damaged (its sha256 differs from the record); delete it to have it remade"
        )
    return load_file(path)


def user_weights(model: nn.Module, path: Path) -> dict[str, torch.Tensor]:
    """A state dict the user names: .safetensors, or anything torch reads with weights-only.

    Names are given the prefix at which most of them fit the model: whole models and bare backbones.
    """
    if not path.is_file():
        raise WeightsError(
            f"init {str(path)!r} is neither one of {', '.join(INITS)} nor a file; "
            "give the path of a .safetensors or .pth"
        )
    if path.suffix == ".safetensors":
        return _place(model, load_file(path))
    state = torch.load(path, weights_only=True, map_location="cpu")
    state = state.get("state_dict", state)
    return _place(model, {name.removeprefix("module."): value for name, value in state.items()})


def torchvision_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict that the model's file takes from torchvision, where there is one."""
    module = importlib.import_module(f"dferlib.models.{model.spec['name']}")
    source = getattr(module, "torchvision_weights", None)
    if source is None:
        raise WeightsError(
            f"torchvision has no weights for {model.spec['name']}; "
            "use init random, synthetic, or a path"
        )
    return source(**model.spec["options"])


def rename_weights(model: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of the shared pre-training under this model's names (its ``PRETRAIN_NAMES``)."""
    module = importlib.import_module(f"dferlib.models.{model.spec['name']}")
    for theirs, ours in getattr(module, "PRETRAIN_NAMES", {}).items():
        state = {
            ours + name.removeprefix(theirs) if name.startswith(theirs) else name: value
            for name, value in state.items()
        }
    return state


def _place(model: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights under the prefix at which most of them fit: whole models and bare backbones."""
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    prefixes = [f"{name}." if name else "" for name, _ in model.named_modules()]

    def fits(prefix: str) -> int:
        return sum(shapes.get(prefix + name) == value.shape for name, value in state.items())

    best = max(prefixes, key=fits)  # the first of equals, which is the whole model
    return {best + name: value for name, value in state.items()}


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
