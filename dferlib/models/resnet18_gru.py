"""ResNet18+GRU: as ResNet18+LSTM, with the smaller recurrent unit.

K. He et al., "Deep residual learning for image recognition", CVPR 2016; J. Chung et al., "Empirical
evaluation of gated recurrent neural networks on sequence modeling", 2014.

| meaning                       | argument | default                        |
|-------------------------------|----------|--------------------------------|
| scales all channels           | `width`  | 1.0                            |
| state of the GRU              | `hidden` | 512, scaled by `width`         |
| layers of the GRU             | `layers` | 1; 0 takes the mean of the frames |

The published row (51.68/64.02 on DFEW, UAR/WAR) has no size with it, and its UAR is not the mean of
its seven recalls (51.90). One layer of 512: 12,756,039 parameters for 7 classes.
"""

from __future__ import annotations

from torch import Tensor

from dferlib.models.parts.build import scaler
from dferlib.models.parts.recurrent import FramesThenRecurrent, pooled_recurrent
from dferlib.models.parts.resnet import ResNet18, imagenet_resnet18

INPUT = (3, 16, 112, 112)

PRETRAIN_AS = "resnet18_lstm"  # of which only the backbone is carried over


def build(
    num_classes: int, *, width: float = 1.0, hidden: int = 512, layers: int = 1
) -> FramesThenRecurrent:
    """Build ResNet18+GRU; see the table at the top of this file."""
    maps = ResNet18(width)
    state = scaler(width)(hidden)
    return pooled_recurrent(maps, maps.channels, "gru", state, layers, num_classes)


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of the backbone (downloaded once)."""
    return imagenet_resnet18("backbone.maps.", options["width"])
