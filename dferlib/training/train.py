"""Training: seeding, optimiser, one visible loop, selection rules, checkpoints and resume.

A run that is killed continues from the end of its last finished epoch and ends with the same bits
as one that was not: all randomness is either drawn from (seed, epoch) or part of the checkpoint.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.folds import Split
from dferlib.device import autocast, freed_memory_kept, memory_format
from dferlib.files import write_atomic
from dferlib.names import SELECTION_RULES
from dferlib.protocols import Protocol
from dferlib.training.losses import create_loss
from dferlib.training.predict import cross_entropy_of, predict

TRAINING_VERSION = "1"  # part of every run id: raise it when the same settings train differently


class TrainingError(RuntimeError):
    """Training cannot go on; the message says in which epoch and why."""


@dataclass
class Fit:
    """What training has produced so far.

    ``history`` holds one row per epoch; ``probabilities`` maps a selection rule to the test
    probabilities (N, K) of the epoch that the rule chose; ``chosen`` maps it to that epoch, counted
    from 1.
    """

    history: list[dict] = field(default_factory=list)
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)
    chosen: dict[str, int] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.history)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, and ask for deterministic kernels where a GPU has them."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def create_optimizer(model: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    """The protocol's optimiser, with its weight decay on every parameter."""
    common = {"lr": protocol.lr, "weight_decay": protocol.weight_decay}
    if protocol.optimizer == "sgd":
        momentum = {"momentum": protocol.momentum, "nesterov": protocol.nesterov}
        return torch.optim.SGD(model.parameters(), **common, **momentum)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kinds[protocol.optimizer](model.parameters(), **common)


def create_scheduler(optimizer: torch.optim.Optimizer, protocol: Protocol):
    """Return the schedule of the learning rate, a step per epoch.

    A protocol with its own has a method ``lr_factor(epoch)``, epochs counted from 0; else the rate
    is multiplied by ``gamma`` at every milestone.
    """
    own = getattr(protocol, "lr_factor", None)
    if own is not None:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, own)
    return torch.optim.lr_scheduler.MultiStepLR(
        optimizer, milestones=list(protocol.milestones), gamma=protocol.gamma
    )


@freed_memory_kept()
def fit(
    model: nn.Module,
    loader: ClipLoader,
    split: Split,
    protocol: Protocol,
    *,
    seed: int,
    checkpoint: Path | None = None,
    on_epoch: Callable[[dict], None] | None = None,
) -> Fit:
    """Train ``model`` on ``split.train`` and keep the test probabilities of every selection rule.

    With ``checkpoint`` the state after every epoch is written there, and an existing one is
    continued. ``on_epoch`` is called with the history row of each epoch. Raises TrainingError when
    the loss stops being finite.
    """
    model = model.to(loader.device)
    optimizer = create_optimizer(model, protocol)
    scheduler = create_scheduler(optimizer, protocol)
    criterion = create_loss(
        protocol.loss,
        num_classes=len(loader.store.classes),
        feature_dim=model.num_features,
        **protocol.loss_options(),
    )
    if isinstance(criterion, nn.Module):
        criterion.to(loader.device)
    result = _resume(checkpoint, model, optimizer, scheduler, criterion)
    while result.epoch < protocol.epochs:
        started, learning_rate = time.perf_counter(), scheduler.get_last_lr()[0]
        loss, war = _train_epoch(
            model, loader, split.train, protocol, optimizer, criterion, seed, result.epoch
        )
        scheduler.step()
        row = {"epoch": result.epoch + 1, "lr": learning_rate, "train_loss": loss, "train_war": war}
        probabilities = _score(model, loader, split, protocol, row)
        row["seconds"] = round(time.perf_counter() - started, 2)
        result.history.append(row)
        _select(result, probabilities)
        if checkpoint is not None:
            _save(checkpoint, result, model, optimizer, scheduler, criterion)
        if on_epoch is not None:
            on_epoch(row)
    return result


