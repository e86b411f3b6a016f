"""What it takes to fill the frame store from a whole DFEW: seconds, memory, and after kills.

    # 12,000 clips, one worker and two
    python benchmarks/datasets/store_dfew.py
    python benchmarks/datasets/store_dfew.py --kills 3  # and a build that is killed three times

The tree has the owner's layout: 12,000 folders of frames of 224 px and the lists of five folds. It
is procedural, and its frames are hard links to 64 rendered images, so that it is made in seconds
and fits on any disk; every one of them is opened and decoded as if it stood alone. Real clips have
77 frames on average, these have `--frames`. A build runs in a process of its own. Its memory is
that of the process and all it started, added up five times a second; pages that they share count
for each. The record goes to results/store/dfew-<clips>x<frames>.json.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from dferlib.datasets import load_store
from dferlib.datasets.readers.dfew import CODES
from dferlib.datasets.standins.trees.film import shoot, write_frames
from dferlib.datasets.standins.trees.wild import DFEW_FACE, write_lists
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json

PEOPLE, POSES = 8, 8  # rendered; all frames are links to these
BUILD = """
import sys, time
started = time.perf_counter()
from dferlib.datasets import open_store
loaded = time.perf_counter()
options = {"source": "real", "data_root": sys.argv[1], "cache_dir": sys.argv[2]}
options |= {"size": int(sys.argv[3]), "workers": int(sys.argv[4]), "progress": False}
store = open_store("dfew", **options)
print(store.path, time.perf_counter() - loaded, store.seconds)
"""


def make_tree(root: Path, clips: int, frames: int) -> None:
    """Write the tree: lists and, for every clip, a folder of hard links."""
    labels = {number: CODES[(number - 1) % 7 + 1] for number in range(1, clips + 1)}
    write_lists(root / "EmoLabel_DataSplit", labels)
    images = root.with_name("images")
    for person in range(PEOPLE):
        pictures = shoot(0, person, CODES[person % 7 + 1], POSES, DFEW_FACE, share=1.0)
        write_frames(images, pictures, [f"{person}_{pose}.jpg" for pose in range(POSES)])
    for number in labels:
        folder = root / "Clip/clip_224x224" / f"{number:05d}"
        folder.mkdir(parents=True)
        for frame in range(frames):
            image = images / f"{number % PEOPLE}_{frame % POSES}.jpg"
            os.link(image, folder / f"{number:05d}_{1 + 2 * frame:05d}.jpg")


def start(root: Path, cache: Path, size: int, workers: int) -> subprocess.Popen:
    """Start a build in a process of its own."""
    command = [sys.executable, "-c", BUILD, *map(str, (root, cache, size, workers))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def watch(process: psutil.Process, peaks: list[int]) -> None:
    """Add up the memory of a process and all below it until it ends."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = 0
        for part in (process, *process.children(recursive=True)):
            try:
                total += part.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        peaks.append(total)
        time.sleep(0.2)


def measure(root: Path, cache: Path, size: int, workers: int) -> tuple[Path, dict]:
    """Fill a store in a fresh cache; returns its path and what it took."""
    before, child = os.getloadavg()[0], start(root, cache, size, workers)
    peaks: list[int] = []
    watcher = threading.Thread(target=watch, args=(psutil.Process(child.pid), peaks))
    watcher.start()
    try:
        path, seconds, building = child.communicate()[0].split()
    finally:
        if child.poll() is None:  # this process was told to stop
            os.killpg(child.pid, signal.SIGKILL)
        watcher.join()
    row = {"workers": workers, "seconds": round(float(seconds), 1)}
    row |= {"building_seconds": float(building), "peak_mb": round(max(peaks) / 2**20)}
    return Path(path), {**row, "load_before": round(before, 2)}


def survive(root: Path, cache: Path, size: int, kills: int, seconds: float) -> tuple[Path, list]:
    """Fill a store with two workers, killing all processes several times on the way."""
    chance, times = random.Random(0), []
    for _ in range(kills):
        child = start(root, cache, size, 2)
        times.append(round(chance.uniform(2, max(3.0, seconds / kills)), 1))
        time.sleep(times[-1])
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    return measure(root, cache, size, 2)[0], times


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two stores hold the same, but for the time that they took."""
    files = [
        sorted(p.name for p in store.iterdir() if p.name != "build.json") for store in (one, other)
    ]
    return files[0] == files[1] and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in files[0]
    )


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=12_000)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=72)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: results/store in the project")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clean up
    with tempfile.TemporaryDirectory() as place:
        root, rows, paths = Path(place) / "data", [], []
        make_tree(root, options.clips, options.frames)
        for workers in options.workers:
            path, row = measure(root, Path(place) / f"cache{workers}", options.size, workers)
            rows.append(row)
            paths.append(path)
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        record = {"clips": options.clips, "frames": len(load_store(paths[0]).frames)}
        record |= {"size": options.size, "rows": rows, "distinct_images": PEOPLE * POSES}
        record["identical"] = all(same_bytes(paths[0], path) for path in paths)
        record["ratio"] = round(rows[0]["seconds"] / rows[-1]["seconds"], 2)
        print(f"ratio {record['ratio']}  identical {record['identical']}", flush=True)
        if options.kills:
            last = rows[-1]["seconds"]
            path, times = survive(root, Path(place) / "killed", options.size, options.kills, last)
            record["killed_after_seconds"] = times
            record["identical_after_kills"] = same_bytes(paths[0], path)
            print(f"killed after {times} s, identical {record['identical_after_kills']}")
    folder = options.out or (project_root() or Path()) / "results" / "store"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"dfew-{options.clips}x{options.frames}.json"
    write_json(folder / name, {**record, "provenance": provenance()})


if __name__ == "__main__":
    main()
