"""A training loop for lessons: small enough to read in class, and to finish while one waits."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def train(
    model: nn.Module,
    clips: Tensor,
    targets: Tensor,
    *,
    epochs: int = 10,
    lr: float = 2e-3,
    batch_size: int = 32,
    seed: int = 0,
) -> list[float]:
    """Train a model on clips (N, 3, T, S, S) with classes (N,); returns the mean loss per epoch.

    Adam and cross-entropy; every other clip of a batch is mirrored. The same seed gives the same
    order of clips.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    model.train()
    for _ in range(epochs):
        order, total = torch.randperm(len(clips), generator=generator), 0.0
        for rows in order.split(batch_size):
            batch = clips[rows]
            batch[::2] = batch[::2].flip(-1)
            loss = F.cross_entropy(model(batch), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        losses.append(total / len(clips))
    model.eval()
    return losses


@torch.no_grad()
def predict(model: nn.Module, clips: Tensor) -> np.ndarray:
    """Return class probabilities (N, K) of clips (N, 3, T, S, S), in evaluation mode."""
    model.eval()
    return model(clips).softmax(1).numpy()
