"""Peak CNN: one frame instead of a sequence.

A baseline of this project, not of a paper: a small plain 2-D CNN that sees only the last
frame of a clip, which is the peak for the sampler "neutral_to_peak". The distance between its
accuracy and that of a dynamic model on the same clips is what the sequence is worth.

| meaning                               | argument  | default |
|---------------------------------------|-----------|---------|
| scales all channels                   | `width`   | 1.0     |
| which frame is read, as a list index  | `frame`   | -1      |
| dropout before the classifier         | `dropout` | 0.0     |
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dferlib.models.parts.build import initialise, scaler
from dferlib.models.parts.frames import ClipModel, check_clip

INPUT = (3, 7, 224, 224)  # as STCAM, beside which it stands

CHANNELS = (32, 64, 128, 256)
PRETRAIN_OPTIONS = {"frame": -1}  # pre-trained on stills, whichever frame it reads later


def build(
    num_classes: int, *, width: float = 1.0, frame: int = -1, dropout: float = 0.0
) -> PeakCNN:
    """Build the single-frame baseline; see the table at the top of this file."""
    return initialise(PeakCNN(num_classes, width, frame, dropout))


class PeakCNN(ClipModel):
    """Four stages of two 3x3 convolutions on one frame, average pooling, one linear layer."""

    def __init__(self, num_classes: int, width: float, frame: int, dropout: float) -> None:
        super().__init__()
        widths = [*map(scaler(width, multiple=4), CHANNELS)]
        stages = [_conv(3, widths[0], 2)]
        for inputs, outputs in zip([widths[0], *widths[:-1]], widths, strict=True):
            stages.append(nn.Sequential(_conv(inputs, outputs, 2), _conv(outputs, outputs, 1)))
        self.stages = nn.Sequential(*stages)
        middle = [nn.Dropout(dropout)] if dropout > 0 else []
        self.head = nn.Sequential(*middle, nn.Linear(widths[-1], num_classes))
        self.frame = frame
        self.num_features = widths[-1]

    @property
    def cam_layer(self) -> nn.Module:
        """The last stage, whose output the average pooling sees."""
        return self.stages[-1]

    def cam_reshape(self, activation: Tensor, num_frames: int) -> Tensor:
        """Put (B, C, H, W) at its frame of an otherwise empty (B, C, T, H, W)."""
        clip = activation.new_zeros(num_frames, *activation.shape)
        clip[self.frame] = activation
        return clip.permute(1, 2, 0, 3, 4)

    def forward_features(self, clip: Tensor) -> Tensor:
        """Return the pooled features (B, 256 x width) of clips (B, 3, T, H, W)."""
        check_clip(clip)
        return self.stages(clip[:, :, self.frame]).mean((2, 3))

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); with `lengths` (B,), the last frame that is not padding.

        `lengths` are allowed only for `frame=-1`; ValueError otherwise.
        """
        if lengths is None:
            return self.head(self.forward_features(clip))
        if self.frame != -1:
            raise ValueError(f"lengths given, but this model reads frame {self.frame} of all clips")
        last = (lengths.to(clip.device) - 1).view(-1, 1, 1, 1, 1).expand(-1, 3, 1, *clip.shape[3:])
        return self.head(self.forward_features(torch.gather(clip, 2, last)))


def _conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
