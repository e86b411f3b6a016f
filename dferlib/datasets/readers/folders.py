"""Looking through a tree: folders, files by pattern, what lies there instead of a dataset."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from dferlib.datasets.manifest import DatasetError, MissingDatasetError, is_plain, plural

JUNK = {"thumbs.db", "__macosx", "desktop.ini"}
ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz")
SHOWN = 3  # names of files that are not read
SEARCH_DEPTH = 4
SEARCH_FOLDERS = (
    4000  # a folder with more below it is not searched to the end: it is no dataset's root
)


def is_junk(path: Path) -> bool:
    """Whether operating systems leave this behind: dot files, Thumbs.db, __MACOSX."""
    return path.name.startswith(".") or path.name.lower() in JUNK


def matching_files(
    folder: Path, pattern: str | re.Pattern, beside: list[Path] | None = None
) -> list[tuple[Path, re.Match]]:
    """Files whose whole name matches, in any case, with the match, by name; without junk.

    Files that do not match go to `beside`, where that is given. DatasetError if one that matches is
    no file, but a folder, a pipe or a link to nowhere, or if its name is no UTF-8 text.
    """
    # ASCII: digits of other scripts number nothing in these datasets
    flags = re.IGNORECASE | re.ASCII
    compiled = re.compile(pattern, flags) if isinstance(pattern, str) else pattern
    try:
        with os.scandir(folder) as entries:  # which knows what is a file without asking again
            there = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(f"folder {folder} cannot be read: {error}") from error
    found = []
    for entry in there:
        path, hit = folder / entry.name, compiled.fullmatch(entry.name)
        if is_junk(path):
            continue
        if hit is None:
            if beside is not None and _is(entry.is_file):
                beside.append(path)
            continue
        if not _is(entry.is_file):
            raise DatasetError(f"{path} is no file; remove it, or copy it anew")
        if not is_plain(entry.name):
            raise DatasetError(f"{path} has a name that is no plain text; rename it")
        found.append((path, hit))
    return found


def other_files(folder: Path, wanted: Callable[[str], object]) -> list[str]:
    """Names of the files in a folder that are `wanted`, sorted, without junk."""
    try:
        with os.scandir(folder) as entries:
            found = [one for one in entries if wanted(one.name) and not is_junk(Path(one.name))]
            return sorted(one.name for one in found if _is(one.is_file))
    except OSError as error:
        raise DatasetError(f"folder {folder} cannot be read: {error}") from error


def subfolders(folder: Path, pattern: str = "") -> list[Path]:
    """Folders in a folder by name, without junk; only those whose name matches, in any case."""
    flags = re.IGNORECASE | re.ASCII
    match = re.compile(pattern, flags).fullmatch if pattern else lambda name: True
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
                f
                for f in subfolders(folder)
                if not (stop and re.fullmatch(stop, f.name, re.I | re.A))
            ]
        level = below


def describe_unread(root: Path, beside: Sequence[Path], pattern: str, what: str) -> list[str]:
    """A sentence on files that look like data and are not read; none if none matches `pattern`.

    `what` is one of them with its article, such as "a video".
    """
    looks = re.compile(pattern, re.IGNORECASE | re.ASCII).fullmatch
    names = [below(root, path) for path in beside if looks(path.name)]
    if not names:
        return []
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    one = f"file looks like {what} of this dataset and is"
    several = f"files look like {what.split()[-1]}s of this dataset and are"
    count = plural(len(names), one, several)
    return [f"{count} not read, by the name: {', '.join(names[:SHOWN])}{more}"]


def below(root: Path, path: Path) -> str:
    """The path from the root on, for a text; "." for the root itself."""
    return path.relative_to(root).as_posix()


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
