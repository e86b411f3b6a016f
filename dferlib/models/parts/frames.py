"""What all models share, and clips as batches of frames: what 2-D backbones do in the same way.

Frames are folded into the batch, so the backbone sees (B T, 3, H, W) at once. Padded frames are
taken out before the backbone, not only masked after it: they cost nothing and do not enter the
statistics of its batch norm.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ClipModel(nn.Module):
    """A model of clips (B, 3, T, H, W), which keeps the maps of its last pass where it is asked.

    `record_attention` asks; `attention` holds the maps by name, and is empty without attention.
    """

    def __init__(self) -> None:
        super().__init__()
        self.record_attention = False
        self.attention: dict[str, Tensor] = {}


class FrameModel(ClipModel):
    """A model with a 2-D `backbone` that reads the frames one by one."""

    backbone: nn.Module

    @property
    def cam_layer(self) -> nn.Module:
        """The backbone's last maps; `cam_reshape` puts them in clip order."""
        return self.backbone.cam_layer

    def cam_reshape(self, activation: Tensor, num_frames: int) -> Tensor:
        """Return (B, C, T, h, w) for the backbone's (B T, C, h, w)."""
        return activation.unflatten(0, (-1, num_frames)).transpose(1, 2)


def check_clip(clip: Tensor) -> None:
    """Raise ValueError unless clip has shape (B, 3, T, H, W)."""
    if clip.ndim != 5 or clip.shape[1] != 3:
        raise ValueError(f"clip has shape {tuple(clip.shape)}; (B, 3, T, H, W) needed")


def check_parts(clip: Tensor, num_clips: int) -> None:
    """Raise ValueError unless clip has shape (B, 3, num_clips x K, H, W)."""
    check_clip(clip)
    if clip.shape[2] % num_clips:
        raise ValueError(
            f"clip has {clip.shape[2]} frames, which are no whole number for each of "
            f"{num_clips} clips; sample num_clips x K frames"
        )


def refuse_lengths(model: nn.Module, lengths: Tensor | None) -> None:
    """Raise ValueError if lengths are given to a model that reads one number of frames."""
    if lengths is not None:
        raise ValueError(
            f"{type(model).__name__} reads clips of one fixed number of frames and takes no "
            "lengths; sample every clip to that number and pass none"
        )


def real_frames(clip: Tensor, lengths: Tensor | None) -> Tensor | None:
    """Return a mask (B, T), True where a frame is no padding; None where lengths are.

    `lengths` (B,) count the frames of each clip before its padding. ValueError unless they are 1 to
    T, one for each clip.
    """
    check_clip(clip)
    if lengths is None:
        return None
    number, frames = clip.shape[0], clip.shape[2]
    lengths = torch.as_tensor(lengths, device=clip.device)
    if lengths.shape != (number,) or int(lengths.min()) < 1 or int(lengths.max()) > frames:
        raise ValueError(
            f"lengths are {lengths.tolist()}; {number} numbers from 1 to {frames} needed, "
            "one for each clip"
        )
    return torch.arange(frames, device=clip.device) < lengths[:, None]


def encode_frames(backbone: nn.Module, clip: Tensor, mask: Tensor | None) -> Tensor:
    """Run a 2-D backbone on every frame of clips (B, 3, T, H, W); returns (B, T, ...).

    Where `mask` (B, T) is False the result is zero.
    """
    frames = clip.transpose(1, 2)
    if mask is None:
        return backbone(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
    found = backbone(frames[mask])
    result = found.new_zeros(*mask.shape, *found.shape[1:])
    result[mask] = found
    return result


def mean_over_frames(x: Tensor, mask: Tensor | None) -> Tensor:
    """Average (B, T, D) over the frames where mask (B, T) is True, over all without a mask."""
    if mask is None:
        return x.mean(1)
    weights = mask.to(x.dtype)[..., None]
    return (x * weights).sum(1) / weights.sum(1)


def last_frame(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return (B, D) at the last frame of (B, T, D) that is no padding."""
    if mask is None:
        return x[:, -1]
    return x[torch.arange(len(x), device=x.device), mask.sum(1) - 1]


def positions_on_grid(table: Tensor, height: int, width: int) -> Tensor:
    """Return learned positions (1, S S, D) of a square grid for a grid of height x width.

    Unchanged where the grids agree, bilinearly resized where frames have another size.
    """
    side = round(table.shape[1] ** 0.5)
    if (side, side) == (height, width):
        return table
    grid = table.mT.unflatten(2, (side, side))
    resized = F.interpolate(grid, size=(height, width), mode="bilinear", align_corners=False)
    return resized.flatten(2).mT
