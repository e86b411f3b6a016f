"""The frames of one clip, from images or from a video, one at a time and as often as wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.media import video
from dferlib.datasets.media.images import grey_levels, load_rgb, note_on_levels
from dferlib.datasets.media.oddities import Oddities


@dataclass(frozen=True)
class Footage:
    """Frames of a clip: iterating decodes them as uint8 RGB (H, W, 3), as a player shows them.

    Either `images`, in order, or a `video`. `mixed` allows frames of several sizes; else
    DatasetError for the first that differs, and always for a file that cannot be read.
    """

    images: tuple[str, ...] = ()
    video: str = ""
    mixed: bool = False
    _seen: list[Oddities] = field(default_factory=list, compare=False)

    @cached_property
    def levels(self) -> int:
        """What stands for white in images of more than eight bits, the same in all."""
        return grey_levels(self.images)

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be done to the frames, and what was odd about those of a video.

        In words, empty if there is nothing to say; oddities are known once all frames were seen.
        """
        if self.video:
            odd = self._seen[-1].notes() if self._seen else ()
            return (*video.look_at_display(self.video).notes(), *odd)
        said = note_on_levels(self.levels)
        return (said,) if said else ()

    def __iter__(self) -> Iterator[np.ndarray]:
        if self.video:
            self._seen[:] = [Oddities()]
            frames = video.iter_frames(self.video, seen=self._seen[0])
        else:
            frames = (load_rgb(path, self.levels) for path in self.images)
        return self._of_one_size(frames)

    def at(self, places: Sequence[int]) -> list[np.ndarray]:
        """The frames at some places, by their order; those beyond the end are left out."""
        if self.video:
            frames = video.iter_frames(self.video, at=frozenset(places))
            return list(self._of_one_size(frame for frame in frames if frame is not None))
        there = (self.images[place] for place in sorted(set(places)) if place < len(self.images))
        return list(self._of_one_size(load_rgb(path, self.levels) for path in there))

    def _of_one_size(self, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        first: tuple[int, ...] = ()
        for frame in frames:
            first = first or frame.shape
            if frame.shape != first and not self.mixed:
                sizes = sorted(f"{width}x{height}" for height, width, _ in (first, frame.shape))
                folder = Path(self.images[0]).parent if self.images else self.video
                raise DatasetError(f"the frames in {folder} differ in size ({', '.join(sizes)})")
            yield frame
