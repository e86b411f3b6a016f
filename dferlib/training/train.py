"""Training: seeding, optimiser, schedule, and one visible loop around one `State`."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.folds import Split
from dferlib.device import autocast, freed_memory_kept, lay_out_clip, lay_out_model
from dferlib.protocols.recipe import Recipe
from dferlib.training.checkpoint import resume, save_checkpoint
from dferlib.training.losses import create_loss
from dferlib.training.predict import cross_entropy_of, predict
from dferlib.training.state import State

TRAINING_VERSION = "1"  # part of every run id: raise it when the same settings train differently
LOOK_EVERY = 50  # steps after which the loss is looked at, for which the device is waited for


class TrainingError(RuntimeError):
    """Training cannot go on; the message says in which epoch and why."""


@freed_memory_kept()
def fit(
    model: nn.Module,
    loader: ClipLoader,
    split: Split,
    recipe: Recipe,
    *,
    seed: int,
    layout: str = "contiguous",
    checkpoint: Path | None = None,
    on_epoch: Callable[[dict], None] | None = None,
) -> State:
    """Train `model` on `split.train`; keep the test probabilities of every selection rule.

    With `checkpoint` the state after every epoch is written there, and an existing one is
    continued, in its own layout. `on_epoch` is called with the history row of each epoch. Raises
    TrainingError when the loss stops being finite; the weights of that epoch are not saved.
    """
    state = start(model, loader, len(split.train), recipe, layout)
    if checkpoint is not None:
        resume(state, checkpoint)
    lay_out_model(state.model, state.layout)
    while state.epoch < recipe.epochs:
        started, row = time.perf_counter(), {"epoch": state.epoch + 1, "lr": state.lr}
        row |= train_epoch(state, loader, split.train, recipe, seed)
        scores, probabilities = score_epoch(state, loader, split, recipe)
        row |= scores | {"seconds": round(time.perf_counter() - started, 2)}
        state.finish_epoch(row, probabilities)
        if checkpoint is not None:
            save_checkpoint(state, checkpoint)
        if on_epoch is not None:
            on_epoch(row)
    return state


def start(
    model: nn.Module, loader: ClipLoader, clips: int, recipe: Recipe, layout: str = "contiguous"
) -> State:
    """Return the state before the first epoch of a training on so many clips."""
    model = model.to(loader.device)
    optimizer = create_optimizer(model, recipe)
    steps = recipe.epochs * recipe.passes * -(-clips // recipe.batch_size)
    criterion = create_loss(
        recipe.loss,
        num_classes=len(loader.store.classes),
        feature_dim=model.num_features,
        **recipe.loss_options(),
    )
    if isinstance(criterion, nn.Module):
        criterion.to(loader.device)
    return State(model, optimizer, create_scheduler(optimizer, recipe, steps), criterion, layout)


def train_epoch(
    state: State, loader: ClipLoader, clips: np.ndarray, recipe: Recipe, seed: int
) -> dict:
    """Pass over the training clips as often as the recipe says, each time augmented anew.

    Returns `train_loss`, the mean per clip, and `train_war`, both of the augmented clips as the
    weights were when each was seen.
    """
    model, tally = state.model.train(), Tally(loader.device, f"in epoch {state.epoch + 1}")
    each_step = recipe.schedule == "one_cycle"
    passes = range(state.epoch * recipe.passes, (state.epoch + 1) * recipe.passes)
    batches = (loader.training(clips, seed, number) for number in passes)
    for clip, target, lengths in itertools.chain.from_iterable(batches):
        padding = () if lengths is None else (lengths,)
        with autocast(loader.device, recipe.precision):
            features = model.forward_features(lay_out_clip(clip, state.layout), *padding)
            extra = (features,) if getattr(state.criterion, "needs_features", False) else ()
            logits = model.head(features)
            loss = state.criterion(logits, target, *extra)
        tally.add(loss, logits, target, state.lr)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        state.optimizer.step()
        if each_step:
            state.scheduler.step()
    if not each_step:
        state.scheduler.step()
    loss, war = tally.means()
    return {"train_loss": loss, "train_war": war}


class Tally:
    """Loss and hits of an epoch, summed up where they are computed: no step waits for the device.

    The sum is looked at every `LOOK_EVERY` steps and at the end. TrainingError if it is no finite
    number, as weights after such a step are worthless; `when` names the epoch.
    """

    def __init__(self, device: torch.device, when: str) -> None:
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.hits = torch.zeros((), dtype=torch.int64, device=device)
        self.when, self.lr, self.steps, self.seen = when, 0.0, 0, 0

    @torch.no_grad()
    def add(self, loss: Tensor, logits: Tensor, target: Tensor, lr: float) -> None:
        """Count a step: its scalar loss, logits (B, K), classes (B,) and learning rate."""
        self.loss += loss.detach().double() * len(target)
        self.hits += (logits.argmax(1) == target).sum()
        self.lr, self.steps, self.seen = lr, self.steps + 1, self.seen + len(target)
        if self.steps % LOOK_EVERY == 0:
            self.means()

    def means(self) -> tuple[float, float]:
        """Return the mean loss per clip and the share of hits so far."""
        loss = self.loss.item() / self.seen
        if not np.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} {self.when}; lower the learning rate (now {self.lr:g}) or "
                "use precision='float32'"
            )
        return loss, self.hits.item() / self.seen


def score_epoch(
    state: State,
    loader: ClipLoader,
    split: Split,
    recipe: Recipe,
    predict: Callable[..., np.ndarray] = predict,
) -> tuple[dict, np.ndarray]:
    """Return loss and accuracy on validation and test clips, and the test probabilities (N, K).

    A part without clips has no scores. Another `predict` may share the clips out.
    """
    clips = np.concatenate([split.val, split.test])
    both = predict(state.model, loader, clips, recipe.precision, state.layout)
    labels, cut, scores = loader.labels(clips), len(split.val), {}
    for part, place in (("val", slice(None, cut)), ("test", slice(cut, None))):
        if len(labels[place]):
            scores[f"{part}_loss"] = cross_entropy_of(both[place], labels[place])
            hits = both[place].argmax(1) == labels[place]
            scores[f"{part}_war"] = float(hits.mean())
    return scores, both[cut:]


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, and ask for deterministic kernels where a GPU has them."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def create_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser.

    Its weight decay is on every parameter, or with `decayed` "weights" on none that is a bias or
    has one dimension, which are the scales of norms.
    """
    common = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    parameters = model.parameters()
    if recipe.decayed == "weights":
        named = list(model.named_parameters())
        free = {name for name, p in named if p.ndim <= 1 or name.rpartition(".")[2] == "bias"}
        parameters = [
            {"params": [p for name, p in named if name not in free]},
            {"params": [p for name, p in named if name in free], "weight_decay": 0.0},
        ]
    if recipe.optimizer == "sgd":
        momentum = {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
        return torch.optim.SGD(parameters, **common, **momentum)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kinds[recipe.optimizer](parameters, **common)


def create_scheduler(
    optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int = 0
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the schedule of the learning rate: a step per epoch, or of one cycle per batch.

    `steps` are those of the whole training, which one cycle needs. Of the schedules per epoch, a
    recipe with its own has `lr_factor(epoch)`, epochs counted from 0; else the rate is multiplied
    by `gamma` at every milestone.
    """
    if recipe.schedule == "one_cycle":  # L. N. Smith, N. Topin, arXiv 1708.07120, in cosines
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=recipe.lr,
            total_steps=steps,
            pct_start=recipe.warmup,
            cycle_momentum=False,  # the recipe's momentum stays
        )
    own = getattr(recipe, "lr_factor", None)
    if own is not None:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, own)
    return torch.optim.lr_scheduler.MultiStepLR(
        optimizer, milestones=list(recipe.milestones), gamma=recipe.gamma
    )
