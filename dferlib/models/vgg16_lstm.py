"""VGG-16 and LSTM: the CNN-LSTM that ECNN-FSA compares itself with.

K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition",
2014; rows "CNN-LSTM" and "CNN with 2 layer LSTMs" in Tables 2, 4, 8 and 9 of R. Chen et al., "Video
expression recognition based on frame-level attention mechanism", High Technology Letters 29(2),
2023.

| paper                                | argument     | default      |
|--------------------------------------|--------------|--------------|
| size of each LSTM layer (Table 2)    | `states`     | (2048, 2048) |
| -                                    | `width`      | 1.0; scales all channels and states |
| norms that VGG-16 does not have      | `batch_norm` | False        |

Which features of VGG-16 the LSTM reads is not said. Here it reads the mean over the last map, 512
values: FC layers would tie the model to one size of frames, and the paper itself replaces them.
`states=()` classifies the mean over the frames, which is what is pre-trained.
"""

from __future__ import annotations

from torch import Tensor

from dferlib.models.parts.build import scaler
from dferlib.models.parts.recurrent import FramesThenRecurrent, StackedLSTM
from dferlib.models.parts.resnet import Pooled
from dferlib.models.parts.vgg16 import VGG16, imagenet_vgg16

INPUT = (3, 5, 224, 224)

PRETRAIN_OPTIONS = {"states": ()}  # only the convolutions are carried over


def build(
    num_classes: int,
    *,
    states: tuple[int, ...] = (2048, 2048),
    batch_norm: bool = False,
    width: float = 1.0,
) -> FramesThenRecurrent:
    """Build VGG-16 + LSTM; see the table at the top of this file."""
    maps = VGG16(width, batch_norm=batch_norm)
    sizes = [scaler(width)(state) for state in states]
    recurrent = StackedLSTM(maps.channels, sizes) if sizes else None
    features = sizes[-1] if sizes else maps.channels
    return FramesThenRecurrent(Pooled(maps), recurrent, features, num_classes)


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of the convolutions (downloaded once)."""
    batch_norm = bool(options["batch_norm"])
    return imagenet_vgg16("backbone.maps.", options["width"], batch_norm=batch_norm)
