"""STCAM: 3-D channel attention, then spatial-temporal attention, in a 3-D Inception-ResNet.

W. Chen, D. Zhang, M. Li, D.-J. Lee: "STCAM: Spatial-Temporal and Channel Attention Module for
Dynamic Facial Expression Recognition", IEEE Transactions on Affective Computing, 2020,
doi:10.1109/TAFFC.2020.3027340.

A shallow 3-D CNN reads seven frames from neutral to peak. In each of its five structures a small
module first asks *which channels* matter (3D-CAM: pooled over time and space, an MLP, a weight per
channel), then *where and when* (STAM: pooled over channels, one 3-D convolution, a weight per
position). Both only re-weight the features, so they add 5 % of parameters.

| paper                               | argument           | default                          |
|-------------------------------------|--------------------|----------------------------------|
| the attention of Tables 2-4 and 8   | `attention`        | "3dcam+stam", which is STCAM     |
| r, reduction ratio of 3D-CAM (§4.2) | `reduction`        | 16                               |
| f, kernel of STAM (§4.2)            | fixed              | 3x7x7 in A, 3x5x5 elsewhere      |
| first kernel and stride (§3.1)      | fixed              | 3x7x7, stride 1 in time, 2 in space |
| 1072 features (§3.1)                | `width` scales it  | 1.0                              |
| two FC layers (§3.1)                | `hidden`           | 512                              |

What the paper leaves open, and what is done here:

- Channels and kernels are not printed. Inception-ResNet-v2 (Szegedy et al. 2017) as printed there,
  with all widths halved, goes 192 -> 576 -> 1072, the only member of that family that ends in
  1072. Kernels get 3 in time wherever they are larger than 1 in space.
- One block per structure: "three 3D-Inception-ResNet structures", "relatively shallow".
- Strides in time after the first layer: `temporal_strides` of the two reductions, default (1, 1),
  so that every attention map has one image per frame, as Fig. 7 shows. Padding keeps sizes.
- Batch norm after every convolution but STAM's; no biases in the MLP (Eq. 2 has none) and in f.
- Attention sits after the linear 1x1x1 projection and before the shortcut is added (Fig. 6a; the
  widths must agree there), and after the concatenation in reductions (Fig. 6b). ReLU after the sum.
- Hidden width 512 with ReLU and no dropout (`dropout`).
- Non-local blocks replace STCAM in the same five places; phi and g are sub-sampled in A only,
  where 7x28x28 positions would need a 5488 x 5488 matrix.
- Kaiming-normal convolutions, Xavier-uniform fully connected layers (§4.2: "Xavier"); W_2 and f,
  which feed the sigmoids of the attention, start near zero, so that features pass evenly. Drawn
  like the others they saturate sigmoids by chance and close places before anything is learned.
  Theta and phi of non-local blocks are drawn so that their product starts with deviation 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from dferlib.models.parts.build import check_choices, initialise, near_zero, scaler
from dferlib.models.parts.convolution import Branches, Size, conv, same
from dferlib.models.parts.frames import ClipModel, check_clip, refuse_lengths
from dferlib.models.parts.non_local import NonLocal

INPUT = (3, 7, 224, 224)

ATTENTION = ("none", "3dcam", "stam", "stam+3dcam", "3dcam+stam", "nl-gaussian", "nl-embedded")
PRETRAIN_OPTIONS = {"attention": "none"}  # §4.2: only convolution weights are carried over
STAGES = ("stem", "inception_a", "reduction_a", "inception_b", "reduction_b", "inception_c")

Maps = dict[str, Tensor]


def build(
    num_classes: int,
    *,
    attention: str = "3dcam+stam",
    width: float = 1.0,
    hidden: int = 512,
    temporal_strides: tuple[int, int] = (1, 1),
    reduction: int = 16,
    dropout: float = 0.0,
) -> STCAM:
    """Build STCAM or one of its ablations; see the table at the top of this file."""
    check_choices(attention=(attention, ATTENTION))
    if len(temporal_strides) != 2 or any(s not in (1, 2) for s in temporal_strides):
        raise ValueError(f"temporal_strides is {temporal_strides!r}; two values of 1 or 2 needed")
    strides = tuple(temporal_strides)
    model = STCAM(num_classes, attention, width, hidden, strides, reduction, dropout)
    initialise(model)
    for module in model.modules():
        if isinstance(module, ChannelAttention | SpatialTemporalAttention | NonLocal):
            module.reset()
    return model


class ChannelAttention(nn.Module):
    """3D-CAM (Fig. 3): one weight per channel."""

    name = "3dcam"

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.mlp = nn.Sequential(
            nn.Linear(channels, inner, bias=False),  # W_1
            nn.ReLU(inplace=True),  # delta
            nn.Linear(inner, channels, bias=False),  # W_2
        )

    def reset(self) -> None:
        """Start at half weight everywhere; W_1 keeps its values, so that W_2 can learn."""
        near_zero(self.mlp[-1])

    def weights(self, x: Tensor) -> Tensor:
        """Return M^C (B, C) for features (B, C, T, H, W)."""
        average = x.mean((2, 3, 4))  # Eq. 1, left
        maximum = x.amax((2, 3, 4))  # Eq. 1, right
        return torch.sigmoid(self.mlp(average) + self.mlp(maximum))  # Eq. 2

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the re-weighted features and M^C."""
        weights = self.weights(x)
        return x * weights[:, :, None, None, None], weights  # Eq. 3


