"""What a reader of real data finds, and how it looks for it: clips, folders, frame numbers."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dferlib.datasets.manifest import DatasetError, MissingDatasetError, is_plain, printable

JUNK = {"thumbs.db", "__macosx", "desktop.ini"}
ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz")
SHOWN_GAPS = 20  # numbers of missing frames that are listed
EXCLUDE_FILE = "exclude.txt"  # in a dataset's folder: clips that its user leaves out
SEARCH_DEPTH = 4
MOST_TEXT = 20_000_000  # bytes of a text file that is read
SEARCH_FOLDERS = (
    4000  # a folder with more below it is not searched to the end: it is no dataset's root
)


@dataclass(frozen=True)
class View:
    """A way to look at a frame: a half of it ("left", "right" or "" for all), turned clockwise."""

    part: str = ""
    turn: int = 0  # degrees: 0, 90, 180 or 270


@dataclass(frozen=True)
class Clip:
    """One labelled clip: its frames in order, or a video with so many of them.

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

    `problems` are odd but can be lived with; `errors` name clips that cannot be read as they
    should. `classes` is the class order where it follows from the files and not from the dataset.
    `excluded` are the clips that the user leaves out.
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

    def __post_init__(self) -> None:
        for name in ("problems", "errors"):  # they quote names of files, which may hold anything
            object.__setattr__(self, name, tuple(map(printable, getattr(self, name))))

    def refuse_errors(self) -> Scan:
        """The scan itself if it has no errors; DatasetError with the first of them otherwise."""
        if self.errors:
            shown = "\n  ".join(self.errors[:5])
            raise DatasetError(
                f"{self.dataset} in {self.root} has {len(self.errors)} damaged or missing clips:\n"
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
    return tuple(dict.fromkeys(name for name in names if name))


def check_exclude(exclude: Sequence[str], known: Iterable[str], where: object) -> None:
    """DatasetError if `exclude` names a clip that is not known."""
    if unknown := sorted(set(exclude) - set(known)):
        shown = f"{unknown[:5]}{f' and {len(unknown) - 5} more' if len(unknown) > 5 else ''}"
        raise DatasetError(
            f"exclude names {shown[:1000]}, but {where} has no such clips; "
            f"see its {EXCLUDE_FILE}, or the option exclude"
        )


def leave_out(clips: Sequence[Clip], exclude: Sequence[str], where: object) -> list[Clip]:
    """The clips without those named in `exclude`; DatasetError if one of them is not there."""
    check_exclude(exclude, [clip.clip_id for clip in clips], where)
    return [clip for clip in clips if clip.clip_id not in exclude]


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """Read a text file; DatasetError naming it if it is no file, no UTF-8, or has many bytes."""
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        if (size := path.stat().st_size) > most:
            raise ValueError(f"it has {size} bytes, more than {most}")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}; it should be UTF-8 text") from error


