"""The papers' training losses, by name.

A loss takes (logits (B, K), target (B,)) and returns a scalar, the mean over the batch. One whose
`needs_features` is True takes the features (B, D) that the classifier reads as a third argument.
`num_classes` and `feature_dim` may be given for every name; those that need them use them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.device import widened
from dferlib.names import unknown_name

Loss = Callable[..., Tensor]


def cross_entropy() -> Loss:
    """Softmax cross entropy, the loss of a softmax classifier (STCAM §4.2 names no other)."""
    return F.cross_entropy


def binary() -> Loss:
    """Binary cross entropy of every class on softmax probabilities, summed over the classes.

    CEFLNet Eq. 11 with the brackets that it lacks: -[Y log p + (1 - Y) log(1 - p)].
    """
    return _binary


def _binary(logits: Tensor, target: Tensor) -> Tensor:
    own = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = logits[:, None].masked_fill(own, -torch.inf).logsumexp(2)
    log_not = others - logits.logsumexp(1, keepdim=True)  # log(1 - p_c), also where p_c is near 1
    chosen = own[target]
    return -torch.where(chosen, logits.log_softmax(1), log_not).sum(1).mean()


class LabelSmoothing(nn.Module):
    """Cross entropy to (1 - smoothing) of the true class and smoothing / K of every class.

    STT Eq. 14-16 with lambda = `smoothing`. Eq. 14 is printed as s = q + lambda u, which sums to
    1 + lambda and contradicts Eq. 16; this is Eq. 16. The paper prints no lambda; 0.1 is usual.
    """

    needs_features = False

    def __init__(self, smoothing: float = 0.1) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing is {smoothing!r}; it lies in 0 to below 1")
        self.smoothing = smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss."""
        return F.cross_entropy(logits, target, label_smoothing=self.smoothing)


class Compact(nn.Module):
    """Compact softmax cross entropy: the classes that are not the target are made equally likely.

    STT Eq. 17-20 with beta = `beta` (§4.2: 0.2): cross entropy plus beta / 2 of the symmetric
    Kullback-Leibler divergence between p', the softmax over the K - 1 other logits, and the uniform
    u'. Both directions together are sum over c of (p'_c - u'_c) log p'_c, which is what is computed
    (T. Kobayashi, "Large margin in softmax cross-entropy loss", BMVC 2019, with another factor).
    """

    needs_features = False

    def __init__(self, beta: float = 0.2) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss."""
        log_p = other_log_probabilities(logits, target)
        divergence = ((log_p.exp() - 1 / log_p.shape[1]) * log_p).sum(1)
        return F.cross_entropy(logits, target) + self.beta / 2 * divergence.mean()


class CompactAsPrinted(Compact):
    """Compact softmax cross entropy as STT Eq. 17 and 19 print it; to be looked at, not trained.

    Eq. 17 lacks the minus of the cross entropy, so the least loss is at probability 0 for the true
    class. Eq. 19 lacks the weight p'_c and has its ratio upside down: it is K - 1 times Eq. 18, the
    same direction again. `Compact` has both corrected.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar that is printed, which has no lower bound."""
        log_p = other_log_probabilities(logits, target)
        others = log_p.shape[1]
        to_other = -(log_p + torch.log(log_p.new_tensor(others))).sum(1)  # Eq. 19 as printed
        from_uniform = to_other / others  # Eq. 18
        log_target = -F.cross_entropy(logits, target)
        return log_target + self.beta / 2 * (from_uniform + to_other).mean()


class CentreLoss(nn.Module):
    """Cross entropy plus `weight` / 2 of the squared distance of each feature to its class centre.

    Y. Wen, K. Zhang, Z. Li, Y. Qiao: "A discriminative feature learning approach for deep face
    recognition", ECCV 2016, Eq. 2 and 4, with its `weight` 0.003 and `rate` 0.5. The centres are
    not trained by the optimiser: each training step moves them by `rate` towards the batch, by that
    paper's rule. They are part of the state dict, so a checkpoint has to hold it.
    """

    needs_features = True

    def __init__(
        self, num_classes: int, feature_dim: int, weight: float = 0.003, rate: float = 0.5
    ) -> None:
        super().__init__()
        self.weight, self.rate = weight, rate
        self.register_buffer("centres", torch.zeros(num_classes, feature_dim))

    def forward(self, logits: Tensor, target: Tensor, features: Tensor) -> Tensor:
        """Return the scalar loss; in training mode, the centres move afterwards."""
        apart = features - self.centres[target].to(features)
        loss = F.cross_entropy(logits, target) + self.weight / 2 * apart.square().sum(1).mean()
        if self.training:
            self._move(target, apart.detach())
        return loss

    @torch.no_grad()
    def _move(self, target: Tensor, apart: Tensor) -> None:
        """Eq. 4: the sum of the differences of a class over one more than its number of clips."""
        members = F.one_hot(target, len(self.centres)).to(self.centres)
        step = (members.mT @ apart.to(self.centres)) / (1 + members.sum(0))[:, None]
        self.centres += self.rate * step


class ExpressionClustering(nn.Module):
    """EC-STFL: cross entropy plus `weight` times (near to the own class) x (near to other classes).

    X. Jiang et al.: "DFEW: A large-scale database for recognizing dynamic facial expressions in the
    wild", ACM Multimedia 2020. For each clip the mean L1 distance to the clips of its class in the
    batch times the mean inverse L1 distance to all others. The text of that paper is not at hand,
    so the means are normalised as in the code that its authors released, to which `weight` = 10
    belongs: over the class with the clip itself, over the others plus one, and once more by B.
    """

    needs_features = True
    tiny = 1e-6

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, logits: Tensor, target: Tensor, features: Tensor) -> Tensor:
        """Return the scalar loss."""
        distance = torch.cdist(widened(features), widened(features), p=1)
        same = (target[:, None] == target).to(distance)
        other = 1 - same
        attract = (distance * same).sum(1) / same.sum(1)
        repel = (other / (distance + self.tiny)).sum(1) / (other.sum(1) + 1)
        cluster = (attract * repel).mean() / len(target)
        return F.cross_entropy(logits, target) + self.weight * cluster


def other_log_probabilities(logits: Tensor, target: Tensor) -> Tensor:
    """Return log p' (B, K - 1), the log-softmax over the classes that are not the target (Eq. 20).

    The classes keep their order.
    """
    others = F.one_hot(target, logits.shape[1]) == 0
    return logits[others].view(len(logits), -1).log_softmax(1)


LOSSES: dict[str, Callable[..., Loss]] = {
    "cross_entropy": cross_entropy,
    "binary": binary,
    "label_smoothing": LabelSmoothing,
    "compact": Compact,
    "compact_as_printed": CompactAsPrinted,
    "centre": CentreLoss,
    "ec_stfl": ExpressionClustering,
}


def create_loss(
    name: str, *, num_classes: int | None = None, feature_dim: int | None = None, **options: float
) -> Loss:
    """Return the loss of this name.

    `num_classes` and `feature_dim` are used where the loss has centres; `options` are its own. A
    ValueError lists the names there are, or says what is missing.
    """
    if name not in LOSSES:
        raise ValueError(unknown_name("loss", name, LOSSES))
    if LOSSES[name] is CentreLoss:
        if num_classes is None or feature_dim is None:
            raise ValueError(
                "loss 'centre' keeps one centre a class; "
                "give num_classes and feature_dim (model.num_features)"
            )
        options = {"num_classes": num_classes, "feature_dim": feature_dim, **options}
    return LOSSES[name](**options)
