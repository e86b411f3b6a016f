"""From stored frames to crops and normalised clips, in one pass over memory.

A processor reads each stored pixel once: a few frames at a time are cut out, split into planes,
mirrored and normalised while they are in its cache. A graphics card does the same by index, on
frames that lie there already (`dferlib.datasets.residence`). Both give the same bits as cutting and
normalising whole batches, since each value goes through the same subtraction and division.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

IN_CACHE = 2**20  # bytes of float values worked on at a time, below what a core's cache holds


class Normalisation(NamedTuple):
    """Mean and deviation (red, green, blue) of pixels in 0..1, and whether blue comes first."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    blue_first: bool = False

    def scale(self, device: str | torch.device = "cpu") -> tuple[Tensor, Tensor]:
        """Mean and deviation (3,) of pixels in 0..255."""
        mean, std = (torch.tensor(value).mul(255) for value in (self.mean, self.std))
        return mean.to(device, non_blocking=True), std.to(device, non_blocking=True)


def read_clips(
    frames: np.ndarray,
    rows: np.ndarray,
    corner: np.ndarray,
    mirror: np.ndarray,
    size: int,
    normalisation: Normalisation,
) -> Tensor:
    """Normalised clips (B, 3, T, size, size), float32, of stored frames (N, S, S, 3), uint8.

    `rows` (B, T) are the frames of each clip, `corner` (B, 2) the top and left pixel of its crop,
    `mirror` (B,) whether it is turned left to right.
    """
    count, length = rows.shape
    clips = torch.empty(count, 3, length, size, size)
    mean, std = (value.view(3, 1, 1, 1) for value in normalisation.scale())
    step = min(length, max(1, IN_CACHE // (12 * size * size)))
    pieces = np.empty((step, size, size, 3), np.uint8)
    straight, turned = (np.empty((3, step, size, size), np.uint8) for _ in range(2))
    for clip in range(count):
        for start in range(0, length, step):
            part = rows[clip, start : start + step]
            number = len(part)
            _cut(frames, part, corner[clip], pieces)
            _split(pieces[:number], straight[:, :number])
            planes = straight
            if mirror[clip]:
                planes = turned
                _turn(straight[:, :number], turned[:, :number])
            target = clips[clip, :, start : start + number]
            target.copy_(torch.from_numpy(planes[:, :number])).sub_(mean).div_(std)
    return clips.flip(1) if normalisation.blue_first else clips


def read_crops(
    frames: np.ndarray, rows: np.ndarray, corner: np.ndarray, mirror: np.ndarray, size: int
) -> np.ndarray:
    """The crops of `read_clips` as they are stored, uint8 (B, T, size, size, 3)."""
    crops = np.empty((*rows.shape, size, size, 3), np.uint8)
    for clip, (part, turn) in enumerate(zip(rows, mirror, strict=True)):
        _cut(frames, part, corner[clip], crops[clip])
        if turn:
            crops[clip] = crops[clip, :, :, ::-1]
    return crops


def index_crops(frames: Tensor, rows: Tensor, corner: Tensor, mirror: Tensor, size: int) -> Tensor:
    """`read_crops` on the device of the frames, by one indexed read."""
    steps = torch.arange(size, device=frames.device)
    down = corner[:, :1] + steps
    across = corner[:, 1:] + torch.where(mirror[:, None], steps.flip(0), steps)
    return frames[rows[:, :, None, None], down[:, None, :, None], across[:, None, None, :]]


def normalise(pixels: Tensor, normalisation: Normalisation) -> Tensor:
    """Clips (B, 3, T, H, W), float32, of pixels (B, T, H, W, 3) in 0..255."""
    mean, std = normalisation.scale(pixels.device)
    clip = ((pixels.float() - mean) / std).permute(0, 4, 1, 2, 3)
    return (clip.flip(1) if normalisation.blue_first else clip).contiguous()


def _cut(frames: np.ndarray, rows: np.ndarray, corner: np.ndarray, out: np.ndarray) -> None:
    """Copy the crops of some frames into the first places of `out` (n, size, size, 3)."""
    size = out.shape[1]
    top, left = corner.tolist()
    for place, row in zip(out, rows.tolist(), strict=False):
        np.copyto(place, frames[row, top : top + size, left : left + size])


def _split(pieces: np.ndarray, planes: np.ndarray) -> None:
    """Colours (n, S, S, 3) into planes (3, n, S, S)."""
    size = pieces.shape[1]
    cv2.split(pieces.reshape(-1, size, 3), [plane.reshape(-1, size) for plane in planes])


def _turn(planes: np.ndarray, out: np.ndarray) -> None:
    """Turn planes (3, n, S, S) left to right."""
    size = planes.shape[-1]
    for plane, place in zip(planes, out, strict=True):
        cv2.flip(plane.reshape(-1, size), 1, place.reshape(-1, size))
