"""CEFLNet: a vector per frame, a vector per clip, one score per clip that says where emotion is.

Y. Liu, C. Feng, X. Yuan, L. Zhou, W. Wang, J. Qin, Z. Luo: "Clip-aware expressive feature learning
for video-based facial expression recognition", Information Sciences, 2022.

A video is n short clips of K frames. ResNet-18 turns each frame into f_k; self-attention (SAL) lets
the frames of a clip read each other; local-global relation learning (LRL) weights them against the
clip as a whole and gives one vector R_i; the emotional intensity activation network (EIAN) scores
the clips, scales each R_i by its score and keeps the maximum. No clip is labelled: the scores are
learned from the class of the video alone. All n K frames are one batch, there is no loop.

| paper                                          | argument     | default          |
|------------------------------------------------|--------------|------------------|
| rows of Table 6: none sal sal+lrl sal+lrl+eian | `parts`      | "sal+lrl+eian"   |
| "release" or "equations", see below            | `reading`    | "release"        |
| n clips, in order along T; K is T / n          | `num_clips`  | 7                |
| heads of the attention in "release"            | `heads`      | 4                |
| "batch": statistics over all frames together;  | `norm`       | "batch"          |
| "position": over each place in the video apart |              |                  |
| scales all channels                            | `width`      | 1.0              |

What is printed does not fix the network. Of 13 candidates one has both the printed parameters and
the printed multiply-accumulates, all five of them: the network that the authors published, here
reading="release". It has four heads with biases, dropout 0.1, a residual and a layer norm in SAL;
in LRL the maximum over the frames as f-hat', concatenated with the *raw* f_k, and these 1024 values
are what is weighted and averaged; a classifier 512-128-64-C. 12,828,807 parameters for 6 classes.
reading="equations" is Eq. 1 to 9 as printed: one head without biases, residual or norm, f'_k in
both Eq. 2 and 3, one linear layer; 12,230,215 parameters.

Not said: the pooling of f-hat' (maximum, as published), whether A depends on the class (Eq. 5 gives
one score a clip, and so does the published network), and how the rows of Table 6 without LRL or
EIAN end. Here a clip without LRL is f-hat' itself, and clips without EIAN are averaged; "none" is
the mean of the frames' logits, which for one linear layer is the logits of their mean. q^0 in front
of LRL's sigmoid starts near zero; drawn like other layers it shuts a quarter of the gates. The
authors loop over clips and frames, so that in training each position has batch statistics of its
own; that is norm="position".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.models.parts.attention import attention_weights, merge_heads, split_heads
from dferlib.models.parts.build import check_choices, initialise, near_zero, scaler
from dferlib.models.parts.frames import FrameModel, check_parts, encode_frames, refuse_lengths
from dferlib.models.parts.grouped_norm import NORMS, set_positions, use_positions
from dferlib.models.parts.resnet import Pooled, ResNet18, imagenet_resnet18

INPUT = (3, 35, 224, 224)  # Table 8: 7 clips of 5 frames

PARTS = ("none", "sal", "sal+lrl", "sal+lrl+eian")
READINGS = ("release", "equations")
PRETRAIN_AS = "resnet18_lstm"  # of which the backbone is carried over

Maps = dict[str, Tensor]


def build(
    num_classes: int,
    *,
    parts: str = "sal+lrl+eian",
    reading: str = "release",
    num_clips: int = 7,
    heads: int = 4,
    norm: str = "batch",
    width: float = 1.0,
) -> CEFLNet:
    """Build CEFLNet or a row of its Table 6; see the top of this file."""
    check_choices(parts=(parts, PARTS), reading=(reading, READINGS), norm=(norm, NORMS))
    if num_clips < 1:
        raise ValueError(f"num_clips is {num_clips}; a video has 1 clip or more")
    maps = ResNet18(width)
    if norm == "position":
        use_positions(maps)
    release, dim = reading == "release", maps.channels
    sal = lrl = eian = None
    if parts != "none":
        sal = SelfAttention(dim, heads) if release else PlainSelfAttention(dim)
    if "lrl" in parts:
        lrl = Relation(dim, raw=release)
    if "eian" in parts:
        eian = Intensity(dim)
    head = _classifier(dim, num_classes, width) if sal and release else nn.Linear(dim, num_classes)
    return CEFLNet(maps, num_clips, sal, lrl, eian, initialise(head))


class SelfAttention(nn.Module):
    """SAL as published: multi-head attention, residual, layer norm (Eq. 1 and more)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{dim} features are no multiple of heads={heads}; choose other heads")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(0.1)
        initialise(self)

    def forward(self, f: Tensor, keep: bool) -> tuple[Tensor, Tensor | None]:
        """Return f' for frames f (M, K, d) and, with `keep`, the weights (M, heads, K, K)."""
        q, k, v = split_heads(self.qkv(f), self.heads)
        weights = attention_weights(q, k) if keep else None
        dropout = self.dropout.p if self.training else 0.0
        read = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        read = self.project(merge_heads(read))
        return self.norm(f + self.dropout(read)), weights


