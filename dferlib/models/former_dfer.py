"""Former-DFER: a spatial transformer inside ResNet-18, then a temporal transformer over the frames.

Z. Zhao, Q. Liu: "Former-DFER: Dynamic facial expression recognition transformer", ACM Multimedia
2021. The convolutional spatial transformer attends over the 7x7 positions of each frame between the
third and fourth stage of ResNet-18; the temporal transformer reads one vector a frame with a class
token in front, which is classified.

| meaning                                   | argument          | default                       |
|-------------------------------------------|-------------------|-------------------------------|
| layers of the spatial transformer         | `spatial_layers`  | 1                             |
| layers of the temporal transformer        | `temporal_layers` | 3; 0 takes the mean of frames |
| heads of both                             | `heads`           | 8                             |
| most frames a clip may have               | `num_frames`      | 16                            |
| side of the frames the positions are for  | `input_size`      | 112                           |
| scales all channels                       | `width`           | 1.0                           |

Sizes are those of the authors' public code: 256 and 512 channels, hidden layers twice as wide, no
bias in queries, keys and values, no dropout, no norm after the last layer, GELU by its tanh
formula. 18,031,943 parameters for 7 classes, 16.6 GFLOPs at 16 frames of 112 px (2 a MAC). On DFEW
53.69/65.70 (UAR/WAR).

Shorter clips use the first positions, padded frames are masked, and the learned positions of the
7x7 grid are resized for frames of another size; the published code reads 16 frames of 112 px only.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.models.parts.attention import attend, attention_weights, merge_heads, split_heads
from dferlib.models.parts.build import scaler
from dferlib.models.parts.frames import (
    FrameModel,
    encode_frames,
    mean_over_frames,
    positions_on_grid,
    real_frames,
)
from dferlib.models.parts.resnet import ResNet18, imagenet_resnet18

INPUT = (3, 16, 112, 112)

PRETRAIN_AS = "resnet18_lstm"  # only ResNet-18 is carried over
PRETRAIN_NAMES = {"backbone.maps.": "backbone.resnet."}


def build(
    num_classes: int,
    *,
    spatial_layers: int = 1,
    temporal_layers: int = 3,
    heads: int = 8,
    num_frames: int = 16,
    input_size: int = 112,
    width: float = 1.0,
) -> FormerDFER:
    """Build Former-DFER; see the table at the top of this file."""
    spatial = Spatial(width, spatial_layers, heads, input_size)
    return FormerDFER(num_classes, spatial, scaler(width)(512), temporal_layers, heads, num_frames)


class Layer(nn.Module):
    """Pre-norm self-attention and a feed-forward network, each with a residual."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{dim} channels cannot be shared by {heads} heads")
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.project = nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, 2 * dim),
            nn.GELU(approximate="tanh"),
            nn.Linear(2 * dim, dim),
        )

    def forward(self, x: Tensor, mask: Tensor | None, keep: bool) -> tuple[Tensor, Tensor | None]:
        """Return the new tokens (B, N, D) and, with `keep`, the weights (B, heads, N, N).

        `mask` (B, 1, 1, N) is False at keys that nobody may read.
        """
        q, k, v = split_heads(self.qkv(self.norm(x)), self.heads)
        weights = attention_weights(q, k, mask) if keep else None
        x = x + self.project(merge_heads(attend(q, k, v, mask)))
        return x + self.feed_forward(x), weights


class Spatial(nn.Module):
    """ResNet-18 with a transformer over positions before its last stage: (N, 512) a frame."""

    def __init__(self, width: float, layers: int, heads: int, input_size: int) -> None:
        super().__init__()
        self.resnet = ResNet18(width)
        dim, side = scaler(width)(256), math.ceil(input_size / 16)
        positions = torch.randn(1, side * side, dim) if layers else None
        self.positions = nn.Parameter(positions) if layers else None
        self.layers = nn.ModuleList(Layer(dim, heads) for _ in range(layers))
        self.weights: list[Tensor] | None = None  # a list collects them

    @property
    def cam_layer(self) -> nn.Module:
        """The last stage of ResNet-18."""
        return self.resnet.cam_layer

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, 512 x width) for images (N, 3, H, W)."""
        *early, last = self.resnet
        x = images
        for part in early:
            x = part(x)
        if self.positions is not None:
            size = x.shape[2:]
            tokens = x.flatten(2).mT + positions_on_grid(self.positions, *size)
            for layer in self.layers:
                tokens, weights = layer(tokens, None, self.weights is not None)
                if weights is not None:
                    self.weights.append(weights.detach())
            x = tokens.mT.unflatten(2, size)
        return last(x).mean((2, 3))


class FormerDFER(FrameModel):
    """The whole network; see `build`.

    Recorded maps: "spatial<i>" (B, T, heads, hw, hw), "temporal<i>" (B, heads, T + 1, T + 1) and
    "temporal<i>.read" (B, T), what the class token reads from each frame, averaged over heads.
    """

    def __init__(
        self, num_classes: int, spatial: Spatial, dim: int, layers: int, heads: int, frames: int
    ) -> None:
        super().__init__()
        self.backbone = spatial
        self.layers = nn.ModuleList(Layer(dim, heads) for _ in range(layers))
        self.class_token = nn.Parameter(torch.randn(1, 1, dim)) if layers else None
        self.positions = nn.Parameter(torch.randn(1, frames + 1, dim)) if layers else None
        self.head = nn.Linear(dim, num_classes)
        self.num_features, self.num_frames = dim, frames

    def forward_features(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the class token (B, 512 x width) of clips (B, 3, T, H, W).

        ValueError for clips of more than `num_frames` frames.
        """
        mask = real_frames(clip, lengths)
        number, frames = clip.shape[0], clip.shape[2]
        if self.layers and frames > self.num_frames:
            raise ValueError(
                f"clip has {frames} frames, this model was built for up to {self.num_frames}; "
                "sample fewer, or build it with a larger num_frames"
            )
        self.attention = {}
        vectors = self._encode(clip, mask)
        if not self.layers:
            return mean_over_frames(vectors, mask)
        tokens = torch.cat([self.class_token.expand(number, -1, -1), vectors], dim=1)
        tokens = tokens + self.positions[:, : frames + 1]
        keys = None if mask is None else F.pad(mask, (1, 0), value=True)[:, None, None]
        for index, layer in enumerate(self.layers):
            tokens, weights = layer(tokens, keys, self.record_attention)
            if weights is not None:
                name = f"temporal{index + 1}"
                self.attention[name] = weights.detach()
                self.attention[f"{name}.read"] = weights.detach()[:, :, 0, 1:].mean(1)
        return tokens[:, 0]

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); `lengths` (B,) are the frames before the padding."""
        return self.head(self.forward_features(clip, lengths))

    def _encode(self, clip: Tensor, mask: Tensor | None) -> Tensor:
        """Return one vector a frame (B, T, D), and keep the spatial weights where asked."""
        if not self.record_attention:
            return encode_frames(self.backbone, clip, mask)
        self.backbone.weights = []
        try:
            vectors = encode_frames(self.backbone, clip, mask)
            for index, weights in enumerate(self.backbone.weights):
                place = torch.ones(clip.shape[0], clip.shape[2], dtype=torch.bool)
                place = place.to(clip.device) if mask is None else mask
                maps = weights.new_zeros(*place.shape, *weights.shape[1:])
                maps[place] = weights
                self.attention[f"spatial{index + 1}"] = maps
        finally:
            self.backbone.weights = None
        return vectors


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of ResNet-18 (downloaded once)."""
    return imagenet_resnet18("backbone.resnet.", options["width"])
