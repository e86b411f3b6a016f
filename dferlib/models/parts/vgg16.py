"""VGG-16 without its classifier, at any width, from torchvision's own layers.

K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition",
2014: thirteen 3x3 convolutions in five blocks, each block ending in a 2x2 max pooling; 14,714,688
parameters at width 1. torchvision builds one width only. Parameter names are torchvision's
`features`, so its weights load.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import VGG16_BN_Weights, VGG16_Weights
from torchvision.models.vgg import cfgs, make_layers

from dferlib.models.parts.build import initialise, refuse_scaled, scaler


class VGG16(nn.Sequential):
    """Maps (N, channels, h, w) of images (N, 3, H, W); h is H / 32, rounded down.

    `block_channels` are the outputs of the five blocks, `channels` those of the last. With
    `batch_norm` every convolution is followed by a norm, which the original does not have.
    """

    def __init__(self, width: float = 1.0, *, batch_norm: bool = False) -> None:
        scale = scaler(width)
        plan = [scale(item) if isinstance(item, int) else item for item in cfgs["D"]]
        super().__init__(*make_layers(plan, batch_norm=batch_norm))
        pools = [i for i, item in enumerate(plan) if item == "M"]
        self.block_channels = tuple(plan[i - 1] for i in pools)
        self.channels = self.block_channels[-1]
        initialise(self)


def imagenet_vgg16(prefix: str, width: float, *, batch_norm: bool = False) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of the convolutions under `prefix`.

    torchvision downloads them once. ValueError for a width other than 1.
    """
    refuse_scaled("torchvision's VGG-16 weights", width)
    weights = VGG16_BN_Weights if batch_norm else VGG16_Weights
    state = weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    part = "features."
    kept = {name: value for name, value in state.items() if name.startswith(part)}
    return {prefix + name.removeprefix(part): value for name, value in kept.items()}
