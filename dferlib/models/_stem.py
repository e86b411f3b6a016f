"""First 3-D convolutions over the three colours, kept away from unsound kernels of processors.

oneDNN's kernels for 3-D convolutions over so few channels read past their input: in bf16 with
matrix units (AMX) always, in float32 where a clip is no longer than the kernel. The result is nan
now and then, or the process dies. Wider convolutions are sound, and the first is a small part of a
network.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ColourConv3d(nn.Conv3d):
    """A 3-D convolution that, on a processor, runs in float32 whatever autocast says."""

    def forward(self, clip: Tensor) -> Tensor:
        """Convolve a clip (B, 3, T, H, W)."""
        if clip.device.type != "cpu":
            return super().forward(clip)
        with torch.autocast("cpu", enabled=False):
            clip = clip.to(self.weight.dtype)
            if clip.shape[2] == 1 and self.kernel_size[0] == 2 * self.padding[0] + 1:
                return self._still(clip)
            if clip.shape[2] <= self.kernel_size[0]:
                return self._short(clip)
            return super().forward(clip)

    def _short(self, clip: Tensor) -> Tensor:
        """Convolve with frames of zeros behind, which are what padding shows the kernel anyway."""
        frames, kernel, padding = clip.shape[2], self.kernel_size[0], self.padding[0]
        length = (frames + 2 * padding - kernel) // self.stride[0] + 1
        longer = F.pad(clip, (0, 0, 0, 0, 0, kernel + 1 - frames))
        return super().forward(longer)[:, :, :length]

    def _still(self, clip: Tensor) -> Tensor:
        """Convolve one frame: all slices of the kernel but the middle one see padding alone."""
        middle = self.weight[:, :, self.padding[0]]
        plane = (self.stride[1:], self.padding[1:], self.dilation[1:], self.groups)
        return F.conv2d(clip[:, :, 0], middle, self.bias, *plane).unsqueeze(2)


def guard_colour_convolutions(model: nn.Module) -> nn.Module:
    """Let every 3-D convolution over three channels be a `ColourConv3d`; its weights stay."""
    for module in model.modules():
        if type(module) is nn.Conv3d and module.in_channels == 3 and module.padding_mode == "zeros":
            module.__class__ = ColourConv3d  # no state is added, so nothing else has to change
    return model
