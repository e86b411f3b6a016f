"""P3D-63: ResNet-50 whose 3x3 convolutions become 1x3x3 in space and 3x1x1 in time, in three ways.

Z. Qiu, T. Yao, T. Mei: "Learning spatio-temporal representation with pseudo-3D residual networks",
ICCV 2017. The bottleneck blocks take turns: A applies time after space, B adds time to space side
by side, C adds time after space to space. The last stage is 2-D.

| meaning                       | argument  | default |
|-------------------------------|-----------|---------|
| scales all channels           | `width`   | 1.0     |
| dropout before the classifier | `dropout` | 0.5     |

The paper trains P3D ResNets of 63, 131 and 199 layers; the table rows on DFEW do not say which, and
the code of DFEW's authors has all three. Here 63: 24,939,975 parameters for 7 classes, 16.9 GFLOPs
at 16 frames of 160 px (2 a MAC). Four poolings by 2 in time leave one of 16 frames for the last
stage; with other clips (time is halved rounding up) the frames that are left are averaged.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dferlib.models.parts.build import initialise, scaler
from dferlib.models.parts.convolution import conv
from dferlib.models.parts.frames import ClipModel, check_clip, refuse_lengths

INPUT = (3, 16, 160, 160)

BLOCKS = (3, 4, 6, 3)
EXPANSION = 4


def build(num_classes: int, *, width: float = 1.0, dropout: float = 0.5) -> P3D:
    """Build P3D-63; see the table at the top of this file."""
    return initialise(P3D(num_classes, width, dropout))


class Pseudo3D(nn.Module):
    """The middle of a bottleneck: convolutions in space and in time, joined as A, B or C."""

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.space = conv(channels, channels, (1, 3, 3))
        self.time = conv(channels, channels, (3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape as x."""
        space = self.space(x)
        if self.kind == "A":
            return self.time(space)
        if self.kind == "B":
            return space + self.time(x)
        return space + self.time(space)


class Bottleneck(nn.Module):
    """1x1, middle, 1x1 around a shortcut; `middle` decides between pseudo-3-D and 2-D."""

    def __init__(self, inputs: int, channels: int, stride: int, kind: str) -> None:
        super().__init__()
        outputs = EXPANSION * channels
        middle = conv(channels, channels, (1, 3, 3)) if kind == "2D" else Pseudo3D(channels, kind)
        self.branch = nn.Sequential(
            conv(inputs, channels, 1, (1, stride, stride)),
            middle,
            conv(channels, outputs, 1, relu=False),
        )
        changes = stride != 1 or inputs != outputs
        around = conv(inputs, outputs, 1, (1, stride, stride), relu=False) if changes else None
        self.shortcut = around or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 4 x channels, T, H / stride, W / stride)."""
        return torch.relu(self.branch(x) + self.shortcut(x))


class P3D(ClipModel):
    """The whole network; see the top of this file."""

    def __init__(self, num_classes: int, width: float, dropout: float) -> None:
        super().__init__()
        scale = scaler(width)
        first = scale(64)
        self.stem = nn.Sequential(
            nn.Conv3d(3, first, (1, 7, 7), (1, 2, 2), padding=(0, 3, 3), bias=False),
            nn.BatchNorm3d(first),
            nn.ReLU(inplace=True),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)),
        )
        self.half_the_frames = nn.MaxPool3d((2, 1, 1), ceil_mode=True)
        inputs, count = first, 0
        for index, number in enumerate(BLOCKS):
            channels, blocks = scale(64 * 2**index), []
            for block in range(number):
                kind = "2D" if index == 3 else "ABC"[count % 3]
                stride = 2 if index > 0 and block == 0 else 1
                blocks.append(Bottleneck(inputs, channels, stride, kind))
                inputs, count = EXPANSION * channels, count + 1
            self.add_module(f"layer{index + 1}", nn.Sequential(*blocks))
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, num_classes))
        self.num_features = inputs

    @property
    def cam_layer(self) -> nn.Module:
        """The last stage, whose output the average pooling sees."""
        return self.layer4

    def forward_features(self, clip: Tensor) -> Tensor:
        """Return the pooled features (B, 2048 x width) of clips (B, 3, T, H, W)."""
        check_clip(clip)
        x = self.half_the_frames(self.stem(clip))
        for stage in (self.layer1, self.layer2, self.layer3):
            x = self.half_the_frames(stage(x))
        return self.layer4(x).mean((2, 3, 4))

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); ValueError if lengths are given."""
        refuse_lengths(self, lengths)
        return self.head(self.forward_features(clip))
