"""Small pieces of work that `kills.py` kills: what they do, where they die, what they leave.

All of them write below one folder, take up what an earlier try left there, and end with the same
bytes however often they were killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import torch
import torch._dynamo  # or every forked process does, for seconds, with its first step

from dferlib import files
from dferlib.files import digest
from dferlib.protocols import load_protocol
from dferlib.training import pretrain
from dferlib.training.pretrain import Pretraining, synthetic_weights
from dferlib.training.stores import open_recipe_store
from dferlib.training.tasks import Task, plan_tasks

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # the toys that the tests are made of

from toy import make_store  # noqa: E402
from toy_source import build  # noqa: E402

EPOCHS = 3
POINTS = ("in the write", "before the sync", "before the name", "after the name")
KEPT = ("*.safetensors", "*.csv.gz", "*.npy", "manifest.csv", "store.json", "metrics.csv")
OWN = ("seconds", "peak_memory_mb", "provenance", "predictions_sha256")  # of one try, or checked


def arm(point: str, call: int) -> None:
    """Let this process die at a point of its `call`-th atomic write, counted from 1."""
    made = {"open": 0}
    here = {"open": open, "fsync": os.fsync, "replace": os.replace}

    def opened(*args, **options):
        made["open"] += 1
        file = here["open"](*args, **options)
        return _Half(file) if due(POINTS[0]) else file

    def due(where: str) -> bool:
        return made["open"] == call and where == point

    def synced(handle):
        if due(POINTS[1]):
            die()
        return here["fsync"](handle)

    def replaced(old, new):
        if due(POINTS[2]):
            die()
        here["replace"](old, new)
        if due(POINTS[3]):
            die()

    files.open = opened
    files.os = _Patched(os, fsync=synced, replace=replaced)


def die() -> None:
    """End this process as a full stop of the machine would: nothing is flushed, nothing closed."""
    os.kill(os.getpid(), signal.SIGKILL)


class _Patched:
    """A module of which some functions are others; its users elsewhere keep the real one."""

    def __init__(self, module, **other) -> None:
        self.module, self.other = module, other

    def __getattr__(self, name: str):
        return self.other.get(name) or getattr(self.module, name)


class _Half:
    """An open file whose first write leaves half of the data on disk, and no process."""

    def __init__(self, file) -> None:
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.file.close()

    def write(self, data) -> None:
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        die()


def toy_task(place: Path, slug: str) -> Task:
    """A training of a paper's own network at smoke, on clips of coloured noise."""
    paper = load_protocol(slug)
    size = paper.resolve("smoke", "oulu", slug).store_size
    folder = place / "results" / slug / "oulu-synthetic-smoke"
    (task,) = plan_tasks(paper, "smoke", [slug], [1], [0], make_store(size=size), folder)
    changes = {"epochs": EPOCHS, "milestones": (), "init": "random"}
    narrow = {"width": 0.1} if slug == "stcam" else {}
    return replace(task, recipe=task.recipe.override(**changes, **narrow))


def train(place: Path, slug: str) -> None:
    """Bring that training to its end."""
    _begin(place)
    toy_task(place, slug).run()


def train_quick(place: Path) -> None:
    """Bring the STCAM run of the quick preset to its end; its store is filled where it is not."""
    paper = load_protocol("stcam")
    store = open_recipe_store(paper.resolve("quick", "oulu", "stcam"), "synthetic")
    _begin(place)  # after the store is open, which all tries share
    folder = place / "results" / "stcam" / "oulu-synthetic-quick"
    (task,) = plan_tasks(paper, "quick", ["stcam"], [1], [0], store, folder)
    replace(task, recipe=task.recipe.override(init="random")).run()


def fill(place: Path) -> None:
    """Fill a frame store in eight jobs of a twentieth of a second each."""
    _begin(place)
    build(place / "cache", 1, clips=40, delay=0.05)


def pretrain_toy(place: Path) -> None:
    """Pre-train a narrow network on stills and clips of coloured noise."""
    _begin(place)
    store = make_store(size=40)
    clips = store.manifest.copy()
    stills = clips["subject"] < "S06"
    clips.loc[stills, ["n_frames", "apex"]] = [1, 0]
    truth = {"aus": np.random.default_rng(0).random((len(store.frames), 5, 2), np.float32)}
    store = replace(store, manifest=clips, truth=truth)
    pretrain.open_store = lambda *_, **__: store
    options = {"attention": "3dcam+stam", "width": 0.0625, "reduction": 4}
    sizes = {"store_size": 40, "input_size": 32, "num_frames": 7}
    toy = Pretraining(still_epochs=2, clip_epochs=2, fraction=1e-9)
    synthetic_weights("stcam", options, **sizes, settings=toy, own=True, progress=False)


def write_notebook(place: Path) -> Path:
    """A notebook that brings the toy training of STCAM to its end."""
    book = nbformat.v4.new_notebook()
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    cells = (
        "from pathlib import Path\nfrom benchmarks.trust.victims import train",
        f"train(Path({str(place)!r}), 'stcam')",
        "from dferlib.notebook.display import finish\nfinish()",
    )
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    path = place / "n.ipynb"
    nbformat.write(book, path)
    return path


def _begin(place: Path) -> None:
    torch.set_num_threads(1)
    os.environ["DFER_CACHE"] = str(place / "cache")


def leavings(place: Path) -> dict[str, str]:
    """What a finished piece of work left, by path: hashes without what differs from try to try."""
    found = {}
    for pattern in KEPT:
        for path in place.rglob(pattern):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[path.relative_to(place).as_posix()] = content
    for path in place.rglob("runs/*.json"):
        record = files.plain(json.loads(path.read_bytes()))
        for name in (*OWN, files.SEAL):
            record.pop(name, None)
        for row in record.get("history", ()):
            row.pop("seconds", None)
        if "sha256" not in record:  # that beside weights says no more than they do
            found[path.relative_to(place).as_posix()] = digest(record)
    return dict(sorted(found.items()))


FORKED: dict[str, Callable[[Path], None]] = {
    "stcam": lambda place: train(place, "stcam"),
    "hacn": lambda place: train(place, "hacn"),
    "store": fill,
    "pretraining": pretrain_toy,
    "quick": train_quick,
}
