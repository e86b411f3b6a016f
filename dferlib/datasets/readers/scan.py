"""What a reader of real data finds: clips, what is odd about them, and what is left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dferlib.datasets.manifest import DATASETS, DatasetError, one_form, plural, printable
from dferlib.datasets.readers.tables import read_text

EXCLUDE_FILE = "exclude.txt"  # in a dataset's folder: clips that its user leaves out
UNKNOWN = -1  # of a count, a frame's number or a rate: nobody says


@dataclass(frozen=True)
class View:
    """A way to look at a frame: a half of it ("left", "right" or "" for all), turned clockwise."""

    part: str = ""
    turn: int = 0  # degrees: 0, 90, 180 or 270


@dataclass(frozen=True)
class Clip:
    """One labelled clip: its frames in order, or a video with so many of them.

    Id and subject are brought to one Unicode form, whatever the disk or a table has. `fps`, `apex`
    and `onset` (frame numbers from 0) are -1 where nobody says: no frame is made up for them.
    `landmarks` are the frames' landmark files if the dataset has them, "" for a frame without. Of
    several `views` the one is taken in which a face is found. A clip with neither frames nor a
    video is one that the dataset lists and nobody can read: a grey frame stands for it.
    """

    clip_id: str
    subject: str
    label: str
    frames: tuple[str, ...]
    fps: float
    apex: int
    landmarks: tuple[str, ...] = ()
    cropped: bool = False  # the frames are face crops already
    onset: int = -1
    split: str = ""
    video: str = ""
    count: int = 1  # frames of the video
    views: tuple[View, ...] = ()

    def __post_init__(self) -> None:
        for name in ("clip_id", "subject"):
            object.__setattr__(self, name, one_form(getattr(self, name)))

    @property
    def n_frames(self) -> int:
        """Number of frames that the clip has in a store."""
        return len(self.frames) or self.count

    def row(self) -> dict[str, Any]:
        """The clip's row of the manifest."""
        names = ("clip_id", "subject", "label", "fps", "apex", "onset", "split", "n_frames")
        return {name: getattr(self, name) for name in names}

    def inputs(self) -> list[list[Any]]:
        """Name, size and time of every file that is read for this clip, for the store's key."""
        names = (*self.frames, *self.landmarks, self.video)
        files = [Path(name) for name in names if name]
        try:
            stats = [file.stat() for file in files]
        except OSError as error:
            raise DatasetError(f"clip {self.clip_id}: {error}") from error
        return [[f.name, s.st_size, s.st_mtime_ns] for f, s in zip(files, stats, strict=True)]


@dataclass(frozen=True)
class Scan:
    """A dataset as found on disk: labelled clips, the layout variant in words, and counts.

    `problems` are odd but can be lived with; `doubts` are to be looked at before use: what looks
    like data and is not read, and what was taken of several things; `errors` name clips that
    cannot be read as they should. `classes` is the class order where it follows from the files and
    not from the dataset. `excluded` are the clips that the user leaves out.
    """

    dataset: str
    root: Path
    layout: str
    clips: tuple[Clip, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (
            "problems",
            "doubts",
            "errors",
        ):  # they quote names of files, which may hold anything
            object.__setattr__(self, name, tuple(map(printable, getattr(self, name))))

    def refuse_errors(self) -> Scan:
        """The scan itself if it has no errors; DatasetError with the first of them otherwise."""
        if self.errors:
            shown = "\n  ".join(self.errors[:5])
            raise DatasetError(
                f"{self.dataset} in {self.root} has "
                f"{plural(len(self.errors), 'damaged or missing clip')}:\n"
                f"  {shown}\n`python -m dferlib.datasets check {self.dataset} ROOT` lists all. "
                f"Copy them anew from the dataset, or leave clips out: their ids in {EXCLUDE_FILE}"
            )
        return self


@dataclass(frozen=True)
class Golden:
    """What is known of a whole copy of a dataset, for the check; what is not is left out.

    `once`: nobody shows an expression twice.
    """

    counts: Mapping[str, int]
    classes: Mapping[str, int] = field(default_factory=dict)
    clips_per_subject: Mapping[int, int] = field(default_factory=dict)
    fold_clips: tuple[int, ...] = ()
    fold_subjects: tuple[int, ...] = ()
    once: bool = False

    def compare(self, scan: Scan) -> list[tuple[str, int, int]]:
        """Counts of a scan beside those known: what, expected and found, -1 where unknown."""
        labels = Counter(clip.label for clip in scan.clips)
        counts = dict.fromkeys(scan.counts, UNKNOWN) | dict(self.counts)
        classes = dict.fromkeys(scan.classes or DATASETS[scan.dataset], UNKNOWN)
        classes |= dict(self.classes)
        rows = [(name, value, scan.counts.get(name, UNKNOWN)) for name, value in counts.items()]
        rows += [(name, value, labels[name]) for name, value in classes.items()]
        if expected := self.clips_per_subject:
            found = Counter(Counter(clip.subject for clip in scan.clips).values())
            for clips in sorted({*expected, *found}):
                name = f"subjects with {plural(clips, 'clip')}"
                rows.append((name, expected.get(clips, 0), found[clips]))
        return rows


def read_exclude(root: Path) -> tuple[str, ...]:
    """Ids of the clips that `exclude.txt` in a dataset's folder leaves out; () without that file.

    One id in a line; empty lines do not count, nor does what follows a `#` after a blank.
    DatasetError naming the file if it cannot be read as UTF-8 text.
    """
    path = root / EXCLUDE_FILE
    if not path.exists():
        return ()
    lines = read_text(path).splitlines()
    names = (re.split(r"(?:^|\s)#", line)[0].strip() for line in lines)
    return tuple(dict.fromkeys(one_form(name) for name in names if name))


def check_exclude(exclude: Sequence[str], known: Iterable[str], where: object) -> None:
    """DatasetError if `exclude` names a clip that is not known."""
    if unknown := sorted(set(map(one_form, exclude)) - set(map(one_form, known))):
        shown = f"{unknown[:5]}{f' and {len(unknown) - 5} more' if len(unknown) > 5 else ''}"
        raise DatasetError(
            f"exclude names {shown[:1000]}, but {where} has no such clips; "
            f"see its {EXCLUDE_FILE}, or the option exclude"
        )


def leave_out(clips: Sequence[Clip], exclude: Sequence[str], where: object) -> list[Clip]:
    """The clips without those named in `exclude`; DatasetError if one of them is not there."""
    check_exclude(exclude, [clip.clip_id for clip in clips], where)
    left = set(map(one_form, exclude))
    return [clip for clip in clips if clip.clip_id not in left]
