"""What the check of a dataset found, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from dferlib.datasets.faces.report import make_faces_table
from dferlib.datasets.readers.scan import UNKNOWN

TWIN_COLUMNS = ("first", "second", "likeness", "apart")


def _table(*columns: str) -> pd.DataFrame:
    return pd.DataFrame(columns=columns)


@dataclass(frozen=True, eq=False)
class Facts:
    """What `check` found.

    `problems`, `doubts` and `errors` are those of the `Scan`. `counts` has the columns what,
    expected and found; both are -1 where nothing is known: of what to expect, or because it could
    not be counted. `folds` counts the test clips of each fold: fold, clips, subjects and one column
    for each class. `kinds` counts pictures by width, height and mode. `faces` says how the face of
    each clip was found. `twins` are pairs of near-duplicate clips (first, second, likeness and
    apart: "labels", "folds" or ""). `flat` says how many of the three crops of a clip that were
    looked at show nothing, where any does; `jumps` name frames that fit neither the one before nor
    the one after, `repeats` clips with the same picture twice, `marks` landmark files that two
    people share. `worst` has the crops that look
    least like a face, the worst first: clip_id, likeness, note; `crops` are their pixels, uint8
    (len(worst), S, S, 3). `read` says what was read, in words.
    """

    dataset: str
    root: Path | None
    layout: str
    counts: pd.DataFrame
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    source: str = "real"
    manifest: pd.DataFrame = field(
        default_factory=lambda: _table("clip_id", "subject", "label", "n_frames")
    )
    classes: tuple[str, ...] = ()
    folds: pd.DataFrame = field(default_factory=lambda: _table("fold", "clips", "subjects"))
    leaks: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    kinds: pd.DataFrame = field(default_factory=lambda: _table("width", "height", "mode", "count"))
    copies: tuple[tuple[str, ...], ...] = ()
    shared: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)
    faces: pd.DataFrame = field(default_factory=lambda: make_faces_table(()))
    twins: pd.DataFrame = field(default_factory=lambda: _table(*TWIN_COLUMNS))
    flat: Mapping[str, int] = field(default_factory=dict)
    jumps: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    worst: pd.DataFrame = field(default_factory=lambda: _table("clip_id", "likeness", "note"))
    crops: np.ndarray = field(default_factory=lambda: np.empty((0, 1, 1, 3), np.uint8))
    read: str = "no image was read"

    @property
    def differences(self) -> pd.DataFrame:
        """The rows of `counts` that are not as expected."""
        known = self.counts["expected"] != UNKNOWN
        return self.counts[known & (self.counts["expected"] != self.counts["found"])]
