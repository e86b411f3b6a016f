"""Non-local block, the comparison of STCAM's Table 8.

Wang, Girshick, Gupta, He: "Non-local Neural Networks", CVPR 2018. Every position i of a feature
map attends to all positions j:

    y_i = sum_j softmax_j( theta(x_i) . phi(x_j) ) g(x_j)          z_i = W_z y_i + x_i

Gaussian: theta and phi are the identity. Embedded Gaussian: both are 1x1x1 convolutions. The
softmax has no temperature. W_z ends in a batch norm whose weight starts at 0, so that a new block
is the identity. Theta and phi start so that the product of two unlike positions has deviation 1:
drawn like other layers, every position starts by reading one other alone. The Gaussian has no
weights to draw, and does.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.models.parts.attention import attention_weights


class NonLocal(nn.Module):
    """One non-local block on (B, C, T, H, W), with C/2 channels inside.

    `embedded` chooses the embedded Gaussian. `subsample` max-pools phi and g by 2 in space, which
    divides the size of the pairwise matrix by 4 and keeps every output position.
    """

    name = "nl"

    def __init__(self, channels: int, *, embedded: bool, subsample: bool) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        pool = nn.MaxPool3d((1, 2, 2), ceil_mode=True) if subsample else nn.Identity()
        self.theta = nn.Conv3d(channels, inner, 1) if embedded else nn.Identity()
        self.phi = nn.Sequential(nn.Conv3d(channels, inner, 1) if embedded else nn.Identity(), pool)
        self.g = nn.Sequential(nn.Conv3d(channels, inner, 1), pool)
        self.w_z = nn.Sequential(
            nn.Conv3d(inner, channels, 1, bias=False), nn.BatchNorm3d(channels)
        )
        self.reset()

    def reset(self) -> None:
        """Make the block the identity, and let every position read many."""
        for layer in (self.theta, self.phi[0]):
            if isinstance(layer, nn.Conv3d):  # sums over all channels, then over the inner ones
                deviation = layer.in_channels**-0.5 * layer.out_channels**-0.25
                nn.init.normal_(layer.weight, std=deviation)
        nn.init.zeros_(self.w_z[1].weight)
        nn.init.zeros_(self.w_z[1].bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return z of the same shape as x."""
        query, key, value = (f(x).flatten(2).mT for f in (self.theta, self.phi, self.g))
        y = F.scaled_dot_product_attention(query, key, value, scale=1.0)  # (B, THW, C/2)
        y = y.mT.unflatten(2, x.shape[2:])
        return self.w_z(y) + x

    def given(self, x: Tensor) -> Tensor:
        """Return how much each position j is read, the mean over i, (B, T, H, W); it sums to 1.

        With `subsample` the positions are those of the coarser grid.
        """
        keys = self.phi(x)
        query, key = (y.flatten(2).mT for y in (self.theta(x), keys))
        return attention_weights(query, key, scale=1.0).mean(1).unflatten(1, keys.shape[2:])
