"""How many clips a whole copy of a dataset has: what a handed-in manifest is held against.

The counts are those of the readers of `dferlib.datasets`, which stand on this package's floor and
cannot be asked from here; a test holds the two together. Of MMI nobody published a count.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple


class WholeCopy(NamedTuple):
    """Clips, subjects (0: nobody knows them), clips of each class, and of each fold by rule."""

    clips: int
    subjects: int
    classes: dict[str, int]
    folds: dict[int, int]


def whole_copy(dataset: str) -> WholeCopy | None:
    """Return what a whole copy of a dataset has, or None where that is not known."""
    rows = [row for row in _read() if row["dataset"] == dataset]
    if not rows:
        return None
    of: dict[str, dict[str, int]] = {"clips": {}, "subjects": {}, "class": {}, "fold": {}}
    for row in rows:
        of[row["what"]][row["name"]] = int(row["count"])
    folds = {int(name): count for name, count in of["fold"].items()}
    return WholeCopy(of["clips"][""], of["subjects"].get("", 0), of["class"], folds)


@cache
def _read() -> tuple[dict[str, str], ...]:
    path = Path(__file__).with_suffix(".csv")
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))
