"""Every paper's attention as maps over frames and places, (N, T, h, w), so that all read alike.

| recorded | is a weight of | read as |
|---|---|---|
| STCAM "stam", non-local "nl" | place in a frame | as it is |
| STCAM "3dcam" | channel | the features by these weights, see below |
| HACN "self", "hybrid", FAN "alpha", "beta", ECNN-FSA and FAN "frames" | frame | (N, T, 1, 1) |
| HACN "hybrid" in mode "map" | place in a frame | as it is |
| CEFLNet "sal", "lrl" | frame in its short clip | given to a frame, mean over readers and heads |
| CEFLNet "eian" | short clip | the same for all its frames |
| STT "spatial" | place, by each place of its frame | given to a place, mean over readers, heads |
| STT "read" | frame at a place, by the class token | as it is |

3D-CAM weighs channels, so it has no map of its own. What it lets through is the mean size of the
re-weighted features at a place; "even channels" is the same with all weights equal, and only a
difference between both is 3D-CAM's doing. Of several maps of one kind the finest is read, among
equals the last, which is nearest to the classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from dferlib.analysis.explain import attention_maps
from dferlib.models.stcam import ChannelAttention

CHANNELS, EVEN = "3dcam", "even channels"


def _frames(weights: Tensor, frames: int) -> Tensor:
    """Weights of frames (N, ...), in order, or of parts of a clip that all have as many frames."""
    flat = weights.flatten(1)
    return flat.repeat_interleave(frames // flat.shape[1], 1)[..., None, None]


def _given_frames(weights: Tensor, frames: int) -> Tensor:
    """What a frame is given in its short clip: (N, n, heads, K, K), rows the reading frame."""
    return _frames(weights.mean((2, 3)), frames)


def _given_places(weights: Tensor, frames: int) -> Tensor:
    """What a place is given in its frame: (N, F, heads, hw, hw), without a class frame."""
    given = weights.mean((2, 3))[:, -frames:]
    return given.unflatten(2, (round(given.shape[2] ** 0.5), -1))


def _places(weights: Tensor, frames: int) -> Tensor:
    return weights if weights.ndim == 4 else _frames(weights, frames)


_READ: dict[str, tuple[str, Callable[[Tensor, int], Tensor]]] = {  # recorded name -> what to call
    "stam": ("STAM", _places),
    CHANNELS: ("3D-CAM", _places),
    EVEN: (EVEN, _places),
    "nl": ("non-local", _places),
    "self": ("self-attention", _frames),
    "hybrid": ("hybrid attention", _places),
    "alpha": ("alpha", _frames),
    "beta": ("beta", _frames),
    "frames": ("frame attention", _frames),
    "sal": ("SAL", _given_frames),
    "lrl": ("LRL", _frames),
    "eian": ("EIAN", _frames),
    "spatial": ("spatial attention", _given_places),
    "read": ("class token", _places),
}


def attended(model: nn.Module, clips: Tensor, *, at_once: int = 8) -> dict[str, Tensor]:
    """Return the model's attention by kind as maps (N, T, h, w) of clips (N, 3, T, H, W).

    A weight that knows no places has h = w = 1. Empty for a model without attention.
    """
    parts = [_recorded(model, part) for part in clips.split(at_once)]
    found: dict[str, Tensor] = {}
    for name in parts[0]:
        kind = name.rpartition(".")[2]
        if kind not in _READ:  # said by another: "fsa" by "frames", "temporal" by "read"
            continue
        label, read = _READ[kind]
        maps = read(torch.cat([part[name] for part in parts]), clips.shape[2])
        if label not in found or maps.shape[2] >= found[label].shape[2]:
            found[label] = maps
    return found


def _recorded(model: nn.Module, clips: Tensor) -> dict[str, Tensor]:
    with _sizes_of_features(model) as sizes:
        maps = attention_maps(model, clips)
    return {
        name: value for name, value in maps.items() if value.ndim > 2 or CHANNELS not in name
    } | sizes


@contextmanager
def _sizes_of_features(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect what 3D-CAM lets through, (B, T, h, w), and what it would with even weights."""
    found: dict[str, Tensor] = {}
    handles = []

    def keep(place: str, _module: nn.Module, inputs: tuple, output: tuple) -> None:
        pairs = {EVEN: inputs[0], CHANNELS: output[0]}
        found.update({f"{place}.{k}": v.abs().mean(1).float().cpu() for k, v in pairs.items()})

    for name, module in model.named_modules():
        if isinstance(module, ChannelAttention):
            handles.append(module.register_forward_hook(partial(keep, name.partition(".")[0])))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
