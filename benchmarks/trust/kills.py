"""Work that is killed again and again: does it end with the bits of work that nobody touched?

    python -m benchmarks trust-kills                               # all parts, hours
    python -m benchmarks trust-kills --parts stcam store --random 20 --aimed 1 --minutes 5

Parts: the training of STCAM and of HACN at smoke on clips of noise, filling a frame store,
pre-training, a notebook run from outside (its kernel, its runner, both), a sweep (a worker, the
process with the scheduler), and STCAM at quick on the stand-in of Oulu-CASIA.

random  SIGKILL after a random part of the time that the work takes; started again until it ends
aimed   SIGKILL inside each write of a file, at four points: in the write, before the data are on
        disk, before the file has its name, before the folder is on disk; then started again

Predictions, metrics, history, weights and stores are compared with those of an untouched try by
their bytes. What was done is kept in the work folder after every try that came to its end, so that
the same command goes on; the counts go to results/trust/kills.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.trust import victims
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json

FORK = multiprocessing.get_context("fork")  # of a process that has imported torch already
NUMBERS = {"quick": 3, "notebook": 30, "sweep": 20}  # of random kills; 100 of the others
LEFT_SECONDS = 20  # for what a killed process had started to see it is alone
LONGEST = 6 * 3600.0


class Child:
    """A forked process that does a piece of work; armed, it dies at a point."""

    def __init__(self, do: Callable[[Path], None], place: Path, at: tuple[str, int] | None) -> None:
        self.process = FORK.Process(target=_do, args=(do, place, at))
        self.process.start()
        self.pid = self.process.pid

    def wait(self, seconds: float) -> int | None:
        """The exit status, negative for a signal; None while it is still running."""
        self.process.join(seconds)
        return self.process.exitcode


def _do(do: Callable[[Path], None], place: Path, at: tuple[str, int] | None) -> None:
    with open(place / "log", "a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if at is not None:
        victims.arm(*at)
    do(place)


class Command:
    """A command with processes of its own, of which one kind is killed at a time."""

    def __init__(self, words: Sequence[str], place: Path) -> None:
        path = os.pathsep.join([str(victims.ROOT), os.environ.get("PYTHONPATH", "")])
        own = {"PYTHONPATH": path, "DFER_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1"}
        with open(place / "log", "a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=place,
                env={**os.environ, **own},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def wait(self, seconds: float) -> int | None:
        """The exit status, negative for a signal; None while it is still running."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None


@dataclass(frozen=True)
class Victim:
    """A piece of work: how to start it, and of which of its processes to kill one."""

    start: Callable[..., Child | Command]
    who: tuple[str, ...] = ("",)


def notebook(place: Path, at: None = None) -> Command:
    """A small notebook, run from outside."""
    path = victims.write_notebook(place)
    return Command(["dferlib.notebook", str(path), str(place / "out.ipynb")], place)


def sweep(place: Path, at: None = None) -> Command:
    """Two trainings of STCAM at smoke on the stand-in of Oulu-CASIA, on two workers."""
    words = "--papers stcam --datasets oulu --preset smoke --source synthetic --device cpu"
    words += " --variants baseline --folds 1,2 --workers 2 --results-dir"
    return Command(["dferlib.sweep", *words.split(), str(place / "results")], place)


def pick(pid: int, who: str) -> list[psutil.Process]:
    """The processes to kill: the started one ("", "runner", "scheduler"), or some it started."""
    whole = psutil.Process(pid)
    below = whole.children(recursive=True)
    marks = {"kernel": "ipykernel", "both": "ipykernel", "worker": "spawn_main"}
    found = [] if who in marks else [whole]
    if who in marks:
        found = [child for child in below if marks[who] in " ".join(child.cmdline())]
        found = random.sample(found, 1) if who == "worker" and found else found
    return [*found, whole] if who == "both" else found


def attack(victim: Victim, place: Path, who: str, pause: float) -> tuple[int, bool, int]:
    """Start a piece of work and kill it after a pause; kills, whether it ended well, orphans."""
    started, orphans = victim.start(place), 0
    status, kills, below = started.wait(pause), 0, []
    if status is None:
        with suppress(psutil.Error):
            below = psutil.Process(started.pid).children(recursive=True)
            for process in pick(started.pid, who):
                process.send_signal(signal.SIGKILL)
                kills = 1
        status = started.wait(LONGEST)
        left = psutil.wait_procs(below, timeout=LEFT_SECONDS)[1]
        orphans = len(left)
        for process in left:
            with suppress(psutil.Error):
                process.kill()
    if not kills and status != 0:
        raise RuntimeError(f"{place} fails unharmed: {(place / 'log').read_text()[-2000:]}")
    return kills, status == 0, orphans


