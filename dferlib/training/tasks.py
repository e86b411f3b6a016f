"""One training that a table needs: what it is, where its results lie, how it is brought to its end.

A task is (paper, dataset, source, variant, fold, seed, preset). Its id ends in a hash of everything
that defines its numbers and of how the model behaves, so a finished run is read instead of
repeated, and a changed model, recipe or data set makes a new one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import torch
from torch import nn

from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.folds import MIN_FOLDS, Split, fitting_folds, split_fold
from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.store import FrameStore, check_arrays
from dferlib.device import choose_precision, describe_device, peak_memory_mb
from dferlib.evidence.provenance import provenance
from dferlib.evidence.runs import Run, load_run, run_id, save_run
from dferlib.models import create_model
from dferlib.protocols.paper import Extent, Paper
from dferlib.protocols.recipe import Recipe
from dferlib.training.fingerprint import age_of_models, known_fingerprint
from dferlib.training.pace import Work, choose_layout, work_of
from dferlib.training.predict import make_predictions
from dferlib.training.pretrain import init_key, pretrained_backbone
from dferlib.training.state import State
from dferlib.training.train import TRAINING_VERSION, fit, seed_everything
from dferlib.training.weights import RUN, load_weights, run_weights, save_weights


@dataclass(frozen=True)
class Task:
    """One training, with its recipe fully resolved, its data, and the folder of its results."""

    recipe: Recipe
    variant: str
    fold: int
    seed: int
    store: FrameStore
    folder: Path
    device: str = "cpu"
    before: Task | Path | None = None  # the stage that gives its first weights, or a checkpoint
    fit: Callable[..., State] = fit  # that of several processes: dferlib.training.data_parallel

    @property
    def init(self) -> str:
        """What its first weights are: what the stage before it ends with, else the recipe's.

        ValueError where the recipe names a stage and none is planned, or the other way round.
        """
        if bool(self.recipe.transfer) != (self.before is not None):
            raise ValueError(
                f"transfer is {self.recipe.transfer!r}, but the stage before is {self.before!r}; "
                "plan it with dferlib.training.stages"
            )
        if isinstance(self.before, Task):
            return f"{RUN}{self.before.recipe.slug}/{self.before.id}"
        return str(self.before) if self.before else self.recipe.init

    @cached_property
    def id(self) -> str:
        """The run id; see the module docstring."""
        key = {"protocol": self.recipe.key(), "manifest": self.store.manifest_hash()}
        key |= {"init": init_key(self.init), "training": TRAINING_VERSION}
        key |= {"fingerprint": self.fingerprint}
        return run_id(self.variant, self.fold, self.seed, key)

    @cached_property
    def fingerprint(self) -> str:
        """How the model behaves; see `dferlib.training.fingerprint`."""
        return known_fingerprint(self.recipe, len(self.store.classes), age_of_models())

    @cached_property
    def split(self) -> Split:
        """Manifest rows of the training, validation and test part."""
        recipe = self.recipe
        return split_fold(
            self.store.manifest,
            self.fold,
            recipe.num_folds,
            use_official=recipe.official_split,
            holdout=recipe.holdout,
        )

    @property
    def work(self) -> Work:
        """The network, its input and the device, to be timed."""
        return work_of(self.recipe, len(self.store.classes), self.device)

    @property
    def clips_seen(self) -> int:
        """Number of clips that all training steps together read."""
        return len(self.split.train) * self.recipe.passes * self.recipe.epochs

    @property
    def weights(self) -> Path:
        """Where the last epoch's weights lie in the cache, once it is trained."""
        return run_weights(f"{RUN}{self.recipe.slug}/{self.id}")

    @property
    def checkpoint(self) -> Path:
        """Where the state after every epoch lies in the cache while it is trained."""
        return self.weights.with_suffix(".resume")

    @property
    def state(self) -> str:
        """How far it is: "finished", "resumable" or "to do"."""
        if load_run(self.folder, self.id) is not None:
            return "finished"
        return "resumable" if self.checkpoint.is_file() else "to do"

    def loader(self, device: str | torch.device | None = None) -> ClipLoader:
        """The loader that the recipe asks for, on the task's device or another."""
        recipe = self.recipe
        return ClipLoader(
            self.store,
            recipe.sampler,
            recipe.num_frames,
            recipe.input_size,
            recipe.batch_size,
            torch.device(device or self.device),
            recipe.crop,
            recipe.flip,
            recipe.peak,
            recipe.sampler_options(),
            recipe.normalise,
        )

    def build(self) -> nn.Module:
        """Build the model, its fresh weights drawn from the task's seed."""
        seed_everything(self.seed)
        classes = len(self.store.classes)
        return create_model(self.recipe.model, num_classes=classes, **self.recipe.model_options())

    def run(self, on_epoch: Callable[[dict], None] | None = None) -> Run:
        """Train, or go on with it, and keep the run in `folder`; read it if it is finished.

        `on_epoch` is called with the history row of each epoch that is trained.
        """
        finished = load_run(self.folder, self.id)
        if finished is not None:
            return finished
        initial, state = self._train(on_epoch)
        test, probabilities = self.split.test, state.probabilities
        predictions = make_predictions(self.store, test, self.fold, probabilities)
        save_run(self.folder, self._record(initial, state), predictions)
        self.checkpoint.unlink(missing_ok=True)
        return load_run(self.folder, self.id)

    def trained(self) -> nn.Module:
        """The model after its last epoch, in evaluation mode.

        Where its weights are no longer in the cache it is trained again; its stored run stays.
        """
        model = self.build()
        self._ensure_weights()
        model.load_state_dict(load_weights(self.weights))
        return model.to(self.device).eval()

    @property
    def has_weights(self) -> bool:
        """Whether what it ended with is in the cache."""
        return self.weights.with_suffix(".json").is_file()

    def as_init(self, on_epoch: Callable[[dict], None] | None = None) -> str:
        """The `init` that starts another training from what this one ended with.

        Its weights are in the cache afterwards: where they are not yet, it is trained first, and
        kept as a run if it is none yet.
        """
        if not self.has_weights:
            self.run(on_epoch)
        self._ensure_weights(on_epoch)
        return f"{RUN}{self.recipe.slug}/{self.id}"

    def with_init(self, init: str, label: str = "") -> Self:
        """The same training from other initial weights, under a variant name that says so.

        Those take the place of a stage before it, too.
        """
        return self.without_stage().with_settings(f"init {label or init}", init=init)

    def without_stage(self) -> Self:
        """The same training from the recipe's initial weights, with no stage before it."""
        return replace(self, recipe=self.recipe.override(transfer=""), before=None)

    def with_settings(self, label: str, **changes) -> Self:
        """The same training with other settings, under a variant name that says so.

        What changes the network changes it in the stage before, too.
        """
        recipe, before = self.recipe.override(**changes), self.before
        shared = {name: changes[name] for name in changes.keys() & recipe.model_options().keys()}
        if isinstance(before, Task) and shared:
            before = before.with_settings(label, **shared)
        return replace(self, variant=f"{self.variant}, {label}", recipe=recipe, before=before)

    def init_problem(self, init: str) -> str:
        """Why it cannot start from these initial weights here; empty where it can.

        They are loaded to find out: torchvision downloads its own once.
        """
        try:
            pretrained_backbone(self.build(), init)
        except (ValueError, OSError) as error:
            return str(error)
        return ""

    def _ensure_weights(self, on_epoch: Callable[[dict], None] | None = None) -> None:
        """Train where the last weights are not in the cache; a stored run stays as it is."""
        if not self.has_weights:
            self._train(on_epoch)
            self.checkpoint.unlink(missing_ok=True)

    def _train(self, on_epoch: Callable[[dict], None] | None = None) -> tuple[dict, State]:
        """Train, or go on with it; the last weights go to the cache."""
        recipe, model = self.recipe, self.build()
        check_arrays(self.store)
        if isinstance(self.before, Task):
            self.before.as_init()
        initial = pretrained_backbone(
            model,
            self.init,
            store_size=recipe.store_size,
            input_size=recipe.input_size,
            num_frames=recipe.init_frames,
            device=self.device,
            own=recipe.pretrain == "own",
        )
        layout = self._layout()
        seed_everything(self.seed)
        options = {"seed": self.seed, "checkpoint": self.checkpoint, "layout": layout}
        state = self.fit(model, self.loader(), self.split, recipe, **options, on_epoch=on_epoch)
        save_weights(model, self.weights, {"run_id": self.id})
        return initial, state

    def _layout(self) -> str:
        """The layout of the stored run where it is trained again, else the one chosen here."""
        stored = load_run(self.folder, self.id)
        if stored is not None and "layout" in stored.record:
            return stored.record["layout"]
        return choose_layout(self.work, self.clips_seen)

    def _stage(self) -> dict:
        """What came before, for the record: which training, on what; of a checkpoint its hash."""
        before = self.before
        if isinstance(before, Path):
            return {"transfer": self.recipe.transfer, "checkpoint": init_key(str(before))}
        named = {"run_id": before.id, "dataset": before.store.dataset}
        named |= {"source": before.store.source, "fold": before.fold, "seed": before.seed}
        return {"transfer": self.recipe.transfer, **named, "init_key": init_key(before.init)}

    def _record(self, initial: dict, state: State) -> dict:
        split = self.split
        return {
            "run_id": self.id,
            "paper": self.recipe.slug,
            "dataset": self.store.dataset,
            "source": self.store.source,
            "preset": self.recipe.preset,
            "variant": self.variant,
            "fold": self.fold,
            "seed": self.seed,
            "classes": list(self.store.classes),
            "protocol": asdict(self.recipe),
            "manifest_hash": self.store.manifest_hash(),
            "store": self.store.key,
            "fingerprint": self.fingerprint,
            "init": initial,
            "init_key": init_key(self.init),
            **({"stage": self._stage()} if self.before else {}),
            "sizes": {part: len(getattr(split, part)) for part in ("train", "val", "test")},
            "chosen_epoch": state.chosen,
            "history": state.history,
            "seconds": round(sum(row["seconds"] for row in state.history), 1),
            "peak_memory_mb": peak_memory_mb(self.device),
            "device": describe_device(self.device),
            "layout": state.layout,
            "provenance": provenance(),
        }


