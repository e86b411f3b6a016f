"""3-D convolutions kept away from unsound kernels of processors.

oneDNN's kernels for 3-D convolutions read past their input in two cases: over the three colours, in
bf16 with matrix units (AMX) always, in float32 where a clip is no longer than the kernel; and over
any channels of a clip of one frame in bf16. The result is nan now and then, or the process dies. So
the first convolution of a network, a small part of it, runs in float32, and a single frame is
convolved in two dimensions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ClipConv3d(nn.Conv3d):
    """A 3-D convolution that gives the same numbers by another way where that one is unsound."""

    def forward(self, clip: Tensor) -> Tensor:
        """Convolve a clip (B, C, T, H, W)."""
        if clip.device.type != "cpu":
            return super().forward(clip)
        if self.in_channels > 3:
            unsound = torch.is_autocast_enabled("cpu") and self._sees_one_frame(clip)
            return self._still(clip) if unsound else super().forward(clip)
        with torch.autocast("cpu", enabled=False):
            clip = clip.to(self.weight.dtype)
            if self._sees_one_frame(clip):
                return self._still(clip)
            if clip.shape[2] <= self.kernel_size[0]:
                return self._short(clip)
            return super().forward(clip)

    def _sees_one_frame(self, clip: Tensor) -> bool:
        return clip.shape[2] == 1 and self.kernel_size[0] == 2 * self.padding[0] + 1

    def _still(self, clip: Tensor) -> Tensor:
        """Convolve one frame: all slices of the kernel but the middle one see padding alone."""
        middle = self.weight[:, :, self.padding[0]]
        plane = (self.stride[1:], self.padding[1:], self.dilation[1:], self.groups)
        return F.conv2d(clip[:, :, 0], middle, self.bias, *plane).unsqueeze(2)

    def _short(self, clip: Tensor) -> Tensor:
        """Convolve with frames of zeros behind, which are what padding shows the kernel anyway."""
        frames, kernel, padding = clip.shape[2], self.kernel_size[0], self.padding[0]
        length = (frames + 2 * padding - kernel) // self.stride[0] + 1
        longer = F.pad(clip, (0, 0, 0, 0, 0, kernel + 1 - frames))
        return super().forward(longer)[:, :, :length]


def guard_convolutions(model: nn.Module) -> nn.Module:
    """Let every 3-D convolution be a `ClipConv3d`; its weights stay."""
    for module in model.modules():
        plain = isinstance(module, nn.Conv3d) and type(module).forward is nn.Conv3d.forward
        if plain and module.padding_mode == "zeros":
            module.__class__ = ClipConv3d  # no state is added, so nothing else has to change
    return model
