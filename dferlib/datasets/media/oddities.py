"""What is odd about the frames of a video, counted while they are decoded.

A decoder hides damage: it fills what it cannot read from the frame before, shows grey until the
first frame that stands alone, and goes on. A player leaves it at that; a training must know.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LEAST_RUN = 5  # frames with the same pixels in a row: a recording that froze, not a picture held
FLAT = 2.0  # grey levels of contrast below which a frame shows nothing
THIN = 8  # of every so many rows and columns one is looked at for contrast and for repetition
LATE = 1.5  # times the usual step between two frames: more, and one may be missing
LEAST_TIMES = 4  # of which a usual step can be told
TRANSFERS = {16: "PQ", 18: "HLG"}  # of ITU-T H.273: light for screens that are brighter than most


@dataclass
class Oddities:
    """Counts over the frames of one video, from 0; `notes` says them.

    `watch` sees frames as they are decoded, `look` their pixels as they are shown.
    """

    frames: int = 0
    corrupt: list[int] = field(default_factory=list)
    before_key: int = 0  # frames at the start that build on some that are not there
    resized: list[int] = field(default_factory=list)
    recoloured: list[int] = field(default_factory=list)
    flat: list[int] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)  # first and last frame of each
    transfer: str = ""
    _times: array = field(default_factory=lambda: array("d"))
    _first: tuple[int, int, str] = (0, 0, "")
    _sizes: str = ""
    _keyed: bool = False
    _shown: int = 0
    _last: np.ndarray | None = None
    _begun: int = 0  # of frames with the pixels of the one before, the first

    def watch(self, frames: Iterable[Any]) -> Iterator[Any]:
        """Pass PyAV frames on and count what is odd about them."""
        for frame in frames:
            kind = (frame.width, frame.height, frame.format.name)
            if not self.frames:
                self._first = kind
                self.transfer = TRANSFERS.get(int(getattr(frame, "color_trc", 0)), "")
            self._keyed = self._keyed or bool(frame.key_frame)
            self.before_key += not self._keyed
            if frame.is_corrupt:
                self.corrupt.append(self.frames)
            if kind[:2] != self._first[:2]:
                self.resized.append(self.frames)
                first, other = (f"{wide}x{high}" for wide, high, _ in (self._first, kind))
                self._sizes = self._sizes or f"{other} instead of {first}"
            elif kind != self._first:
                self.recoloured.append(self.frames)
            if frame.time is not None:
                self._times.append(frame.time)
            self.frames += 1
            yield frame

    def look(self, frame: np.ndarray) -> None:
        """Count a frame (H, W, 3) that shows nothing, or the same as the one before."""
        thin = frame[::THIN, ::THIN]
        if thin.std(axis=(0, 1)).max() < FLAT:
            self.flat.append(self._shown)
        same = self._last is not None and self._last.shape == frame.shape
        if not (
            same
            and np.array_equal(self._last[::THIN, ::THIN], thin)
            and np.array_equal(self._last, frame)
        ):
            self._end_run()
            self._begun = self._shown
        self._last = frame
        self._shown += 1

    def _end_run(self) -> None:
        if self._shown - self._begun >= LEAST_RUN:
            self.runs.append((self._begun, self._shown - 1))

    def finish(self) -> None:
        """Say that the last frame was seen."""
        self._end_run()
        self._begun, self._last = self._shown, None

    def notes(self) -> tuple[str, ...]:
        """What is odd, in words; empty if nothing is."""
        all_flat = len(self.flat) == self._shown
        keyless = 0 < self.before_key < self.frames
        said = (
            self._count(self.corrupt, "damaged and filled up by the decoder"),
            self._count(
                list(range(self.before_key)) if keyless else [],
                "cut in the middle, what its start builds on is not there",
            ),
            self._count(self.resized, f"of another size, {self._sizes}, brought to the first's"),
            self._count(self.recoloured, "stored in another colour format than the first"),
            "" if all_flat else self._count(self.flat, "of one colour, showing nothing"),
            self._describe_runs(),
            self._describe_steps(),
            self.transfer
            and f"meant for a bright screen ({self.transfer}): read as it is it looks pale",
        )
        return tuple(filter(None, said))

    def _count(self, places: list[int], what: str) -> str:
        if not places:
            return ""
        return f"{what}: {len(places)} of {self.frames} frames, first {places[0]}"

    def _describe_runs(self) -> str:
        if not self.runs:
            return ""
        (first, last), count = self.runs[0], sum(stop - start for start, stop in self.runs)
        if count == self._shown - 1:
            return "a still picture: all frames are the same"
        return (
            f"frozen: {count} of {self._shown} frames repeat the one before, first those from "
            f"{first} to {last}"
        )

    def _describe_steps(self) -> str:
        if len(self._times) < LEAST_TIMES:
            return ""
        steps = np.diff(np.frombuffer(self._times))
        usual = float(np.median(steps))
        late = np.flatnonzero(steps > LATE * usual)
        if not len(late) or usual <= 0:
            return ""
        return (
            f"uneven in time, frames may be missing: {len(late)} of {self.frames} frames stay "
            f"longer than the usual {usual:.3f} s, up to {steps.max():.3f} s, first {late[0]}"
        )
