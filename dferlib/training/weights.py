"""Weights on disk and between models: written with a checksum, read without executing anything.

What comes from elsewhere is matched by name and shape, so that a backbone finds its place in a
model; classifiers are never carried over.
"""

from __future__ import annotations

import hashlib
import importlib
import pickletools
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors.torch import load_file
from torch import nn
from torch.serialization import get_unsafe_globals_in_checkpoint

from dferlib.evidence.damage import DamagedFileError, read_record
from dferlib.files import cache_folder, seal, write_atomic, write_json

INITS = ("random", "torchvision", "synthetic")
RUN = "run:"  # and then <paper>/<run id>
MOST_EXCHANGES = 20  # beginnings of names that are tried in full
PAGE = ("a web page", "download the file itself: the link may ask for a login or a confirmation")
# what lies under the name of a file of weights when a download went wrong, by how it begins
IMPOSTORS = {
    b"version https://git-lfs": ("a stub of git-lfs", "run `git lfs pull` where it came from"),
    b"<!doctype": PAGE,
    b"<html": PAGE,
    b"<?xml": PAGE,
    b"": ("empty", "download or copy it anew"),
}


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
    kept = {**record, "file": path.name, "sha256": file_digest(path)}
    write_json(path.with_suffix(".json"), seal(kept))


