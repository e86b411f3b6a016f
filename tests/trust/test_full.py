"""A full disk, a quota, folders that cannot be written or are not there: named, nothing lost."""

import ctypes
import multiprocessing
import os
import resource
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from toy_source import build

from benchmarks.trust import damage
from dferlib.datasets.manifest import StoreError
from dferlib.evidence.checked_table import write_table
from dferlib.evidence.runs import load_run, remake_aggregates
from dferlib.evidence.summary import SUMMARY_COLUMNS
from dferlib.files import cache_folder, write_csv, write_json
from dferlib.training.checkpoint import read_checkpoint, save_checkpoint
from dferlib.training.state import State
from dferlib.training.weights import load_weights, save_weights

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts, and limits of Linux")
NEW_MOUNTS, PRIVATE, READ_ONLY = 0x20000, 1 << 18 | 1 << 14, 1 | 32  # of <sched.h>, <sys/mount.h>


def in_child(do, *arguments) -> str:
    """Do something in a forked process; returns the error that came out, as text."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def run():
        try:
            theirs.send(do(*arguments) or "")
        except BaseException as error:
            theirs.send(f"{type(error).__name__}: {error}")

    child = context.Process(target=run)
    child.start()
    said = ours.recv()
    child.join()
    return said


def mount(place: Path, size: str = "64k", flags: int = 0) -> None:
    """Mount memory of a size at a folder, for this process alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    steps = (
        lambda: libc.unshare(NEW_MOUNTS),
        lambda: libc.mount(b"none", b"/", None, PRIVATE, None),
    )
    path, options = os.fsencode(place), f"size={size}".encode()
    for step in (*steps, lambda: libc.mount(b"tmpfs", path, b"tmpfs", flags, options)):
        if step():
            raise PermissionError(ctypes.get_errno(), "cannot mount")


def state() -> State:
    model = nn.Linear(200, 200)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    return State(model, optimizer, scheduler, nn.CrossEntropyLoss())


def noise(rows: int) -> pd.DataFrame:
    values = np.random.default_rng(0).random((rows, len(SUMMARY_COLUMNS)))
    return pd.DataFrame(values, columns=SUMMARY_COLUMNS)


WRITERS = {
    "record": lambda folder: write_json(folder / "big.json", list(range(50_000))),
    "predictions": lambda folder: write_csv(folder / "big.csv.gz", noise(5000)),
    "summary": lambda folder: write_table(folder / "summary.csv", noise(5000)),
    "checkpoint": lambda folder: save_checkpoint(state(), folder / "a.resume"),
    "weights": lambda folder: save_weights(nn.Linear(200, 200), folder / "a.safetensors", {}),
    "store": lambda folder: build(folder, 1, clips=200),
}


def fill_up(folder: Path, way: str) -> str:
    """Write earlier results, let every writer run into a limit, and read them again."""
    if way == "full":
        mount(folder)
    elif way == "read-only":
        mount(folder, "8m")
    (_, _, name), _ = damage.save_toy_runs(folder / "runs-of-before")
    save_weights(nn.Linear(2, 2), folder / "old.safetensors", {})
    if way == "quota":
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    elif way == "read-only":
        libc, path = ctypes.CDLL(None), os.fsencode(folder)
        assert not libc.mount(b"none", path, None, READ_ONLY, None)
    wrong = []
    for writer, write in WRITERS.items():
        try:
            write(folder)
            wrong.append(f"{writer} was written")
        except (OSError, StoreError) as error:
            text = str(error)
            if str(folder) not in text or ("space" not in text and "another folder" not in text):
                wrong.append(f"{writer}: {text}")
    rests = [p.name for p in folder.rglob("*") if ".tmp" in p.name or ".partial" in p.name]
    if load_run(folder / "runs-of-before", name).predictions.empty or rests:
        wrong.append(f"left: {rests}")
    load_weights(folder / "old.safetensors")
    return "; ".join(wrong)


@pytest.mark.parametrize("way", ["full", "quota", "read-only"])
def test_every_writer_names_its_path_and_earlier_results_open(way, tmp_path):
    said = in_child(fill_up, tmp_path, way)
    if "cannot mount" in said:
        pytest.skip("mounting is not allowed here")
    assert said == ""


def test_a_home_that_does_not_exist_is_named(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.delenv("DFER_CACHE")
    monkeypatch.setenv("HOME", str(blocked / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder().is_relative_to(blocked)
    with pytest.raises(StoreError, match=r"cannot write.*file/home.*DFER_CACHE"):
        build_below(cache_folder())
    with pytest.raises(OSError, match="file/home"):
        save_checkpoint(state(), cache_folder() / "a.resume")
    assert read_checkpoint(cache_folder() / "a.resume") is None


def build_below(folder: Path):
    from toy_source import toy_source

    from dferlib.datasets import store

    return store._build_once(toy_source(), folder / "stores" / "toy-a", 16, 1, False)


def other_device(results: Path, cache: Path) -> str:
    mount(cache, "8m")
    if os.stat(results).st_dev == os.stat(cache).st_dev:
        return "one device"
    os.symlink(cache, results / "cache")
    store = build(results / "cache", 1)
    save_weights(nn.Linear(2, 2), results / "cache" / "a.safetensors", {})
    damage.save_toy_runs(results)
    remake_aggregates(results)
    return "" if store.frames.size and load_weights(cache / "a.safetensors") else "nothing"


def test_a_cache_on_another_device_is_written_as_any_other(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "results").mkdir()
    said = in_child(other_device, tmp_path / "results", tmp_path / "cache")
    if "cannot mount" in said:
        pytest.skip("mounting is not allowed here")
    assert said == ""
