"""What became of the faces when a store was filled: one record per clip, and a report of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

FACES_FILE = "faces.csv"
SHOWN = 10  # clips that the text of a report lists
NO_DETECTOR = "none"


@dataclass(frozen=True)
class FaceRecord:
    """How the face of one clip was found, and how well it can be seen.

    Frames in which it was looked for (a sample, where one box serves the clip) are `own` if it was
    found in them, `borrowed` if they use the box of another frame, `none` if the clip has no face.
    `found_by` is landmarks, owner (cropped already), a detector, or none. `pixels` is the median
    side of the face in the source. In sides of the face: `raw_jitter` and `jitter` are the
    trembling of the boxes before and after smoothing, `drift` how far the found face is from the
    middle of the crop. `outside` is the share of the crops beyond the frame, `turn` the largest
    turn in degrees.
    """

    clip_id: str
    found_by: str
    looked: int
    own: int = 0
    borrowed: int = 0
    none: int = 0
    pixels: float = float("nan")
    raw_jitter: float = float("nan")
    jitter: float = float("nan")
    drift: float = float("nan")
    outside: float = 0.0
    turn: float = 0.0

    def row(self) -> dict[str, Any]:
        """The record as a row of a table, numbers rounded."""
        row = dataclasses.asdict(self)
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


COLUMNS = tuple(field.name for field in dataclasses.fields(FaceRecord))


class _Store(Protocol):
    manifest: pd.DataFrame
    faces: pd.DataFrame


@dataclass(frozen=True, eq=False)
class FaceReport:
    """The faces of a whole store; `str()` is a text. `clips` has the columns of `FaceRecord`."""

    clips: pd.DataFrame
    total: int  # clips of the store

    @property
    def missing(self) -> tuple[str, ...]:
        """Ids of the clips in which no face was found; they stay in the store and the counts."""
        return tuple(self.clips.loc[self.clips["none"] > 0, "clip_id"])

    @property
    def frames(self) -> Mapping[str, int]:
        """Frames looked at in all clips, by what became of them: own, borrowed, none."""
        return {name: int(self.clips[name].sum()) for name in ("looked", "own", "borrowed", "none")}

    def worst(self, count: int = SHOWN) -> pd.DataFrame:
        """The clips that are most worth looking at.

        Those in which the face was found in the smallest share of frames come first, then those
        whose face is farthest from the middle of its crop.
        """
        ranked = self.clips.assign(share=self.clips["own"] / self.clips["looked"])
        ranked = ranked.sort_values(["share", "drift"], ascending=[True, False], kind="stable")
        return ranked.head(count).reset_index(drop=True)

    def __str__(self) -> str:
        if self.clips.empty:
            return "faces: rendered in place, nothing had to be found"
        count = self.frames
        by = self.clips["found_by"].value_counts()
        unread = self.total - len(self.clips)
        lines = [
            f"faces: {len(self.clips) - len(self.missing)} of {self.total} clips have one "
            f"({', '.join(f'{name} {number}' for name, number in by.items())}"
            f"{f'; {unread} not looked at' if unread > 0 else ''})",
            f"frames looked at: {count['looked']}; own face {count['own']}, borrowed box "
            f"{count['borrowed']}, no face {count['none']}",
        ]
        if self.missing:
            more = f" and {len(self.missing) - SHOWN} more" if len(self.missing) > SHOWN else ""
            lines.append(f"faces not found: {', '.join(self.missing[:SHOWN])}{more}")
            lines.append("  faces='smallest=0.1' looks for smaller ones, detector=mtcnn finds more")
        lines.append("worst crops:")
        for row in self.worst().itertuples():
            lines.append(
                f"  {row.clip_id}: found in {row.own} of {row.looked} frames, {row.pixels:.0f} "
                f"pixels, {row.drift:.2f} sides off the middle, {row.outside:.0%} beyond the frame"
            )
        return "\n".join(lines)


def face_report(store: _Store) -> FaceReport:
    """Report on the faces of a frame store: how they were found, not found, and the worst crops.

    The tables are empty for procedural faces, which are rendered where they belong.
    """
    return FaceReport(store.faces, len(store.manifest))


def make_faces_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Table of records, with all columns even if there are none."""
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


def read_faces_table(path: Path) -> pd.DataFrame:
    """Read the records beside a store; empty where there are none. ValueError if damaged."""
    if not path.is_file():
        return make_faces_table(())
    table = pd.read_csv(path, dtype={"clip_id": str, "found_by": str}, keep_default_na=False)
    if list(table.columns) != list(COLUMNS):
        raise ValueError(f"{path} has the columns {list(table.columns)}, not {list(COLUMNS)}")
    numbers = [name for name in COLUMNS if name not in ("clip_id", "found_by")]
    return table.assign(**{name: pd.to_numeric(table[name]) for name in numbers})
