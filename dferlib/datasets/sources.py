"""Where the pixels of a frame store come from: files of real data or the procedural stand-in."""

from __future__ import annotations

import importlib
import inspect
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dferlib.datasets.faces import crops
from dferlib.datasets.faces.options import parse_faces
from dferlib.datasets.manifest import (
    DATASETS,
    PRETRAINING,
    SOURCES,
    WITHOUT_STANDIN,
    DatasetError,
    MissingDatasetError,
    check_manifest,
    check_name,
    make_manifest,
    manifest_digest,
)
from dferlib.datasets.readers.annotations import annotate
from dferlib.datasets.readers.links import describe_links
from dferlib.datasets.readers.scan import EXCLUDE_FILE, UNKNOWN, Clip, Scan, read_exclude
from dferlib.files import digest

READERS = tuple(DATASETS)  # datasets whose files this version reads, one module each
MIN_SUBJECTS = 10  # a fraction of a real dataset keeps at least so many, for ten folds
SHOWN = 4  # counts and doubts in a warning


class Produced(NamedTuple):
    """Frames of some clips, truth aligned with them, notes by clip, records of faces found."""

    frames: np.ndarray
    truth: dict[str, np.ndarray]
    notes: dict[str, str]
    faces: Sequence[Mapping[str, Any]] = ()


Make = Callable[[int], tuple]  # takes the size of the crops, gives what `Produced` has


@dataclass(frozen=True, eq=False)
class Source:
    """Clips that can be made: manifest, what identifies them, and `job(rows)`, which makes some.

    `pixels` names the version of what makes the pixels; `inputs` is everything else that goes into
    a store's key.
    """

    dataset: str
    source: str
    manifest: pd.DataFrame
    classes: tuple[str, ...]
    pixels: str
    inputs: Mapping[str, Any]
    job: Callable[[Sequence[int]], Make]


def find_source(
    dataset: str,
    source: str = "auto",
    data_root: str | Path | None = None,
    fraction: float = 1.0,
    difficulty: Any = None,
    options: Mapping[str, Any] | None = None,
    faces: str = "",
) -> Source:
    """Find where a dataset's clips come from; see `open_store` for the arguments.

    DatasetError for unknown names and values. With "auto", a dataset that is there but incomplete
    is an error, not a reason to fall back on the stand-in.
    """
    check_name(dataset)
    if source not in ("auto", *SOURCES):
        raise DatasetError(f"source is {source!r}, allowed are 'auto', 'real' and 'synthetic'")
    if not 0 < fraction <= 1:
        raise DatasetError(f"fraction is {fraction!r}, allowed are numbers above 0 and up to 1")
    options = dict(options or {})
    _check_options(dataset, source, options)
    parse_faces(faces)
    if source == "synthetic" or (source == "auto" and dataset not in READERS):
        _check_standin(dataset)
        return synthetic_source(dataset, fraction, difficulty, faces)
    try:
        scan = scan_dataset(dataset, data_root, options)
        warn_about(scan)
        return real_source(scan, fraction, options, faces)
    except MissingDatasetError as error:
        if source == "real" or dataset in WITHOUT_STANDIN:
            raise
        if data_root or os.environ.get("DFER_DATA"):
            warnings.warn(f"using the procedural stand-in: {error}", stacklevel=3)
        return synthetic_source(dataset, fraction, difficulty, faces)


def _check_standin(dataset: str) -> None:
    if dataset in WITHOUT_STANDIN:
        raise DatasetError(
            f"{dataset!r} has no procedural stand-in, only "
            f"{', '.join(name for name in DATASETS if name not in WITHOUT_STANDIN)} have; "
            "use source='real'"
        )


def scan_dataset(
    dataset: str, data_root: str | Path | None = None, options: Mapping[str, Any] | None = None
) -> Scan:
    """Look for a real dataset with the options of its reader; see `open_store` for the errors.

    Clips that `exclude.txt` in the dataset's folder names are left out, peaks that its `apex.csv`
    names are taken; links that lead out of the folder are among the scan's doubts.
    """
    options = dict(options or {})
    reader = load_reader(dataset)
    _check_options(dataset, "real", options)
    root = find_root(dataset, data_root)
    excluded = (*options.get("exclude", ()), *read_exclude(root))
    if excluded:
        options["exclude"] = tuple(dict.fromkeys(excluded))
    found = reader.scan(root, **options)
    doubts = (*found.doubts, *describe_links(root, found.clips))
    return annotate(replace(found, doubts=doubts, excluded=tuple(options.get("exclude", ()))))


def warn_about(scan: Scan) -> None:
    """One warning, if need be: counts that a whole copy does not have, and the scan's doubts."""
    rows = load_reader(scan.dataset).GOLDEN.compare(scan)
    wrong = [f"{there} instead of {known} {what}" for what, known, there in rows
             if UNKNOWN not in (known, there) and known != there]  # fmt: skip
    told = []
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        told.append(f"it has {', '.join(wrong[:SHOWN])}{more}")
    told += scan.doubts[:SHOWN]
    if len(scan.doubts) > SHOWN:
        told.append(f"and {len(scan.doubts) - SHOWN} more to look at")
    if told:
        left = f", {len(scan.excluded)} left out by {EXCLUDE_FILE}" if scan.excluded else ""
        warnings.warn(
            f"{scan.dataset} in {scan.root}{left}: {'; '.join(told)}. "
            f"`python -m dferlib.datasets check {scan.dataset} ROOT` says more",
            stacklevel=3,
        )


