"""A 2-D backbone on every frame, recurrent layers over the frames, a linear classifier.

What the rows "VGG11+LSTM", "ResNet18+LSTM", "ResNet18+GRU" and "CNN-LSTM" of the field's tables
have in common. The last state is classified; without recurrent layers the mean over the frames is.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from dferlib.models.parts.frames import (
    FrameModel,
    encode_frames,
    last_frame,
    mean_over_frames,
    real_frames,
)
from dferlib.models.parts.resnet import Pooled

KINDS = {"lstm": nn.LSTM, "gru": nn.GRU}


class StackedLSTM(nn.Module):
    """LSTM layers of different sizes, one on the states of the other; the call is nn.LSTM's."""

    def __init__(self, inputs: int, states: Sequence[int]) -> None:
        super().__init__()
        if not states or min(states) < 1:
            raise ValueError(f"states is {tuple(states)}; one size of 1 or more for each layer")
        sizes = zip((inputs, *states), states, strict=False)
        self.layers = nn.ModuleList(nn.LSTM(i, o, batch_first=True) for i, o in sizes)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Return the states of the last layer (B, T, D) for vectors (B, T, inputs)."""
        for layer in self.layers:
            x = layer(x)[0]
        return x, None


class FramesThenRecurrent(FrameModel):
    """See the top of this file. `backbone` turns images (N, 3, H, W) into vectors (N, D)."""

    def __init__(
        self, backbone: nn.Module, recurrent: nn.Module | None, num_features: int, num_classes: int
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.recurrent = recurrent
        self.num_features = num_features
        self.head = nn.Linear(num_features, num_classes)

    def forward_features(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the last state (B, num_features) of clips (B, 3, T, H, W)."""
        mask = real_frames(clip, lengths)
        frames = encode_frames(self.backbone, clip, mask)
        if self.recurrent is None:
            return mean_over_frames(frames, mask)
        # padding comes last and states look back only, so it need not be packed away
        return last_frame(self.recurrent(frames)[0], mask)

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); `lengths` (B,) are the frames before the padding."""
        return self.head(self.forward_features(clip, lengths))


def pooled_recurrent(
    maps: nn.Module, channels: int, kind: str, hidden: int, layers: int, num_classes: int
) -> FramesThenRecurrent:
    """Build the model on feature maps (N, channels, h, w), pooled, with layers of one size.

    `kind` is "lstm" or "gru"; 0 `layers` take the mean over the frames.
    """
    if layers < 0:
        raise ValueError(f"layers is {layers}; 1 or more, or 0 for the mean over the frames")
    recurrent = KINDS[kind](channels, hidden, layers, batch_first=True) if layers else None
    features = hidden if layers else channels
    return FramesThenRecurrent(Pooled(maps), recurrent, features, num_classes)
