"""STT: attention over space, then over time, in every block of one transformer on CNN features.

F. Ma, B. Sun, S. Li: "Spatio-Temporal Transformer for Dynamic Facial Expression Recognition in the
Wild", 2022, arXiv:2205.04749.

ResNet-18 turns each of 16 frames into a small grid of tokens. A block lets every token read the
other tokens of its own frame, then the tokens at its own place in all frames, then passes it
through an MLP. A class token stands in front of the frames, one at each place, and is what the
classifier reads.

| paper                                     | argument      | default                          |
|-------------------------------------------|---------------|----------------------------------|
| rows of Table 1                           | `attention`   | "spatial+temporal", which is STT |
| N, number of blocks (§4.2)                | `layers`      | 4                                |
| N_h, number of heads (§4.2)               | `heads`       | 8                                |
| d, width of a token (§4.2)                | `dim`         | 512                              |
| F = S T, most frames of a clip (§3.2)     | `num_frames`  | 16                               |
| side of the frames (§4.2)                 | `input_size`  | 112                              |
| -                                         | `width`       | 1.0; scales all channels and d   |

What the paper leaves open, and what is done here:

- Which stage gives "high-level feature maps": `stage`, default layer4, 4x4 at 112 px, the one whose
  512 channels fit the projection to d = 512; layer3 has 256x7x7.
- The shapes of Eq. 2 say one class token for each place, Eq. 9 prints that of place 0 for all, and
  its text says k'_(p,0): each place reads its own. All start from one learned vector.
- Which class token is classified (Eq. 13 says place 0, but places are counted from 1): `readout`,
  "class-mean" over the places, "class-first", or "frames-mean", the mean over all other tokens. The
  last is the only one for spatial attention alone, whose class token never sees a frame.
- Eq. 6 is printed for frames 1 to F. `class_frame` lets the class tokens attend to each other, too.
- MLP: `mlp_ratio` 2 and no bias in q, k, v, as in Former-DFER's code, whose protocol the paper says
  it follows; an own layer norm before each part, none after the last block; no dropout.
- Sizes are not printed. Here 24,065,607 parameters for 7 classes (21.97 M with MLP ratio 1, 28.26 M
  with 4).
- Tokens and positions start from a truncated normal of 0.02.
- The first row of Table 1 replaces the transformer by "a simple LSTM": attention="lstm", one layer
  of d on the pooled features. "none" averages them.
- Shorter clips use the first temporal positions, padded frames are masked, and spatial positions
  are resized for frames of another size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.models.parts.attention import attend, attention_weights, merge_heads, split_heads
from dferlib.models.parts.build import check_choices, scaler
from dferlib.models.parts.frames import (
    FrameModel,
    encode_frames,
    last_frame,
    mean_over_frames,
    positions_on_grid,
    real_frames,
)
from dferlib.models.parts.resnet import ResNet18, imagenet_resnet18

INPUT = (3, 16, 112, 112)

ATTENTION = ("none", "lstm", "spatial", "temporal", "spatial+temporal")
READOUTS = ("class-mean", "class-first", "frames-mean")
PRETRAIN_AS = "resnet18_lstm"  # §4.2: only ResNet-18 is carried over, and pre-trained once
PRETRAIN_NAMES = {"backbone.maps.": "backbone."}

Maps = dict[str, Tensor]


def build(
    num_classes: int,
    *,
    attention: str = "spatial+temporal",
    layers: int = 4,
    heads: int = 8,
    dim: int = 512,
    mlp_ratio: int = 2,
    stage: str = "layer4",
    readout: str = "class-mean",
    class_frame: bool = True,
    num_frames: int = 16,
    input_size: int = 112,
    width: float = 1.0,
) -> STT:
    """Build STT, a row of its Table 1, or its pooled backbone; see the top of this file."""
    check_choices(attention=(attention, ATTENTION), readout=(readout, READOUTS))
    if attention == "spatial" and readout != "frames-mean":
        raise ValueError(
            f"readout is {readout!r}, but with spatial attention alone the class token sees no "
            "frame; use readout='frames-mean'"
        )
    dim = scaler(width)(dim)
    if dim % heads:
        raise ValueError(f"dim is {dim} at width {width}; it must be a multiple of heads={heads}")
    backbone = ResNet18(width, stage)
    if attention in ("none", "lstm"):
        return STT(num_classes, backbone, None, dim if attention == "lstm" else 0)
    side = math.ceil(input_size / backbone.stride)
    transformer = Transformer(backbone.channels, dim, side * side, num_frames, readout)
    for _ in range(layers):
        transformer.blocks.append(Block(dim, heads, mlp_ratio, attention, class_frame))
    return STT(num_classes, backbone, transformer, dim)


class Attention(nn.Module):
    """Multi-head self-attention with its layer norm and output projection (Eq. 3-8 or 9-11)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)  # W_Q, W_K, W_V
        self.project = nn.Linear(dim, dim)  # W_O

    def forward(
        self, z: Tensor, mask: Tensor | None = None, keep: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Return what is added to z (M, N, d) and, with `keep`, the weights (M, heads, N, N).

        `mask` (M, 1, 1, N) is False at keys that nobody may read.
        """
        q, k, v = split_heads(self.qkv(self.norm(z)), self.heads)  # Eq. 3-5
        weights = attention_weights(q, k, mask) if keep else None
        read = attend(q, k, v, mask)  # Eq. 6-7, 9-10
        return self.project(merge_heads(read)), weights  # Eq. 8, 11


class Block(nn.Module):
    """Spatial attention, temporal attention, MLP; either attention may be left out (Table 1)."""

    def __init__(
        self, dim: int, heads: int, mlp_ratio: int, attention: str, class_frame: bool
    ) -> None:
        super().__init__()
        parts = attention.split("+")
        self.spatial = Attention(dim, heads) if "spatial" in parts else None
        self.temporal = Attention(dim, heads) if "temporal" in parts else None
        self.class_frame = class_frame
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, mlp_ratio * dim),
            nn.GELU(),
            nn.Linear(mlp_ratio * dim, dim),
        )

    def forward(self, z: Tensor, keys: Tensor | None, maps: Maps | None, name: str) -> Tensor:
        """Return the block's output for z (B, frames, HW, d); `keys` (B, frames) may be read."""
        keep = maps is not None
        number, frames, places, _ = z.shape
        if self.spatial is not None:
            skip = 0 if self.class_frame or self.temporal is None else 1
            rows = z[:, skip:].flatten(0, 1)
            change, weights = self.spatial(rows, keep=keep)
            change = change.unflatten(0, (number, frames - skip))
            z = z + F.pad(change, (0, 0, 0, 0, skip, 0))  # Eq. 8
            if keep:
                maps[f"{name}.spatial"] = weights.detach().unflatten(0, (number, frames - skip))
        if self.temporal is not None:
            columns = z.transpose(1, 2).flatten(0, 1)  # (B HW, F + 1, d)
            mask = None if keys is None else keys.repeat_interleave(places, 0)[:, None, None]
            change, weights = self.temporal(columns, mask, keep)
            z = z + change.unflatten(0, (number, places)).transpose(1, 2)  # Eq. 11
            if keep:
                maps[f"{name}.temporal"] = weights.detach().unflatten(0, (number, places))
        return z + self.mlp(z)  # Eq. 12


class Transformer(nn.Module):
    """From feature maps (B, F, C, h, w) to what the classifier reads (B, d): Eq. 1 to 12."""

    def __init__(self, channels: int, dim: int, places: int, frames: int, readout: str) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, dim, 1)
        self.space = nn.Parameter(torch.empty(1, places, dim))
        self.time = nn.Parameter(torch.empty(1, frames + 1, dim))
        self.class_token = nn.Parameter(torch.empty(1, 1, 1, dim))
        for parameter in (self.space, self.time, self.class_token):
            nn.init.trunc_normal_(parameter, std=0.02)
        self.blocks = nn.ModuleList()
        self.readout = readout

    def embed(self, x: Tensor) -> Tensor:
        """Return z^0 (B, F + 1, HW, d) for feature maps (B, F, C, h, w); §3.2."""
        number, frames = x.shape[:2]
        if frames >= self.time.shape[1]:
            raise ValueError(
                f"clip has {frames} frames, this model was built for up to "
                f"{self.time.shape[1] - 1}; sample fewer, or build it with a larger num_frames"
            )
        tokens = self.project(x.flatten(0, 1)).flatten(2).mT  # f_1, (B F, HW, d)
        tokens = tokens + positions_on_grid(self.space, *x.shape[3:])  # Eq. 1
        tokens = tokens.unflatten(0, (number, frames))
        first = self.class_token.expand(number, 1, tokens.shape[2], -1)
        z = torch.cat([first, tokens], dim=1)
        return z + self.time[:, : frames + 1].unsqueeze(2)  # Eq. 2

    def forward(self, x: Tensor, mask: Tensor | None, maps: Maps | None) -> Tensor:
        """Return (B, d); `mask` (B, F) is False at padded frames."""
        z = self.embed(x)
        keys = None if mask is None else F.pad(mask, (1, 0), value=True)
        if all(block.temporal is None for block in self.blocks):
            z, keys = z[:, 1:], mask  # nothing can reach the class tokens
        for index, block in enumerate(self.blocks):
            z = block(z, keys, maps, f"block{index + 1}")
        if self.readout == "frames-mean":
            return mean_over_frames(z[:, -x.shape[1] :].mean(2), mask)
        return z[:, 0].mean(1) if self.readout == "class-mean" else z[:, 0, 0]


