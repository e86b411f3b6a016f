"""Runs of a paper: which are there already, which have to be trained, and bringing them together.

A run is one training: (paper, dataset, source, variant, fold, seed, preset). Its id ends in a hash
of everything that defines its numbers and of how the model behaves, so finished runs are read
instead of repeated, and a changed model, protocol or data set makes a new one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.folds import MIN_FOLDS, Split, fitting_folds, split_fold
from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.store import FrameStore
from dferlib.device import choose_precision, describe_device, peak_memory_mb
from dferlib.evidence.provenance import provenance
from dferlib.evidence.runs import Run, load_run, run_id, save_run
from dferlib.files import digest
from dferlib.models import create_model
from dferlib.protocols import OWN_CLIPS, Protocol
from dferlib.training.predict import make_predictions
from dferlib.training.pretrain import init_key, pretrained_backbone
from dferlib.training.train import TRAINING_VERSION, Fit, fit, seed_everything
from dferlib.training.weights import RUN, load_weights, run_weights, save_weights


@dataclass(frozen=True)
class Task:
    """One training that a table needs, with its protocol fully resolved."""

    protocol: Protocol
    variant: str
    fold: int
    seed: int


def plan_tasks(
    paper: Protocol,
    preset: str,
    dataset: str,
    variants: Iterable[str],
    folds: Iterable[int],
    seeds: Iterable[int],
    device: str | torch.device = "cpu",
) -> list[Task]:
    """All combinations, folds outermost: a killed sweep then leaves whole folds to compare."""
    combinations = itertools.product(seeds, folds, variants)
    return [
        Task(
            resolve_precision(paper.resolve(preset, dataset, variant), device), variant, fold, seed
        )
        for seed, fold, variant in combinations
    ]


def resolve_precision(protocol: Protocol, device: str | torch.device = "cpu") -> Protocol:
    """Replace precision ``auto`` by the device's; it becomes part of the record and of the id."""
    return protocol.override(precision=choose_precision(protocol.precision, device))


def build_model(task: Task, num_classes: int) -> nn.Module:
    """Build the model of a task, its fresh weights drawn from the task's seed."""
    seed_everything(task.seed)
    return create_model(
        task.protocol.model, num_classes=num_classes, **task.protocol.model_options()
    )


def behaviour_fingerprint(task: Task, num_classes: int) -> str:
    """Hash of the rounded logits and gradient sizes of a seeded tiny forward and backward pass.

    It changes when the model computes something else, not when its code is only rearranged. Double
    precision keeps the rounded digits the same on other machines and numbers of threads.
    """
    protocol = task.protocol
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn(2, 3, protocol.num_frames, 32, 32, generator=generator).double()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = create_model(protocol.model, num_classes=num_classes, **protocol.model_options())
        logits = model.apply(_wake).double().train()(clip)
        logits.square().sum().backward()
    sizes = [p.grad.norm().item() if p.grad is not None else 0.0 for p in model.parameters()]
    values = (*logits.flatten().tolist(), *sizes)
    # what is zero on paper differs from it by rounding alone
    return digest([f"{value:.2g}" if abs(value) > 1e-9 else "0" for value in values])


def _wake(module: nn.Module) -> None:
    """Set zero-initialised scales of norms to one, or what they switch off would not be seen."""
    weight = getattr(module, "weight", None)
    if isinstance(weight, nn.Parameter) and weight.ndim == 1 and not weight.any():
        nn.init.ones_(weight)


def task_id(task: Task, store: FrameStore, fingerprint: str) -> str:
    """The run id of a task on a store; see the module docstring."""
    key = {"protocol": task.protocol.key(), "manifest": store.manifest_hash()}
    key |= {"init": init_key(task.protocol.init), "training": TRAINING_VERSION}
    return run_id(task.variant, task.fold, task.seed, {**key, "fingerprint": fingerprint})


def split_of(task: Task, store: FrameStore) -> Split:
    """Manifest rows of a task's training, validation and test part."""
    protocol = task.protocol
    return split_fold(
        store.manifest, task.fold, protocol.num_folds, use_official=protocol.official_split
    )


def fit_protocol(
    paper: Protocol, folds: tuple[int, ...], store: FrameStore
) -> tuple[Protocol, tuple[int, ...]]:
    """Return a protocol that knows how many clips there are, and the folds to run of them.

    The papers' datasets keep their folds. One's own clips have as many as the paper, or one for
    each subject where there are fewer; of the `folds` asked for those stay that exist.
    DatasetError for fewer than three subjects, fewer than two classes, or a fold without two clips
    to train on.
    """
    paper = paper.override(clips=len(store.manifest))
    if store.dataset != OWN_CLIPS:
        return paper, folds
    if (classes := store.manifest["label"].nunique()) < 2:
        raise DatasetError(f"all clips are of {classes} class; a classifier needs two or more")
    count = fitting_folds(store.manifest, max(paper.num_folds, MIN_FOLDS))
    there = tuple(fold for fold in folds if fold <= count)
    if not there:
        raise DatasetError(f"folds are {folds}, but these clips fill {count} folds only")
    for fold in there:
        if (clips := len(split_fold(store.manifest, fold, count).train)) < 2:
            raise DatasetError(f"{clips} clips are left to train on in fold {fold}; add clips")
    return paper.override(num_folds=count, folds=tuple(range(1, count + 1))), there


def with_init(task: Task, init: str, label: str = "") -> Task:
    """The same training from other initial weights, under a variant name that says so."""
    return with_settings(task, f"init {label or init}", init=init)


