"""The frame store: a manifest and one memory-mapped array of aligned face crops.

    <cache>/stores/<dataset>-<source>-<size>px-<key>/
        manifest.csv    one row per clip, `MANIFEST_COLUMNS`
        frames.npy      uint8 (total frames, size, size, 3), RGB; a clip's rows start at its offset
        aus.npy ...     truth of procedural faces, aligned with the frames
        store.json      shapes, SHA-256 of arrays and tables, what went in, notes on single clips
        faces.csv       how the face of each clip of a real dataset was found
        build.json      seconds that the build took

The key is a hash of everything that went in, so that a store is built once and never again while
nothing changes. The cache is the folder in the environment variable DFER_CACHE, else the user's
cache folder.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from dferlib.datasets.building import (
    MANIFEST_FILE,
    RECORD_FILE,
    STORE_VERSION,
    TIMING_FILE,
    build_store,
)
from dferlib.datasets.faces.report import FACES_FILE, make_faces_table, read_faces_table
from dferlib.datasets.manifest import DatasetError, StoreError, manifest_digest, read_manifest
from dferlib.datasets.sources import Source, find_source
from dferlib.files import cache_folder, digest, take_seal

SIZES = (16, 1024)  # smallest and largest side of a crop, pixels


@dataclass(frozen=True, eq=False)
class FrameStore:
    """An open frame store. Pickling keeps its path only, so it can be sent to other processes.

    `frames` is a read-only memory map, uint8 (total frames, size, size, 3), RGB. `truth` holds, for
    procedural faces, arrays aligned with it: "aus" (N, A, 2), "landmarks" (N, 68, 2) in pixels,
    "mask" (N, 16, 16) of what moved; it is empty for real data. `classes` is the class order;
    `notes` maps a clip_id to what was odd about it; `faces` is what `face_report` reads.
    """

    manifest: pd.DataFrame
    frames: np.ndarray
    key: str
    path: Path
    size: int
    dataset: str
    source: str
    classes: tuple[str, ...]
    pixels: str
    truth: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    faces: pd.DataFrame = field(default_factory=lambda: make_faces_table(()))

    def manifest_hash(self) -> str:
        """Hash of what a run sees of the data: clips, class order, crop size, pixel version.

        It does not change when a dataset is copied to another place.
        """
        return manifest_digest(self.manifest, list(self.classes), self.size, self.pixels)

    def clip(self, row: int) -> np.ndarray:
        """Frames of the clip in this row of the manifest, uint8 (T, size, size, 3)."""
        start = int(self.manifest["offset"].iloc[row])
        return self.frames[start : start + int(self.manifest["n_frames"].iloc[row])]

    def __reduce__(self) -> tuple:
        return load_store, (self.path,)


def open_store(
    dataset: str,
    *,
    source: str = "auto",
    data_root: str | Path | None = None,
    size: int = 128,
    fraction: float = 1.0,
    difficulty: Any = None,
    cache_dir: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
    verify: bool = False,
    faces: str = "",
    **options: Any,
) -> FrameStore:
    """Open the frame store of a dataset, building it if it is not there yet.

    `source` is "real" (read from `data_root` or $DFER_DATA), "synthetic" (the procedural stand-in)
    or "auto" (real if the data are there, else synthetic). `size` is the side of the crops in
    pixels, `fraction` the share of subjects, `difficulty` the stand-in's `Difficulty`, `workers`
    the number of processes that build (default: all cores), `verify` recomputes the checksums.
    `faces` says how faces are found and cut out of real frames, where the dataset's own way is not
    wanted: "align=first margin=0.25"; see `dferlib.datasets.faces.options`. `options` go to the
    dataset's reader, for example `camera="NI"` for "oulu". Two processes that
    open the same store build it once. DatasetError for bad input, StoreError for bad storage.
    """
    low, high = SIZES
    if not isinstance(size, int) or not low <= size <= high:
        raise DatasetError(
            f"size is {size!r}; a crop's side is a whole number from {low} to {high}"
        )
    what = find_source(dataset, source, data_root, fraction, difficulty, options, faces)
    folder = Path(cache_dir).expanduser() if cache_dir else cache_folder()
    path = folder.absolute() / "stores" / store_name(what, size)
    if path.is_dir():
        return load_store(path, verify=verify)
    _build_once(what, path, size, workers, progress)
    store = load_store(path, verify=verify)
    if store.notes:
        clip, note = next(iter(store.notes.items()))
        warnings.warn(
            f"{len(store.notes)} of {len(store.manifest)} clips are in the store but not as they "
            f"should be, for example {clip}: {note}. All are in its `notes`",
            stacklevel=2,
        )
    return store


def store_name(what: Source, size: int) -> str:
    """Folder name of a store; ends in a hash of everything that goes in."""
    key = digest([STORE_VERSION, what.dataset, what.source, size, what.pixels, what.inputs])
    return f"{what.dataset}-{what.source}-{size}px-{key}"


def _build_once(what: Source, path: Path, size: int, workers: int | None, progress: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock")
        lock.acquire()
    except OSError as error:
        raise StoreError(
            f"cannot write the frame store below {path.parent}: {error.strerror or error}. "
            "Choose another folder with cache_dir or the environment variable DFER_CACHE"
        ) from error
    try:
        if not path.is_dir():  # another process may have built it while this one waited
            build_store(what, path, size, workers=workers, progress=progress)
    except StoreError:
        if not path.is_dir():
            raise
        # Not every shared file system holds processes apart: one that was first has taken away what
        # this one was writing. Its store is as good, if it is whole.
        load_store(path, verify=True)
    finally:
        lock.release()


def load_store(path: str | Path, *, verify: bool = False) -> FrameStore:
    """Open a finished store by its folder.

    Shapes, sizes and the checksums of the tables are always checked, the SHA-256 of the arrays with
    `verify`; the first stores have none of their tables. StoreError naming the damaged file.
    """
    path = Path(path)
    try:
        record = _read_record(path)
        manifest = read_manifest(path / MANIFEST_FILE, record["classes"])
        arrays = {
            name: _load(path, name, facts, verify) for name, facts in record["arrays"].items()
        }
        frames = arrays.pop("frames")
        total = int(manifest["n_frames"].sum())
        if any(len(array) != total for array in (frames, *arrays.values())):
            raise ValueError(f"the manifest counts {total} frames, the arrays {len(frames)}")
        names = ("key", "size", "dataset", "source", "pixels", "notes")
        rest = {name: record[name] for name in names}
        rest["seconds"] = _read_seconds(path / TIMING_FILE, record["key"])
        rest["faces"] = read_faces_table(path / FACES_FILE)
        classes = tuple(record["classes"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"the frame store {path} is damaged: {error}. Delete that folder and open it again"
        ) from error
    return FrameStore(manifest, frames, path=path, classes=classes, truth=arrays, **rest)


def check_arrays(store: FrameStore) -> None:
    """Compare the arrays with their SHA-256, once in a process for each state of the files.

    Before a training, which reads them all anyway: a flipped bit in a frame has no other sign.
    StoreError naming the damaged file. A store that lies nowhere on disk passes.
    """
    if store.path is not None and (store.path / RECORD_FILE).is_file():
        files = sorted(store.path.glob("*.npy"))
        states = (file.stat() for file in files)
        _check_arrays(store.path, tuple((s.st_size, s.st_mtime_ns, s.st_ino) for s in states))


@lru_cache(maxsize=64)
def _check_arrays(path: Path, states: tuple) -> None:
    load_store(path, verify=True)


def _read_record(path: Path) -> dict[str, Any]:
    record = _read_sealed(path / RECORD_FILE)
    for name, checksum in record.get("tables", {}).items():
        _compare(path / name, checksum)
    return record


def _read_seconds(file: Path, key: str) -> float:
    if not file.is_file():
        return 0.0
    timing = _read_sealed(file)
    if timing.get("key", key) != key:
        raise ValueError(f"{file} belongs to the store {timing['key']}")
    return timing["seconds"]


def _read_sealed(file: Path) -> dict[str, Any]:
    record = json.loads(file.read_bytes())
    if not isinstance(record, dict) or take_seal(record) is False:
        raise ValueError(f"{file} does not have the checksum it was written with")
    return record


def _compare(file: Path, checksum: str) -> None:
    with open(file, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != checksum:
        raise ValueError(f"{file} does not have the checksum it was written with")


def _load(path: Path, name: str, facts: dict, verify: bool) -> np.ndarray:
    file = path / f"{name}.npy"
    if file.stat().st_size != facts["bytes"]:
        raise ValueError(f"{file} has {file.stat().st_size} bytes, not {facts['bytes']}")
    if verify:
        _compare(file, facts["sha256"])
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # of a damaged head numpy raises anything
        raise ValueError(f"{file} is no array: {error}") from error
    if list(array.shape) != facts["shape"] or array.dtype.str != facts["dtype"]:
        raise ValueError(f"{file} holds {array.dtype.str} {array.shape}, not {facts}")
    return array
