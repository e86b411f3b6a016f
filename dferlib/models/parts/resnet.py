"""ResNet-18 and ResNet-50 without classifier, at any width and up to any stage, from torchvision's
blocks.

He, Zhang, Ren, Sun: "Deep residual learning for image recognition", CVPR 2016. torchvision builds
them at widths of its own only. Parameter names are torchvision's, so its weights load.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, ResNet50_Weights
from torchvision.models.resnet import BasicBlock, Bottleneck

from dferlib.models.parts.build import initialise, refuse_scaled, scaler

STAGES = ("layer1", "layer2", "layer3", "layer4")


class ResNet(nn.Sequential):
    """Maps (N, channels, h, w) of images (N, 3, H, W); h is H / 32, rounded up, after layer4."""

    def __init__(
        self, block: type[nn.Module], depths: tuple[int, ...], width: float, last: str
    ) -> None:
        if last not in STAGES:
            raise ValueError(f"stage is {last!r}; valid: {', '.join(STAGES)}")
        scale = scaler(width)
        inputs = scale(64)
        layers = OrderedDict(
            conv1=nn.Conv2d(3, inputs, 7, stride=2, padding=3, bias=False),
            bn1=nn.BatchNorm2d(inputs),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(3, stride=2, padding=1),
        )
        for index, name in enumerate(STAGES[: STAGES.index(last) + 1]):
            inner, stride = scale(64 * 2**index), 1 if index == 0 else 2
            layers[name] = _stage(block, depths[index], inputs, inner, stride)
            inputs = inner * block.expansion
        super().__init__(layers)
        self.channels = inputs
        self.stride = 4 * 2 ** STAGES.index(last)
        initialise(self)

    @property
    def cam_layer(self) -> nn.Module:
        """The last stage, whose output this is."""
        return self[-1]


class ResNet18(ResNet):
    """ResNet-18: 512 x `width` channels after layer4."""

    def __init__(self, width: float = 1.0, last: str = "layer4") -> None:
        super().__init__(BasicBlock, (2, 2, 2, 2), width, last)


class ResNet50(ResNet):
    """ResNet-50: 2048 x `width` channels after layer4, and 23,508,032 parameters at width 1."""

    def __init__(self, width: float = 1.0, last: str = "layer4") -> None:
        super().__init__(Bottleneck, (3, 4, 6, 3), width, last)


class Pooled(nn.Module):
    """A backbone and the mean over its grid: vectors (N, channels) of images (N, 3, H, W)."""

    def __init__(self, maps: nn.Module) -> None:
        super().__init__()
        self.maps = maps
        self.pool = nn.AdaptiveAvgPool2d(1)

    @property
    def cam_layer(self) -> nn.Module:
        """The last layer of the maps."""
        return self.maps[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, channels)."""
        return self.pool(self.maps(images)).flatten(1)


def imagenet_resnet18(prefix: str, width: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights under `prefix`, without the classifier.

    torchvision downloads them once. ValueError for a width other than 1.
    """
    return _imagenet(ResNet18_Weights.IMAGENET1K_V1, "ResNet-18", prefix, width)


def imagenet_resnet50(prefix: str, width: float) -> dict[str, Tensor]:
    """Return torchvision's first ImageNet weights of ResNet-50; as `imagenet_resnet18`."""
    return _imagenet(ResNet50_Weights.IMAGENET1K_V1, "ResNet-50", prefix, width)


def _imagenet(weights, name: str, prefix: str, width: float) -> dict[str, Tensor]:
    refuse_scaled(f"torchvision's {name} weights", width)
    state = weights.get_state_dict(progress=False, check_hash=True)
    return {prefix + name: value for name, value in state.items() if not name.startswith("fc.")}


def _stage(
    block: type[nn.Module], depth: int, inputs: int, inner: int, stride: int
) -> nn.Sequential:
    outputs, shortcut = inner * block.expansion, None
    if stride != 1 or inputs != outputs:
        conv = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
        shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))
    first = block(inputs, inner, stride, shortcut)
    return nn.Sequential(first, *(block(outputs, inner) for _ in range(depth - 1)))
