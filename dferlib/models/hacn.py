"""HACN: two attentions between the frames' features and a GRU.

X. Zhu, S. Ye, L. Zhao, Z. Dai: "Hybrid Attention Cascade Network for Facial Expression
Recognition", Sensors 21(6):2003, 2021, doi:10.3390/s21062003. The paper has no short name; HACN is
this project's.

ResNet-50 turns each of five frames into a vector. One attention weighs the frames by themselves, a
second one weighs them knowing the whole clip, and a GRU reads what is left as a sequence.

| paper                                        | argument    | default                          |
|----------------------------------------------|-------------|----------------------------------|
| rows of Tables 2 to 4                        | `attention` | "hybrid"; "none" is control 1    |
|                                              | `temporal`  | "gru"; "mean" is control 2       |
| Eq. 3 to 6, which contradict themselves      | `mode`      | "per_frame"                      |
| units of the GRU (§3.3)                      | `hidden`    | 128, whatever the width          |
| dropout (§3.3 names it, gives no rate)       | `dropout`   | 0.5, in front of both weights    |
| -                                            | `width`     | 1.0; scales all channels         |

With T_i the pooled features of frame i of k, M_i the map they are pooled from:

    alpha_i = sigmoid(theta . T_i)                                               Eq. 2
    g       = sum_i alpha_i T_i / sum_i alpha_i                                  Eq. 3
    beta_i  = sigmoid(omega * F_i), omega a 3x3 convolution                      Eq. 5
    F2      = sum_i beta_i F_i / sum_i beta_i                                    Eq. 6

Equations 3 and 6 sum over the frame i that their left sides keep, and Eq. 4 gives a result with an
i for what it concatenates over all i. The readings of what a frame is after that:

- "per_frame": F_i = [T_i : g], as in the frame attention networks (FAN, ICIP 2019) whose formulas
  these are: their code, too, concatenates on dimension 1. Eq. 6 without its sum: the GRU reads
  y_i = k beta_i F_i / sum beta. A pooled vector is a 1x1 map to omega, so only the middle tap acts.
- "literal": Eq. 3, 4 and 6 as printed. F_i = g for every i, so all beta are equal and cancel in
  Eq. 6: the second attention has no effect and no gradient, and the GRU reads one step.
- "map": F_i = k alpha_i M_i / sum alpha, Eq. 3 without its sum and before pooling ("1x1 average
  pooling" is then the identity); omega gives a weight to each place, y_i is pooled at the end. The
  only reading with a heat map of its own, which Fig. 5 seems to show.

Where a sum is left out, its k terms are no longer added up; times k each frame keeps the size that
control group 1 gives it. Without that the GRU reads a fifth of it (a twenty-fifth in "map") at the
same learning rate. Theta and omega start near zero, so that every frame and place starts with an
even share: drawn like the backbone, nearly every beta starts at 0 or 1 and omega has no gradient.
The GRU's input weights are drawn by its 4096 inputs, not by its 128 states.

`temporal="mean"` classifies the mean of the y_i, which is Eq. 6 with its sum. `attention="self"`
stops after Eq. 2 and 3 (without the sum): Fig. 5 compares with it.

25,170,633 parameters for 7 classes: ResNet-50 23,508,032, theta 2,049, omega 36,865, GRU 1,622,784,
classifier 903. The paper prints none.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.models.parts.build import check_choices, near_zero, open_recurrent
from dferlib.models.parts.frames import (
    FrameModel,
    encode_frames,
    last_frame,
    mean_over_frames,
    real_frames,
)
from dferlib.models.parts.resnet import ResNet50, imagenet_resnet50

INPUT = (3, 5, 224, 224)

ATTENTION = ("none", "self", "hybrid")
MODES = ("per_frame", "literal", "map")
TEMPORAL = ("gru", "mean")
PRETRAIN_OPTIONS = {  # only ResNet-50 is carried over; the rest at one value, for one cache
    "attention": "none",
    "mode": "per_frame",
    "temporal": "mean",
    "hidden": 128,
    "dropout": 0.5,
}


def build(
    num_classes: int,
    *,
    attention: str = "hybrid",
    mode: str = "per_frame",
    temporal: str = "gru",
    hidden: int = 128,
    dropout: float = 0.5,
    width: float = 1.0,
) -> HACN:
    """Build HACN, a control group, or another reading; see the table at the top of this file."""
    check_choices(
        attention=(attention, ATTENTION), mode=(mode, MODES), temporal=(temporal, TEMPORAL)
    )
    if mode != "per_frame" and attention != "hybrid":
        raise ValueError(
            f"mode is {mode!r}, which says how both attentions are joined, but attention is "
            f"{attention!r}; use attention='hybrid'"
        )
    return HACN(num_classes, ResNet50(width), attention, mode, temporal, hidden, dropout)


class FrameWeights(nn.Module):
    """Eq. 2 without the sigmoid: one number (B, T) for each frame's vector T_i (B, T, D)."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.theta = nn.Linear(channels, 1)
        near_zero(self.theta)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the logits of alpha."""
        return self.theta(self.dropout(vectors)).squeeze(-1)


class PlaceWeights(nn.Module):
    """Eq. 5 without the sigmoid: a number (B, T, h, w) for each place of maps (B, T, D, h, w)."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.omega = nn.Conv2d(channels, 1, 3, padding=1)
        near_zero(self.omega)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the logits of beta; a vector is a map of 1x1."""
        logits = self.omega(self.dropout(maps.flatten(0, 1)))
        return logits.squeeze(1).unflatten(0, maps.shape[:2])


def relative(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Return k sigmoid(x_i) / sum_j sigmoid(x_j) over the k frames j of logits (B, T, ...).

    These average to 1 over the frames, so what they weigh keeps its size. By way of logarithms, so
    that weights that all round to zero still have shares. 0 where `mask` (B, T) is False.
    """
    scores, frames = F.logsigmoid(logits), logits.shape[1]
    if mask is not None:
        real = mask.view(*mask.shape, *(1 for _ in logits.shape[2:]))
        scores, frames = scores.masked_fill(~real, -torch.inf), real.sum(1, keepdim=True)
    return frames * scores.softmax(1)


