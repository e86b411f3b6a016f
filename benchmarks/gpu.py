"""Everything that has to be measured on a GPU, in one command that goes on where it was stopped.

    python -m benchmarks gpu --list            the parts, in their order, and which are done
    python -m benchmarks gpu                   run what is not done
    python -m benchmarks gpu --minutes 50      begin no part after so many minutes
    python -m benchmarks gpu --dry             every part on the processor, at toy size

First the tests marked gpu, then the speed of every network, then the notebooks at the preset `gpu`:
of every paper the baseline and the paper's own model on its first dataset, then all rows. A part
ends within nine minutes: what is not done by then is stopped and begun again, and a training goes
on from its last epoch. What is done for this commit is kept in out/gpu/state.json. Without a GPU
nothing is measured, and the exit status is 0.

Trainings are deterministic there, too: cuDNN is asked for deterministic kernels and does not time
them (`dferlib.training.train.seed_everything`). What that costs is in the table of speed, beside
the step whose kernels are chosen by timing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch

from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json
from dferlib.models import list_models
from dferlib.protocols import load_protocol

LIMIT = 520  # seconds of a part; what it then takes to stop stays below nine minutes
GRACE = 15  # seconds to stop in
TRIES = 30  # of one part, before the next has its turn
# paper -> the row that its own model is held against first
BASELINES = {
    "stcam": "baseline",
    "hacn": "control-1",
    "ceflnet": "resnet18",
    "stt": "former-dfer-ds",
    "ecnn_fsa": "cnn-lstm-2048-2048",
}
NOTHING = "nothing to measure here: this machine has no CUDA device. GPU: not measured"


class Part(NamedTuple):
    """A command that can be given again until it is done."""

    name: str
    words: tuple[str, ...]  # after the name of the Python


def parts(dry: bool = False) -> list[Part]:
    """All parts, in the order of what decides most."""
    return [*_tests(dry), *_speed(dry), *_notebooks(dry)]


def _tests(dry: bool) -> Iterable[Part]:
    pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m")
    own = "tests/benchmarks/test_on_gpu.py"
    yield Part("tests: networks and training", (*pytest, "gpu", own))
    # without a GPU these are skipped
    yield Part("tests: renderer", (*pytest, "gpu", "tests/synthface", "tests/training"))
    if not dry:
        yield Part("tests: a notebook", (*pytest, "gpu", "tests/notebook"))


def _speed(dry: bool) -> Iterable[Part]:
    command = ("-m", "benchmarks", "speed")
    for model in list_models():
        where = ("--sizes", "quick", "--dry") if dry else ("--device", "cuda")
        yield Part(f"speed: {model}", (*command, model, *where))
    if not dry:
        yield Part("start", ("-m", "benchmarks", "start", "--device", "cuda"))
        yield Part("page", ("-m", "benchmarks", "page"))


def _notebooks(dry: bool) -> Iterable[Part]:
    first = [(slug, f"{baseline},{slug}") for slug, baseline in BASELINES.items()]
    for slug, variants in [*first, *((slug, "all") for slug in BASELINES if not dry)]:
        dataset = next(iter(load_protocol(slug).datasets))
        given = {"dataset": dataset, "variants": variants, "source": "synthetic"}
        given |= {"preset": "gpu", "device": "cuda"}
        if dry:
            given |= {"preset": "smoke", "device": "cpu", "results_dir": "out/gpu-dry"}
        options = tuple(word for name, value in given.items() for word in ("-p", name, value))
        file = f"{slug}-{dataset}-{'all' if variants == 'all' else 'first'}.ipynb"
        words = ("-m", "dferlib.notebook", f"notebooks/{slug}.ipynb", f"out/gpu/{file}")
        yield Part(f"notebook: {slug} on {dataset}, {variants}", (*words, *options))


def run_part(part: Part, root: Path, seconds: float, dry: bool) -> int | None:
    """Exit status of a part; None where it was stopped because its time was over."""
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path} | ({"DFER_DRY": "1"} if dry else {})
    process = subprocess.Popen([sys.executable, *part.words], cwd=root, env=environment)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return None
    except KeyboardInterrupt:
        process.wait()
        raise


class Progress:
    """Which parts are done for this commit; kept in a file after every part."""

    def __init__(self, path: Path) -> None:
        self.path, self.commit = path, provenance()["git_commit"]
        kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.parts = kept["parts"] if kept.get("commit") == self.commit else {}

    def state(self, part: Part) -> str:
        """ "done", "failed", "stopped" (to go on with) or "to do"."""
        return self.parts.get(part.name, {}).get("state", "to do")

    def note(self, part: Part, status: int | None, seconds: float) -> None:
        """Keep how a part ended."""
        state = "stopped" if status is None else "failed" if status else "done"
        spent = self.parts.get(part.name, {}).get("seconds", 0) + round(seconds, 1)
        self.parts[part.name] = {"state": state, "status": status, "seconds": spent}
        write_json(self.path, {"commit": self.commit, "parts": self.parts})


def run_parts(
    todo: Iterable[Part],
    progress: Progress,
    root: Path,
    *,
    minutes: float = float("inf"),
    limit: float = LIMIT,
    dry: bool = False,
) -> int:
    """Run all parts that are not done; returns 1 where one failed or is unfinished, else 0."""
    begun = time.monotonic()
    todo = list(todo)
    for part in todo:
        for _ in range(TRIES):
            if progress.state(part) == "done" or time.monotonic() - begun > 60 * minutes:
                break
            print(f"{part.name} ...", flush=True)
            started = time.monotonic()
            status = run_part(part, root, limit, dry)
            progress.note(part, status, time.monotonic() - started)
            print(f"{part.name}: {progress.state(part)}", flush=True)
            if status is not None:  # what failed will fail again; the others have their turn
                break
    left = [part.name for part in todo if progress.state(part) != "done"]
    if left:
        print(f"{len(left)} parts are left, the same command goes on: {'; '.join(left)}")
    return 1 if left else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--list", action="store_true", help="show the parts and run none")
    parser.add_argument("--dry", action="store_true", help="on the processor, at toy size")
    parser.add_argument("--only", default="", help="parts whose names begin so")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin none later")
    given = parser.parse_args(arguments)
    root = project_root() or Path.cwd()
    progress = Progress(root / "out" / "gpu" / ("dry.json" if given.dry else "state.json"))
    chosen = [part for part in parts(given.dry) if part.name.startswith(given.only)]
    if given.list:
        for part in chosen:
            print(f"{progress.state(part):8} {part.name}")
        return 0
    if not given.dry and not torch.cuda.is_available():
        print(NOTHING)
        return 0
    return run_parts(chosen, progress, root, minutes=given.minutes, dry=given.dry)


if __name__ == "__main__":
    sys.exit(main())
