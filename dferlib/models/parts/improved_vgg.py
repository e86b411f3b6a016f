"""The improved VGG-16 of ECNN-FSA (§1.2, Fig. 2): frames in, vectors out.

R. Chen et al., "Video expression recognition based on frame-level attention mechanism", High
Technology Letters 29(2), 2023. VGG-16 loses its fully connected layers and gains three convolutions
and a global average pooling; an enhanced branch, one large convolution on an earlier map with a
pooling of its own, adds features of a larger field. Both vectors are concatenated.

| paper                                      | argument        | default |
|--------------------------------------------|-----------------|---------|
| output of the backbone (Table 6)           | `backbone_dim`  | 1024    |
| output of the enhanced branch (Table 6)    | `branch_dim`    | 1024    |
| kernel of the branch (§1.2, Table 3)       | `branch_kernel` | 7       |
| FC layers in the branch (§2.2, "Fc1")      | `branch_fc`     | 0       |
| the map that the branch reads              | `tap`           | "pool3" |

What is open, and what is done here:

- All three added kernels are printed as 3x3x512x1024, which cannot stand in a row: 512 -> 1024 ->
  1024 -> 1024, each with ReLU and padding 1, after pool5.
- The branch starts "from the seventh layer" and reads 256 channels; VGG-16's seventh convolution,
  conv3_3, is the last one with 256. After its pooling ("pool3") the 7x7 convolution takes 10.07
  GMAC a frame of 224 px, before it ("conv3_3") 40.28, more than twice VGG-16 itself. Stride 1,
  padding to keep the size, ReLU.
- Another backbone width than 1024 comes from a 1x1 convolution with ReLU before the pooling (§2.4).
- `batch_norm` follows every convolution by a norm, which neither VGG-16 nor the paper has; deep
  plain networks need it where they are trained from nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dferlib.models.parts.build import initialise, scaler
from dferlib.models.parts.vgg16 import VGG16

ADDED = 1024  # channels of the three added convolutions
TAPS = {"pool3": nn.MaxPool2d, "conv3_3": nn.ReLU}  # the layer of the third block that is read


class ImprovedVGG16(nn.Module):
    """Vectors (N, num_features) of images (N, 3, H, W) of any size from 32 pixels on."""

    def __init__(
        self,
        width: float = 1.0,
        *,
        backbone_dim: int = 1024,
        branch_dim: int = 1024,
        branch_kernel: int = 7,
        branch_fc: int = 0,
        tap: str = "pool3",
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if tap not in TAPS:
            raise ValueError(f"tap is {tap!r}; valid: {', '.join(TAPS)}")
        if branch_kernel % 2 == 0:
            raise ValueError(f"branch_kernel is {branch_kernel}; an odd one keeps the map's size")
        scale = scaler(width)
        backbone, branch, added = scale(backbone_dim), scale(branch_dim), scale(ADDED)
        self.trunk = VGG16(width, batch_norm=batch_norm)
        sizes = (self.trunk.channels, added, added, added)
        self.added = nn.Sequential(
            *(_conv(sizes[i], sizes[i + 1], 3, batch_norm) for i in range(3)),
            *([_conv(added, backbone, 1, batch_norm)] if backbone != added else []),
        )
        read = self.trunk.block_channels[2]
        self.branch = _conv(read, branch, branch_kernel, batch_norm)
        self.branch_fc = nn.Sequential(
            *(layer for _ in range(branch_fc) for layer in (nn.Linear(branch, branch), nn.ReLU()))
        )
        self.num_features = backbone + branch
        self._tap = _place(self.trunk, TAPS[tap])
        for part in (self.added, self.branch, self.branch_fc):
            initialise(part)

    @property
    def cam_layer(self) -> nn.Module:
        """The last added convolution, on the coarsest map."""
        return self.added[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, backbone_dim + branch_dim), scaled by the width."""
        x = images
        for place, layer in enumerate(self.trunk):
            x = layer(x)
            if place == self._tap:
                tapped = x
        deep = self.added(x).mean((2, 3))
        enhanced = self.branch_fc(self.branch(tapped).mean((2, 3)))
        return torch.cat([deep, enhanced], dim=1)


def _conv(inputs: int, outputs: int, kernel: int, batch_norm: bool) -> nn.Sequential:
    norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    return nn.Sequential(convolution, *norm, nn.ReLU(inplace=True))


def _place(trunk: VGG16, kind: type[nn.Module]) -> int:
    """Index of the last layer of this kind up to the third pooling."""
    pools = [i for i, layer in enumerate(trunk) if isinstance(layer, nn.MaxPool2d)]
    return max(i for i, layer in enumerate(trunk) if i <= pools[2] and isinstance(layer, kind))
