"""Where the frames of a store lie while a graphics card trains on them, and how clips get there.

A store that fits into half of the card's free memory is copied there once, and clips are cut out on
the card. Of a larger one the crops of a batch are read on the host into page-locked memory, from
which they are copied without waiting. Either way the next batch is made on a stream of its own
while the card computes a step, and no step waits for the host. On a CPU nothing of this is done.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

SHARE = 0.5  # of the free memory of a card, that a store may take

_kept: dict[torch.device, tuple[weakref.ref, Tensor]] = {}  # the last store on each device


def frames_on(device: torch.device, frames: np.ndarray) -> Tensor | None:
    """The frames (N, S, S, 3) on the device, copied at the first call; None where they do not fit.

    One store a device is kept, until another one takes its place or nothing reads it any more.
    """
    if device in _kept and _kept[device][0]() is frames:
        return _kept[device][1]
    _kept.pop(device, None)
    if frames.nbytes > SHARE * free_memory(device):
        return None
    placed = torch.empty(frames.shape, dtype=torch.uint8, device=device)
    step = max(1, 2**28 // max(1, frames[:1].nbytes))  # a quarter of a GB at a time
    for start in range(0, len(frames), step):
        piece = np.array(frames[start : start + step])  # writable, which torch asks for
        placed[start : start + step].copy_(torch.from_numpy(piece))
    _kept[device] = (weakref.ref(frames, _forget), placed)
    return placed


def _forget(closed: weakref.ref) -> None:
    """Give the memory of a store back that nothing reads any more."""
    for device in [device for device, (frames, _) in _kept.items() if frames is closed]:
        del _kept[device]


def free_memory(device: torch.device) -> int:
    """Bytes that a card has left; of a CPU none are counted, as frames are read where they lie."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def send(array: np.ndarray, device: torch.device) -> Tensor:
    """An array as a tensor on the device; a card takes it from page-locked memory, not waiting."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def one_ahead(batches: Iterator[tuple], device: torch.device) -> Iterator[tuple]:
    """Tuples of tensors, each made on a stream of its own while the one before it is used."""
    if device.type != "cuda":
        yield from batches
        return
    beside = torch.cuda.Stream(device)

    def make() -> tuple | None:
        with torch.cuda.stream(beside):
            return next(batches, None)

    batch = make()
    while batch is not None:
        current = torch.cuda.current_stream(device)
        current.wait_stream(beside)
        for tensor in batch:
            if tensor is not None:
                tensor.record_stream(current)  # its memory is not given away while it is used
        yield batch
        batch = make()  # the step was only queued: the card works on it meanwhile