class PlainSelfAttention(nn.Module):
    """SAL as printed: Eq. 1 with I W instead of W I, whose sides do not fit."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        initialise(self)

    def forward(self, f: Tensor, keep: bool) -> tuple[Tensor, Tensor | None]:
        """Return f' for frames f (M, K, d) and, with `keep`, the weights (M, 1, K, K)."""
        q, k, v = (layer(f)[:, None] for layer in (self.query, self.key, self.value))
        weights = attention_weights(q, k) if keep else None
        return F.scaled_dot_product_attention(q, k, v)[:, 0], weights


class Relation(nn.Module):
    """LRL, Eq. 2 and 3: frames weighted by how they relate to their clip, then one FC layer.

    `raw` takes the backbone's f_k and averages [f_k : f-hat'], as published; else f'_k alone.
    """

    def __init__(self, dim: int, raw: bool) -> None:
        super().__init__()
        self.raw = raw
        self.score = nn.Linear(2 * dim, 1)  # q^0
        self.project = nn.Linear(2 * dim if raw else dim, dim)  # q^1
        self.dropout = nn.Dropout(0.5 if raw else 0.0)
        initialise(self)
        near_zero(self.score)

    def forward(self, f: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return R (M, d) and w (M, K) for f and f', both (M, K, d)."""
        whole = attended.amax(1, keepdim=True).expand_as(attended)  # f-hat'
        frames = f if self.raw else attended
        pair = torch.cat([frames, whole], dim=2)
        w = self.score(self.dropout(pair)).sigmoid()  # Eq. 2
        mean = (w * (pair if self.raw else frames)).sum(1) / w.sum(1)
        return self.project(mean), w[..., 0]  # Eq. 3


class Intensity(nn.Module):
    """EIAN, Eq. 5 to 8: one score a clip, the clips scaled by it, the maximum over the clips."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Conv1d(dim, 1, 1, bias=False)  # W^T

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Return V-hat^f (B, d) and A (B, n), which sums to 1, for V^f (B, n, d)."""
        scores = self.score(clips.mT)[:, 0].softmax(1)  # Eq. 5
        return (scores[..., None] * clips).amax(1), scores  # Eq. 7, 8


class CEFLNet(FrameModel):
    """The whole network; see `build`. Clips (B, 3, T, H, W) hold n clips of T / n frames in order.

    Recorded maps, where the parts are there: "sal" (B, n, heads, K, K), rows the reading frame;
    "lrl" (B, n, K), w of Eq. 2; "eian" (B, n), A of Eq. 5, whose largest is the located clip.
    """

    def __init__(
        self,
        maps: ResNet18,
        num_clips: int,
        sal: nn.Module | None,
        lrl: Relation | None,
        eian: Intensity | None,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.backbone = Pooled(maps)
        self.num_clips = num_clips
        self.sal, self.lrl, self.eian = sal, lrl, eian
        self.head = head
        self.num_features = maps.channels

    def encode(self, clip: Tensor) -> Tensor:
        """Return f (B, T, d), one vector a frame, of clips (B, 3, T, H, W)."""
        check_parts(clip, self.num_clips)
        set_positions(self.backbone, clip.shape[2])
        return encode_frames(self.backbone, clip, None)

    def forward_features(self, clip: Tensor) -> Tensor:
        """Return the emotion-rich representation (B, d) of clips (B, 3, T, H, W)."""
        return self.relate(self.encode(clip))

    def relate(self, f: Tensor) -> Tensor:
        """Return what the classifier reads (B, d) for frame vectors f (B, T, d)."""
        self.attention = {}
        if self.sal is None:
            return f.mean(1)
        n, keep = self.num_clips, self.record_attention
        f = f.reshape(len(f) * n, -1, f.shape[2])  # I_i: clips are rows
        attended, weights = self.sal(f, keep)
        if self.lrl is None:
            clips, relation = attended.amax(1), None
        else:
            clips, relation = self.lrl(f, attended)
        clips = clips.unflatten(0, (-1, n))  # Eq. 4
        whole, scores = (clips.mean(1), None) if self.eian is None else self.eian(clips)
        if keep:
            maps = {"sal": weights.unflatten(0, (-1, n))}
            maps |= {} if relation is None else {"lrl": relation.unflatten(0, (-1, n))}
            maps |= {} if scores is None else {"eian": scores}
            self.attention = {name: value.detach() for name, value in maps.items()}
        return whole

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); ValueError if lengths are given."""
        refuse_lengths(self, lengths)
        return self.head(self.forward_features(clip))


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of ResNet-18 (downloaded once)."""
    return imagenet_resnet18("backbone.maps.", options["width"])


def _classifier(dim: int, num_classes: int, width: float) -> nn.Sequential:
    scale = scaler(width)
    first, second = scale(128), scale(64)
    return nn.Sequential(
        nn.Linear(dim, first),
        nn.ReLU(),
        nn.Linear(first, second),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Linear(second, num_classes),
    )
