"""Small trainings on the cores of one machine: a worker for every core, or one worker with all.

    python -m benchmarks sweep            writes results/speed/sweep.json

Both ways take training steps of the quick preset on clips of noise, in turn: as many processes as
there are cores with one thread each, and one process with a thread for each core. What counts is
steps a second, all processes together. `dferlib.sweep` takes the way that won here, on this
machine; without a measurement it takes a worker for every core. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import psutil

from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json

PAPERS = {"stcam": "oulu", "hacn": "oulu", "ceflnet": "mmi"}  # a network each, and a dataset
MANY, ONE = "two workers, one thread each", "one worker, two threads"


def take_steps(paper: str, steps: int, threads: int, start, results) -> None:
    """Train a paper's own network at quick for some steps after two others; runs in a process.

    Waits for the others at the barrier `start`, and puts its seconds into the queue `results`.
    """
    import torch
    import torch.nn.functional as F

    from dferlib.device import freed_memory_kept
    from dferlib.models import create_model
    from dferlib.protocols import load_protocol

    torch.set_num_threads(threads)
    recipe = load_protocol(paper).resolve("quick", PAPERS[paper], paper)
    model = create_model(recipe.model, 6, **recipe.model_options())
    shape = (recipe.batch_size, 3, recipe.num_frames, recipe.input_size, recipe.input_size)
    clip, target = torch.randn(shape), torch.zeros(recipe.batch_size, dtype=torch.long)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(clip), target).backward()
        optimizer.step()

    with freed_memory_kept():
        for _ in range(2):
            step()
        start.wait()
        begun = time.perf_counter()
        for _ in range(steps):
            step()
    results.put(time.perf_counter() - begun)


def rate(paper: str, steps: int, processes: int, threads: int) -> float:
    """Steps a second of so many processes together, which end within the slowest one's time."""
    context = get_context("spawn")  # a fork would inherit the threads of torch
    start, results = context.Barrier(processes), context.Queue()
    arguments = (paper, steps, threads, start, results)
    workers = [context.Process(target=take_steps, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    seconds = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    return processes * steps / max(seconds)


def measure(papers: Sequence[str], rounds: int, steps: int, cores: int) -> dict:
    """Measure both ways for some papers, in turn; medians of steps a second, and their ratio."""
    rows, before = {}, os.getloadavg()[0]
    for paper in papers:
        found: dict[str, list[float]] = {MANY: [], ONE: []}
        for _ in range(rounds):
            found[MANY].append(rate(paper, steps, cores, 1))
            found[ONE].append(rate(paper, steps * cores, 1, cores))
        medians = {name: statistics.median(values) for name, values in found.items()}
        rows[paper] = {"steps_per_second": found, "ratio": round(medians[MANY] / medians[ONE], 3)}
    ratio = statistics.geometric_mean(row["ratio"] for row in rows.values())
    return {
        "better": MANY if ratio >= 1 else ONE,
        "ratio": round(ratio, 3),
        "cores": cores,
        "rounds": rounds,
        "rows": rows,
        "load_before": round(before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "provenance": provenance(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the ratio and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("papers", nargs="*", default=list(PAPERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--cores", type=int, default=min(2, psutil.cpu_count(logical=False) or 1))
    folder = (project_root() or Path()) / "results" / "speed"
    parser.add_argument("--output", type=Path, default=folder / "sweep.json")
    chosen = parser.parse_args(arguments)
    found = measure(chosen.papers, chosen.rounds, chosen.steps, chosen.cores)
    write_json(chosen.output, found)
    for paper, row in found["rows"].items():
        print(f"{paper}: a worker a core is {row['ratio']:.2f} times one worker with all cores")
    print(f"better here: {found['better']}; {chosen.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
