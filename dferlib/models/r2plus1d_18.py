"""R(2+1)D-18: every 3-D convolution is a 2-D one in space followed by a 1-D one in time.

D. Tran, H. Wang, L. Torresani, J. Ray, Y. LeCun, M. Paluri: "A closer look at spatiotemporal
convolutions for action recognition", CVPR 2018. The width between the two halves is chosen so that
a pair has as many weights as the 3-D convolution that it replaces, with one more ReLU.

| meaning             | argument | default |
|---------------------|----------|---------|
| scales all channels | `width`  | 1.0     |

Equal to torchvision's `r2plus1d_18`, which starts with 45 channels in its stem: 31,303,716
parameters for 7 classes, 81.0 GFLOPs at 16 frames of 112 px (torchvision counts 2 a MAC).
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.video import R2Plus1D_18_Weights
from torchvision.models.video.resnet import Conv2Plus1D

from dferlib.models.parts.build import scaler
from dferlib.models.parts.video_resnet import VideoResNet18, kinetics_weights, projection

INPUT = (3, 16, 112, 112)


def build(num_classes: int, *, width: float = 1.0) -> VideoResNet18:
    """Build R(2+1)D-18; see the table at the top of this file."""
    scale = scaler(width)
    widths = [scale(channels) for channels in (64, 128, 256, 512)]
    middle = max(4, round(45 * width))
    stem = nn.Sequential(
        nn.Conv3d(3, middle, (1, 7, 7), (1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        nn.Conv3d(middle, widths[0], (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(widths[0]),
        nn.ReLU(inplace=True),
    )
    return VideoResNet18(stem, Conv2Plus1D, projection, widths, num_classes)


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's Kinetics-400 weights (downloaded once)."""
    return kinetics_weights(R2Plus1D_18_Weights.KINETICS400_V1, options["width"])
