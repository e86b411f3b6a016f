"""3D ResNet-18: two different networks that the field quotes under one name.

`design="tran"`: D. Tran et al., "A closer look at spatiotemporal convolutions for action
recognition", CVPR 2018, called R3D there and `r3d_18` in torchvision. The stem keeps every frame
and has no pooling; shortcuts that change size are 1x1x1 convolutions. The code of DFEW's authors
trains this one, so rows 44.73/54.98 (plain), 44.91/55.48 (centre loss) and 45.35/56.51 (EC-STFL)
belong to it.

`design="hara"`: K. Hara, H. Kataoka, Y. Satoh, "Can spatiotemporal 3D CNNs retrace the history of
2D CNNs and ImageNet?", CVPR 2018, the paper that STT's tables cite for all these rows. A 7x7x7 stem
and a max pooling that halves time, too; shortcuts that change size are sub-sampled and filled up
with zero channels (type A), without weights. Everything after the stem is half as long.

| meaning             | argument | default                                              |
|---------------------|----------|------------------------------------------------------|
| which of the two    | `design` | "tran"; its Kinetics weights come with torchvision   |
| scales all channels | `width`  | 1.0                                                  |

For 7 classes: tran 33,169,863 parameters and 81.4 GFLOPs at 16 frames of 112 px (2 a MAC); hara
33,033,671, neither of which any of the quoting papers prints.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.video import R3D_18_Weights
from torchvision.models.video.resnet import Conv3DSimple

from dferlib.models.parts.build import check_choices, scaler
from dferlib.models.parts.video_resnet import VideoResNet18, kinetics_weights, projection

INPUT = (3, 16, 112, 112)

DESIGNS = ("tran", "hara")


def build(num_classes: int, *, design: str = "tran", width: float = 1.0) -> VideoResNet18:
    """Build one of the two 3D ResNet-18; see the top of this file."""
    check_choices(design=(design, DESIGNS))
    scale = scaler(width)
    widths = [scale(channels) for channels in (64, 128, 256, 512)]
    first = widths[0]
    kernel = (3, 7, 7) if design == "tran" else (7, 7, 7)
    padding = tuple(side // 2 for side in kernel)
    stem = [
        nn.Conv3d(3, first, kernel, (1, 2, 2), padding=padding, bias=False),
        nn.BatchNorm3d(first),
        nn.ReLU(inplace=True),
    ]
    if design == "hara":
        stem.append(nn.MaxPool3d(3, stride=2, padding=1))
    shortcut = projection if design == "tran" else ZeroFilled
    return VideoResNet18(nn.Sequential(*stem), Conv3DSimple, shortcut, widths, num_classes)


class ZeroFilled(nn.Module):
    """Shortcut of type A: every second position, and zeros for the channels that are new."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.new = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, T / 2, H / 2, W / 2), sizes rounded up."""
        return F.pad(x[:, :, ::2, ::2, ::2], (0, 0, 0, 0, 0, 0, 0, self.new))


def torchvision_weights(**options: float | str) -> dict[str, Tensor]:
    """Return torchvision's Kinetics-400 weights (downloaded once); ValueError for "hara"."""
    if options["design"] != "tran":
        raise ValueError(
            f"torchvision has weights for design 'tran', not {options['design']!r}; "
            "use init 'synthetic', 'random' or a path"
        )
    return kinetics_weights(R3D_18_Weights.KINETICS400_V1, options["width"])
