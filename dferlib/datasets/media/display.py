"""Frames of a video as a player shows them: turned, stretched and deinterlaced as the file says.

A phone that is held upright writes frames that lie on their side, with a matrix that turns them;
television and camcorders write pixels that are not square, and two half pictures in one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from dferlib.datasets.media.containers import import_av

MOST_STRETCH = 4.0  # pixels that are longer than this are a mistake of the header
LEAST_STRETCH = 0.01  # what changes less than this of a side is not worth resampling
OBLIQUE = 0.01  # of a matrix that turns by something else than right angles
TURNS = {(True, True, False): 90, (False, True, True): 180, (True, False, True): 270}


@dataclass(frozen=True)
class Display:
    """How the frames of a video are to be shown.

    `stretch` is the width of a stored pixel over its height. Then x and y change places if `swap`,
    and what is then x or y runs backwards with `flip_x` and `flip_y`. `interlaced`: a frame holds
    two half pictures. `oblique`: the file asks for a turn by no right angle, which is left out.
    """

    stretch: float = 1.0
    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False
    interlaced: bool = False
    oblique: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as shown, of those stored: what is too narrow is made longer."""
        wide = round(width * max(1.0, self.stretch))
        high = round(height / min(1.0, self.stretch))
        return (high, wide) if self.swap else (wide, high)

    def show(self, frame: np.ndarray) -> np.ndarray:
        """A stored frame uint8 (H, W, 3) as it is shown, without deinterlacing."""
        if self.stretch != 1.0:
            size = replace(self, swap=False).size(frame.shape[1], frame.shape[0])
            frame = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
        if self.swap:
            frame = frame.transpose(1, 0, 2)
        if self.flip_x or self.flip_y:
            frame = frame[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
        return frame

    def notes(self) -> tuple[str, ...]:
        """What was done to the frames, in words; empty if nothing was."""
        turned = self.swap or self.flip_x or self.flip_y
        degrees = TURNS.get((self.swap, self.flip_x, self.flip_y))
        how = f"turned by {degrees} degrees" if degrees else "mirrored"
        said = {
            f"shown {how}, as the video's file says": turned,
            f"shown {self.stretch:.3g} times as wide for its height as stored, as the video's file "
            "says": self.stretch != 1.0,
            "interlaced: one frame was made of every two half pictures": self.interlaced,
            "its file asks for an oblique turn, which was not done": self.oblique,
        }
        return tuple(text for text, done in said.items() if done)


def display_of(stream: Any, frame: Any) -> Display:
    """How a decoded frame of a PyAV stream is to be shown."""
    ratio = float(stream.sample_aspect_ratio or 1)
    known = 1 / MOST_STRETCH <= ratio <= MOST_STRETCH and abs(ratio - 1) > LEAST_STRETCH
    shown = Display(ratio if known else 1.0, interlaced=bool(frame.interlaced_frame))
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return shown
    # 16.16 fixed point, row by row; x' = a x + c y and y' = b x + d y, y down
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5] / 65536
    straight, crossed = max(abs(a), abs(d)), max(abs(b), abs(c))
    if min(straight, crossed) > OBLIQUE * max(straight, crossed):
        return replace(shown, oblique=True)
    swap = bool(crossed > straight)
    x, y = (c, b) if swap else (a, d)
    return replace(shown, swap=swap, flip_x=bool(x < 0), flip_y=bool(y < 0))


def deinterlace(frames: Iterable[Any]) -> Iterator[Any]:
    """PyAV frames with those that hold two half pictures made whole, as many as before.

    FFmpeg's filter yadif, from the first such frame on; it lets the others pass.
    """
    graph, kind = None, None
    for frame in frames:
        own = (frame.width, frame.height, frame.format.name)
        if graph and own != kind:
            yield from _drain(graph)
            graph = None
        if graph is None and frame.interlaced_frame:
            graph, kind = _yadif(frame), own
        if graph is None:
            yield frame
        else:
            graph.push(frame)
            yield from _pull(graph)
    if graph:
        yield from _drain(graph)


def _yadif(frame: Any) -> Any:
    graph = import_av().filter.Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format.name,
        time_base=frame.time_base,
    )
    graph.link_nodes(source, graph.add("yadif", "deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _drain(graph: Any) -> Iterator[Any]:
    graph.push(None)
    yield from _pull(graph)


def _pull(graph: Any) -> Iterator[Any]:
    av = import_av()
    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
