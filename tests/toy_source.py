"""A source of plain frames for tests of the frame store, which other processes import, too."""

import os
import time
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np

from dferlib.datasets.manifest import make_manifest
from dferlib.datasets.sources import Source

CLASSES = ("anger", "fear")


def make_frames(rows, lengths, log, delay, fail, size):
    """Frames of some clips, each with the clip's row as its colour; leaves a line in a log."""
    if fail is not None and fail in rows:
        raise ValueError(f"clip {fail} is broken")
    time.sleep(delay)
    if log:
        with open(log, "a") as file:
            file.write(f"{os.getpid()} {rows[0]}\n")
    values = np.repeat(rows, lengths)
    frames = np.broadcast_to(values[:, None, None, None], (len(values), size, size, 3))
    notes = {f"clip{row}": "odd" for row in rows if row == 3}
    return frames.astype(np.uint8), {"aus": values[:, None].astype(np.float16)}, notes


def toy_source(clips=30, log="", delay=0.0, fail=None, name="oulu"):
    """Clips of 11 to 15 frames: about five of them make a job."""
    rows = [
        {
            "clip_id": f"clip{row}",
            "subject": f"S{row % 10:02d}",
            "label": CLASSES[row % 2],
            "n_frames": 11 + row % 5,
        }
        for row in range(clips)
    ]
    manifest = make_manifest(rows, name, "synthetic")
    lengths = manifest["n_frames"].to_numpy()

    def job(rows):
        return partial(make_frames, tuple(rows), lengths[list(rows)], str(log), delay, fail)

    return Source(name, "synthetic", manifest, CLASSES, "toy", {"clips": clips}, job)


def build(folder, workers, **options):
    """Build a toy store below a folder, as `open_store` does."""
    from dferlib.datasets import store

    source = toy_source(**options)
    path = Path(folder) / "stores" / store.store_name(source, 16)
    store._build_once(source, path, 16, workers, False)
    return store.load_store(path)


def build_faces(folder, root):
    """Store of a CK+ tree in which Haar finds the face of every frame, in jobs of a clip each."""
    from dferlib.datasets import building, open_store

    options = {"source": "real", "data_root": root, "cache_dir": folder, "size": 24}
    options |= {"faces": "detector=haar box=frame", "workers": 1, "progress": False}
    with mock.patch.object(building, "FRAMES_PER_JOB", 1):
        return open_store("ckplus", **options)
