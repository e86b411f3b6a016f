"""Looking over a dataset that was just unpacked: what is there, against what is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from dferlib.datasets.faces import read_landmarks
from dferlib.datasets.folds import split_fold
from dferlib.datasets.images import load_rgb
from dferlib.datasets.manifest import DATASETS, DatasetError, make_manifest
from dferlib.datasets.scan import Golden, Scan
from dferlib.datasets.sources import load_reader, scan_dataset
from dferlib.datasets.video import count_decoded

UNKNOWN = -1  # of a count
SHOWN = 20  # problems and errors that the text of a report lists


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What `check` found; `str()` is a table.

    `counts` has the columns what, expected and found. Both are -1 where nothing is known: of what
    to expect, or because it could not be counted.
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
        known = self.counts["expected"] != UNKNOWN
        return self.counts[known & (self.counts["expected"] != self.counts["found"])]

    def __str__(self) -> str:
        different = set(self.differences["what"])
        rows = [
            f"  {what:<26}{_show(expected)}{_show(found)}{'   differs' * (what in different)}"
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


def _show(count: int) -> str:
    return f"{'-' if count == UNKNOWN else count:>10}"


def _list_texts(title: str, texts: tuple[str, ...]) -> list[str]:
    more = [f"  and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    return [f"{title}: {len(texts)}", *(f"  {text}" for text in texts[:SHOWN]), *more]


def list_datasets() -> tuple[str, ...]:
    """Names of the datasets: those of the papers, and any `folder` of clips.

    Those of the papers have a procedural stand-in.
    """
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
    golden = load_reader(dataset).GOLDEN
    scan = scan_dataset(dataset, root, options)
    unreadable = _list_unreadable(scan, progress) if decode else []
    return CheckReport(
        dataset,
        scan.root,
        scan.layout,
        _compare(golden, scan),
        (*scan.problems, *(_list_repeats(scan) if golden.once else ())),
        (*scan.errors, *unreadable),
    )


def _list_repeats(scan: Scan) -> list[str]:
    pairs = Counter((clip.subject, clip.label) for clip in scan.clips)
    return [
        f"{who} has {count} clips of {what}" for (who, what), count in pairs.items() if count > 1
    ]


def _compare(golden: Golden, scan: Scan) -> pd.DataFrame:
    labels = Counter(clip.label for clip in scan.clips)
    counts = dict.fromkeys(scan.counts, UNKNOWN) | dict(golden.counts)
    classes = dict.fromkeys(scan.classes or DATASETS[scan.dataset], UNKNOWN) | dict(golden.classes)
    rows = [(name, value, scan.counts.get(name, UNKNOWN)) for name, value in counts.items()]
    rows += [(name, value, labels[name]) for name, value in classes.items()]
    if expected := golden.clips_per_subject:
        found = Counter(Counter(clip.subject for clip in scan.clips).values())
        for clips in sorted({*expected, *found}):
            rows.append((f"subjects with {clips} clips", expected.get(clips, 0), found[clips]))
    for title, expected in (("clips", golden.fold_clips), ("subjects", golden.fold_subjects)):
        for fold, value in enumerate(expected, start=1):
            found = _count_fold(scan, fold, len(expected), title)
            rows.append((f"{title} in fold {fold}", value, found))
    return pd.DataFrame(rows, columns=["what", "expected", "found"])


def _count_fold(scan: Scan, fold: int, num_folds: int, what: str) -> int:
    try:
        manifest = make_manifest([clip.row() for clip in scan.clips], scan.dataset, "real")
        test = split_fold(manifest, fold, num_folds).test
    except DatasetError:
        return UNKNOWN
    return len(test) if what == "clips" else manifest["subject"].iloc[test].nunique()


def _list_unreadable(scan: Scan, progress: bool) -> list[str]:
    frames = [path for clip in scan.clips for path in clip.frames]
    landmarks = [path for clip in scan.clips for path in clip.landmarks if path]
    videos = {clip.video: clip.count for clip in scan.clips if clip.video}
    total = len(frames) + len(videos)
    with tqdm(total=total, desc="images", leave=False, disable=not progress) as bar:
        return [
            *_try_all(load_rgb, frames, bar),
            *_try_all(read_landmarks, landmarks, None),
            *_try_all(lambda path: count_decoded(path, videos[path]), videos, bar),
        ]


def _try_all(read: Callable[[str], object], paths: Iterable[str], bar: tqdm | None) -> list[str]:
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