class HACN(FrameModel):
    """The whole network; see `build`.

    Recorded maps: "self" (B, T), alpha; "hybrid" (B, T), beta, or with mode "map" (B, T, h, w). Not
    there where the attention is not; 0 at padded frames.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: ResNet50,
        attention: str,
        mode: str,
        temporal: str,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        channels, hybrid = backbone.channels, attention == "hybrid"
        size = 2 * channels if hybrid and mode == "per_frame" else channels
        self.backbone, self.mode = backbone, mode
        self.frame_weights = FrameWeights(channels, dropout) if attention != "none" else None
        self.place_weights = PlaceWeights(size, dropout) if hybrid else None
        self.gru = nn.GRU(size, hidden, batch_first=True) if temporal == "gru" else None
        if self.gru is not None:
            open_recurrent(self.gru)
        self.num_features = hidden if temporal == "gru" else size
        self.head = nn.Linear(self.num_features, num_classes)

    def attend(self, maps: Tensor, mask: Tensor | None) -> Tensor:
        """Return what the GRU reads, (B, steps, D), for the frames' maps M (B, T, C, h, w)."""
        vectors = maps.mean((3, 4))  # T_i
        if self.frame_weights is None:
            return vectors
        alpha = self._keep("self", self.frame_weights(vectors), mask)  # Eq. 2
        weighted = relative(alpha, mask)[..., None] * vectors  # Eq. 3 without its sum, times k
        if self.place_weights is None:
            return weighted
        if self.mode == "map":
            joined = relative(alpha, mask)[..., None, None, None] * maps
        else:
            g = mean_over_frames(weighted, mask)[:, None].expand_as(vectors)  # Eq. 3
            joined = torch.cat([vectors, g], 2) if self.mode == "per_frame" else g  # Eq. 4
            joined = joined[..., None, None]
        beta = self._keep("hybrid", self.place_weights(joined), mask)  # Eq. 5
        y = (relative(beta, mask).unsqueeze(2) * joined).mean((3, 4))  # Eq. 6 likewise
        return mean_over_frames(y, mask)[:, None] if self.mode == "literal" else y

    def forward_features(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return what the classifier reads (B, D) of clips (B, 3, T, H, W)."""
        mask = real_frames(clip, lengths)
        self.attention = {}
        y = self.attend(encode_frames(self.backbone, clip, mask), mask)
        steps = None if self.mode == "literal" else mask
        if self.gru is not None:
            # padding comes last and states look back only, so it need not be packed away
            return last_frame(self.gru(y)[0], steps)
        return mean_over_frames(y, steps)  # with attention that is the sum of Eq. 6

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); `lengths` (B,) are the frames before the padding."""
        return self.head(self.forward_features(clip, lengths))

    def _keep(self, name: str, logits: Tensor, mask: Tensor | None) -> Tensor:
        """Record the weights where that is asked for; returns the logits as they are."""
        if self.record_attention:
            weights = logits.detach().sigmoid()
            if name == "hybrid" and self.mode != "map":
                weights = weights[:, :, 0, 0]
            if mask is not None:
                weights = weights * mask.view(*mask.shape, *(1 for _ in weights.shape[2:]))
            self.attention[name] = weights
        return logits


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of ResNet-50 (downloaded once)."""
    return imagenet_resnet50("backbone.", options["width"])
