"""What moves in the frames that a model sees: the truth of procedural faces, on the model's crop.

The store keeps, for every frame, a mask (16 x 16) of what the Action Units change and how far each
of them is moved. A test clip is the centre of the store's frames, so the mask is cut likewise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dferlib.datasets.batches import ClipLoader

SIDE = 16  # places on a side of the store's masks


@dataclass(frozen=True)
class Moving:
    """What moves in N clips: `masks` (N, T, 16, 16) in 0 to 1, and how much, `amount` (N, T)."""

    masks: Tensor
    amount: Tensor


def what_moves(loader: ClipLoader, rows: np.ndarray) -> Moving | None:
    """Return what moves in the test clips of these manifest rows; None where nobody knows.

    `amount` is the sum of the Action Units' intensities, both sides averaged.
    """
    truth = loader.store.truth
    if "mask" not in truth or "aus" not in truth:
        return None
    draw = loader.draw()
    frames = draw.frames[rows]
    if draw.lengths is not None:  # as many as the batch of these clips has
        frames = frames[:, : draw.lengths[rows].max()]
    masks = _at(truth["mask"], frames) / 255
    amount = _at(truth["aus"], frames).mean(3).sum(2)
    room = draw.corner[rows[0]]
    return Moving(_crop(masks, loader.store.size, loader.input_size, room), amount)


def _at(values: np.ndarray, frames: np.ndarray) -> Tensor:
    """Values of frame rows (N, T), those between two frames interpolated."""
    low = np.floor(frames).astype(np.int64)
    first = torch.from_numpy(np.asarray(values[low], dtype=np.float32))
    if frames.dtype.kind != "f":
        return first
    after = np.asarray(values[np.ceil(frames).astype(np.int64)], dtype=np.float32)
    share = torch.from_numpy((frames % 1).astype(np.float32))
    return first.lerp(torch.from_numpy(after), share[(..., *(None,) * (first.ndim - 2))])


def _crop(masks: Tensor, size: int, inner: int, corner: np.ndarray) -> Tensor:
    """Cut masks of frames of `size` pixels as the frames are cut, to `inner` pixels."""
    if size == inner:
        return masks
    large = F.interpolate(masks, size=(size, size), mode="nearest")
    top, left = (int(value) for value in corner)
    cut = large[..., top : top + inner, left : left + inner]
    return F.adaptive_avg_pool2d(cut, SIDE)
