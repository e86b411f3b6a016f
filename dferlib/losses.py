"""The papers' training losses, by name: a loss takes (logits (B, K), target (B,)) and returns a
scalar.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy() -> Loss:
    """Softmax cross entropy, the loss of a softmax classifier (STCAM §4.2 names no other)."""
    return F.cross_entropy


LOSSES: dict[str, Callable[..., Loss]] = {"cross_entropy": cross_entropy}


def create_loss(name: str, **options: float) -> Loss:
    """Return the loss of this name; a ValueError lists the names there are."""
    if name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}; there is: {', '.join(sorted(LOSSES))}")
    return LOSSES[name](**options)