class Score:
    """What was done of a part so far, kept after every try."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts: dict[str, dict] = json.loads(path.read_text()) if path.is_file() else {}

    def of(self, part: str) -> dict[str, Any]:
        """The counts of a part, which may be changed."""
        new = {"random_kills": 0, "aimed_kills": 0, "tries_ended": 0, "equal": 0, "orphans": 0}
        return self.parts.setdefault(part, {**new, "differ": [], "aimed": [], "killed": {}})

    def save(self) -> None:
        """Write what was done."""
        write_json(self.path, self.parts)

    def compare(self, part: str, place: Path, said: str) -> None:
        """Count a try that ended, equal to the untouched one or not, and clear its folder."""
        counts, found = self.of(part), victims.leavings(place)
        counts["tries_ended"] += 1
        counts["equal"] += found == counts["whole"]
        if found != counts["whole"]:
            names = found.keys() | counts["whole"].keys()
            other = sorted(n for n in names if found.get(n) != counts["whole"].get(n))
            counts["differ"].append({"after": said, "files": other})
        shutil.rmtree(place)
        self.save()


def fresh(work: Path, part: str) -> Path:
    """An empty folder for a try."""
    place = work / part
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def untouched(victim: Victim, part: str, work: Path, score: Score) -> float:
    """Do the work once without a kill, unless that was done; returns the seconds it took."""
    counts = score.of(part)
    if "whole" not in counts:
        place, started = fresh(work, part), time.perf_counter()
        attack(victim, place, "", LONGEST)
        counts["seconds"] = round(time.perf_counter() - started, 2)
        counts["whole"] = victims.leavings(place)
        shutil.rmtree(place)
        score.save()
    return counts["seconds"]


def random_kills(
    victim: Victim, part: str, number: int, work: Path, score: Score, until: float
) -> None:
    """Kill at random moments, and start again until the work ends, until so many are counted."""
    counts, longest = score.of(part), untouched(victim, part, work, score)
    rng = random.Random(f"{part} {counts['random_kills']}")
    while counts["random_kills"] < number and time.monotonic() < until:
        place, done, killed, orphans = fresh(work, part), False, [], 0
        while not done and time.monotonic() < until:
            who = rng.choice(victim.who)
            kills, done, left = attack(victim, place, who, rng.uniform(0, longest))
            killed += [who] * kills
            orphans += left
        if not done:
            return  # the time is over: this try does not count
        for who in filter(None, killed):
            counts["killed"][who] = counts["killed"].get(who, 0) + 1
        counts["random_kills"] += len(killed)
        counts["orphans"] += orphans
        score.compare(part, place, f"{len(killed)} random kills")
        print(f"{part}: {counts['random_kills']} of {number} random kills", flush=True)


def aimed_kills(
    victim: Victim, part: str, rounds: int, work: Path, score: Score, until: float
) -> None:
    """Kill inside every write of the work, at every point, in so many rounds."""
    counts = score.of(part)
    untouched(victim, part, work, score)
    for turn, point in itertools.product(range(rounds), victims.POINTS):
        for call in itertools.count(1):
            name = f"{turn}: write {call}, {point}"
            if name in counts["aimed"]:
                continue
            if time.monotonic() > until:
                return
            place = fresh(work, part)
            if victim.start(place, (point, call)).wait(LONGEST) != -signal.SIGKILL:
                break  # there are no more writes
            if attack(victim, place, "", LONGEST)[1]:
                counts["aimed_kills"] += 1
                counts["aimed"].append(name)
                score.compare(part, place, name)
                print(f"{part}: {name}", flush=True)


def _forked(name: str) -> Victim:
    do = victims.FORKED[name]
    return Victim(lambda place, at=None: Child(do, place, at))


VICTIMS = {name: _forked(name) for name in victims.FORKED}
VICTIMS["notebook"] = Victim(notebook, ("kernel", "runner", "both"))
VICTIMS["sweep"] = Victim(sweep, ("worker", "scheduler"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill, print and keep; 1 where something did not end with the same bits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=list(VICTIMS), choices=list(VICTIMS))
    parser.add_argument("--random", type=int, default=0, help="kills of each part; 0: the usual")
    parser.add_argument("--aimed", type=int, default=5, help="rounds of four points a write")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin nothing after so long")
    root = project_root() or Path()
    parser.add_argument("--work", type=Path, default=root / "out" / "trust-kills")
    parser.add_argument("--out", type=Path, default=root / "results" / "trust" / "kills.json")
    chosen = parser.parse_args(arguments)
    work, until = chosen.work.absolute(), time.monotonic() + 60 * chosen.minutes
    score = Score(work / "state.json")
    for part in chosen.parts:
        number = chosen.random or NUMBERS.get(part, 100)
        random_kills(VICTIMS[part], part, number, work, score, until)
        if part in victims.FORKED and part != "quick":
            aimed_kills(VICTIMS[part], part, chosen.aimed, work, score, until)
        rows = report(score, chosen.out)
    for part, row in rows.items():
        print(part, row)
    return int(any(row["equal"] < row["tries_ended"] for row in rows.values()))


def report(score: Score, out: Path) -> dict[str, dict[str, Any]]:
    """Write the counts of all parts, and return them."""
    names = ("random_kills", "aimed_kills", "killed", "tries_ended", "equal", "orphans", "differ")
    rows = {part: {name: c[name] for name in names} for part, c in score.parts.items()}
    command = "python -m benchmarks trust-kills"
    write_json(out, {"command": command, "parts": rows, "provenance": provenance()})
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
