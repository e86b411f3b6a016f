"""C3D: eight 3x3x3 convolutions and three fully connected layers on a clip of 16 frames.

D. Tran, L. Bourdev, R. Fergus, L. Torresani, M. Paluri: "Learning spatiotemporal features with 3D
convolutional networks", ICCV 2015.

| meaning                             | argument     | default |
|-------------------------------------|--------------|---------|
| batch norm after every convolution  | `batch_norm` | True    |
| scales all channels and FC layers   | `width`      | 1.0     |
| dropout after fc6 and fc7           | `dropout`    | 0.5     |
| "mean" or "rows", see below         | `readout`    | "mean"  |

16 frames of 112 px leave 512 maps of 1x4x4 for fc6; 77.1 GFLOPs (2 a MAC). Two networks go by this
name: the paper's has no batch norm, 78,024,455 parameters for 7 classes and the 79.99 M often
quoted for the 487 of Sports-1M; the one that the code of DFEW's authors trains, of the row
42.74/53.54 (UAR/WAR), has batch norm and 5,504 more.

The published network reads no other clip. Here other lengths and sizes are allowed: time is halved
rounding up, and what is left is averaged or repeated to 1x4x4, which changes nothing for 16 frames
of 112 px. readout="rows" halves time rounding down, cuts the numbers that are left into rows of
8192 as they lie in memory, and averages the rows' logits. That makes no sense of a row, but it is
what Table 8 of CEFLNet counted: 487 outputs, no batch norm, 35 frames of 224 px, 8 rows, 326.41 G.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.models.parts.build import check_choices, initialise, scaler
from dferlib.models.parts.frames import ClipModel, check_clip, refuse_lengths

INPUT = (3, 16, 112, 112)

GRID = (1, 4, 4)  # what fc6 reads
READOUTS = ("mean", "rows")


def build(
    num_classes: int,
    *,
    batch_norm: bool = True,
    width: float = 1.0,
    dropout: float = 0.5,
    readout: str = "mean",
) -> C3D:
    """Build C3D; see the table at the top of this file."""
    check_choices(readout=(readout, READOUTS))
    return initialise(C3D(num_classes, batch_norm, width, dropout, readout == "rows"))


class C3D(ClipModel):
    """Eight convolutions in five groups, three fully connected layers; see the top of this file."""

    def __init__(
        self, num_classes: int, batch_norm: bool, width: float, dropout: float, rows: bool
    ) -> None:
        super().__init__()
        scale = scaler(width)
        c1, c2, c3, c4, wide = (scale(channels) for channels in (64, 128, 256, 512, 4096))
        self.conv1 = group(batch_norm, 3, c1)
        self.pool1 = nn.MaxPool3d((1, 2, 2))
        self.conv2 = group(batch_norm, c1, c2)
        self.conv3 = group(batch_norm, c2, c3, c3)
        self.conv4 = group(batch_norm, c3, c4, c4)
        self.conv5 = group(batch_norm, c4, c4, c4)
        self.pool = halve(up=not rows)
        self.pool5 = halve(padding=1, up=not rows)
        self.fc6 = nn.Sequential(nn.Linear(16 * c4, wide), nn.ReLU(), nn.Dropout(dropout))
        self.fc7 = nn.Sequential(nn.Linear(wide, wide), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(wide, num_classes))
        self.num_features = wide
        self.rows = rows

    @property
    def cam_layer(self) -> nn.Module:
        """The last convolutions, before the last pooling."""
        return self.conv5

    def forward_features(self, clip: Tensor) -> Tensor:
        """Return the output of fc7 (B, 4096 x width) for clips (B, 3, T, H, W)."""
        rows = self._fc7(clip)
        return rows.mean(1) if self.rows else rows

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); ValueError if lengths are given."""
        refuse_lengths(self, lengths)
        logits = self.head(self._fc7(clip))
        return logits.mean(1) if self.rows else logits

    def _fc7(self, clip: Tensor) -> Tensor:
        """Return (B, 4096 x width), or one such vector for each row (B, rows, 4096 x width)."""
        check_clip(clip)
        x = self.pool1(self.conv1(clip))
        for group in (self.conv2, self.conv3, self.conv4):
            x = self.pool(group(x))
        x = self.pool5(self.conv5(x))
        if not self.rows:
            x = x if x.shape[2:] == GRID else F.adaptive_avg_pool3d(x, GRID)
            return self.fc7(self.fc6(x.flatten(1)))
        inputs = self.fc6[0].in_features
        if x[0].numel() % inputs:
            raise ValueError(
                f"clips of shape {tuple(clip.shape[1:])} leave {x[0].numel()} numbers, which are "
                f"no whole rows of {inputs}; use readout='mean'"
            )
        return self.fc7(self.fc6(x.reshape(len(x), -1, inputs)))


def group(batch_norm: bool, inputs: int, *outputs: int) -> nn.Sequential:
    """Convolutions 3x3x3 with ReLU, from `inputs` channels through `outputs`."""
    layers: list[nn.Module] = []
    for channels in outputs:
        norm = [nn.BatchNorm3d(channels)] if batch_norm else []
        layers += [nn.Conv3d(inputs, channels, 3, padding=1), *norm, nn.ReLU(inplace=True)]
        inputs = channels
    return nn.Sequential(*layers)


def halve(padding: int = 0, up: bool = True) -> nn.Module:
    """Max pooling by 2 in time, rounding `up` or down, and in space, rounding down."""
    if not up:
        return nn.MaxPool3d(2, padding=(0, padding, padding))
    return nn.Sequential(
        nn.MaxPool3d((2, 1, 1), ceil_mode=True),
        nn.MaxPool3d((1, 2, 2), padding=(0, padding, padding)),
    )
