"""18-layer residual networks on clips, at any width, from torchvision's blocks.

What R(2+1)D-18 and the two 3D ResNet-18 have in common: a stem, four stages of two basic blocks,
the mean over time and space, one linear layer. Parameter names are torchvision's but for the last
layer, so its Kinetics weights load.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torchvision.models.video.resnet import BasicBlock

from dferlib.models.parts.build import initialise, refuse_scaled
from dferlib.models.parts.frames import ClipModel, check_clip, refuse_lengths

Shortcut = Callable[[int, int], nn.Module]


class VideoResNet18(ClipModel):
    """See the top of this file; `convolution` is one of torchvision's makers of 3-D convolutions.

    `shortcut(inputs, outputs)` makes the path around a block that halves its grid.
    """

    def __init__(
        self,
        stem: nn.Module,
        convolution: type[nn.Module],
        shortcut: Shortcut,
        widths: list[int],
        num_classes: int,
    ) -> None:
        super().__init__()
        self.stem = stem
        inputs = widths[0]
        for index, outputs in enumerate(widths):
            stride = 1 if index == 0 else 2
            around = shortcut(inputs, outputs) if stride == 2 else None
            stage = nn.Sequential(
                BasicBlock(inputs, outputs, convolution, stride, around),
                BasicBlock(outputs, outputs, convolution),
            )
            self.add_module(f"layer{index + 1}", stage)
            inputs = outputs
        self.head = nn.Linear(inputs, num_classes)
        self.num_features = inputs
        initialise(self)

    @property
    def cam_layer(self) -> nn.Module:
        """The last stage, whose output the average pooling sees."""
        return self.layer4

    def forward_features(self, clip: Tensor) -> Tensor:
        """Return the pooled features (B, 512 x width) of clips (B, 3, T, H, W)."""
        check_clip(clip)
        x = self.layer2(self.layer1(self.stem(clip)))
        return self.layer4(self.layer3(x)).mean((2, 3, 4))

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); ValueError if lengths are given."""
        refuse_lengths(self, lengths)
        return self.head(self.forward_features(clip))


def projection(inputs: int, outputs: int) -> nn.Module:
    """Shortcut of type B: a 1x1x1 convolution of stride 2 and batch norm."""
    conv = nn.Conv3d(inputs, outputs, 1, stride=2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(outputs))


def kinetics_weights(weights, width: float) -> dict[str, Tensor]:
    """Return the state dict of a torchvision video network without its classifier.

    `weights` is a member of torchvision's weights enum. ValueError for a width other than 1.
    """
    refuse_scaled(f"torchvision's weights {type(weights).__name__}", width)
    state = weights.get_state_dict(progress=False, check_hash=True)
    return {name: value for name, value in state.items() if not name.startswith("fc.")}
