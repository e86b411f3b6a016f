"""Lesson 4: attention."""

from __future__ import annotations

import torch
from torch import Tensor

from dferlib.models.parts import attention
from dferlib.teaching.exercise import Exercise, Mistake

_GENERATOR = torch.Generator().manual_seed(4)


def _draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=_GENERATOR)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q k^T / sqrt(D)) v, (N, D)."""
    return attention.attend(q, k, v)


def _unscaled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT).softmax(-1) @ v


def _wrong_axis(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-2) @ v


def channel_weights(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    """Return the weights of STCAM's channel attention, Eq. 1 and 2, (B, C)."""
    pooled = x.mean((2, 3, 4)), x.amax((2, 3, 4))
    return torch.sigmoid(sum(torch.relu(p @ w1.mT) @ w2.mT for p in pooled))


def _mean_only(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    return torch.sigmoid(torch.relu(x.mean((2, 3, 4)) @ w1.mT) @ w2.mT)


def _sigmoid_each(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    pooled = x.mean((2, 3, 4)), x.amax((2, 3, 4))
    return sum(torch.sigmoid(torch.relu(p @ w1.mT) @ w2.mT) for p in pooled)


def _added_before(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    pooled = x.mean((2, 3, 4)) + x.amax((2, 3, 4))
    return torch.sigmoid(torch.relu(pooled @ w1.mT) @ w2.mT)


EXERCISES = (
    Exercise(
        key="attention.3",
        expected=attend,
        mistakes=(
            Mistake(
                _unscaled,
                "Divide the scores by the square root of D before the softmax, or "
                "it saturates as D grows.",
            ),
            Mistake(
                _wrong_axis,
                "Each row, a reading token, has to share out a weight of 1: "
                "softmax over the last axis.",
            ),
        ),
        hint="Scores q k^T / sqrt(D), softmax over the keys, then times v.",
        well="Three lines. Everything else in a transformer is around them.",
        tolerance=1e-4,
        calls=((_draw(3, 8), _draw(3, 8), _draw(3, 8)), (_draw(5, 4), _draw(5, 4), _draw(5, 4))),
    ),
    Exercise(
        key="attention.1",
        expected=channel_weights,
        mistakes=(
            Mistake(_mean_only, "Equation 1 pools twice: the maximum is missing."),
            Mistake(_sigmoid_each, "Add both branches first, then take one sigmoid of the sum."),
            Mistake(
                _added_before,
                "Both pooled vectors go through the MLP on their own, and only "
                "then are added: its ReLU makes a difference.",
            ),
        ),
        hint="Mean and maximum over time and place, each through W2 relu(W1 .), add, sigmoid.",
        well="A weight for each channel, the same in all frames and places.",
        tolerance=1e-4,
        calls=((_draw(2, 6, 3, 4, 4), _draw(2, 6), _draw(6, 2)),),
    ),
    Exercise(
        key="attention.4",
        expected=0.2,
        mistakes=(
            Mistake(0, "The scores go to 0, the weights do not: a softmax always adds up to 1."),
            Mistake(1, "That is the other end, a very large s, where one frame takes all."),
        ),
        hint="With s = 0 all scores are equal. What does a softmax make of five equal scores?",
        well="An even share: attention that is scaled to nothing is the mean.",
    ),
    Exercise(
        key="attention.2",
        expected=2 * 192 * 12,
        mistakes=(
            Mistake(192 * 12, "That is one of the two layers; the second leads back to 192."),
            Mistake(2 * 192 * 12 + 12 + 192, "Those include biases; Equation 2 has none."),
            Mistake(2 * 192 * 192, "r = 16 makes the middle narrow: 192 / 16 = 12."),
        ),
        hint="Two matrices, 192 to 12 and 12 to 192.",
        well="4,608 weights: cheap, which is the point of the reduction.",
        tolerance=1e-6,
    ),
)
