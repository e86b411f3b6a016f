"""A 2-D backbone on every frame, a recurrent layer over the frames, a linear classifier.

What the rows "VGG11+LSTM", "ResNet18+LSTM" and "ResNet18+GRU" of the field's tables have in common.
The last state is classified; with 0 recurrent layers the mean over the frames is.
"""

from __future__ import annotations

from torch import Tensor, nn

from dferlib.models._frames import (
    encode_frames,
    frames_to_clip,
    last_frame,
    mean_over_frames,
    real_frames,
)
from dferlib.models._resnet import Pooled

KINDS = {"lstm": nn.LSTM, "gru": nn.GRU}


class FramesThenRecurrent(nn.Module):
    """See the top of this file. `maps` is the backbone: (N, channels, h, w) of (N, 3, H, W)."""

    def __init__(
        self, maps: nn.Module, channels: int, kind: str, hidden: int, layers: int, num_classes: int
    ) -> None:
        super().__init__()
        if layers < 0:
            raise ValueError(f"layers is {layers}; 1 or more, or 0 for the mean over the frames")
        self.backbone = Pooled(maps)
        self.recurrent = KINDS[kind](channels, hidden, layers, batch_first=True) if layers else None
        self.num_features = hidden if layers else channels
        self.head = nn.Linear(self.num_features, num_classes)
        self.record_attention = False  # part of the interface; there is no attention here
        self.attention: dict[str, Tensor] = {}

    @property
    def cam_layer(self) -> nn.Module:
        """The backbone's last stage; `cam_reshape` puts its output in clip order."""
        return self.backbone.maps[-1]

    def cam_reshape(self, activation: Tensor, num_frames: int) -> Tensor:
        """Return (B, C, T, h, w) for the backbone's (B T, C, h, w)."""
        return frames_to_clip(activation, num_frames)

    def forward_features(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the last state (B, hidden) of clips (B, 3, T, H, W)."""
        mask = real_frames(clip, lengths)
        frames = encode_frames(self.backbone, clip, mask)
        if self.recurrent is None:
            return mean_over_frames(frames, mask)
        # padding comes last and states look back only, so it need not be packed away
        return last_frame(self.recurrent(frames)[0], mask)

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); `lengths` (B,) are the frames before the padding."""
        return self.head(self.forward_features(clip, lengths))
