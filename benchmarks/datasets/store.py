"""How long it takes to fill the frame store with a whole stand-in, from nothing.

    python benchmarks/datasets/store.py --dataset oulu --size 128 --workers 1 2

Prints seconds, milliseconds a frame and the ratio between the first and the last number of workers,
all measured in one run, and keeps them in results/faces/store-<dataset>-<size>px.json.
"""

import argparse
import tempfile
import time
from pathlib import Path

from dferlib.datasets import open_store
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json


def measure(dataset: str, size: int, fraction: float, workers: int) -> dict:
    """Fill a store in a fresh cache and return what it took."""
    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        store = open_store(
            dataset,
            source="synthetic",
            size=size,
            fraction=fraction,
            workers=workers,
            cache_dir=cache,
        )
        seconds = time.perf_counter() - started
        frames, clips = len(store.frames), len(store.manifest)
    return {
        "workers": workers,
        "clips": clips,
        "frames": frames,
        "seconds": round(seconds, 1),
        "ms_per_frame": round(1000 * seconds / frames, 2),
    }


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="oulu")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--out", type=Path, help="default: results/faces in the project")
    options = parser.parse_args()
    rows = []
    for workers in options.workers:
        row = measure(options.dataset, options.size, options.fraction, workers)
        rows.append(row)
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    ratio = rows[0]["seconds"] / rows[-1]["seconds"]
    if len(rows) > 1:
        fast, slow = rows[-1]["workers"], rows[0]["workers"]
        print(f"{fast} workers are {ratio:.2f} times as fast as {slow}")
    record = {"dataset": options.dataset, "size": options.size, "fraction": options.fraction}
    record |= {"quality": "fast" if options.size < 100 else "standard"}
    record |= {"rows": rows, "ratio": round(ratio, 2), "provenance": provenance()}
    folder = options.out or (project_root() or Path()) / "results" / "faces"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"store-{options.dataset}-{options.size}px.json", record)


if __name__ == "__main__":
    main()
