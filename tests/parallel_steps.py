"""Trains a toy model as one of several processes and leaves what it ended with; see its test."""

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from toy import make_store

from dferlib.datasets import batches
from dferlib.protocols import load_protocol
from dferlib.training.data_parallel import process_group, run_together
from dferlib.training.losses import create_loss
from dferlib.training.pieces import Together, WholeLoss, average_gradients, in_pieces
from dferlib.training.tasks import Task, plan_tasks
from dferlib.training.train import create_optimizer, seed_everything


@dataclass(frozen=True)
class Exact(Task):
    """A training in float64, where what differs by rounding is nearer than what differs at all."""

    def build(self):
        """The model with weights and clips in float64.

        Biases are not zero: a channel without variance would lie on the kink of ReLU behind its
        norm, where rounding decides whether there is a gradient.
        """
        model = super().build().double()
        for name, bias in model.named_parameters():
            if name.endswith("bias"):
                nn.init.constant_(bias, 0.1)
        plain = model.forward_features
        model.forward_features = lambda clip, *padding: plain(clip.double(), *padding)
        return model


def one_early(made, device):
    """Batches, each handed out after the next one was made, as on a GPU."""
    held = next(made, None)
    while held is not None:
        following = next(made, None)
        yield held
        held = following


def make_task(folder, batch_size=47):
    """A training of a network with batch norms, without dropout; its last batch is of one clip."""
    store = make_store(subjects=10, size=36)
    paper = load_protocol("stcam")
    (task,) = plan_tasks(paper, "smoke", ["stcam"], [1], [0], store, folder)
    settings = {"width": 0.1, "epochs": 2, "batch_size": batch_size, "lr": 0.001, "flip": True}
    task = replace(task, recipe=task.recipe.override(**settings))
    return Exact(**{item.name: getattr(task, item.name) for item in fields(Task)})


def gradients(task, loss, loader, hook=None, mode=None):
    """Gradients of every step with a loss, as one vector, and the norms' means after them."""
    seed_everything(0)
    model = task.build()
    criterion = create_loss(loss, num_classes=6, feature_dim=model.num_features)
    if isinstance(criterion, nn.Module):
        criterion.double()
    criterion = criterion if mode is None else WholeLoss(criterion, loader)
    found = []
    for clip, target, _ in loader.training(task.split.train, 0, 0):
        model.zero_grad()
        with mode or torch.enable_grad():
            features = model.forward_features(clip)
            extra = (features,) if getattr(criterion, "needs_features", False) else ()
            criterion(model.head(features), target, *extra).backward()
        if hook is not None:
            hook(create_optimizer(model, task.recipe))
        found.append(vector(p.grad for p in model.parameters()))
    return torch.cat([*found, vector(b for n, b in model.named_buffers() if "running" in n)])


def vector(tensors):
    """All their values, in one row."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def main(folder):
    """Leave gradients for every kind of loss, the run and its weights; the first process writes.

    Batches are made one ahead of their step.
    """
    batches.one_ahead = one_early
    with process_group():
        task = make_task(folder / "two")
        loader = in_pieces(task.loader())
        kept = {}
        for loss in ("cross_entropy", "centre", "ec_stfl"):
            mode = Together(loader.place)
            kept[loss] = gradients(task, loss, loader, average_gradients, mode)
        task = make_task(folder / "two", batch_size=16)
        run_together(task)
        if dist.get_rank() == 0:
            torch.save(kept, folder / "gradients.pt")
            torch.save(vector(task.trained().parameters()), folder / "weights.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