def load_reader(dataset: str) -> ModuleType:
    """Module that reads a dataset's files; DatasetError if this version has none."""
    check_name(dataset)
    if dataset == PRETRAINING:
        raise DatasetError(f"{dataset!r} is made of procedural faces only; use source='synthetic'")
    return importlib.import_module(f"dferlib.datasets.readers.{dataset}")


def find_root(dataset: str, data_root: str | Path | None = None) -> Path:
    """Folder of a real dataset: `data_root` or $DFER_DATA, or the dataset's own folder in it.

    MissingDatasetError, with the expected tree and how to apply for access, if neither is set or
    there; DatasetError if there are two such folders.
    """
    reader = load_reader(dataset)
    chosen = str(data_root or os.environ.get("DFER_DATA", ""))
    if not chosen:
        raise MissingDatasetError(
            f"no folder was given for {dataset!r}: set data_root or "
            "the environment variable DFER_DATA.\n"
            f"{reader.HELP}"
        )
    root = Path(chosen).expanduser()
    if not root.is_dir():
        name = "data_root" if data_root else "DFER_DATA"
        error = DatasetError if data_root else MissingDatasetError
        raise error(f"{name} is {chosen!r}, which is no folder.\n{reader.HELP}")
    below = [root / name for name in reader.FOLDER_NAMES if (root / name).is_dir()]
    # on disks that know no case one folder has several of the names
    if others := [path for path in below[1:] if not path.samefile(below[0])]:
        raise DatasetError(
            f"{root} has two folders for {dataset!r}, {below[0].name} and {others[0].name}: "
            "give the path of the right one as data_root"
        )
    return below[0] if below else root


def _check_options(dataset: str, source: str, options: Mapping[str, Any]) -> None:
    allowed: list[str] = []
    if source != "synthetic" and dataset in READERS:
        allowed = list(inspect.signature(load_reader(dataset).scan).parameters)[1:]
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise DatasetError(
            f"unknown options {unknown} for {dataset!r} with source={source!r}; it takes {allowed}"
        )


def real_source(scan: Scan, fraction: float, options: Mapping[str, Any], faces: str = "") -> Source:
    """Source of a dataset that was found on disk.

    A fraction keeps subjects that are spread evenly over the sorted ids. `faces` are options over
    the reader's own, see `dferlib.datasets.faces.options`.
    """
    clips = _take_fraction(scan.refuse_errors().clips, fraction)
    chosen = parse_faces(faces, load_reader(scan.dataset).FACES)
    rows = [clip.row() for clip in clips]
    manifest = make_manifest(rows, scan.dataset, "real")
    classes = scan.classes or DATASETS[scan.dataset]
    inputs = {"files": digest([clip.inputs() for clip in clips])}
    return Source(
        scan.dataset,
        "real",
        check_manifest(manifest, classes),
        classes,
        f"crop-{crops.CROP_VERSION} {crops.describe(clips, chosen)}",
        {**inputs, "options": dict(options), "manifest": manifest_digest(manifest)},
        lambda rows: partial(crops.read_clips, tuple(clips[row] for row in rows), chosen),
    )


def _take_fraction(clips: Sequence[Clip], fraction: float) -> tuple[Clip, ...]:
    subjects = sorted({clip.subject for clip in clips})
    count = min(len(subjects), max(MIN_SUBJECTS, round(fraction * len(subjects))))
    places = np.linspace(0, len(subjects) - 1, count).round().astype(int)
    kept = {subjects[place] for place in places}
    return tuple(clip for clip in clips if clip.subject in kept)


def synthetic_source(dataset: str, fraction: float, difficulty: Any, faces: str = "") -> Source:
    """Source of a procedural stand-in; `faces` as for a real dataset."""
    plan = _plan(dataset, fraction, difficulty, faces)
    classes, fingerprint = tuple(plan.classes), plan.fingerprint()
    manifest = check_manifest(plan.manifest, classes)
    return Source(
        dataset,
        "synthetic",
        manifest,
        classes,
        f"face-{digest(fingerprint)}",
        {"plan": fingerprint, "manifest": manifest_digest(manifest)},
        lambda rows: partial(_render, dataset, fraction, difficulty, faces, tuple(rows)),
    )


@cache
def _plan(dataset: str, fraction: float, difficulty: Any, faces: str) -> Any:
    # torch is needed to render, not to read real data
    from dferlib.datasets.standins.plans import plan_standin

    return plan_standin(dataset, fraction=fraction, difficulty=difficulty, faces=faces)


def _render(
    dataset: str,
    fraction: float,
    difficulty: Any,
    faces: str,
    rows: tuple[int, ...],
    size: int,
) -> Produced:
    import torch

    plan, threads = _plan(dataset, fraction, difficulty, faces), torch.get_num_threads()
    torch.set_num_threads(1)  # a second one gains little, and waiting for it costs a busy core
    try:
        frames, truth = plan.render_clips(list(rows), size)
    finally:
        torch.set_num_threads(threads)
    return frames, truth, {}