def run_weights(init: str) -> Path:
    """Where the weights of ``run:<paper>/<run id>`` lie in the cache; see `Task.as_init`."""
    return cache_folder() / "runs" / f"{init.removeprefix(RUN)}.safetensors"


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict written by ``save_weights``.

    WeightsError where there is none, DamagedFileError where it or its record is not what was
    written.
    """
    record = weights_record(path)
    if not path.is_file():
        raise DamagedFileError(path, "is missing though its record is there", _remade(path))
    if file_digest(path) != record["sha256"]:
        raise DamagedFileError(
            path, "is damaged: its sha256 differs from the record", _remade(path), "sha256"
        )
    return load_file(path)


def weights_record(path: Path) -> dict[str, Any]:
    """Read the record beside weights that ``save_weights`` wrote, without what secures it.

    WeightsError where there is none, DamagedFileError where it is not what was written, or was
    written beside other weights. The first records had neither a checksum of their own nor the name
    of their file; of these only the keys are checked.
    """
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise WeightsError(f"there are no weights at {path}; run what leaves them there again")
    record = read_record(beside, {"sha256": str}, _remade(path))
    if record.get("file", path.name) != path.name:
        reason = f"is damaged: it belongs to {record['file']}"
        raise DamagedFileError(beside, reason, _remade(path), "file")
    return record


def _remade(path: Path) -> str:
    return f"Delete {path} and the .json beside it: what left them there makes them anew"


def user_weights(model: nn.Module, path: Path) -> dict[str, torch.Tensor]:
    """A state dict the user names, under the names of the model: .safetensors or a torch file.

    However it is wrapped ("state_dict", "model", ...) and whatever its names begin with ("module.",
    "encoder.", ...) is found by matching names and shapes. WeightsError naming the file, the key
    and the way out if it is no such file, is damaged, holds anything but plain values and tensors,
    fits nowhere, or has values that are not finite.
    """
    best: dict[str, torch.Tensor] = {}
    most, seen = 0, ""
    for key, state in _wrapped(read_plain(path)):
        seen = seen or next(iter(state))
        placed, fitting = match_names(model, state)
        if fitting > most:
            best, most = placed, fitting
            _refuse_not_finite(path, key, state)
    if not most:
        name, shape = next((n, tuple(v.shape)) for n, v in model.state_dict().items())
        held = f"its first is {seen!r}" if seen else "it holds no tensors by name"
        raise WeightsError(
            f"{path} fits no part of {model.spec['name']}: {held}, the model's is {name!r} "
            f"{shape}; take weights of this architecture, or another init"
        )
    return best


def read_plain(path: Path) -> Any:
    """What a .safetensors or torch file holds, read without executing anything of it.

    WeightsError naming the file, what it is instead and the way out.
    """
    if not path.is_file():
        raise WeightsError(
            f"init {str(path)!r} is neither one of {', '.join(INITS)} nor a file; "
            "give the path of a .safetensors or .pth"
        )
    with path.open("rb") as file:
        head = file.read(512).lstrip().lower()
    for start, (what, do) in IMPOSTORS.items():
        if head.startswith(start) and (start or not head):
            raise WeightsError(f"{path} holds no weights: it is {what}; {do}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # of a damaged file the readers raise anything
        if strange := _strange_objects(path):
            raise WeightsError(
                f"{path} holds more than tensors, {strange}, and reading that could run code; "
                "where you trust it, save its tensors alone as .safetensors and give that file"
            ) from error
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{path} is cut short, damaged or no file of weights "
            f"({type(error).__name__}: {reason}); download or copy it anew"
        ) from error


def _strange_objects(path: Path) -> str:
    """Objects in a torch file that are no plain values, each with the key before it, in words."""
    found = {}
    with suppress(Exception):  # a damaged file, or one of the format before zip archives
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
            content = archive.read(name)
        unsafe, texts = set(get_unsafe_globals_in_checkpoint(path)), [""]
        for code, value, _ in pickletools.genops(content):  # takes the file apart, builds nothing
            if code.name in ("BINUNICODE", "SHORT_BINUNICODE"):
                texts.append(value)
            kind = str(value).replace(" ", ".") if code.name == "GLOBAL" else ".".join(texts[-2:])
            if code.name in ("GLOBAL", "STACK_GLOBAL") and kind in unsafe:
                found.setdefault(kind, texts[-1 if code.name == "GLOBAL" else -3 :][0])
    return ", ".join(f"{kind} under {key!r}" for kind, key in found.items())


def _wrapped(content: Any, key: str = "") -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """Every mapping of names to tensors in a file, outermost first, with the key it is under."""
    if not isinstance(content, Mapping):
        return
    named = {name: value for name, value in content.items() if isinstance(name, str)}
    tensors = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
    if tensors:
        yield key, tensors
    for name, value in named.items():
        yield from _wrapped(value, f"{key}.{name}" if key else name)


def _refuse_not_finite(path: Path, key: str, state: Mapping[str, torch.Tensor]) -> None:
    for name, value in state.items():
        bad = int((~value.isfinite()).sum()) if value.is_floating_point() else 0
        if bad:
            whole = f"{key}: {name}" if key else name
            raise WeightsError(
                f"{path}: {whole!r} has {bad} of {value.numel()} values that are not finite: the "
                "training that left them diverged, or the file is damaged; take an earlier one"
            )


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


def match_names(
    model: nn.Module, state: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], int]:
    """Weights under the model's names, and how many tensors fit by name and shape.

    The beginning of their names is exchanged for that of the model at which most of them fit; of
    equals the shortest, so that a whole model comes before a part of it.
    """
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    by_end: dict[tuple[str, torch.Size], list[str]] = {}
    for name, shape in shapes.items():
        by_end.setdefault((name.rpartition(".")[2], shape), []).append(name)
    votes: Counter[tuple[str, str]] = Counter()
    for name, value in state.items():
        for own in by_end.get((name.rpartition(".")[2], value.shape), ()):
            votes[_beginnings(name, own)] += 1
    exchanges = sorted((theirs, ours) for (theirs, ours), _ in votes.most_common(MOST_EXCHANGES))
    best: dict[str, torch.Tensor] = {}
    most = 0
    for theirs, ours in sorted(exchanges, key=lambda pair: (len(pair[1]), len(pair[0]))):
        placed = {
            ours + name[len(theirs) :] if name.startswith(theirs) else name: value
            for name, value in state.items()
        }
        fitting = sum(shapes.get(name) == value.shape for name, value in placed.items())
        if fitting > most:
            best, most = placed, fitting
    return best, most


def _beginnings(theirs: str, ours: str) -> tuple[str, str]:
    """What is left of two dotted names without the parts at the end that they share."""
    first, second = theirs.split("."), ours.split(".")
    while first and second and first[-1] == second[-1]:
        first.pop()
        second.pop()
    return "".join(f"{part}." for part in first), "".join(f"{part}." for part in second)


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
