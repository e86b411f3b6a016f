"""FAN: every frame gets a weight, first from itself, then from itself beside the whole clip.

D. Meng, X. Peng, K. Wang, Y. Qiao: "Frame attention networks for facial expression recognition in
videos", ICIP 2019. ResNet-18 turns each frame into f_i; self-attention weighs it by alpha_i, and
the weighted mean is the clip f'; relation attention weighs [f_i : f'] by beta_i.

| meaning                                   | argument     | default    |
|-------------------------------------------|--------------|------------|
| "self": alpha alone; "relation": both     | `attention`  | "relation" |
| which mean evaluation takes, see below    | `evaluation` | "as-trained" |
| holds the other mode's classifier, too    | `both_heads` | False      |
| scales all channels                       | `width`      | 1.0        |

Training takes sum(alpha_i beta_i [f_i : f']) / sum(alpha_i beta_i) in the paper and in its public
code. In evaluation that code leaves beta out of the numerator, but not out of the denominator:
sum(alpha_i [f_i : f']) / sum(alpha_i beta_i). The result is then too large by a factor that differs
from clip to clip, so that the classifier's biases weigh less than they were trained to.
evaluation="published" does that, to show what it changes; the default evaluates what was trained.

Both layers in front of a sigmoid start near zero: drawn like others, a third of the weights is
beyond .05 and .95 before anything is learned.

11,185,225 parameters for 7 classes; 11,188,816, as the public file has it, with the classifier of
the mode that is not run. Padded frames are masked, so clips of any length can be given.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dferlib.models.parts.build import check_choices, initialise, near_zero
from dferlib.models.parts.frames import FrameModel, encode_frames, real_frames
from dferlib.models.parts.resnet import Pooled, ResNet18, imagenet_resnet18

INPUT = (3, 3, 224, 224)  # three frames in training

ATTENTION = ("self", "relation")
EVALUATION = ("as-trained", "published")
PRETRAIN_AS = "resnet18_lstm"  # of which the backbone is carried over


def build(
    num_classes: int,
    *,
    attention: str = "relation",
    evaluation: str = "as-trained",
    both_heads: bool = False,
    width: float = 1.0,
) -> FAN:
    """Build FAN; see the table at the top of this file."""
    check_choices(attention=(attention, ATTENTION), evaluation=(evaluation, EVALUATION))
    return FAN(num_classes, ResNet18(width), attention == "relation", evaluation, both_heads)


class FAN(FrameModel):
    """The whole network; see `build`.

    Recorded maps (B, T): "alpha", "beta" where it is there, and "frames", the share of the clip
    that each frame was trained to have, alpha beta over its sum; 0 at padded frames.
    """

    def __init__(
        self, num_classes: int, maps: ResNet18, relation: bool, evaluation: str, both_heads: bool
    ) -> None:
        super().__init__()
        dim = maps.channels
        self.backbone = Pooled(maps)
        self.alpha = nn.Linear(dim, 1)
        self.beta = nn.Linear(2 * dim, 1) if relation else None
        self.dropout = nn.Dropout(0.5)
        self.num_features = 2 * dim if relation else dim
        other = 3 * dim - self.num_features
        self.spare_head = nn.Linear(other, num_classes) if both_heads else None
        self.head = nn.Sequential(
            nn.Dropout(0.6 if relation else 0.5), nn.Linear(self.num_features, num_classes)
        )
        self.evaluation = evaluation
        for part in (self.spare_head, self.head):
            if part is not None:
                initialise(part)
        for gate in (self.alpha, self.beta):
            if gate is not None:
                near_zero(gate)

    def forward_features(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the weighted mean (B, 1024 x width; 512 x width for "self") of the frames."""
        mask = real_frames(clip, lengths)
        f = encode_frames(self.backbone, clip, mask)
        alpha = self._weigh(self.alpha, f, mask)
        mean = (alpha * f).sum(1) / alpha.sum(1)
        maps, weight = {"alpha": alpha[..., 0]}, alpha
        if self.beta is not None:
            pair = torch.cat([f, mean[:, None].expand_as(f)], dim=2)
            beta = self._weigh(self.beta, pair, mask)
            maps["beta"] = beta[..., 0]
            weight = alpha * beta
            as_trained = self.training or self.evaluation == "as-trained"
            mean = ((weight if as_trained else alpha) * pair).sum(1) / weight.sum(1)
        maps["frames"] = (weight / weight.sum(1, keepdim=True))[..., 0]
        self.attention = {k: v.detach() for k, v in maps.items()} if self.record_attention else {}
        return mean

    def forward(self, clip: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, num_classes); `lengths` (B,) are the frames before the padding."""
        return self.head(self.forward_features(clip, lengths))

    def _weigh(self, layer: nn.Linear, x: Tensor, mask: Tensor | None) -> Tensor:
        weights = layer(self.dropout(x)).sigmoid()
        return weights if mask is None else weights * mask[..., None]


def torchvision_weights(**options: float) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of ResNet-18 (downloaded once)."""
    return imagenet_resnet18("backbone.maps.", options["width"])
