"""What a worker of a sweep does: fill a store, pre-train, train; and what it says meanwhile.

A worker gets plain values and makes everything of them itself. One process does one of these at a
time, because seeds, threads and the keeping of freed memory belong to a process.

    <cache>/sweep/logs/<run id>.log    what a training said: epochs, warnings, the error
    <cache>/sweep/locks/<run id>       held while it is trained: a second sweep waits, and reads
"""

from __future__ import annotations

import os
import platform
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

import dferlib
from dferlib.datasets.store import FrameStore
from dferlib.files import cache_folder, digest
from dferlib.notebook.request import request_of
from dferlib.sweep.errors import SweepError
from dferlib.sweep.orders import Order, planned_for
from dferlib.training.pace import choose_layout
from dferlib.training.planning import own_clips
from dferlib.training.pretrain import pretrained_backbone
from dferlib.training.stores import open_recipe_store
from dferlib.training.tasks import Task

TOPIC = "dferlib-epoch"
Say = Callable[[dict], None]  # takes {"run_id": ..., "epoch": ...} after every epoch


class VersionError(SweepError):
    """A worker runs other code than the process that made the plan."""


@dataclass(frozen=True)
class Means:
    """What a worker has for one order: threads, and which GPU is its own where there are any."""

    threads: int
    gpu: int = 0
    say: Say | None = None


@cache
def versions() -> dict[str, str]:
    """What has to be the same on all workers: the package, its code, torch, numpy and Python."""
    root = Path(dferlib.__file__).parent
    code = [(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
            for path in sorted(root.rglob("*.py"))]  # fmt: skip
    return {
        "dferlib": dferlib.__version__,
        "code": digest(code),
        "torch": torch.__version__,
        "numpy": metadata.version("numpy"),
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def compare_versions(expected: dict[str, str], who: str = "this worker") -> None:
    """Raise VersionError naming every version of this process that is not the expected one."""
    here = versions()
    wrong = [f"{k} {here[k]} instead of {v}" for k, v in expected.items() if here[k] != v]
    if wrong:
        raise VersionError(
            f"{who} has {', '.join(wrong)}: install the same commit and requirements.lock there, "
            "restart its worker, and start the sweep again; finished runs are kept"
        )


def find_task(order: Order) -> Task:
    """The training of an order, as it is planned: its store may have no frames yet.

    VersionError where what is trained for its row here has no such run id.
    """
    found = [one.task for one in planned_for(order.settings)]
    for task in found:
        if task.id == order.run_id:
            return task
    raise VersionError(
        f"{order.title} is {order.run_id} in the plan, and this worker knows "
        f"{', '.join(task.id for task in found)}: its code, its data or what its device can do "
        "(precision) is another"
    )


def with_frames(task: Task, order: Order) -> Task:
    """The same with its store opened, and its stage's, too, where that has no weights yet."""
    before = task.before
    if isinstance(before, Task) and not before.has_weights:
        before = with_frames(before, order)
    return replace(task, store=_open(task, order), before=before)


def _open(task: Task, order: Order) -> FrameStore:
    """The store of a training, filled where it is not there, with the clips that it reads."""
    request = request_of(order.settings)
    place = request.place_of(task.store, task.store.dataset)
    means = {"workers": torch.get_num_threads(), "progress": False}
    return own_clips(request.paper, open_recipe_store(task.recipe, *place, **means))


def fill_store(order: Order, means: Means) -> str:
    """Fill the frame store that a training needs; others that want it wait for its file lock."""
    with _logged(f"store-{order.run_id}", order.title, means):
        return str(_open(find_task(order), order).path)


def pretrain(order: Order, means: Means) -> str:
    """Train the initial weights that a training starts from, unless the cache has them."""
    with _logged(f"weights-{order.run_id}", order.title, means):
        task = find_task(order)
        pretrained_backbone(
            task.build(),
            task.recipe.init,
            store_size=task.recipe.store_size,
            input_size=task.recipe.input_size,
            num_frames=task.recipe.init_frames,
            device=task.device,
            own=task.recipe.pretrain == "own",
            progress=False,
        )
        return task.recipe.init


def train(order: Order, means: Means) -> str:
    """Bring a training to its end, going on from its checkpoint; returns the run id.

    Two processes with the same order train it once. How tensors lie in memory is measured by one of
    them and read by the others, so that all of the same kind compute the same bits.
    """
    with _logged(order.run_id, order.title, means) as write:
        task = with_frames(find_task(order), order)
        _locks().mkdir(parents=True, exist_ok=True)
        with FileLock(_locks() / order.run_id):
            with FileLock(_locks() / "pace"):
                choose_layout(task.work, task.clips_seen)
            report = _reporter(order.run_id, task.recipe.epochs, means.say, write)
            if order.kept:
                task.run(report)
            if order.passed_on:
                task.as_init(report)
        return order.run_id


def on_worker(do: Callable[[Order, Means], str], order: Order, means: Means) -> str:
    """Do something of `dferlib.sweep.work` on a Dask worker: on its own GPU, and telling epochs.

    A worker that is named by a number, as those of a LocalCluster are, has the GPU of that number.
    """
    from distributed import get_worker

    worker = get_worker()
    gpu = int(worker.name) if str(worker.name).isdecimal() else 0

    def say(row: dict[str, Any]) -> None:
        worker.log_event(TOPIC, row)

    return do(order, Means(means.threads, gpu, say))


def log_path(name: str) -> Path:
    """Where the log of a training, by run id, lies in the cache."""
    return cache_folder() / "sweep" / "logs" / f"{name}.log"


def _locks() -> Path:
    return cache_folder() / "sweep" / "locks"


def _reporter(
    run_id: str, epochs: int, say: Say | None, write: Callable[[str], None]
) -> Callable[[dict], None]:
    def report(row: dict) -> None:
        scores = " ".join(f"{k} {v:.4g}" for k, v in row.items() if k != "epoch")
        write(f"epoch {row['epoch']} of {epochs}: {scores}")
        if say is not None:
            say({"run_id": run_id, "epoch": row["epoch"]})

    return report


@contextmanager
def _logged(name: str, title: str, means: Means) -> Iterator[Callable[[str], None]]:
    """Set the worker's threads and GPU, and keep what is said in a log; yields its `write`.

    A log that cannot be written costs no training.
    """
    torch.set_num_threads(means.threads)
    if torch.cuda.is_available():
        torch.cuda.set_device(means.gpu % torch.cuda.device_count())
    path, started = log_path(name), time.perf_counter()

    def write(line: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {line}\n")

    write(f"begins: {title}; process {os.getpid()}, {means.threads} threads")
    with warnings.catch_warnings(), redirect_stderr(_Lines(write)):
        warnings.simplefilter("default")
        try:
            yield write
        except Exception:
            write(f"failed after {time.perf_counter() - started:.1f} s\n{traceback.format_exc()}")
            raise
    write(f"ends after {time.perf_counter() - started:.1f} s")


class _Lines:
    """A text stream that hands every finished line on."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.rest, self.hand_on = "", write

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).replace("\r", "\n").split("\n")
        for line in filter(str.strip, lines):
            self.hand_on(line)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back but an unfinished line."""
