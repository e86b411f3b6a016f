"""Which trainings a sweep is made of, what they will take, and what of them is there already.

Nothing is rendered or read from images for a plan: a run id hangs on the list of clips and on the
version of what makes their pixels, and both are known before a frame store is filled.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dferlib.analysis.full_cost import Size, gpu_hours, operations_of, size_of, what_of
from dferlib.evidence.runs import results_folder
from dferlib.files import cache_folder, plain
from dferlib.names import OWN_CLIPS, unknown_name
from dferlib.notebook.parameters import Settings, check_parameters
from dferlib.protocols import list_protocols, load_protocol
from dferlib.protocols.presets import HOUR_TFLOPS
from dferlib.protocols.recipe import Recipe
from dferlib.sweep.orders import Order, planned_for
from dferlib.training.pretrain import Pretraining, init_key, pretrained_as
from dferlib.training.runner import STATES, state_of_stage
from dferlib.training.stages import stages_of
from dferlib.training.tasks import Task

# Assumed where no stored run tells: multiply-adds count as two operations a second.
CPU_CORE_FLOPS = 40e9
GPU_FLOPS = HOUR_TFLOPS * 1e12
PRETRAINING_FRAMES = 40_000  # of the stand-in for pre-training, where it is not filled yet
_PRECISIONS = ("float32", "bf16")


@dataclass(frozen=True)
class Item:
    """A training of a plan: its task and order, its state, and its size."""

    task: Task
    order: Order
    size: Size

    @cached_property
    def state(self) -> str:
        """How far it is; what others start from is finished when its last weights are there."""
        states = [self.task.state] if self.order.kept else []
        states += [state_of_stage(self.task)] if self.order.passed_on else []
        return max(states, key=STATES.index)

    def as_row(self) -> Item:
        """The same, with its run wanted."""
        return replace(self, order=replace(self.order, kept=True))

    @property
    def operations(self) -> float:
        """Operations of the whole training: a step takes three forward passes, testing one."""
        task, split = self.task, self.task.split
        tested = len(split.val) + len(split.test)
        return operations_of(task.recipe, self.size.macs, len(split.train), tested)

    @property
    def store_path(self) -> Path:
        """Folder of its frame store, filled or not."""
        return self.task.store.path

    @property
    def pretrained(self) -> str:
        """Which pre-trained weights it starts from, as text to be compared; empty for none."""
        recipe = self.task.recipe
        if self.task.init != "synthetic":
            return ""
        return json.dumps(plain(pretraining_of(recipe)), sort_keys=True)


def choose_settings(
    papers: str = "all", datasets: str = "all", **parameters: str
) -> list[Settings]:
    """Return the checked parameters of a notebook for every paper and dataset that is asked for.

    `papers` and `datasets` are comma lists or "all"; a paper takes those of the datasets that it
    reports on. `parameters` are those of a notebook (`preset`, `seeds`, ...). ValueError for names
    that no paper has, ParameterError for values that a notebook would refuse.
    """
    slugs = _chosen("paper", papers, list_protocols())
    known = {slug: (*load_protocol(slug).datasets, OWN_CLIPS) for slug in slugs}
    every = sorted({name for names in known.values() for name in names} - {OWN_CLIPS})
    named = _chosen("dataset", datasets, tuple(every), also=(OWN_CLIPS,))
    if parameters.get("results_dir"):  # workers may have another current folder
        parameters["results_dir"] = str(Path(parameters["results_dir"]).expanduser().resolve())
    for name in ("init", "transfer"):
        dataset, mark, place = parameters.get(name, "").rpartition("=")
        path = Path(place).expanduser()
        if path.is_file() or (mark and path.is_dir()):
            parameters[name] = f"{dataset}{mark}{path.resolve()}"
    found = []
    for slug in slugs:
        for dataset in (name for name in known[slug] if name in named):
            given = {**parameters, "dataset": dataset}
            own = load_protocol(slug).datasets
            found.append(check_parameters(slug, given, datasets=own))
    return found


def _chosen(
    what: str, text: str, known: tuple[str, ...], also: tuple[str, ...] = ()
) -> tuple[str, ...]:
    if text == "all":
        return known
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in (*known, *also):
            raise ValueError(unknown_name(what, name, (*known, *also)))
    return names


def pretraining_of(recipe: Recipe) -> dict[str, Any]:
    """What tells apart the pre-trained weights that a recipe starts from, but for precision."""
    name, options = recipe.model, recipe.model_options()
    if recipe.pretrain != "own":
        name, options = pretrained_as(name, options)
    return {
        "name": name,
        "options": options,
        "store_size": recipe.store_size,
        "input_size": recipe.input_size,
        "num_frames": recipe.init_frames,
    }


class SweepPlan:
    """The trainings of a sweep, each once, and what is still to do before and in them.

    Attributes: `items`, in the order in which they are begun; `left`, those that are not finished.
    Shows itself as the text that is printed before anything runs.
    """

    def __init__(self, settings: Iterable[Settings], slots: int = 1) -> None:
        planned = [(each, one) for each in settings for one in planned_for(each)]
        wanted = stages_of(one.task for _, one in planned if not one.stage)
        needed = {(stage.folder, stage.id) for stage in wanted}
        found: dict[tuple[Path, str], Item] = {}
        for each, one in planned:
            key = one.task.folder, one.task.id
            if key in needed or not one.stage:
                item = found.get(key) or _item(each, one.task, one.row, key in needed)
                found[key] = item if one.stage else item.as_row()
        self.items = tuple(found.values())
        self.left = tuple(item for item in self.items if item.state != "finished")
        self.slots = max(1, slots)

    def count(self, state: str) -> int:
        """Number of trainings in a state: "finished", "resumable" or "to do"."""
        return sum(item.state == state for item in self.items)

    @cached_property
    def stores(self) -> dict[Path, Item]:
        """Frame stores that have to be filled first, each with a training that needs it."""
        return {i.store_path: i for i in reversed(self.left) if not i.store_path.is_dir()}

    @cached_property
    def pretrainings(self) -> dict[str, Item]:
        """Pre-trainings that are not in the cache, each with a training that starts from it."""
        missing = {i.pretrained: i for i in reversed(self.left) if i.pretrained}
        there = _weights_there() if missing else set()
        return {name: item for name, item in missing.items() if name not in there}

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Estimated seconds of every training that is left, by run id, alone on its worker.

        What a stored run of the same id took, else its counted operations at the rate of the runs
        that are known, else at an assumed rate; `basis` says which.
        """
        known = {item.task.id: _stored_seconds(item) for item in self.items}
        rates = [i.operations / s for i in self.items if (s := known[i.task.id])]
        assumed = GPU_FLOPS if self.items and self._on_gpu else CPU_CORE_FLOPS
        rate = statistics.median(rates) if rates else assumed
        self._rate, self._known = rate, len(rates)
        return {i.task.id: known[i.task.id] or i.operations / rate for i in self.left}

    @property
    def basis(self) -> str:
        """Where the hours come from, in words."""
        self.seconds  # noqa: B018 - which leaves the rate
        if self._known:
            return f"from {self._known} stored runs, {self._rate / 1e9:.0f} GFLOP/s"
        return f"assumed {self._rate / 1e9:.0f} GFLOP/s a worker"

    @property
    def hours(self) -> float:
        """Hours of the trainings with all workers busy; stores and pre-training come on top."""
        return sum(self.seconds.values()) / 3600 / min(self.slots, max(1, len(self.left)))

    @property
    def gpu_hours(self) -> float:
        """Hours of the same operations on one data-centre card at `HOUR_TFLOPS`."""
        return gpu_hours(sum(item.operations for item in self.left))

    @cached_property
    def disk(self) -> int:
        """Bytes that will be written: stores, last weights, and the states of running trainings."""
        stores = sum(_store_bytes(item.task) for item in self.stores.values())
        if self.pretrainings:
            item = next(iter(self.pretrainings.values()))
            stores += PRETRAINING_FRAMES * 3 * item.task.recipe.store_size**2
        weights = [4 * item.size.parameters for item in self.left]
        return stores + sum(weights) + self.slots * 3 * max(weights, default=0)

    @property
    def room(self) -> int:
        """Bytes that are free where the cache lies."""
        folder = cache_folder().absolute()
        return shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free

    @property
    def _on_gpu(self) -> bool:
        return self.items[0].task.device.startswith("cuda")

    def __str__(self) -> str:
        counts = ", ".join(f"{self.count(state)} {state}" for state in STATES)
        lines = [f"{len(self.items)} trainings: {counts}", *self._by_paper()]
        if self.left:
            lines.append(
                f"first: {len(self.stores)} frame stores to fill, "
                f"{len(self.pretrainings)} pre-trainings"
            )
            lines.append(
                f"hours: about {self.hours:.1f} on {self.slots} workers ({self.basis}), stores and "
                f"pre-training not counted; {self.gpu_hours:.2f} GPU hours at {HOUR_TFLOPS} TFLOP/s"
            )
            lines.append(f"disk: {self.disk / 1e9:.2f} GB; {self.room / 1e9:.0f} GB are free")
        return "\n".join(lines)

    def _by_paper(self) -> list[str]:
        groups: dict[tuple[str, str], list[Item]] = {}
        for item in self.items:
            folder = item.task.folder
            groups.setdefault((folder.parent.name, folder.name), []).append(item)
        lines = []
        for (slug, folder), items in groups.items():
            left = [item for item in items if item.state != "finished"]
            hours = sum(self.seconds[item.task.id] for item in left) / 3600
            lines.append(
                f"  {slug:9} {folder:30} {len(items):4} trainings, {len(left):4} left, "
                f"{hours:6.1f} h of one worker"
            )
        return lines


