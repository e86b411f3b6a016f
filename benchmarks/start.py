"""How long it takes to import the package, and from a notebook's start to its first training step.

    python -m benchmarks start
    python -m benchmarks start --paper hacn --dataset ckplus

Each is done in fresh processes with a warm store: `import dferlib`, what a notebook imports,
opening the study, and one training step of its own row at the smoke preset. The dearest imports are
named, from one more process under `-X importtime`. Bars: 0.3 s for the import of the package, 15 s
to the first step, on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.speed import timing
from dferlib.files import project_root, write_json

BARS = {"import dferlib": 0.3, "to the first step": 15.0}
IMPORT = "import time; t = time.perf_counter(); import dferlib; print(time.perf_counter() - t)"
FIRST_STEP = """
import json, time
begun = time.perf_counter()
from dferlib.notebook.study import open_study
imported = time.perf_counter()
namespace = dict(source="synthetic", init="random", data_root="", variants="all", folds="preset",
                 seeds="0", results_dir="", preset={preset!r}, dataset={dataset!r},
                 device={device!r})
study = open_study({paper!r}, namespace)
opened = time.perf_counter()
from dferlib.training.train import start, train_epoch
task = study.first_task()
loader = task.loader()
state = start(task.build(), loader, len(task.split.train), task.recipe)
train_epoch(state, loader, task.split.train[:task.recipe.batch_size], task.recipe, 0)
done = time.perf_counter()
print(json.dumps({{"import of the notebook's": imported - begun, "opening": opened - imported,
                   "first step": done - opened, "to the first step": done - begun}}))
"""


def run(*words: str) -> subprocess.CompletedProcess:
    """A fresh process of this Python; raises CalledProcessError where it fails."""
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)


def dearest(text: str, count: int = 12) -> dict[str, float]:
    """The imports that themselves took longest, in seconds, from what `-X importtime` prints.

    Of a package its parts are summed.
    """
    spent: dict[str, float] = {}
    for own, name in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", text):
        top = ".".join(name.split(".")[: 2 if name.startswith("dferlib") else 1])
        spent[top] = spent.get(top, 0) + int(own) / 1e6
    ordered = sorted(spent.items(), key=lambda item: -item[1])[:count]
    return {name: round(value, 3) for name, value in ordered}


def measure(paper: str, dataset: str, preset: str, device: str, repeats: int) -> dict:
    """Seconds of both starts, and what costs."""
    before = timing.load()
    code = FIRST_STEP.format(paper=paper, dataset=dataset, preset=preset, device=device)
    run("-c", code)  # fills the store and the system's cache of files
    starts = [json.loads(run("-c", code).stdout.splitlines()[-1]) for _ in range(repeats)]
    found = {name: [each[name] for each in starts] for name in starts[0]}
    found["import dferlib"] = [float(run("-c", IMPORT).stdout) for _ in range(repeats)]
    told = run("-X", "importtime", "-c", "import dferlib.notebook.study").stderr
    return {
        "paper": paper,
        "dataset": dataset,
        "preset": preset,
        "seconds": {name: timing.summary(values) for name, values in found.items()},
        "dearest_imports": dearest(told),
        "bars": BARS,
        "load_before": before,
        "load_after": timing.load(),
        **timing.machine(torch.device(device)),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks start", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--paper", default="stcam")
    parser.add_argument("--dataset", default="oulu")
    parser.add_argument("--preset", default="smoke")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="default: results/speed in the project")
    given = parser.parse_args(arguments)
    options = (given.paper, given.dataset, given.preset, given.device, given.repeats)
    record = measure(*options)
    folder = given.out or (project_root() or Path.cwd()) / "results" / "speed"
    write_json(folder / f"start-{given.device}.json", record)
    for name, values in record["seconds"].items():
        print(f"{name:26} {values['median']:.3g} s")
    for name, value in record["dearest_imports"].items():
        print(f"  {name:24} {value:.3g} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
