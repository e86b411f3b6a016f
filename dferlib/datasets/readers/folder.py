"""Reader of any clips: videos or folders of frames, sorted into classes or listed in a table.

Expected is either

    <root>/
        happiness/              any spelling of a class: Happy, joy, ...
            clip_a/             a folder of frames, in the natural order of their names
                frame_1.png frame_2.png ... frame_10.png
            clip_b.mp4          or a video, which needs PyAV, the extra `video`
        anger/
            ...

or

    <root>/labels.csv    with the columns path and label and, if known, subject, apex and onset:

        path,label,subject,apex
        day1/clip_a,happiness,S01,17
        day1/clip_b.mp4,anger,S02,

Columns are found under their usual names in any case (Subject, participant_id, actor, ...). Apex
and onset are frames counted from 0, or named by their file. Paths are relative to the root and stay
in it. Where subjects are not known every clip counts as one of its own; a column that looks like
subjects and is not called so is asked about. The classes are those that occur.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dferlib.datasets.manifest import (
    DATASETS,
    DatasetError,
    MissingDatasetError,
    class_name,
    is_plain,
    one_form,
    plural,
)
from dferlib.datasets.media.video import VIDEOS, VideoFacts, probe_all
from dferlib.datasets.readers.folders import describe_content, is_junk, subfolders
from dferlib.datasets.readers.frames import describe_step, ordered_frames, unread_frames
from dferlib.datasets.readers.places import Places
from dferlib.datasets.readers.scan import UNKNOWN, Clip, Golden, Scan, check_exclude
from dferlib.datasets.readers.tables import (
    columns_like_subjects,
    find_columns,
    frame_number,
    read_csv,
)

HELP = """A folder of clips is expected as
    <root>/<class>/<clip>/1.png 2.png ...    or <root>/<class>/<clip>.mp4
