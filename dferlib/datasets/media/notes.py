"""The folder of what can be made again, and what is remembered there of videos on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dferlib.files import cache_folder, digest, write_json

FACTS_VERSION = 3  # raise when the frames of a video are counted in another way


class VideoNotes:
    """Number of frames and rate of videos that were opened before, by path, size and time.

    Counting the frames of thousands of files without a count in their header reads all of them;
    this is done once. One file in the cache serves the videos below one folder; a damaged one, and
    a cache that cannot be written, cost time and nothing else.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        folders = {str(Path(path).absolute().parent) for path in paths}
        self._root = os.path.commonpath(folders) if folders else ""
        name = digest([FACTS_VERSION, self._root])
        self._file = cache_folder() / "videos" / f"{name}.json"
        self._known: dict[str, list] = {}
        self._new = False
        with suppress(OSError, ValueError):
            known = json.loads(self._file.read_text(encoding="utf-8"))
            self._known = known if isinstance(known, dict) else {}

    def find(self, path: str | Path) -> tuple[int, float] | None:
        """Frames and rate of a video as noted, None if it is unknown or was changed."""
        entry = self._known.get(self._name(path))
        try:
            same = entry is not None and entry[:2] == self._stamp(path)
            return (int(entry[2]), float(entry[3])) if same else None
        except (OSError, ValueError, TypeError, IndexError):
            return None

    def note(self, path: str | Path, count: int, fps: float) -> None:
        """Remember a video; `save` writes it down."""
        with suppress(OSError):
            self._known[self._name(path)] = [*self._stamp(path), count, fps]
            self._new = True

    def save(self) -> None:
        """Write what was noted, if anything was."""
        if self._new:
            with suppress(OSError):
                write_json(self._file, self._known)

    def _name(self, path: str | Path) -> str:
        return os.path.relpath(Path(path).absolute(), self._root)

    @staticmethod
    def _stamp(path: str | Path) -> list[int]:
        stat = os.stat(path)
        return [stat.st_size, stat.st_mtime_ns]
