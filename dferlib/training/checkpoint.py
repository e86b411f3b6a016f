"""The state of a training on disk: written after every epoch, read to go on with it.

A run that is killed continues from the end of its last finished epoch and ends with the same bits
as one that was not: all randomness is either drawn from (seed, epoch) or part of the checkpoint.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path

import torch
from torch import nn

from dferlib.evidence.damage import DamagedFileError
from dferlib.files import write_atomic
from dferlib.training.state import State

PARTS = ("model", "optimizer", "scheduler", "criterion")  # of a State, which have a state dict


def save_checkpoint(state: State, path: Path) -> None:
    """Write the state after an epoch, headed by its own checksum, so that damage is noticed."""
    content = {name: getattr(state, name).state_dict() for name in _parts(state)}
    content |= {
        "torch_random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "layout": state.layout,
        "history": state.history,
        "file": path.name,  # one that lies under another run's name is not taken for that run's
        "chosen": state.chosen,
        "probabilities": {rule: torch.from_numpy(p) for rule, p in state.probabilities.items()},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getvalue()
    head = hashlib.sha256(payload).hexdigest().encode()
    write_atomic(path, lambda file: file.write(head + payload))


def read_checkpoint(path: Path) -> dict | None:
    """Return the state in a checkpoint; None if there is none or its checksum does not fit."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    head, payload = content[:64], content[64:]
    if hashlib.sha256(payload).hexdigest().encode() != head:
        return None  # cut short or damaged: the run starts again, which costs time but no result
    return torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")


def resume(state: State, path: Path) -> None:
    """Bring a fresh state to the epoch of its checkpoint, if there is a sound one.

    A damaged one is warned of, and the training starts again; DamagedFileError for a whole one that
    holds something else.
    """
    content = read_checkpoint(path)
    if content is None:
        if path.is_file():
            warnings.warn(f"{path} is damaged: the training starts again", stacklevel=2)
        return
    if content.get("file", path.name) != path.name:
        reason = f"belongs to another run: it was written as {content['file']}"
        raise DamagedFileError(path, reason, "Delete it: the training starts again", "file")
    try:
        _take(content, state)
    except (KeyError, ValueError, RuntimeError, AttributeError, TypeError) as error:
        key = str(error.args[0]) if isinstance(error, KeyError) else ""
        reason = "of another version of this package, or of another training"
        reason = f"is {reason}: {' '.join(str(error).split())[:200]}"
        raise DamagedFileError(path, reason, "Delete it: the training starts again", key) from error


def _take(content: dict, state: State) -> None:
    """Bring a state to what a checkpoint holds; its parts raise what does not fit them."""
    for name in _parts(state):
        getattr(state, name).load_state_dict(content[name])
    torch.set_rng_state(content["torch_random"])
    if content["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(content["cuda_random"])
    state.layout = content.get("layout", state.layout)
    state.history, state.chosen = list(content["history"]), dict(content["chosen"])
    state.probabilities = {rule: p.numpy() for rule, p in content["probabilities"].items()}


def _parts(state: State) -> list[str]:
    """Names of the parts with a state; a loss that is a plain function has none."""
    stateful = isinstance(state.criterion, nn.Module)
    return [name for name in PARTS if name != "criterion" or stateful]
