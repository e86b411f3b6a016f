"""Trains a toy model as one of several processes and leaves what it ended with; see its test."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from toy import make_store

from dferlib.protocols import load_protocol
from dferlib.training.data_parallel import process_group, run_together
from dferlib.training.losses import create_loss
from dferlib.training.pieces import Together, WholeLoss, average_gradients, in_pieces
from dferlib.training.tasks import plan_tasks
from dferlib.training.train import create_optimizer, seed_everything


def make_task(folder, batch_size=47):
    """A training of a network with batch norms, without dropout; its last batch is of one clip."""
    store = make_store(subjects=10, size=36)
    paper = load_protocol("stcam")
    (task,) = plan_tasks(paper, "smoke", ["stcam"], [1], [0], store, folder)
    settings = {"width": 0.1, "epochs": 2, "batch_size": batch_size, "lr": 0.001, "flip": True}
    return replace(task, recipe=task.recipe.override(**settings))


def gradients(task, loss, loader, hook=None, mode=None):
    """Gradients of the first step with a loss, as one vector in float64, and the norms' means."""
    seed_everything(0)
    model = task.build()
    criterion = create_loss(loss, num_classes=6, feature_dim=model.num_features)
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
        found.append(torch.cat([p.grad.double().flatten() for p in model.parameters()]))
    means = [b.double() for name, b in model.named_buffers() if "running" in name]
    return torch.cat([*found, *[b.flatten() for b in means]])


def main(folder):
    """Leave gradients for every kind of loss and the run; the first process writes."""
    with process_group():
        task = make_task(folder / "two")
        loader = in_pieces(task.loader())
        kept = {}
        for loss in ("cross_entropy", "centre", "ec_stfl"):
            mode = Together(loader.piece)
            kept[loss] = gradients(task, loss, loader, average_gradients, mode)
        if dist.get_rank() == 0:
            torch.save(kept, folder / "gradients.pt")
        run_together(make_task(folder / "two", batch_size=16))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