def with_settings(task: Task, label: str, **changes) -> Task:
    """The same training with other settings of its protocol, under a variant name that says so."""
    protocol = task.protocol.override(**changes)
    return replace(task, variant=f"{task.variant}, {label}", protocol=protocol)


def init_problem(task: Task, init: str, num_classes: int) -> str:
    """Why a task cannot start from these initial weights here; empty where it can.

    They are loaded to find out: torchvision downloads its own once.
    """
    try:
        pretrained_backbone(build_model(task, num_classes), init)
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def make_loader(task: Task, store: FrameStore, device: str | torch.device) -> ClipLoader:
    """The loader that a task's protocol asks for."""
    protocol = task.protocol
    return ClipLoader(
        store,
        protocol.sampler,
        protocol.num_frames,
        protocol.input_size,
        protocol.batch_size,
        torch.device(device),
        protocol.crop,
        protocol.flip,
        protocol.peak,
        protocol.sampler_options(),
    )


def weights_path(slug: str, run: str) -> Path:
    """Where the last epoch's weights of a run lie in the cache."""
    return run_weights(f"{RUN}{slug}/{run}")


def run_task(
    task: Task, store: FrameStore, folder: Path, *, preset: str, device="cpu", on_epoch=None
) -> Run:
    """Train one task and keep its run in ``folder``, or return the finished run that is there."""
    fingerprint = behaviour_fingerprint(task, len(store.classes))
    name = task_id(task, store, fingerprint)
    finished = load_run(folder, name)
    if finished is not None:
        return finished
    initial, result = _train(task, store, name, device, on_epoch)
    split = split_of(task, store)
    record = {
        "run_id": name,
        "paper": task.protocol.slug,
        "dataset": store.dataset,
        "source": store.source,
        "preset": preset,
        "variant": task.variant,
        "fold": task.fold,
        "seed": task.seed,
        "classes": list(store.classes),
        "protocol": asdict(task.protocol),
        "manifest_hash": store.manifest_hash(),
        "store": store.key,
        "fingerprint": fingerprint,
        "init": initial,
        "sizes": {part: len(getattr(split, part)) for part in ("train", "val", "test")},
        "chosen_epoch": result.chosen,
        "history": result.history,
        "seconds": round(sum(row["seconds"] for row in result.history), 1),
        "peak_memory_mb": peak_memory_mb(device),
        "device": describe_device(device),
        "provenance": provenance(),
    }
    save_run(folder, record, make_predictions(store, split.test, task.fold, result.probabilities))
    _checkpoint(task, name).unlink(missing_ok=True)
    return load_run(folder, name)


def _train(task: Task, store: FrameStore, name: str, device, on_epoch=None):
    """Train a task, or go on with it; its last weights go to the cache."""
    model = build_model(task, len(store.classes))
    initial = _initial_weights(model, task, device)
    seed_everything(task.seed)
    result: Fit = fit(
        model,
        make_loader(task, store, device),
        split_of(task, store),
        task.protocol,
        seed=task.seed,
        checkpoint=_checkpoint(task, name),
        on_epoch=on_epoch,
    )
    save_weights(model, weights_path(task.protocol.slug, name), {"run_id": name})
    return initial, result


def _checkpoint(task: Task, name: str) -> Path:
    return weights_path(task.protocol.slug, name).with_suffix(".resume")


def _initial_weights(model: nn.Module, task: Task, device) -> dict:
    protocol = task.protocol
    return pretrained_backbone(
        model,
        protocol.init,
        store_size=protocol.store_size,
        input_size=protocol.input_size,
        num_frames=protocol.init_frames,
        device=device,
    )


def run_tasks(
    tasks: list[Task], store: FrameStore, folder: Path, *, preset: str, device="cpu", progress=True
) -> list[Run]:
    """Bring all tasks to an end, with one progress bar over their epochs and the time left."""
    total = sum(task.protocol.epochs for task in tasks)
    runs = []
    with tqdm(
        total=total, desc="training", unit="epoch", disable=not progress, mininterval=2
    ) as bar:
        for task in tasks:
            bar.set_postfix_str(f"{task.variant} fold {task.fold} seed {task.seed}", refresh=False)
            before = bar.n
            runs.append(
                run_task(
                    task,
                    store,
                    folder,
                    preset=preset,
                    device=device,
                    on_epoch=lambda _: bar.update(),
                )
            )
            bar.update(
                task.protocol.epochs - (bar.n - before)
            )  # epochs that were read, not trained
    return runs


def trained_model(
    task: Task, store: FrameStore, folder: Path, *, preset: str, device="cpu"
) -> nn.Module:
    """The model of a task after its last epoch, in evaluation mode.

    Where its weights are no longer in the cache it is trained again; its stored run stays.
    """
    model = build_model(task, len(store.classes))
    model.load_state_dict(load_weights(run_weights(run_init(task, store, device=device))))
    return model.to(device).eval()


def run_init(task: Task, store: FrameStore, *, device="cpu") -> str:
    """The ``init`` that starts another training from what this task ended with.

    Its weights are in the cache afterwards: where they are not yet, the task is trained first.
    """
    name = task_id(task, store, behaviour_fingerprint(task, len(store.classes)))
    if not weights_path(task.protocol.slug, name).with_suffix(".json").is_file():
        _train(task, store, name, device)
        _checkpoint(task, name).unlink(missing_ok=True)
    return f"{RUN}{task.protocol.slug}/{name}"
