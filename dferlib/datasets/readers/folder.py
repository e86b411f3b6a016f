"""Reader of any clips: videos or folders of frames, sorted into classes or listed in a table.

Expected is either

    <root>/
        happiness/              any spelling of a class: Happy, joy, ...
            clip_a/             a folder of frames, in the order of the last number in their names
                frame_1.png frame_2.png ... frame_10.png
            clip_b.mp4          or a video, which needs PyAV, the extra `video`
        anger/
            ...

or

    <root>/labels.csv    with the columns path, label and, if subjects are known, subject:

        path,label,subject
        day1/clip_a,happiness,S01
        day1/clip_b.mp4,anger,S02

Paths are relative to the root and stay in it. Where subjects are not known every clip counts as one
of its own. The classes are those that occur.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dferlib.datasets.manifest import (
    DATASETS,
    DatasetError,
    MissingDatasetError,
    class_name,
    is_plain,
)
from dferlib.datasets.media.video import VIDEOS, VideoFacts, probe_all
from dferlib.datasets.readers.scan import (
    Clip,
    Golden,
    Scan,
    check_exclude,
    describe_content,
    is_junk,
    numbered_files,
    read_csv,
    subfolders,
)

HELP = """A folder of clips is expected as
    <root>/<class>/<clip>/1.png 2.png ...    or <root>/<class>/<clip>.mp4
or with a table <root>/labels.csv, which has the columns path, label and, if known, subject."""

FOLDER_NAMES = ()
FACES = "box=frame"  # nothing is known about them
TABLE = "labels.csv"
FPS = 25.0
FRAME = r"(?:.*\D)?(\d+)\.(?:jpe?g|png|bmp|tiff?|webp)"
Row = tuple[str, str, str]  # path below the root, label, subject or ""

GOLDEN = Golden(counts={})


def scan(root: Path, cropped: bool = False, exclude: Sequence[str] = ()) -> Scan:
    """Find all clips; their ids are their paths below the root.

    `cropped` says that the frames are face crops already; `exclude` names clips to leave out.
    MissingDatasetError if there is neither a table nor a class; DatasetError for an unknown class,
    a path that leaves the root, and a clip that stands twice. Clips that cannot be read are in the
    scan's errors.
    """
    table = root / TABLE
    listed, ignored = table.exists() or table.is_symlink(), []
    rows = list(_read_table(table) if listed else _list_classes(root, ignored))
    if not rows:
        raise MissingDatasetError(f"no clips below {root}. {describe_content(root)}.\n{HELP}")
    names = [path for path, _, _ in rows]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DatasetError(f"{table} lists {twice[0]!r} twice")
    check_exclude(exclude, names, root)
    rows = [row for row in rows if row[0] not in exclude]
    videos = [root / row[0] for row in rows if (root / row[0]).is_file()]
    facts, errors = probe_all(videos) if videos else ({}, [])
    clips = []
    for row in rows:
        try:
            clips += _make_clips(root, row, facts, cropped)
        except DatasetError as error:
            errors.append(str(error))
    counts = {"clips": len(clips), "videos": len(facts)}
    counts["subjects"] = len({clip.subject for clip in clips})
    classes = tuple(name for name in DATASETS["folder"] if name in {row[1] for row in rows})
    layout = f"clips of {TABLE}" if listed else "folders of classes"
    problems = [f"{len(ignored)} files are no clips, such as {ignored[0]}"] if ignored else []
    return Scan(
        "folder", root, layout, tuple(clips), counts, tuple(problems), tuple(errors), classes
    )


def _list_classes(root: Path, ignored: list[str]) -> Iterator[Row]:
    """Everything in the folders of classes; names of files that are no videos go to `ignored`."""
    unknown = []
    for folder in subfolders(root):
        try:
            label = class_name(folder.name)
        except DatasetError as error:
            unknown.append(str(error))
            continue
        for path in sorted(folder.iterdir()):
            is_video = re.fullmatch(VIDEOS, path.name, re.I) is not None
            name = f"{folder.name}/{path.name}"
            if not is_junk(path) and (path.is_dir() or is_video):
                yield name, label, ""
            elif not is_junk(path):
                ignored.append(name)
    if unknown:
        raise DatasetError(f"{root} has folders that are no class: {unknown[0]}.\n{HELP}")


def _read_table(table: Path) -> Iterator[Row]:
    rows = read_csv(table)
    header = rows[0][1] if rows else []
    if missing := sorted({"path", "label"} - set(header)):
        raise DatasetError(f"{table} lacks the columns {missing}; it has {str(header)[:200]}")
    if len(set(header)) < len(header):
        raise DatasetError(f"{table} has a column twice: {header}")
    for line, texts in rows[1:]:
        where = f"{table}:{line}"
        row = dict.fromkeys(header, "") | dict(zip(header, texts, strict=False))
        try:
            label = class_name(row["label"])
        except DatasetError as error:
            raise DatasetError(f"{where}: {error}") from error
        yield _stay_inside(row["path"], where), label, row.get("subject", "").strip()


def _stay_inside(text: str, where: str) -> str:
    """The path in one spelling; DatasetError if it is absolute or climbs out of the root."""
    path = os.path.normpath(text.strip().replace("\\", "/"))
    if not text.strip() or path == "." or path.split("/")[0] == "..":
        shown = repr(text[:200])
        raise DatasetError(f"{where}: the path {shown} does not lead to a clip below the table")
    if os.path.isabs(path) or re.match(r"[A-Za-z]:", path):
        raise DatasetError(f"{where}: the path {text!r} is absolute; write it from the table on")
    return path.replace(os.sep, "/")


def _make_clips(root: Path, row: Row, facts: dict[str, VideoFacts], cropped: bool) -> list[Clip]:
    name, label, subject = row
    path, subject = root / name, subject or name
    if not is_plain(f"{name}{subject}"):
        raise DatasetError(f"clip {name} of {subject} has a name that is no plain text; rename it")
    if path.is_file():
        if str(path) not in facts:
            return []  # its error is listed already
        video = {"video": str(path), "count": facts[str(path)].count}
        return [Clip(name, subject, label, (), facts[str(path)].fps, -1, cropped=cropped, **video)]
    if not path.is_dir():
        raise DatasetError(f"clip {name} is not below {root}")
    frames = tuple(str(file) for file in numbered_files(path, FRAME).values())
    if not frames:
        raise DatasetError(f"clip {path} has no frames with a number in their names")
    return [Clip(name, subject, label, frames, FPS, -1, cropped=cropped)]
