"""Many processes at the same store, run, results folder and summary at the same time.

    python -m benchmarks trust-crowds

Crowds of two, four and eight start together; a reader looks at every file all the while. Counted
are halves that it saw, rows and runs that are missing at the end, and results that differ from what
one process alone leaves. The counts go to results/trust/crowds.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from benchmarks.trust import damage, victims
from dferlib.datasets.manifest import StoreError
from dferlib.datasets.store import load_store
from dferlib.evidence.provenance import provenance
from dferlib.evidence.runs import load_run
from dferlib.evidence.summary import SUMMARY_COLUMNS, read_summary
from dferlib.files import project_root, write_json

FORK = multiprocessing.get_context("fork")
RELIED_ON = (
    "a rename within a folder replaces the old file in one step (POSIX; NFS does it on its server)",
    "locks of flock hold all machines apart; where they do not, aggregates and summary may lose "
    "the rows of one of two writers until they are made again, and two builds of a store may meet: "
    "the second then takes the store of the first if its checksums fit",
    "records and predictions need no lock: every run has files of its own",
)


def together(do: Callable[[int], None], size: int, look: Callable[[], None]) -> list[int]:
    """Let so many processes do something at once; `look` is called until all have ended."""
    barrier = FORK.Barrier(size)

    def one(number: int) -> None:
        barrier.wait()
        do(number)

    crowd = [FORK.Process(target=one, args=(number,)) for number in range(size)]
    for process in crowd:
        process.start()
    while any(process.is_alive() for process in crowd):
        look()
        time.sleep(0.002)
    return [process.exitcode for process in crowd]


class Reader:
    """Reads what is in a folder as the package does, and keeps what was not whole."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.looks, self.halves = folder, 0, []

    def __call__(self) -> None:
        """Look once at everything that is there."""
        self.looks += 1
        for path in self.folder.rglob("*"):
            try:
                if path.parent.name == "runs" and path.suffix == ".json":
                    load_run(path.parents[1], path.stem)
                elif path.name == "summary.csv":
                    read_summary(path)
                elif path.parent.name == "stores" and path.is_dir() and not path.suffix:
                    load_store(path, verify=True)
                elif path.name in ("metrics.csv", "history.csv"):
                    pd.read_csv(path)
            except (StoreError, ValueError) as error:
                self.halves.append(f"{path.name}: {error}")


def crowd_of_runs(place: Path, size: int, each: int = 3) -> dict[str, Any]:
    """Everybody saves runs of their own into one folder; no run and no row may be lost."""
    reader = Reader(place)

    def save(number: int) -> None:
        damage.save_toy_runs(place, count=each, first=1 + number * each)

    ends = together(save, size, reader)
    metrics, history = (pd.read_csv(place / f"{name}.csv") for name in ("metrics", "history"))
    lost = size * each - metrics["run_id"].nunique() + size * each - history["run_id"].nunique()
    return _told(ends, reader, lost)


def crowd_of_one_run(place: Path, size: int) -> dict[str, Any]:
    """Everybody trains the same run; there is one, with the bits of one that was alone."""
    alone, reader = place / "alone", Reader(place / "crowd")
    for folder in (alone, reader.folder):
        folder.mkdir(parents=True)
    together(lambda _: victims.train(alone, "stcam"), 1, lambda: None)
    ends = together(lambda _: victims.train(reader.folder, "stcam"), size, reader)
    left = victims.leavings(reader.folder)
    return _told(ends, reader, int(left != victims.leavings(alone)))


def crowd_of_one_store(place: Path, size: int) -> dict[str, Any]:
    """Everybody opens the same store, which is not there yet; it is built once."""
    log, folder = place / "log", place / "stores-of-all"
    log.touch()
    reader = Reader(folder)

    def build(_: int) -> None:
        from toy_source import build

        assert build(folder, 1, clips=20, delay=0.01, log=log).frames.shape[1:] == (16, 16, 3)

    ends = together(build, size, reader)
    jobs = [line.split()[1] for line in log.read_text().splitlines()]
    return _told(ends, reader, len(jobs) - len(set(jobs)))


def crowd_of_one_summary(place: Path, size: int, each: int = 4) -> dict[str, Any]:
    """Everybody adds rows to the summary again and again; none may be lost."""
    from dferlib.evidence.checked_table import write_table

    path, reader = place / "summary.csv", Reader(place)

    def add(number: int) -> None:
        for turn in range(each):
            row = pd.DataFrame(
                [[f"{number}-{turn}"] * len(SUMMARY_COLUMNS)], columns=SUMMARY_COLUMNS
            )
            with FileLock(path.with_name(".summary.lock"), timeout=120):
                old = read_summary(path) if path.is_file() else row[:0]
                write_table(path, pd.concat([old, row]) if len(old) else row)

    ends = together(add, size, reader)
    return _told(ends, reader, size * each - len(read_summary(path)))


def take_over(place: Path) -> bool:
    """Whether the lock of a process that was killed while it held it can be had."""
    lock, held = place / ".lock", FORK.Event()

    def hold() -> None:
        FileLock(lock).acquire()
        held.set()
        signal.pause()

    holder = FORK.Process(target=hold)
    holder.start()
    held.wait(60)
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with FileLock(lock, timeout=30):
        return True


def _told(ends: list[int], reader: Reader, wrong: int) -> dict[str, Any]:
    failed = sum(code != 0 for code in ends)
    return {
        "processes": len(ends),
        "failed": failed,
        "looks": reader.looks,
        "halves": reader.halves[:20],
        "lost_or_wrong": wrong,
    }


CROWDS = {
    "results folder": crowd_of_runs,
    "one run": crowd_of_one_run,
    "one store": crowd_of_one_store,
    "summary": crowd_of_one_summary,
}


def is_sound(told: dict[str, Any]) -> bool:
    """Whether nobody failed, nothing was lost and no half was seen."""
    return not (told["failed"] or told["halves"] or told["lost_or_wrong"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and keep; 1 where something was lost, failed or seen by half."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--crowds", nargs="+", default=list(CROWDS), choices=list(CROWDS))
    folder = (project_root() or Path()) / "results" / "trust"
    parser.add_argument("--out", type=Path, default=folder / "crowds.json")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        taken = take_over(Path(place))
    record = {"command": "python -m benchmarks trust-crowds", "relied_on": RELIED_ON}
    record |= {"lock_of_a_killed_process_taken_over": taken}
    rows: list[dict[str, Any]] = []
    for name in chosen.crowds:
        for size in chosen.sizes:
            for _ in range(chosen.rounds):
                place = Path(tempfile.mkdtemp())
                rows.append({"crowd": name, **CROWDS[name](place, size)})
                shutil.rmtree(place)
            print(json.dumps(rows[-1]), flush=True)
            write_json(chosen.out, {**record, "crowds": rows, "provenance": provenance()})
    return int(not all(map(is_sound, rows)))


if __name__ == "__main__":
    raise SystemExit(main())
