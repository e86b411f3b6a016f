"""One clip in several places or formats: which is read, and what is said of the others.

People unpack an archive twice, spread subjects over several folders, and keep a converted video
beside the original. A second place with the same files is named; one with other files stops, since
nobody but the user knows which is right. Of two formats the dataset's own is read.
"""

from __future__ import annotations

import filecmp
from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.manifest import DatasetError, plural
from dferlib.datasets.readers.folders import below, is_junk

FOLDER = "frames"  # what `prefer` calls a folder of frames


class Places:
    """Chooses for each clip and collects what is to be said.

    `own` are the suffixes of the owner's format, the best first, without dots; `prefer` is the
    user's choice over them, a suffix or "frames".
    """

    def __init__(self, root: Path, own: Sequence[str] = (), prefer: str = "") -> None:
        self.root, self.errors = root, []
        self.prefer, self._own = prefer.lower().lstrip("."), [*own]
        self._seen: set[str] = set()
        self._copies: list[tuple[Path, Path]] = []
        self._formats: list[tuple[Path, Path]] = []

    def choose(self, clip: str, found: Sequence[Path]) -> Path | None:
        """The file or folder that is read for a clip; None if there is an error to be told."""
        groups: dict[str, list[Path]] = {}
        for path in found:
            groups.setdefault(self._format(path), []).append(path)
        self._seen |= set(groups)
        names = sorted(groups, key=self._rank)
        self._formats += [(groups[names[0]][0], groups[name][0]) for name in names[1:]]
        first, *others = groups[names[0]]
        for other in others:
            if not same_content(first, other):
                self.errors.append(
                    f"{clip} lies in two places with different files, {below(self.root, first)} "
                    f"and {below(self.root, other)}: keep one of them below {self.root}"
                )
                return None
        self._copies += [(first, other) for other in others]
        return first

    def _format(self, path: Path) -> str:
        return FOLDER if path.is_dir() else path.suffix.lower().lstrip(".")

    def _rank(self, name: str) -> tuple[bool, int, str]:
        place = self._own.index(name) if name in self._own else len(self._own)
        return name != self.prefer, place, name

    def problems(self) -> list[str]:
        """What is there twice with the same files, a line for each pair of folders."""
        pairs: dict[tuple[Path, Path], list[tuple[Path, Path]]] = {}
        for first, other in self._copies:
            pairs.setdefault(self._roots(first, other), []).append((first, other))
        return [
            f"{plural(len(same), 'clip is', 'clips are')} there twice with the same files, such as "
            f"{below(self.root, same[0][0])} and {below(self.root, same[0][1])}; the first is read"
            for same in pairs.values()
        ]

    def doubts(self) -> list[str]:
        """What is there in two formats; DatasetError if the preferred one is nowhere."""
        if self.prefer and self.prefer not in self._seen:
            raise DatasetError(
                f"prefer is {self.prefer!r}, but no clip below {self.root} is there as that; "
                f"there are {', '.join(sorted(self._seen))}"
            )
        pairs: dict[tuple[str, str], list[tuple[Path, Path]]] = {}
        for taken, other in self._formats:
            pairs.setdefault((self._format(taken), self._format(other)), []).append((taken, other))
        if self.prefer:
            return []
        return [
            f"{plural(len(same), 'clip is', 'clips are')} there in two formats, such as "
            f"{below(self.root, same[0][0])} and {below(self.root, same[0][1])}: the first is "
            f"read; prefer={second!r} takes the other"
            for (_, second), same in pairs.items()
        ]

    def _roots(self, first: Path, other: Path) -> tuple[Path, Path]:
        """The folders above both from which on their paths are the same."""
        while first.name == other.name and self.root not in (first, other):
            first, other = first.parent, other.parent
        return first, other


def same_content(first: Path, second: Path) -> bool:
    """Whether two files are the same byte by byte, or two folders have files of the same names and
    sizes.
    """
    if first.is_dir() and second.is_dir():
        return _sizes(first) == _sizes(second)
    if first.is_file() and second.is_file():
        return filecmp.cmp(first, second, shallow=False)
    return False


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir() if not is_junk(path)}