def _item(settings: Settings, task: Task, row: Task, passed_on: bool) -> Item:
    one = {"variants": (row.variant,), "folds": (row.fold,), "seeds": (row.seed,)}
    one |= {"source": row.store.source}  # auto: a worker has to take the same
    where = f"{task.folder.parent.name} {task.folder.name}"
    title = f"{where} {task.variant} fold {task.fold} seed {task.seed}"
    order = Order(settings.model_copy(update=one), task.id, title, False, passed_on)
    return Item(task, order, size_of(*what_of(task.recipe, len(task.store.classes))))


def _stored_seconds(item: Item) -> float:
    """What the run took that is stored in its folder or in the project's; 0 without any."""
    task = item.task
    where = (task.store.dataset, task.store.source, task.recipe.preset)
    for folder in (task.folder, results_folder(task.folder.parent.name, *where)):
        path = folder / "runs" / f"{task.id}.json"
        if path.is_file():
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["device"]["type"] == task.device.partition(":")[0]:
                return float(record["seconds"])
    return 0.0


def _store_bytes(task: Task) -> int:
    return int(task.store.manifest["n_frames"].sum()) * 3 * task.store.size**2


def _weights_there() -> set[str]:
    """The pre-trained weights of today's settings in the cache, as `Item.pretrained` has them."""
    found = set()
    settings = {init_key("synthetic", replace(Pretraining(), precision=p)) for p in _PRECISIONS}
    for path in (cache_folder() / "weights").glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("settings") in settings:
            names = ("name", "options", "store_size", "input_size", "num_frames")
            found.add(json.dumps({k: record[k] for k in names}, sort_keys=True))
    return found
