"""Looking over a dataset that was just unpacked: what is there, against what is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from dferlib.datasets.faces import read_landmarks
from dferlib.datasets.folds import subject_folds
from dferlib.datasets.images import load_rgb
from dferlib.datasets.manifest import DATASETS, DatasetError, make_manifest
from dferlib.datasets.scan import Scan
from dferlib.datasets.sources import load_reader, scan_dataset

NUM_FOLDS = 10
SHOWN = 20  # problems and errors that the text of a report lists


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What `check` found; `str()` is a table.

    `counts` has the columns what, expected and found, which is -1 where it could not be counted.
    """

    dataset: str
    root: Path
    layout: str
    counts: pd.DataFrame
    problems: tuple[str, ...] = field(default_factory=tuple)
    errors: tuple[str, ...] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """Whether every count is as expected and every file can be read."""
        return not self.errors and not len(self.differences)

    @property
    def differences(self) -> pd.DataFrame:
        """The rows of `counts` that are not as expected."""
        return self.counts[self.counts["expected"] != self.counts["found"]]

    def __str__(self) -> str:
        rows = [
            f"  {what:<26}{expected:>10}{found:>10}{'' if expected == found else '   differs'}"
            for what, expected, found in self.counts.itertuples(index=False)
        ]
        verdict = (
            "everything is as expected"
            if self.ok
            else f"{len(self.differences)} counts differ, {len(self.errors)} errors"
        )
        return "\n".join(
            [
                f"{self.dataset} in {self.root}",
                f"layout: {self.layout}",
                f"  {'':<26}{'expected':>10}{'found':>10}",
                *rows,
                *_list_texts("errors (these clips cannot be used)", self.errors),
                *_list_texts("odd, but no hindrance", self.problems),
                verdict,
            ]
        )


def _list_texts(title: str, texts: tuple[str, ...]) -> list[str]:
    more = [f"  and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    return [f"{title}: {len(texts)}", *(f"  {text}" for text in texts[:SHOWN]), *more]


def list_datasets() -> tuple[str, ...]:
    """Names of the datasets, each of which has a procedural stand-in."""
    return tuple(DATASETS)


def load_manifest(dataset: str, root: str | Path, **options: Any) -> pd.DataFrame:
    """Read the manifest of a real dataset from its folder, without reading any image.

    `options` go to the dataset's reader. DatasetError as in `open_store`.
    """
    scan = scan_dataset(dataset, root, options).refuse_errors()
    return make_manifest([clip.row() for clip in scan.clips], dataset, "real")


def check(
    dataset: str, root: str | Path, *, decode: bool = True, progress: bool = False, **options: Any
) -> CheckReport:
    """Count what is in a dataset's folder, compare with known counts, and try to read every file.

    Differences are reported, not raised: a licensed copy may be a newer or a partial one.
    `decode=False` skips reading the images. DatasetError if the dataset is not there at all.
    """
    reader = load_reader(dataset)
    scan = scan_dataset(dataset, root, options)
    unreadable = _list_unreadable(scan, progress) if decode else []
    return CheckReport(
        dataset,
        scan.root,
        scan.layout,
        _compare(reader, scan),
        (*scan.problems, *_list_repeats(scan)),
        (*scan.errors, *unreadable),
    )


def _list_repeats(scan: Scan) -> list[str]:
    # in both datasets with a reader every subject shows an emotion once
    pairs = Counter((clip.subject, clip.label) for clip in scan.clips)
    return [
        f"{who} has {count} clips of {what}" for (who, what), count in pairs.items() if count > 1
    ]


def _compare(reader: ModuleType, scan: Scan) -> pd.DataFrame:
    labels = Counter(clip.label for clip in scan.clips)
    per_subject = Counter(Counter(clip.subject for clip in scan.clips).values())
    fold_clips, fold_subjects = _count_folds(scan)
    rows = [(name, value, scan.counts.get(name, -1)) for name, value in reader.GOLDEN.items()]
    rows += [(name, value, labels[name]) for name, value in reader.GOLDEN_CLASSES.items()]
    expected = reader.GOLDEN_CLIPS_PER_SUBJECT
    for clips in sorted(set(expected) | set(per_subject)):
        rows.append((f"subjects with {clips} clips", expected.get(clips, 0), per_subject[clips]))
    for title, golden, found in (
        ("clips", reader.GOLDEN_FOLD_CLIPS, fold_clips),
        ("subjects", reader.GOLDEN_FOLD_SUBJECTS, fold_subjects),
    ):
        for fold, pair in enumerate(zip(golden, found, strict=True), start=1):
            rows.append((f"{title} in fold {fold}", *pair))
    return pd.DataFrame(rows, columns=["what", "expected", "found"])


def _count_folds(scan: Scan) -> tuple[list[int], list[int]]:
    if len({clip.subject for clip in scan.clips}) < NUM_FOLDS:
        return [-1] * NUM_FOLDS, [-1] * NUM_FOLDS
    manifest = make_manifest([clip.row() for clip in scan.clips], scan.dataset, "real")
    groups = manifest.groupby(subject_folds(manifest, NUM_FOLDS))["subject"]
    return groups.size().tolist(), groups.nunique().tolist()


def _list_unreadable(scan: Scan, progress: bool) -> list[str]:
    frames = [path for clip in scan.clips for path in clip.frames]
    landmarks = [path for clip in scan.clips for path in clip.landmarks if path]
    with tqdm(total=len(frames), desc="images", leave=False, disable=not progress) as bar:
        return [*_try_all(load_rgb, frames, bar), *_try_all(read_landmarks, landmarks, None)]


def _try_all(
    read: Callable[[str], np.ndarray], paths: Iterable[str], bar: tqdm | None
) -> list[str]:
    def attempt(path: str) -> str:
        try:
            read(path)
        except DatasetError as error:
            return str(error)
        finally:
            if bar is not None:
                bar.update()
        return ""

    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding the interpreter lock
        return [text for text in pool.map(attempt, paths) if text]
