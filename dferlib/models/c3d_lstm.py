"""C3D-LSTM as far as CEFLNet's Table 8 lets it be known: C3D on each clip, an LSTM over the clips.

The row prints 110.24 M parameters and 282.26 GMACs and cites P. Parmar, B. Tran Morris, "Learning
to score Olympic events", CVPR Workshops 2017, whose network (C3D up to fc6, an LSTM of 256) has
65.67 M. Neither that nor another network is identified by the two numbers. One part is consistent
with the second: conv1 to conv4 of C3D on 7 clips of 5 frames at 224 px take 281.58 GMACs, and conv5
cannot follow where 5 frames become 5, 3, 2 and 1. So this is that part, its mean over the grid and
an LSTM; the 96.74 M parameters that are then missing are not guessed. Its own counts are reported
beside the printed ones, and no match is claimed.

| meaning                                 | argument     | default                  |
|-----------------------------------------|--------------|--------------------------|
| clips of a video, in order along T      | `num_clips`  | 7                        |
| state of the LSTM                       | `hidden`     | 256, scaled by `width`   |
| batch norm after every convolution      | `batch_norm` | True; the paper's C3D: False |
| scales all channels                     | `width`      | 1.0                      |
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.models.c3d import group, halve
from dferlib.models.parts.build import initialise, scaler
from dferlib.models.parts.frames import ClipModel, check_parts, refuse_lengths

INPUT = (3, 35, 224, 224)  # 7 clips of 5 frames

PRETRAIN_OPTIONS = {"num_clips": 1}  # short clips are one clip


def build(
    num_classes: int,
    *,
    num_clips: int = 7,
    hidden: int = 256,
    batch_norm: bool = True,
    width: float = 1.0,
) -> C3DLSTM:
    """Build the consistent part of C3D-LSTM; see the top of this file."""
    if num_clips < 1:
        raise ValueError(f"num_clips is {num_clips}; a video has 1 clip or more")
    return initialise(C3DLSTM(num_classes, num_clips, hidden, batch_norm, width))


class C3DLSTM(ClipModel):
    """conv1 to conv4 of C3D on every clip, the mean over time and place, an LSTM over the clips."""

    def __init__(
        self, num_classes: int, num_clips: int, hidden: int, batch_norm: bool, width: float
    ) -> None:
        super().__init__()
        scale = scaler(width)
        c1, c2, c3, c4 = (scale(channels) for channels in (64, 128, 256, 512))
        self.conv1 = group(batch_norm, 3, c1)
        self.pool1 = nn.MaxPool3d((1, 2, 2))
        self.conv2 = group(batch_norm, c1, c2)
        self.conv3 = group(batch_norm, c2, c3, c3)
        self.conv4 = group(batch_norm, c3, c4, c4)
        self.pool = halve(up=False)
        self.num_clips = num_clips
        self.num_features = scale(hidden)
        self.lstm = nn.LSTM(c4, self.num_features, batch_first=True)
        self.head = nn.Linear(self.num_features, num_classes)

    @property
    def cam_layer(self) -> nn.Module:
        """The last convolutions; `cam_reshape` puts their output in video order."""
        return self.conv4

    def cam_reshape(self, activation: Tensor, num_frames: int) -> Tensor:
        """Return (B, C, T, h, w) for activations (B n, C, t, h, w) of clips."""
        video = activation.unflatten(0, (-1, self.num_clips)).transpose(1, 2).flatten(2, 3)
        return F.interpolate(video, size=(num_frames, *video.shape[3:]), mode="nearest")

    def forward_features(self, clip: Tensor) -> Tensor:
        """Return the last state (B, hidden) of clips (B, 3, T, H, W)."""
        check_parts(clip, self.num_clips)
        parts = clip.unflatten(2, (self.num_clips, -1)).transpose(1, 2).flatten(0, 1)
        x = self._halve(self.conv2(self.pool1(self.conv1(parts))))
        x = self._halve(self.conv3(x))
        clips = self.conv4(x).mean((2, 3, 4)).unflatten(0, (-1, self.num_clips))
        return self.lstm(clips)[0][:, -1]

    def _halve(self, x: Tensor) -> Tensor:
        return self.pool(x) if x.shape[2] > 1 else self.pool1(x)  # time ends at one

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); ValueError if lengths are given."""
        refuse_lengths(self, lengths)
        return self.head(self.forward_features(clip))
