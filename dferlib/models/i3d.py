"""I3D: Inception-v1 whose two-dimensional kernels are inflated to three dimensions.

J. Carreira, A. Zisserman: "Quo vadis, action recognition? A new model and the Kinetics dataset",
CVPR 2017, RGB stream.

| meaning                       | argument  | default |
|-------------------------------|-----------|---------|
| scales all channels           | `width`   | 1.0     |
| dropout before the classifier | `dropout` | 0.5     |

12,294,439 parameters for 7 classes, 55.6 GFLOPs at 16 frames of 224 px (2 a MAC). On DFEW
43.40/54.27 (UAR/WAR).

Padding is TensorFlow's "SAME": an odd rest goes to the end, also where PyTorch's symmetric padding
would shift the grid. The published network averages pairs of frames before its classifier and then
all pairs; for 16 frames, of which two are left, that is the mean over time and space taken here.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.models.parts.build import initialise, scaler
from dferlib.models.parts.convolution import Branches
from dferlib.models.parts.frames import ClipModel, check_clip, refuse_lengths

INPUT = (3, 16, 224, 224)

# per module: 1x1 | 1x1 then 3x3x3 | 1x1 then 3x3x3 | pool then 1x1
MODULES = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}
POOLS = {  # before which module, with which kernel and stride
    "mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "mixed_5b": ((2, 2, 2), (2, 2, 2)),
}


def build(num_classes: int, *, width: float = 1.0, dropout: float = 0.5) -> I3D:
    """Build I3D; see the table at the top of this file."""
    return initialise(I3D(num_classes, width, dropout))


class Same(nn.Module):
    """Pad (B, C, T, H, W) with zeros as TensorFlow does, so that sizes become ceil(size / stride).

    Max poolings stay right under zeros because their inputs come out of a ReLU.
    """

    def __init__(self, kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
        super().__init__()
        self.sides = tuple(zip(kernel, stride, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """Return the padded tensor."""
        padding: list[int] = []
        for size, (kernel, stride) in zip(x.shape[2:], self.sides, strict=True):
            total = max(kernel - (size % stride or stride), 0)
            padding = [total // 2, total - total // 2, *padding]  # last dimension first
        return F.pad(x, padding)


class Inception(nn.Module):
    """Four paths that read the same input; their outputs are concatenated over channels."""

    def __init__(self, inputs: int, widths: list[int]) -> None:
        super().__init__()
        c0, c1a, c1b, c2a, c2b, c3 = widths
        self.paths = Branches(
            [
                _conv(inputs, c0, 1),
                nn.Sequential(_conv(inputs, c1a, 1), _conv(c1a, c1b, 3)),
                nn.Sequential(_conv(inputs, c2a, 1), _conv(c2a, c2b, 3)),
                nn.Sequential(_pool((3, 3, 3), (1, 1, 1)), _conv(inputs, c3, 1)),
            ]
        )
        self.channels = c0 + c1b + c2b + c3

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, T, H, W)."""
        return self.paths(x)


class I3D(ClipModel):
    """The whole network; see the top of this file."""

    def __init__(self, num_classes: int, width: float, dropout: float) -> None:
        super().__init__()
        scale = scaler(width)
        c1, c2 = scale(64), scale(192)
        self.stem = nn.Sequential(
            _conv(3, c1, 7, 2), _pool((1, 3, 3), (1, 2, 2)), _conv(c1, c1, 1), _conv(c1, c2, 3)
        )
        stages: list[nn.Module] = []
        for name, widths in MODULES.items():
            if name in POOLS:
                stages.append(_pool(*POOLS[name]))
            stages.append(Inception(c2, [scale(channels) for channels in widths]))
            c2 = stages[-1].channels
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(c2, num_classes))
        self.num_features = c2

    @property
    def cam_layer(self) -> nn.Module:
        """The last module, whose output the average pooling sees."""
        return self.stages[-1]

    def forward_features(self, clip: Tensor) -> Tensor:
        """Return the pooled features (B, 1024 x width) of clips (B, 3, T, H, W)."""
        check_clip(clip)
        return self.stages(self.stem(clip)).mean((2, 3, 4))

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); ValueError if lengths are given."""
        refuse_lengths(self, lengths)
        return self.head(self.forward_features(clip))


def _conv(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Sequential:
    kernel, strides = (side,) * 3, (stride,) * 3
    return nn.Sequential(
        Same(kernel, strides),
        nn.Conv3d(inputs, outputs, kernel, strides, bias=False),
        nn.BatchNorm3d(outputs, eps=1e-3, momentum=0.01),  # as released: slow averages
        nn.ReLU(inplace=True),
    )


def _pool(kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> nn.Sequential:
    return nn.Sequential(Same(kernel, stride), nn.MaxPool3d(kernel, stride))
