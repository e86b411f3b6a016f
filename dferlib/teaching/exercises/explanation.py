"""Lesson 6: explanation."""

from __future__ import annotations

import torch
from torch import Tensor

from dferlib.teaching.exercise import Exercise, Mistake

_GENERATOR = torch.Generator().manual_seed(6)
_CALLS = tuple(
    (torch.randn(c, 4, 4, generator=_GENERATOR), torch.randn(c, 4, 4, generator=_GENERATOR))
    for c in (3, 5)
)


def cam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Return Grad-CAM (H, W) of one layer's activation and gradient, both (C, H, W)."""
    return (gradient.mean((1, 2))[:, None, None] * activation).sum(0).relu()


EXERCISES = (
    Exercise(
        key="explanation.1",
        expected=cam,
        mistakes=(
            Mistake(
                lambda a, g: (g.mean((1, 2))[:, None, None] * a).sum(0),
                "Negative values are left: Grad-CAM keeps what speaks *for* the class (ReLU).",
            ),
            Mistake(
                lambda a, g: a.mean(0).relu(),
                "The gradient is not used, so the map is the same for every class.",
            ),
            Mistake(
                lambda a, g: (g * a).sum(0).relu(),
                "Gradient times activation place by place "
                "is HiResCAM. Grad-CAM first averages the gradient over all places.",
            ),
        ),
        hint="A weight for each channel (its mean gradient), a weighted sum of the channels, ReLU.",
        well="Selvaraju et al. 2017, equations 1 and 2.",
        tolerance=1e-4,
        calls=_CALLS,
    ),
    Exercise(
        key="explanation.2",
        expected=0.5,
        mistakes=(
            Mistake(
                0,
                "It is wrong as often as right: every comparison is a tie, and a tie counts "
                "one half.",
            ),
            Mistake(1, "A map that says the same everywhere cannot be perfect.", kind="wrong"),
        ),
        hint="The chance that a moving place has a higher value than a still one, ties one half.",
        well="So 0.5 is where knowing nothing starts, and the centre of the picture already beats "
        "it.",
    ),
    Exercise(
        key="explanation.3",
        expected=0.3,
        mistakes=(
            Mistake(0.7, "That is the share beside the mask."),
            Mistake(
                0.5,
                "0.5 is the area under the ROC curve of an even map; its *mass* follows "
                "the area of the mask.",
            ),
        ),
        hint="Spread 1 evenly over the picture. How much of it lies on 30 % of the area?",
        well="Which is why a share alone says little, and rivals have to stand beside it.",
    ),
    Exercise(
        key="explanation.4",
        expected="b",
        mistakes=(
            Mistake(
                "a",
                "A map can look sharp and plausible without the network: an edge detector does.",
            ),
            Mistake("c", "Accuracy is about the answers, not about the map."),
        ),
        hint="What has to change if the map really shows what the network has learned?",
        well="Adebayo et al. 2018: a map that survives new weights does not explain the old ones.",
    ),
)