class STT(FrameModel):
    """The whole network; see `build`.

    Recorded maps, weights of every block i: "block<i>.spatial" (B, F + 1, heads, hw, hw),
    "block<i>.temporal" (B, hw, heads, F + 1, F + 1), and "block<i>.read" (B, F, h, w), what the
    class token at a place reads from the frames at that place, averaged over heads. The first index
    of F + 1 is the class frame; it is absent from "spatial" where spatial attention leaves it out.
    """

    def __init__(
        self, num_classes: int, backbone: ResNet18, transformer: Transformer | None, dim: int
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.transformer = transformer
        recurrent = transformer is None and dim > 0
        self.lstm = nn.LSTM(backbone.channels, dim, batch_first=True) if recurrent else None
        self.num_features = dim or backbone.channels
        self.head = nn.Linear(self.num_features, num_classes)

    def forward_features(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return what the classifier reads (B, d) of clips (B, 3, T, H, W)."""
        mask = real_frames(clip, lengths)
        x = encode_frames(self.backbone, clip, mask)  # f_0, (B, F, C, h, w)
        self.attention = {}
        if self.transformer is None:
            vectors = x.mean((3, 4))
            if self.lstm is None:
                return mean_over_frames(vectors, mask)
            return last_frame(self.lstm(vectors)[0], mask)
        features = self.transformer(x, mask, self.attention if self.record_attention else None)
        for name in [key for key in self.attention if key.endswith(".temporal")]:
            read = self.attention[name][:, :, :, 0, 1:].mean(2).mT  # (B, F, hw)
            self.attention[name.replace("temporal", "read")] = read.unflatten(2, x.shape[3:])
        return features

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes) (Eq. 13); `lengths` (B,) are the frames before padding."""
        return self.head(self.forward_features(clip, lengths))


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of ResNet-18 (downloaded once).

    The paper's come from faces, MS-Celeb-1M, which its owner withdrew.
    """
    return imagenet_resnet18("backbone.", options["width"])
