"""ECNN-LSTM: the improved VGG-16 of ECNN-FSA on every frame, LSTM layers instead of attention.

R. Chen et al., "Video expression recognition based on frame-level attention mechanism", High
Technology Letters 29(2), 2023, Table 3; after Y. Tong, R. Chen, R. Liang, "Unconstrained facial
expression recognition based on feature enhanced CNN and cross-layer LSTM", IEICE Trans. 2020.

| paper                                       | argument        | default                  |
|---------------------------------------------|-----------------|--------------------------|
| size of each LSTM layer (Table 2)           | `states`        | (2048, 2048)             |
| FC layers in the enhanced branch ("Fc1")    | `branch_fc`     | 1                        |
| kernel of the branch ("5x5", "7x7")         | `branch_kernel` | 7                        |
| -                                           | `width`         | 1.0; scales all channels |

`backbone_dim`, `branch_dim`, `tap` and `batch_norm` are those of the improved VGG-16, see
`parts/improved_vgg.py`.

Table 3 does not say how large its two LSTM layers are: (2048, 2048) has the best F1 of Table 2.
§2.2 puts "Fc1" into the enhanced branch; Table 7 prints the same accuracy for "FC6", which would be
VGG-16's own first FC layer. The text is followed: FC layers of the branch's width after its
pooling, each with ReLU.
"""

from __future__ import annotations

from torch import Tensor

from dferlib.models.parts.build import scaler
from dferlib.models.parts.improved_vgg import ImprovedVGG16
from dferlib.models.parts.recurrent import FramesThenRecurrent, StackedLSTM
from dferlib.models.parts.vgg16 import imagenet_vgg16

INPUT = (3, 16, 224, 224)

PRETRAIN_AS = "ecnn_fsa"  # the same improved VGG-16, pre-trained once


def build(
    num_classes: int,
    *,
    states: tuple[int, ...] = (2048, 2048),
    branch_fc: int = 1,
    branch_kernel: int = 7,
    backbone_dim: int = 1024,
    branch_dim: int = 1024,
    tap: str = "pool3",
    batch_norm: bool = False,
    width: float = 1.0,
) -> FramesThenRecurrent:
    """Build ECNN-LSTM; see the table at the top of this file."""
    backbone = ImprovedVGG16(
        width,
        backbone_dim=backbone_dim,
        branch_dim=branch_dim,
        branch_kernel=branch_kernel,
        branch_fc=branch_fc,
        tap=tap,
        batch_norm=batch_norm,
    )
    sizes = [scaler(width)(state) for state in states]
    recurrent = StackedLSTM(backbone.num_features, sizes)
    return FramesThenRecurrent(backbone, recurrent, sizes[-1], num_classes)


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of the thirteen convolutions (downloaded once)."""
    return imagenet_vgg16(
        "backbone.trunk.", options["width"], batch_norm=bool(options["batch_norm"])
    )
