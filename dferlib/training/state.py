"""What a training changes from epoch to epoch, and the rules that choose one of the epochs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from dferlib.names import SELECTION_RULES
from dferlib.training.losses import Loss


@dataclass
class State:
    """A training so far.

    `history` holds one row per epoch; `probabilities` maps a selection rule to the test
    probabilities (N, K) of the epoch that the rule chose; `chosen` maps it to that epoch, counted
    from 1. `layout` is how clips and weights lie in memory, see `dferlib.device.LAYOUTS`.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    criterion: Loss
    layout: str = "contiguous"
    history: list[dict] = field(default_factory=list)
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)
    chosen: dict[str, int] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    @property
    def lr(self) -> float:
        """Learning rate of the next step."""
        return self.optimizer.param_groups[0]["lr"]

    def finish_epoch(self, row: dict, probabilities: np.ndarray) -> None:
        """Add an epoch's row to the history and let the selection rules look at it.

        `probabilities` (N, K) are those of the test clips. A rule whose part of the data is empty
        has no score in the row and chooses nothing.
        """
        self.history.append(row)
        for rule in SELECTION_RULES:
            if rule == "last" or _is_best(self.history, rule.removeprefix("best_")):
                self.probabilities[rule] = probabilities
                self.chosen[rule] = self.epoch


def _is_best(history: list[dict], part: str) -> bool:
    """Whether the newest epoch is the best on a part; of equals the lower loss, then the first."""
    if f"{part}_war" not in history[-1]:
        return False
    quality = [(row[f"{part}_war"], -row[f"{part}_loss"]) for row in history]
    return all(past < quality[-1] for past in quality[:-1])