class SpatialTemporalAttention(nn.Module):
    """STAM (Fig. 4): one weight per position in time and space."""

    name = "stam"

    def __init__(self, kernel: Size) -> None:
        super().__init__()
        self.conv = nn.Conv3d(2, 1, kernel, padding=same(kernel), bias=False)  # f

    def reset(self) -> None:
        """Start at half weight everywhere."""
        near_zero(self.conv)

    def weights(self, x: Tensor) -> Tensor:
        """Return M^ST (B, T, H, W) for features (B, C, T, H, W)."""
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)  # Eq. 4
        return torch.sigmoid(self.conv(pooled)).squeeze(1)  # Eq. 5

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the re-weighted features and M^ST."""
        weights = self.weights(x)
        return x * weights[:, None], weights  # Eq. 6


class Attention(nn.Module):
    """What stands in one of the five attention places: nothing, CAM and STAM, or a non-local."""

    def __init__(self, kind: str, place: str, channels: int, reduction: int) -> None:
        super().__init__()
        self.place = place
        first = place == "inception_a"
        kernel = (3, 7, 7) if first else (3, 5, 5)  # §4.2
        make = {
            "3dcam": lambda: ChannelAttention(channels, reduction),
            "stam": lambda: SpatialTemporalAttention(kernel),
            "nl-gaussian": lambda: NonLocal(channels, embedded=False, subsample=first),
            "nl-embedded": lambda: NonLocal(channels, embedded=True, subsample=first),
        }
        parts = [] if kind == "none" else kind.split("+")
        self.parts = nn.ModuleList(make[part]() for part in parts)

    def forward(self, x: Tensor, maps: Maps | None = None) -> Tensor:
        """Apply the parts in order; their weights go to `maps` where one is given."""
        for part in self.parts:
            if isinstance(part, NonLocal):
                if maps is not None:
                    maps[f"{self.place}.{part.name}"] = part.given(x).detach()
                x = part(x)
                continue
            x, weights = part(x)
            if maps is not None:
                maps[f"{self.place}.{part.name}"] = weights.detach()
        return x


class InceptionResNet(nn.Module):
    """3D-Inception-ResNet structure with attention in its branch (Fig. 6a)."""

    def __init__(self, paths: Iterable[nn.Module], mixed: int, channels: int, attention: Attention):
        super().__init__()
        self.branches = Branches(paths)
        self.project = conv(mixed, channels, 1, relu=False)  # "linear": no activation
        self.attention = attention

    def forward(self, x: Tensor, maps: Maps | None = None) -> Tensor:
        """Return features of the same shape as x."""
        return torch.relu(x + self.attention(self.project(self.branches(x)), maps))


class Reduction(nn.Module):
    """3D-Reduction structure: half the height and width, then attention (Fig. 6b)."""

    def __init__(self, paths: Iterable[nn.Module], attention: Attention) -> None:
        super().__init__()
        self.branches = Branches(paths)
        self.attention = attention

    def forward(self, x: Tensor, maps: Maps | None = None) -> Tensor:
        """Return features with more channels on a coarser grid."""
        return self.attention(self.branches(x), maps)


class STCAM(ClipModel):
    """The whole network (Fig. 2 with the modules of Fig. 6); see `build`.

    Recorded maps of each of the five places: "<place>.3dcam" (B, C), M^C; "<place>.stam"
    (B, T, h, w), M^ST; "<place>.nl" (B, T, h, w), how much each position is read by all, which sums
    to 1 (on a grid of half the side in inception_a).
    """

    def __init__(
        self,
        num_classes: int,
        attention: str,
        width: float,
        hidden: int,
        temporal_strides: tuple[int, int],
        reduction: int,
        dropout: float,
    ) -> None:
        super().__init__()
        scale = scaler(width, multiple=4)
        c0 = scale(96) + 2 * scale(48)  # 192, the stem
        c1 = c0 + 2 * scale(192)  # 576
        c2 = c1 + scale(192) + scale(144) + scale(160)  # 1072

        def place(name: str, channels: int) -> Attention:
            return Attention(attention, name, channels, reduction)

        self.stem = _stem(scale)
        self.inception_a = _inception_a(scale, c0, place("inception_a", c0))
        self.reduction_a = _reduction_a(scale, c0, temporal_strides[0], place("reduction_a", c1))
        self.inception_b = _inception_b(scale, c1, place("inception_b", c1))
        self.reduction_b = _reduction_b(scale, c1, temporal_strides[1], place("reduction_b", c2))
        self.inception_c = _inception_c(scale, c2, place("inception_c", c2))
        middle = [nn.Dropout(dropout)] if dropout > 0 else []
        self.head = nn.Sequential(
            nn.Linear(c2, hidden), nn.ReLU(), *middle, nn.Linear(hidden, num_classes)
        )
        self.num_features = c2

    @property
    def cam_layer(self) -> nn.Module:
        """The last structure: its output is what the average pooling sees."""
        return self.inception_c

    def forward_features(self, clip: Tensor) -> Tensor:
        """Return the pooled features (B, 1072 x width) of clips (B, 3, T, H, W)."""
        check_clip(clip)
        maps: Maps | None = {} if self.record_attention else None
        x = self.stem(clip)
        for stage in STAGES[1:]:
            x = getattr(self, stage)(x, maps)
        self.attention = maps or {}
        return x.mean((2, 3, 4))  # as adaptive pooling, but deterministic on CUDA, too

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes).

        Every clip has the same number of frames (§4.2: 7), so `lengths` must be None: a padded
        frame would enter the poolings of both attentions. Raises ValueError otherwise.
        """
        refuse_lengths(self, lengths)
        return self.head(self.forward_features(clip))


