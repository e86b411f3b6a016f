"""ECNN-FSA: an enhanced VGG-16 for each frame, self-attention among the frames of a video.

R. Chen, Y. Tong, Y. Zhang, B. Xu: "Video expression recognition based on frame-level attention
mechanism", High Technology Letters 29(2), 2023, doi:10.3772/j.issn.1006-6748.2023.02.003.

Every frame becomes one vector. Each vector asks all the others how well they fit to it, and is
replaced by a weighted mean of them: frames that many agree with count more. The mean of what comes
out stands for the video. Nothing in it knows the order of the frames.

| paper                                   | argument    | default                  |
|-----------------------------------------|-------------|--------------------------|
| FSA; Table 4's baseline is "scores"     | `fusion`    | "fsa"; "mean", "scores"  |
| s, what scores are multiplied by (§1.3) | `s`         | 0.1                      |
| number of FC layers (Table 6)           | `fc_layers` | 1                        |
| dropout (Table 1)                       | `dropout`   | 0.5                      |
| -                                       | `width`     | 1.0; scales all channels |

`backbone_dim`, `branch_dim`, `branch_kernel`, `tap` and `batch_norm` are those of the improved
VGG-16, see `parts/improved_vgg.py`.

What the paper leaves open, and what is done here:

- Equation 1 divides by the root of d_k, the method multiplies by s and never says that the division
  is dropped. It is: X* = softmax(s Q K^T) V, as in the work that §1.3 follows (Fajtl et al. 2018),
  which has one constant, 0.06. 1 / sqrt(2048) would be 0.022. No bias, one head, no output layer.
- How n vectors become one: the mean of the rows of X* (`readout`="mean"). "weights" takes the sum
  of the rows by W_sa, the mean weight that a frame gets from all frames.
- `residual` adds X to X*, as Fajtl et al. do and this paper does not say.
- §1.1 has FC, ReLU, dropout, FC; Table 1 has layer norm, ReLU, dropout, FC and is followed with one
  FC layer. With two, an FC layer of the same width stands in front of that.
- "scores" is the baseline "score fusion": the classifier on every frame, then the mean of the
  frames' probabilities. Its logits are the logarithm of that mean.
- 63.76 M parameters with these choices for 7 classes; the paper prints no sum.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.models.parts.attention import attention_weights
from dferlib.models.parts.build import check_choices, initialise
from dferlib.models.parts.frames import FrameModel, encode_frames, mean_over_frames, real_frames
from dferlib.models.parts.improved_vgg import ImprovedVGG16
from dferlib.models.parts.vgg16 import imagenet_vgg16

INPUT = (3, 5, 224, 224)

FUSIONS = ("fsa", "mean", "scores")
READOUTS = ("mean", "weights")
PRETRAIN_OPTIONS = {  # only the improved VGG-16 is carried over; one value for the rest: one cache
    "fusion": "mean",
    "s": 0.1,
    "readout": "mean",
    "residual": False,
    "fc_layers": 1,
    "dropout": 0.5,
}

Maps = dict[str, Tensor]


def build(
    num_classes: int,
    *,
    fusion: str = "fsa",
    s: float = 0.1,
    readout: str = "mean",
    residual: bool = False,
    fc_layers: int = 1,
    dropout: float = 0.5,
    backbone_dim: int = 1024,
    branch_dim: int = 1024,
    branch_kernel: int = 7,
    tap: str = "pool3",
    batch_norm: bool = False,
    width: float = 1.0,
) -> ECNNFSA:
    """Build ECNN-FSA or a row of its tables; see the table at the top of this file."""
    check_choices(fusion=(fusion, FUSIONS), readout=(readout, READOUTS))
    if fc_layers not in (1, 2):
        raise ValueError(f"fc_layers is {fc_layers!r}; 1 or 2")
    backbone = ImprovedVGG16(
        width,
        backbone_dim=backbone_dim,
        branch_dim=branch_dim,
        branch_kernel=branch_kernel,
        tap=tap,
        batch_norm=batch_norm,
    )
    attention = FrameAttention(backbone.num_features, s, readout, residual)
    classify = initialise(_classifier(backbone.num_features, num_classes, fc_layers, dropout))
    if fusion == "scores":
        classify = ScoreFusion(backbone.num_features, classify)
    return ECNNFSA(backbone, attention if fusion == "fsa" else None, classify)


class FrameAttention(nn.Module):
    """FSA (Fig. 3): self-attention among n frame vectors, and their fusion to one."""

    def __init__(self, dim: int, s: float, readout: str = "mean", residual: bool = False) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)  # W_q
        self.key = nn.Linear(dim, dim, bias=False)  # W_k
        self.value = nn.Linear(dim, dim, bias=False)  # W_v, printed as W_r in Eq. 2
        self.s, self.readout, self.residual = s, readout, residual
        initialise(self)

    def forward(self, x: Tensor, mask: Tensor | None = None, maps: Maps | None = None) -> Tensor:
        """Return the video's vector (B, D) for frame vectors (B, n, D).

        `mask` (B, n) is False at padded frames. `maps` gets "fsa" (B, n, n), the weight that a
        frame (row) gives to each, and "frames" (B, n), the mean weight that a frame is given.
        """
        q, k, v = self.query(x), self.key(x), self.value(x)  # Eq. 2
        keys = None if mask is None else mask[:, None]
        if maps is None and self.readout == "mean":
            saliency = F.scaled_dot_product_attention(q, k, v, attn_mask=keys, scale=self.s)
            return mean_over_frames(saliency + x if self.residual else saliency, mask)
        weights = attention_weights(q, k, keys, self.s)
        given = mean_over_frames(weights, mask)  # W_sa
        if maps is not None:
            maps |= {"fsa": weights.detach(), "frames": given.detach()}
        saliency = weights @ v  # X*
        saliency = saliency + x if self.residual else saliency
        if self.readout == "mean":
            return mean_over_frames(saliency, mask)
        return (given[:, None] @ saliency).squeeze(1)


class ScoreFusion(nn.Module):
    """The mean of the frames' class probabilities, as a logarithm: the baseline of Table 4.

    It reads the vectors of all frames in one row (B, n D); those of padded frames are NaN.
    """

    def __init__(self, dim: int, classify: nn.Module) -> None:
        super().__init__()
        self.dim, self.classify = dim, classify

    def forward(self, packed: Tensor) -> Tensor:
        """Return log probabilities (B, num_classes)."""
        x = packed.unflatten(1, (-1, self.dim))
        padded = x.isnan().any(2, keepdim=True)
        scores = self.classify(x.masked_fill(padded, 0)).log_softmax(-1)
        count = (~padded).sum(1)
        return scores.masked_fill(padded, -math.inf).logsumexp(1) - count.log()


class ECNNFSA(FrameModel):
    """The whole network (Fig. 1); see `build`. Recorded maps are those of `FrameAttention`."""

    def __init__(
        self, backbone: ImprovedVGG16, attention: FrameAttention | None, head: nn.Module
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.fsa = attention
        self.num_features = backbone.num_features
        self.head = head

    def forward_features(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return what the classifier reads (B, D) of clips (B, 3, T, H, W).

        For score fusion that is the vectors of all frames in a row, (B, T D).
        """
        mask = real_frames(clip, lengths)
        x = encode_frames(self.backbone, clip, mask)  # X, (B, n, D)
        self.attention = {}
        if isinstance(self.head, ScoreFusion):
            return (x if mask is None else x.masked_fill(~mask[..., None], math.nan)).flatten(1)
        if self.fsa is None:
            return mean_over_frames(x, mask)
        return self.fsa(x, mask, self.attention if self.record_attention else None)

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); `lengths` (B,) are the frames before the padding."""
        return self.head(self.forward_features(clip, lengths))


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of the thirteen convolutions (downloaded once).

    The paper's come from VGG-Face.
    """
    return imagenet_vgg16(
        "backbone.trunk.", options["width"], batch_norm=bool(options["batch_norm"])
    )


def _classifier(dim: int, num_classes: int, fc_layers: int, dropout: float) -> nn.Sequential:
    """Table 1, with one FC layer of the same width in front for each more than one."""
    front = [nn.Linear(dim, dim) for _ in range(fc_layers - 1)]
    last = nn.Linear(dim, num_classes)
    return nn.Sequential(*front, nn.LayerNorm(dim), nn.ReLU(), nn.Dropout(dropout), last)
