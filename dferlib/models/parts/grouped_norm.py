"""Batch norm whose statistics are taken per frame position, though all frames are one batch.

Public code of clip models often sends the frames through the backbone one position after the other,
(B, 3, H, W) at a time. In training every position is then normalised by its own statistics, and the
running ones are updated once for each. Here both are had from one call over all frames.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORMS = ("batch", "position")


class PositionBatchNorm2d(nn.BatchNorm2d):
    """Batch norm of frames (B T, C, H, W), folded clip by clip, over each of T positions apart.

    `positions` is T, set before the forward pass. In evaluation mode this is `nn.BatchNorm2d`. The
    running statistics end as after T calls of it, one for each position in order.
    """

    positions = 1

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised frames, of the same shape."""
        if not self.training or self.positions == 1:
            return super().forward(x)
        T, C = self.positions, self.num_features
        together = x.reshape(-1, T * C, *x.shape[2:])  # a position is a group of channels
        mean, var = (torch.zeros_like(self.running_mean).repeat(T) for _ in range(2))
        weight, bias = self.weight.repeat(T), self.bias.repeat(T)
        # momentum 1 leaves this batch's statistics
        out = F.batch_norm(together, mean, var, weight, bias, True, 1.0, self.eps)
        with torch.no_grad():
            keep = 1 - self.momentum
            steps = torch.arange(T - 1, -1, -1, device=x.device, dtype=mean.dtype)
            shares = self.momentum * keep**steps
            for running, found in ((self.running_mean, mean), (self.running_var, var)):
                running.mul_(keep**T).add_(shares @ found.view(T, C))
            self.num_batches_tracked += T
        return out.reshape(x.shape)


def use_positions(module: nn.Module) -> nn.Module:
    """Replace every batch norm in a fresh module by one that tells positions apart."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(module, name, PositionBatchNorm2d(child.num_features, child.eps))
        else:
            use_positions(child)
    return module


def set_positions(module: nn.Module, positions: int) -> None:
    """Tell every such norm in a module how many frames of a clip follow each other."""
    for child in module.modules():
        if isinstance(child, PositionBatchNorm2d):
            child.positions = positions
