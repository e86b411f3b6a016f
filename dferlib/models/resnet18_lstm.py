"""ResNet18+LSTM: a row of every table on DFEW, and easy to beat or hard, depending on the sampling.

K. He et al., "Deep residual learning for image recognition", CVPR 2016; S. Hochreiter,
J. Schmidhuber, "Long short-term memory", Neural Computation 1997. Each frame becomes one vector,
the LSTM reads the vectors in order, its last state is classified.

| meaning                       | argument | default                        |
|-------------------------------|----------|--------------------------------|
| scales all channels           | `width`  | 1.0                            |
| state of the LSTM             | `hidden` | 512, scaled by `width`         |
| layers of the LSTM            | `layers` | 1; 0 takes the mean of the frames |

No paper that quotes this row (42.86/53.08 with time interpolation, 51.32/63.85 with dynamic
sampling, UAR/WAR) prints its size. One layer of 512 on the pooled features is the smallest reading:
13,281,351 parameters for 7 classes. The code of DFEW's authors has three layers of 256 and gives
the states of all 16 frames to the classifier, which ties it to 16 frames.
"""

from __future__ import annotations

from torch import Tensor

from dferlib.models.parts.build import scaler
from dferlib.models.parts.recurrent import FramesThenRecurrent, pooled_recurrent
from dferlib.models.parts.resnet import ResNet18, imagenet_resnet18

INPUT = (3, 16, 112, 112)

PRETRAIN_OPTIONS = {"layers": 0}  # only the backbone is carried over, as from a face network


def build(
    num_classes: int, *, width: float = 1.0, hidden: int = 512, layers: int = 1
) -> FramesThenRecurrent:
    """Build ResNet18+LSTM; see the table at the top of this file."""
    maps = ResNet18(width)
    state = scaler(width)(hidden)
    return pooled_recurrent(maps, maps.channels, "lstm", state, layers, num_classes)


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of the backbone (downloaded once)."""
    return imagenet_resnet18("backbone.maps.", options["width"])