def _train_epoch(model, loader, clips, protocol, optimizer, criterion, seed, epoch):
    """Pass over the training clips as often as the protocol says, each time augmented anew.

    Returns the mean loss per clip and the accuracy, both of the augmented clips as the weights were
    when each was seen.
    """
    model.train()
    total, hits = 0.0, 0
    passes = range(epoch * protocol.passes, (epoch + 1) * protocol.passes)
    batches = (loader.training(clips, seed, number) for number in passes)
    for clip, target, lengths in itertools.chain.from_iterable(batches):
        padding = () if lengths is None else (lengths,)
        with autocast(loader.device, protocol.precision):
            features = model.forward_features(memory_format(clip, protocol.precision), *padding)
            extra = (features,) if getattr(criterion, "needs_features", False) else ()
            logits = model.head(features)
            loss = criterion(logits, target, *extra)
        check_loss(loss, f"in epoch {epoch + 1}", optimizer.param_groups[0]["lr"])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(target)
        hits += int((logits.argmax(1) == target).sum())
    seen = len(clips) * len(passes)
    return total / seen, hits / seen


def check_loss(loss: torch.Tensor, when: str, lr: float) -> None:
    """Raise TrainingError unless the loss is a number: weights after such a step are worthless."""
    if not torch.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss.item()} {when}; lower the learning rate (now {lr:g}) or use "
            "precision='float32'"
        )


def _score(model, loader, split, protocol, row: dict) -> np.ndarray:
    """Add validation and test scores to the history row; returns the test probabilities."""
    clips = np.concatenate([split.val, split.test])
    both, labels = predict(model, loader, clips, protocol.precision), loader.labels(clips)
    cut = len(split.val)
    for part, place in (("val", slice(None, cut)), ("test", slice(cut, None))):
        if len(labels[place]) == 0:
            row[f"{part}_loss"] = row[f"{part}_war"] = math.nan
            continue
        row[f"{part}_loss"] = cross_entropy_of(both[place], labels[place])
        row[f"{part}_war"] = float((both[place].argmax(1) == labels[place]).mean())
    return both[cut:]


def _select(result: Fit, probabilities: np.ndarray) -> None:
    """Apply the selection rules to the newest epoch; ties go to the lower loss, then to the earlier
    epoch.
    """
    row = result.history[-1]
    for rule in SELECTION_RULES:
        if rule != "last":
            part = rule.removeprefix("best_")
            if math.isnan(row[f"{part}_war"]):
                continue
            quality = [(past[f"{part}_war"], -past[f"{part}_loss"]) for past in result.history]
            if any(past >= quality[-1] for past in quality[:-1]):
                continue
        result.probabilities[rule] = probabilities
        result.chosen[rule] = result.epoch


def _save(path: Path, result: Fit, model, optimizer, scheduler, criterion) -> None:
    """Write the state after an epoch, headed by its own checksum, so that damage is noticed."""
    buffer = io.BytesIO()
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "criterion": criterion.state_dict() if isinstance(criterion, nn.Module) else {},
        "torch_random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "history": result.history,
        "chosen": result.chosen,
        "probabilities": {rule: torch.from_numpy(p) for rule, p in result.probabilities.items()},
    }
    torch.save(state, buffer)
    payload = buffer.getvalue()
    head = hashlib.sha256(payload).hexdigest().encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda file: file.write(head + payload))


def read_checkpoint(path: Path) -> dict | None:
    """Return the state in a checkpoint; None if there is none or its checksum does not fit."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    head, payload = content[:64], content[64:]
    if hashlib.sha256(payload).hexdigest().encode() != head:
        return None  # cut short or damaged: the run starts again, which costs time but no result
    return torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")


def _resume(path: Path | None, model, optimizer, scheduler, criterion) -> Fit:
    """Load the checkpoint into model and optimiser if there is a sound one."""
    state = read_checkpoint(path) if path is not None else None
    if state is None:
        return Fit()
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    if isinstance(criterion, nn.Module):
        criterion.load_state_dict(state["criterion"])
    torch.set_rng_state(state["torch_random"])
    if state["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_random"])
    probabilities = {rule: p.numpy() for rule, p in state["probabilities"].items()}
    return Fit(list(state["history"]), probabilities, dict(state["chosen"]))
