"""VGG11+LSTM: a plain convolutional network on every frame, an LSTM over the frames.

K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition",
2014; S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 1997.

| meaning                       | argument | default                        |
|-------------------------------|----------|--------------------------------|
| scales all channels           | `width`  | 1.0                            |
| state of the LSTM             | `hidden` | 512, scaled by `width`         |
| layers of the LSTM            | `layers` | 1; 0 takes the mean of the frames |

The published row (42.39/53.70 on DFEW, UAR/WAR) says neither which layer feeds the LSTM nor how
large that is. Here the eight convolutions without batch norm, the mean over their grid, one layer
of 512: 11,325,319 parameters for 7 classes. VGG's own two layers of 4096 would add 119 million at
224 px, and tie the model to one input size.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import VGG11_Weights
from torchvision.models.vgg import cfgs, make_layers

from dferlib.models.parts.build import initialise, refuse_scaled, scaler
from dferlib.models.parts.recurrent import FramesThenRecurrent, pooled_recurrent

INPUT = (3, 16, 112, 112)

PRETRAIN_OPTIONS = {"layers": 0}  # only the backbone is carried over


def build(
    num_classes: int, *, width: float = 1.0, hidden: int = 512, layers: int = 1
) -> FramesThenRecurrent:
    """Build VGG11+LSTM; see the table at the top of this file."""
    scale = scaler(width)
    plan = [scale(item) if isinstance(item, int) else item for item in cfgs["A"]]
    maps: nn.Sequential = initialise(make_layers(plan))
    return pooled_recurrent(maps, scale(512), "lstm", scale(hidden), layers, num_classes)


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of the convolutions (downloaded once)."""
    refuse_scaled("torchvision's VGG-11 weights", options["width"])
    state = VGG11_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    part = "features."
    kept = {name: value for name, value in state.items() if name.startswith(part)}
    return {"backbone.maps." + name.removeprefix(part): value for name, value in kept.items()}
