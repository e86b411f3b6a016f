"""One large training on several GPUs or machines: every process takes a part of every batch.

    torchrun --nproc-per-node 4 -m dferlib.training.data_parallel stt dfew --preset paper --fold 1

The numbers are those of one process with the same recipe, but for rounding, because nothing is
per process:

- Sampling: which frames, crop and mirror a clip gets, and the order of the clips, are drawn from
  (seed, epoch) for the whole data set, as always. Process r of W takes the r-th piece of each batch
  of the recipe, so `batch_size` stays the paper's; it is not multiplied by W.
- Batch norm: statistics of a training step are those of the whole batch.
- Loss: features and logits of all pieces are put together, and every process computes the loss of
  the whole batch, so that losses that compare clips or move centres are the same, too.
- Gradients are averaged over the processes before every step of the optimiser.

What is not equal, and has to be off where equality is wanted: dropout, whose masks each process
draws for its own clips; bf16, whose rounding depends on how a sum is cut; kernels that are not
deterministic. The accuracy on augmented training clips counts a clip twice where a batch has fewer
clips than there are processes. The run id is that of one process, as by its numbers it is one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.folds import Split
from dferlib.device import freed_memory_kept, lay_out_model
from dferlib.protocols import load_protocol
from dferlib.protocols.recipe import Recipe
from dferlib.training.checkpoint import resume, save_checkpoint
from dferlib.training.pieces import (
    PieceLoader,
    Together,
    WholeLoss,
    average_gradients,
    in_pieces,
)
from dferlib.training.planning import Request, own_clips
from dferlib.training.predict import predict
from dferlib.training.state import State
from dferlib.training.stores import open_recipe_store
from dferlib.training.tasks import Task
from dferlib.training.train import score_epoch, start, train_epoch


@freed_memory_kept()
def fit_together(
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
    """`dferlib.training.train.fit` in every process of a group; all end with the same state.

    The first process writes checkpoints, and all of them go on from it.
    """
    pieces = in_pieces(loader)
    state = start(model, pieces, len(split.train), recipe, layout)
    if checkpoint is not None:
        resume(state, checkpoint)
    alone = state.criterion  # checkpoints are those of one process
    state.criterion = WholeLoss(alone, pieces)
    lay_out_model(state.model, state.layout)
    state.optimizer.register_step_pre_hook(average_gradients)
    while state.epoch < recipe.epochs:
        started, row = time.perf_counter(), {"epoch": state.epoch + 1, "lr": state.lr}
        with Together(pieces.place):
            trained = train_epoch(state, pieces, split.train, recipe, seed)
        row |= _mean_over_processes(trained, pieces)
        scores, probabilities = score_epoch(state, loader, split, recipe, predict_together)
        row |= scores | {"seconds": round(time.perf_counter() - started, 2)}
        state.finish_epoch(row, probabilities)
        if checkpoint is not None and dist.get_rank() == 0:
            save_checkpoint(replace(state, criterion=alone), checkpoint)
        dist.barrier()
        if on_epoch is not None:
            on_epoch(row)
    return state


def _mean_over_processes(trained: dict, loader: PieceLoader) -> dict:
    """Mean loss and share of hits over the clips that all processes saw in this epoch."""
    names = list(trained)
    read, loader.place.read = loader.place.read, 0
    sums = torch.tensor([trained[name] * read for name in names] + [read], dtype=torch.float64)
    sums = sums.to(loader.device)
    dist.all_reduce(sums)
    return {name: float(value / sums[-1]) for name, value in zip(names, sums, strict=False)}


def predict_together(
    model: nn.Module, loader: ClipLoader, clips: np.ndarray, precision: str, layout: str
) -> np.ndarray:
    """`dferlib.training.predict.predict` with clips shared out; every process gets all (N, K)."""
    rank, world = dist.get_rank(), dist.get_world_size()
    first, end = (len(clips) * (rank + k) // world for k in (0, 1))
    whole = torch.zeros(len(clips), len(loader.store.classes), device=loader.device)
    if end > first:
        own = predict(model, loader, clips[first:end], precision, layout)
        whole[first:end] = torch.from_numpy(own).to(loader.device)
    dist.all_reduce(whole)
    return whole.cpu().numpy()


@contextmanager
def process_group() -> Iterator[torch.device]:
    """Join the processes that torchrun started, and leave them; yields this one's device.

    RuntimeError where torchrun did not start this process.
    """
    if "WORLD_SIZE" not in os.environ:
        raise RuntimeError(
            "this is one process of several: start it by `torchrun --nproc-per-node GPUS -m "
            "dferlib.training.data_parallel ...`"
        )
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if gpu else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def run_together(task: Task) -> Path:
    """Run a task in every process of the group, or find it finished; returns its record's path.

    The stage before it comes first, where its weights are not there. Only the first process keeps
    a run: the others end with the same one, and drop theirs.
    """
    before, record = task.before, task.folder / "runs" / f"{task.id}.json"
    if _everywhere(record.is_file(), task):  # all of them read it, or all of them train
        return record
    if isinstance(before, Task) and not _everywhere(before.has_weights, before):
        _train_together(before)
    _train_together(task)
    return record


def _everywhere(holds: bool, task: Task) -> bool:
    """Whether something holds in every process of the group."""
    found = torch.tensor(float(holds), device=task.device)
    dist.all_reduce(found, dist.ReduceOp.MIN)
    return bool(found)


def _train_together(task: Task) -> None:
    """Train in all processes; a run that is stored stays as it is."""
    task = replace(task, fit=fit_together)
    with tempfile.TemporaryDirectory() as dropped:
        keeps = dist.get_rank() == 0 and task.state != "finished"
        (task if keeps else replace(task, folder=Path(dropped))).run()
    dist.barrier()


def main(arguments: Sequence[str] | None = None) -> int:
    """Train one run of a paper in the processes that torchrun started."""
    parser = argparse.ArgumentParser(
        prog="torchrun -m dferlib.training.data_parallel", description=main.__doc__
    )
    parser.add_argument("paper")
    parser.add_argument("dataset")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--variant", default="", help="row of the paper's tables; its own model")
    parser.add_argument("--fold", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", default="auto")
    parser.add_argument("--data-root", default="")
    parser.add_argument("--results-dir", default="")
    parsed = parser.parse_args(arguments)
    paper, variant = load_protocol(parsed.paper), parsed.variant or parsed.paper
    with process_group() as device:
        request = Request(
            paper,
            parsed.preset,
            (parsed.seed,),
            str(device),
            source=parsed.source,
            data_root=Path(parsed.data_root) if parsed.data_root else None,
            results_dir=parsed.results_dir,
            open_store=partial(open_recipe_store, progress=dist.get_rank() == 0),
        )
        store = own_clips(paper, request.open(request.recipe(parsed.dataset)))
        (task,) = request.plan(store, [variant], [parsed.fold])
        record = run_together(task)
        if dist.get_rank() == 0:
            sys.stdout.write(f"{record}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