or with a table <root>/labels.csv, which has the columns path, label and, if known, subject."""

FOLDER_NAMES = ()
FACES = "box=frame"  # nothing is known about them
TABLE = "labels.csv"
OWN_FORMATS = ("frames",)  # what was taken out of a video is read before the video
SHOWN = 3  # names in a sentence

GOLDEN = Golden(counts={})


class _Row(NamedTuple):
    """One clip as it is listed: path below the root, class, and what a table says besides."""

    name: str
    label: str
    subject: str = ""
    apex: str = ""
    onset: str = ""
    where: str = ""  # file and line


@dataclass
class _Told:
    """What is said of a tree beside its clips."""

    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def scan(
    root: Path,
    cropped: bool = False,
    subject: str = "",
    order: str = "",
    prefer: str = "",
    exclude: Sequence[str] = (),
) -> Scan:
    """Find all clips; their ids are their paths below the root.

    `cropped` says that the frames are face crops already; `subject` names the table's column of
    subjects, "none" for none; `order` is "name" or "last number" where frames could be sorted in
    two ways; `prefer` is a suffix, or "frames", for clips in several formats; `exclude` names clips
    to leave out. MissingDatasetError if there is neither a table nor a class; DatasetError for an
    unknown class, a path that leaves the root, and a clip that stands twice. Clips that cannot be
    read are in the scan's errors.
    """
    table, told = root / TABLE, _Told()
    listed = table.exists() or table.is_symlink()
    places = Places(root, OWN_FORMATS, prefer)
    rows = _read_table(table, subject, told) if listed else _list_classes(root, places, told)
    if not rows:
        raise MissingDatasetError(f"no clips below {root}. {describe_content(root)}.\n{HELP}")
    names = Counter(row.name for row in rows)
    if twice := next((name for name, count in names.items() if count > 1), ""):
        raise DatasetError(f"{table if listed else root} lists {twice!r} twice")
    check_exclude(exclude, names, root)
    left = set(map(one_form, exclude))
    found = {row: _on_disk(root, row.name) for row in rows if row.name not in left}
    if listed:
        told.doubts += _list_pairs(found)
    facts, damaged = {}, []
    if videos := [path for path in found.values() if path.is_file()]:
        facts, damaged = probe_all(videos)
    clips: list[Clip] = []
    for row, path in found.items():
        try:
            clips += _make_clips(root, row, path, facts, (cropped, order), told)
        except DatasetError as error:
            told.errors.append(str(error))
    counts = {"clips": len(clips), "videos": len(facts)}
    counts["subjects"] = len({clip.subject for clip in clips})
    return Scan(
        "folder",
        root,
        f"clips of {TABLE}" if listed else "folders of classes",
        tuple(clips),
        counts,
        (*places.problems(), *told.problems),
        (*places.errors, *damaged, *told.errors),
        tuple(name for name in DATASETS["folder"] if name in {row.label for row in rows}),
        doubts=(*(() if listed else places.doubts()), *told.doubts),
    )


def _list_classes(root: Path, places: Places, told: _Told) -> list[_Row]:
    """Everything in the folders of classes; files that are no videos become problems."""
    rows, unknown = [], []
    ignored: list[Path] = []
    for folder in subfolders(root):
        try:
            label = class_name(folder.name)
        except DatasetError as error:
            unknown.append(str(error))
            continue
        clips: dict[str, list[Path]] = {}
        for path in sorted(path for path in folder.iterdir() if not is_junk(path)):
            is_video = re.fullmatch(VIDEOS, path.name, re.I) is not None
            if path.is_dir() or is_video:
                name = path.stem if is_video and not path.is_dir() else path.name
                clips.setdefault(one_form(name), []).append(path)
            else:
                ignored.append(path)
        for name, paths in clips.items():
            if path := places.choose(f"{folder.name}/{name}", paths):
                rows.append(_Row(one_form(f"{folder.name}/{path.name}"), label))
    if unknown:
        raise DatasetError(f"{root} has folders that are no class: {unknown[0]}.\n{HELP}")
    if ignored:
        shown = ", ".join(f"{path.parent.name}/{path.name}" for path in ignored[:SHOWN])
        count = plural(len(ignored), "file is no clip", "files are no clips")
        told.problems.append(f"{count}: {shown}{' and more' if len(ignored) > SHOWN else ''}")
    return rows


def _read_table(table: Path, subject: str, told: _Told) -> list[_Row]:
    """The clips that a table lists; what is odd about its column of subjects goes to `told`."""
    lines = read_csv(table)
    header = lines[0][1] if lines else []
    places = find_columns(header, ("path", "label"), table, {"subject": subject})
    rows = []
    for line, texts in lines[1:]:
        where = f"{table}:{line}"
        cell = {
            name: texts[place].strip() if place < len(texts) else ""
            for name, place in places.items()
        }
        try:
            label = class_name(cell["label"])
        except DatasetError as error:
            raise DatasetError(f"{where}: {error}") from error
        more = {name: cell.get(name, "") for name in ("subject", "apex", "onset")}
        rows.append(_Row(_stay_inside(cell["path"], where), label, **more, where=where))
    if "subject" in places:
        gaps = [row.name for row in rows if not row.subject]
        if gaps:
            shown = f"{', '.join(gaps[:SHOWN])}{' and more' if len(gaps) > SHOWN else ''}"
            count = plural(len(gaps), "clip has", "clips have")
            told.doubts.append(
                f"{count} no subject in {TABLE}, {shown}: each counts as a person of its own, and "
                "may be in the training part with others of the same person in the test part"
            )
    elif not subject:
        told.errors += _ask_for_subjects(header, lines[1:], places, rows)
    return rows


def _ask_for_subjects(
    header: Sequence[str],
    lines: Sequence[tuple[int, Sequence[str]]],
    places: Mapping[str, int],
    rows: Sequence[_Row],
) -> list[str]:
    """An error for a table without subjects in which a column looks like them."""
    cells = [texts for _, texts in lines]
    names = [row.name for row in rows]
    found = columns_like_subjects(header, cells, list(places.values()), names)
    if not found:
        return []
    return [
        f"{TABLE} names no subjects, but its column {found[0]!r} looks like them: without subjects "
        "one person is in the training and in the test part. Call it subject, or say "
        f"subject={found[0]!r}; subject='none' makes every clip a person of its own"
    ]


def _stay_inside(text: str, where: str) -> str:
    """The path in one spelling; DatasetError if it is absolute or climbs out of the root."""
    path = os.path.normpath(text.strip().replace("\\", "/"))
    if not text.strip() or path == "." or path.split("/")[0] == "..":
        shown = repr(text[:200])
        raise DatasetError(f"{where}: the path {shown} does not lead to a clip below the table")
    if os.path.isabs(path) or re.match(r"[A-Za-z]:", path):
        raise DatasetError(f"{where}: the path {text!r} is absolute; write it from the table on")
    return path.replace(os.sep, "/")


def _on_disk(root: Path, name: str) -> Path:
    """The path of a clip, also where the disk writes its name in another Unicode form."""
    try:
        if name.isascii() or (root / name).exists():
            return root / name
        path = root
        for part in name.split("/"):
            same = (child for child in path.iterdir() if one_form(child.name) == part)
            path = next(same, path / part)
    except OSError:  # a name that is too long, a part that is no folder
        return root / name
    return path


def _list_pairs(found: Mapping[_Row, Path]) -> Iterator[str]:
    """Clips of a table that differ in the suffix only, as a video and its conversion do."""
    stems: dict[str, list[str]] = {}
    for row, path in found.items():
        stem = row.name.rsplit(".", 1)[0] if path.is_file() else row.name
        stems.setdefault(stem, []).append(row.name)
    pairs = [names for names in stems.values() if len(names) > 1]
    if pairs:
        count = plural(len(pairs), "clip is", "clips are")
        yield (
            f"{count} listed in two formats, such as {' and '.join(pairs[0])}: both are read as "
            "clips of their own; take one of the lines out of the table if they show the same"
        )


def _make_clips(
    root: Path,
    row: _Row,
    path: Path,
    facts: Mapping[str, VideoFacts],
    how: tuple[bool, str],
    told: _Told,
) -> list[Clip]:
    (cropped, order), subject = how, row.subject or row.name
    if not is_plain(f"{row.name}{subject}"):
        raise DatasetError(
            f"clip {row.name} of {subject} has a name that is no plain text; rename it"
        )
    frames: tuple[str, ...] = ()
    video, count, fps = "", 1, float(UNKNOWN)
    if path.is_file():
        if str(path) not in facts:
            return []  # its error is listed already
        video, (count, fps) = str(path), (facts[str(path)].count, facts[str(path)].fps)
    elif not path.is_dir():
        raise DatasetError(f"clip {row.name} is not below {root}")
    else:
        files = ordered_frames(path, order)
        if unread := unread_frames(path, files):
            told.doubts.append(f"{row.name}: {unread}")
        if not files:
            raise DatasetError(f"clip {path} has no frames with a number in their names")
        if step := describe_step(files):
            told.problems.append(f"{row.name}: {step}")
        frames, count = tuple(map(str, files)), len(files)
    apex, onset = (frame_number(text, frames, count, row.where) for text in (row.apex, row.onset))
    options = {"onset": onset, "cropped": cropped, "video": video, "count": count}
    return [Clip(row.name, subject, row.label, frames, fps, apex, **options)]