def _stem(s: Callable[[int], int]) -> nn.Sequential:
    """3 -> 192 channels at an eighth of height and width; time is kept."""
    half = (1, 2, 2)
    joined = s(32) + s(48)
    narrow = conv(joined, s(32), 1), conv(s(32), s(48), 3)
    factored = (conv(joined, s(32), 1), conv(s(32), s(32), (3, 7, 1)))
    factored += (conv(s(32), s(32), (3, 1, 7)), conv(s(32), s(48), 3))
    return nn.Sequential(
        conv(3, s(16), (3, 7, 7), half),  # §3.1
        conv(s(16), s(16), 3),
        conv(s(16), s(32), 3),
        Branches([_pool(half), conv(s(32), s(48), 3, half)]),
        Branches([nn.Sequential(*narrow), nn.Sequential(*factored)]),
        Branches([conv(2 * s(48), s(96), 3, half), _pool(half)]),
    )


def _inception_a(s: Callable[[int], int], c: int, attention: Attention) -> InceptionResNet:
    paths = [
        conv(c, s(16), 1),
        nn.Sequential(conv(c, s(16), 1), conv(s(16), s(16), 3)),
        nn.Sequential(conv(c, s(16), 1), conv(s(16), s(24), 3), conv(s(24), s(32), 3)),
    ]
    return InceptionResNet(paths, 2 * s(16) + s(32), c, attention)


def _reduction_a(s: Callable[[int], int], c: int, stride: int, attention: Attention) -> Reduction:
    half = (stride, 2, 2)
    deep = conv(c, s(128), 1), conv(s(128), s(128), 3), conv(s(128), s(192), 3, half)
    return Reduction([_pool(half), conv(c, s(192), 3, half), nn.Sequential(*deep)], attention)


def _inception_b(s: Callable[[int], int], c: int, attention: Attention) -> InceptionResNet:
    factored = conv(c, s(64), 1), conv(s(64), s(80), (3, 1, 7)), conv(s(80), s(96), (3, 7, 1))
    paths = [conv(c, s(96), 1), nn.Sequential(*factored)]
    return InceptionResNet(paths, 2 * s(96), c, attention)


def _reduction_b(s: Callable[[int], int], c: int, stride: int, attention: Attention) -> Reduction:
    half = (stride, 2, 2)
    deep = conv(c, s(128), 1), conv(s(128), s(144), 3), conv(s(144), s(160), 3, half)
    paths = [
        _pool(half),
        nn.Sequential(conv(c, s(128), 1), conv(s(128), s(192), 3, half)),
        nn.Sequential(conv(c, s(128), 1), conv(s(128), s(144), 3, half)),
        nn.Sequential(*deep),
    ]
    return Reduction(paths, attention)


def _inception_c(s: Callable[[int], int], c: int, attention: Attention) -> InceptionResNet:
    factored = conv(c, s(96), 1), conv(s(96), s(112), (3, 1, 3)), conv(s(112), s(128), (3, 3, 1))
    paths = [conv(c, s(96), 1), nn.Sequential(*factored)]
    return InceptionResNet(paths, s(96) + s(128), c, attention)


def _pool(stride: Size) -> nn.MaxPool3d:
    return nn.MaxPool3d(3, stride, padding=1)
