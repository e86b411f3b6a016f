"""Blocks of 3-D convolutions that several networks are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Size = tuple[int, int, int]


class Branches(nn.ModuleList):
    """Paths that read the same input; their outputs are concatenated over channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, sum of the paths' channels, T, H, W)."""
        return torch.cat([path(x) for path in self], dim=1)


def conv(
    inputs: int, outputs: int, kernel: int | Size, stride: int | Size = 1, *, relu: bool = True
) -> nn.Sequential:
    """Convolution that keeps the size (before its stride), batch norm and ReLU."""
    kernel = (kernel,) * 3 if isinstance(kernel, int) else kernel
    layers = [
        nn.Conv3d(inputs, outputs, kernel, stride, padding=same(kernel), bias=False),
        nn.BatchNorm3d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


def same(kernel: Size) -> Size:
    """Return the padding that keeps the size under an odd kernel."""
    return tuple(side // 2 for side in kernel)
