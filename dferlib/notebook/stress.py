"""What trained models say of clips they were not made for: spoilt ones, and other datasets'.

Kept like trainings (`dferlib.evidence.runs`), one run for each model and kind, below the folder of
the dataset that is tested:

    <folder>/corruptions/   clip_id is "<clip>@<corruption>-<grade>"; "clean-0" is the clip itself
    <folder>/transfer/      variant is "<row>, from <dataset>"; classes are those both sets have

`of` in a record is the run id of the model. What is stored is not computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from dferlib.analysis import corruptions
from dferlib.datasets.batches import Batch, ClipLoader, denormalise, to_clips
from dferlib.datasets.standins.plans import plan_standin
from dferlib.datasets.store import FrameStore
from dferlib.evidence.benchmark import CLEAN, CORRUPTIONS, TRANSFER, spoilt_id, transfer_label
from dferlib.evidence.provenance import provenance
from dferlib.evidence.runs import Run, load_run, run_id, save_run
from dferlib.training.predict import make_predictions, predict
from dferlib.training.tasks import Task


@dataclass(frozen=True, eq=False)
class FixedClips:
    """Clips (N, 3, T, H, W) that are already there, where `predict` wants a loader."""

    clips: Tensor
    device: torch.device
    batch_size: int = 32

    def testing(self, rows: np.ndarray) -> Iterator[Batch]:
        """The clips at these places, in order, without classes."""
        for start in range(0, len(rows), self.batch_size):
            part = self.clips[rows[start : start + self.batch_size]].to(self.device)
            yield Batch(part, torch.empty(0), None)


class SpoiltClips:
    """Some test clips of a dataset under every corruption and grade, each made once.

    `task` is any training on it: its test part, frames and crops count; `most` is the number of
    clips, spread evenly over the test part.
    """

    def __init__(self, task: Task, most: int) -> None:
        test = task.split.test
        places = np.linspace(0, len(test) - 1, min(most, len(test))).round().astype(int)
        self.rows, self.recipe, self.store = test[places], task.recipe, task.store
        self.loader = task.loader("cpu")

    @property
    def names(self) -> tuple[str, ...]:
        """The corruptions that can be made; a real face cannot be turned."""
        posed = self.store.source == "synthetic"
        return tuple(name for name in corruptions.NAMES if name != "pose" or posed)

    @cached_property
    def pixels(self) -> Tensor:
        """The clips as they are, uint8 (B, T, H, W, 3)."""
        shown = denormalise(self.loader.gather(self.rows), self.recipe.normalise)
        return (shown * 255).round().to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous()

    @cached_property
    def sets(self) -> dict[tuple[str, int], Tensor]:
        """(corruption, grade) -> uint8 (B, T, H, W, 3); (CLEAN, 0) holds the clips as they are."""
        found = {(CLEAN, 0): self.pixels}
        for name in self.names:
            for grade in corruptions.GRADES:
                found[name, grade] = self._spoil(name, grade)
        return found

    def _spoil(self, name: str, grade: int) -> Tensor:
        if name != "pose":
            return corruptions.corrupt(self.pixels, name, grade)
        recipe, store = self.recipe, self.store
        plan = plan_standin(store.dataset, recipe.fraction, faces=recipe.faces)
        offsets = store.manifest["offset"].to_numpy()[self.rows]
        frames = self.loader.draw().frames[self.rows] - offsets[:, None]
        turned = corruptions.turn_heads(plan, self.rows, frames, grade, store.size)
        room = (store.size - recipe.input_size) // 2
        inner = slice(room, room + recipe.input_size)
        return torch.from_numpy(np.ascontiguousarray(turned[:, :, inner, inner]))


def corrupted_run(task: Task, model: nn.Module | None, spoilt: SpoiltClips) -> Run | None:
    """The predictions of a training's model on spoilt clips: read, or made and kept.

    Without a model what is stored is returned, None where nothing is.
    """
    what = {"version": corruptions.VERSION, "clips": spoilt.rows.tolist(), "names": spoilt.names}
    variant, folder = f"{task.variant}, corrupted", task.folder / CORRUPTIONS
    name = run_id(variant, task.fold, task.seed, {"of": task.id, **what})
    stored = load_run(folder, name)
    if stored is not None or model is None:
        return stored
    parts = []
    for (corruption, grade), pixels in spoilt.sets.items():
        values = _predict(model, to_clips(pixels.numpy(), task.recipe.input_size), task)
        table = make_predictions(task.store, spoilt.rows, task.fold, {"last": values})
        table["clip_id"] = [spoilt_id(clip, corruption, grade) for clip in table["clip_id"]]
        parts.append(table)
    record = _record(task, name, variant, task.store, task.store.classes)
    save_run(folder, record, pd.concat(parts, ignore_index=True))
    return load_run(folder, name)


def transferred_run(task: Task, model: nn.Module | None, target: Task) -> Run | None:
    """The predictions of a training's model on another dataset's test part: read, or made and kept.

    Only clips of classes that both have are tested, and the model chooses among these alone.
    `target` is any training there. Without a model what is stored is returned, None where nothing
    is. None, too, where fewer than two classes are shared.
    """
    store = target.store
    shared = tuple(name for name in task.store.classes if name in store.classes)
    if len(shared) < 2:
        return None
    variant, folder = transfer_label(task.variant, task.store.dataset), target.folder / TRANSFER
    what = {"of": task.id, "manifest": store.manifest_hash(), "fold": target.fold}
    name = run_id(variant, target.fold, task.seed, what)
    stored = load_run(folder, name)
    if stored is not None or model is None:
        return stored
    rows = target.split.test
    rows = rows[store.manifest["label"].iloc[rows].isin(shared).to_numpy()]
    values = _predict(model, target.loader("cpu").gather(rows), task)
    values = values[:, [task.store.classes.index(label) for label in shared]]
    values = values / np.maximum(values.sum(1, keepdims=True), 1e-12)
    table = make_predictions(replace(store, classes=shared), rows, target.fold, {"last": values})
    save_run(folder, _record(task, name, variant, store, shared, target.fold), table)
    return load_run(folder, name)


def _predict(model: nn.Module, clips: Tensor, task: Task) -> np.ndarray:
    device = torch.device(task.device)
    loader: ClipLoader = FixedClips(clips, device)  # `predict` asks for no more of a loader
    return predict(model, loader, np.arange(len(clips)), task.recipe.precision)


def _record(
    task: Task,
    name: str,
    variant: str,
    store: FrameStore,
    classes: Sequence[str],
    fold: int = 0,
) -> Mapping[str, object]:
    """The record of a test; `store` is what is tested."""
    return {
        "run_id": name,
        "of": task.id,
        "trained_on": task.store.dataset,
        "paper": task.recipe.slug,
        "dataset": store.dataset,
        "source": store.source,
        "preset": task.recipe.preset,
        "variant": variant,
        "fold": fold or task.fold,
        "seed": task.seed,
        "classes": list(classes),
        "protocol": asdict(task.recipe),
        "manifest_hash": store.manifest_hash(),
        "fingerprint": task.fingerprint,
        "history": [],
        "provenance": provenance(),
    }