def plan_tasks(
    paper: Paper,
    preset: str,
    variants: Iterable[str],
    folds: Iterable[int],
    seeds: Iterable[int],
    store: FrameStore,
    folder: Path,
    device: str | torch.device = "cpu",
) -> list[Task]:
    """All combinations, folds outermost: what is killed then leaves whole folds to compare.

    The recipes are fitted to the clips of the store; of the `folds` those are taken that exist.
    Precision "auto" becomes the device's, which is part of the record and of the id. No stage
    comes before them; `dferlib.training.stages` puts it there.
    """
    extent, there = fit_extent(paper, tuple(folds), store)
    recipes = {}
    for variant in variants:
        recipe = paper.resolve(preset, store.dataset, variant, extent)
        precision = choose_precision(recipe.precision, device)
        recipes[variant] = recipe.override(precision=precision, transfer="")
    return [
        Task(recipe, variant, fold, seed, store, folder, str(device))
        for seed, fold, (variant, recipe) in itertools.product(seeds, there, recipes.items())
    ]


def fit_extent(
    paper: Paper, folds: tuple[int, ...], store: FrameStore
) -> tuple[Extent, tuple[int, ...]]:
    """Return how many clips and folds there are, and those of the `folds` asked for that exist.

    The paper's datasets keep their folds. Other clips have as many as the paper, or one for
    each subject where there are fewer. DatasetError for fewer than three subjects, fewer than two
    classes, or a fold without two clips to train on.
    """
    clips = store.manifest
    if store.dataset in paper.classes:
        return Extent(len(clips)), folds
    if (classes := clips["label"].nunique()) < 2:
        raise DatasetError(f"all clips are of {classes} class; a classifier needs two or more")
    count = fitting_folds(clips, max(paper.stated.num_folds, MIN_FOLDS))
    there = tuple(fold for fold in folds if fold <= count)
    if not there:
        raise DatasetError(f"folds are {folds}, but these clips fill {count} folds only")
    for fold in there:
        if (left := len(split_fold(clips, fold, count).train)) < 2:
            raise DatasetError(f"{left} clips are left to train on in fold {fold}; add clips")
    return Extent(len(clips), count), there
