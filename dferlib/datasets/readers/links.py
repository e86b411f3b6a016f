"""Symbolic links: a tree whose files lie elsewhere is read, and said to be so.

Somebody who copies, backs up or deletes a folder does not expect another one to belong to it, nor
that a link which came with an archive shows files of their own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dferlib.datasets.manifest import plural
from dferlib.datasets.readers.scan import Clip


def describe_links(root: Path, clips: Sequence[Clip]) -> list[str]:
    """A sentence on links that lead out of the tree, to files of clips or to what lies in the root.

    Every file, and every folder above one, is looked at once.
    """
    links = _Links(str(root))
    count = 0
    for clip in clips:
        files = (name for name in (*clip.frames, *clip.landmarks, clip.video) if name)
        count += sum(map(links.lead_out, files)) > 0
    with suppress(OSError), os.scandir(root) as entries:
        for name in sorted(entry.path for entry in entries if entry.is_symlink()):
            links.lead_out(name)
    if not links.out:
        return []
    link, target = min(links.out.items())
    read = f"{plural(count, 'clip is', 'clips are')} read there" if count else "no clip is there"
    one = plural(len(links.out), "symbolic link leads", "symbolic links lead")
    return [f"{one} out of this folder, such as {os.path.relpath(link, root)} to {target}: {read}"]


class _Links:
    """Where paths below a root lead; `out` has the links that leave it, by path."""

    def __init__(self, root: str) -> None:
        self._home = os.path.realpath(root)
        self._folders = {root: self._home}
        self.out: dict[str, str] = {}

    def lead_out(self, path: str) -> bool:
        """Whether a file or folder lies outside the root."""
        return not self._inside(self._follow(path))

    def _follow(self, path: str) -> str:
        above, name = os.path.split(path)
        if (folder := self._folders.get(above)) is None:
            folder = self._folders[above] = self._follow(above) if name else above
        if not os.path.islink(path):
            return os.path.join(folder, name)
        target = os.path.realpath(path)
        if self._inside(folder) and not self._inside(target):
            self.out[path] = target
        return target

    def _inside(self, path: str) -> bool:
        return path == self._home or path.startswith(os.path.join(self._home, ""))