def read_csv(path: Path) -> list[tuple[int, list[str]]]:
    """Rows of a table with the numbers of their lines; DatasetError naming it as `read_text`."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DatasetError(f"{path}:{reader.line_num} cannot be read: {error}") from error


def is_junk(path: Path) -> bool:
    """Whether operating systems leave this behind: dot files, Thumbs.db, __MACOSX."""
    return path.name.startswith(".") or path.name.lower() in JUNK


def matching_files(folder: Path, pattern: str | re.Pattern) -> list[tuple[Path, re.Match]]:
    """Files whose whole name matches, in any case, with the match, by name; without junk.

    DatasetError if one is no file, but a folder, a pipe or a link to nowhere, or if its name is no
    UTF-8 text.
    """
    compiled = re.compile(pattern, re.IGNORECASE) if isinstance(pattern, str) else pattern
    found = []
    try:
        with os.scandir(folder) as entries:  # which knows what is a file without asking again
            hits = [(entry, hit) for entry in entries if (hit := compiled.fullmatch(entry.name))]
    except OSError as error:
        raise DatasetError(f"folder {folder} cannot be read: {error}") from error
    for entry, hit in sorted(hits, key=lambda item: item[0].name):
        path = folder / entry.name
        if is_junk(path):
            continue
        if not _is(entry.is_file):
            raise DatasetError(f"{path} is no file; remove it, or copy it anew")
        if not is_plain(entry.name):
            raise DatasetError(f"{path} has a name that is no plain text; rename it")
        found.append((path, hit))
    return found


def subfolders(folder: Path, pattern: str = "") -> list[Path]:
    """Folders in a folder by name, without junk; only those whose name matches, in any case."""
    match = re.compile(pattern, re.IGNORECASE).fullmatch if pattern else lambda name: True
    try:
        found = [path for path in folder.iterdir() if not is_junk(path) and match(path.name)]
    except OSError as error:
        raise DatasetError(f"folder {folder} cannot be read: {error}") from error
    folders = (path for path in found if _is(path.is_dir))
    return sorted(folders, key=lambda path: path.name)


def _is(question: Callable[[], bool]) -> bool:
    """Answer of `is_dir` or `is_file`; no for what cannot be looked at, as a link in a loop."""
    try:
        return question()
    except OSError:
        return False


def search(root: Path, stop: str = "") -> Iterator[Path]:
    """The folder and all below it, nearest first, without those whose name matches `stop`."""
    level, seen = [root], 0
    for _ in range(SEARCH_DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            seen += 1
            if seen > SEARCH_FOLDERS:
                return
            if not os.access(folder, os.R_OK | os.X_OK):
                continue  # such as lost+found at the top of a disk
            yield folder
            below += [
                f for f in subfolders(folder) if not (stop and re.fullmatch(stop, f.name, re.I))
            ]
        level = below


def numbered_files(folder: Path, pattern: str) -> dict[int, Path]:
    """Files whose whole name matches, by the number in the pattern's first group, ascending.

    DatasetError if two files have the same number.
    """
    found: dict[int, Path] = {}
    for path, hit in matching_files(folder, pattern):
        if (number := int(hit.group(1))) in found:
            raise DatasetError(f"{path} and {found[number].name} are both frame {number}")
        found[number] = path
    return dict(sorted(found.items()))


def describe_gaps(numbers: Iterable[int], first: int) -> str:
    """Numbers that are missing from `first` up to the highest, in words; "" if none is."""
    missing, count, expected = [], 0, first
    for number in sorted(numbers):
        missing += range(expected, min(number, expected + SHOWN_GAPS))
        count += max(0, number - expected)
        expected = max(expected, number + 1)
    if not count:
        return ""
    more = f" and {count - SHOWN_GAPS} more" if count > SHOWN_GAPS else ""
    return f"{missing[:SHOWN_GAPS]}{more}"


def not_found(root: Path, what: str, words: Sequence[str], tree: str) -> DatasetError:
    """The error that `what` is not below a folder; MissingDatasetError if nothing hints at it.

    `words` are parts of the names of the dataset's archives and folders, `tree` what is expected.
    """
    names = [root.name.lower(), *(path.name.lower() for path in root.iterdir())]
    begun = any(word in name for name in names for word in words)
    kind = DatasetError if begun else MissingDatasetError
    return kind(
        f"no {what} below {root}. {describe_content(root)}.{point_above(root, words)}\n{tree}"
    )


def point_above(root: Path, words: Sequence[str]) -> str:
    """A question whether the folder above is meant, where parts of the dataset lie beside `root`.

    `words` are parts of their names; "" if nothing beside it has one.
    """
    root, beside = root.absolute(), []
    with suppress(DatasetError):  # a folder above that may not be read
        beside = [path.name for path in subfolders(root.parent) if path.name != root.name]
    parts = [name for name in beside if any(word in name.lower() for word in words)]
    return f" {parts[0]} lies beside it: is {root.parent} meant?" if parts else ""


def describe_content(root: Path, limit: int = 8) -> str:
    """What lies in a folder, in words, for an error; names archives that are still packed."""
    names = sorted(path.name for path in root.iterdir() if not is_junk(path))
    packed = [name for name in names if name.lower().endswith(ARCHIVES)]
    shown = ", ".join(names[:limit]) + (
        f" and {len(names) - limit} more" if len(names) > limit else ""
    )
    text = f"{root} holds {shown or 'nothing'}"
    return f"{text}. Still packed, unpack first: {', '.join(packed)}" if packed else text
