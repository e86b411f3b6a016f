"""Videos as RGB frames, with PyAV, and how many of them can be shown.

PyAV is the extra `video` of this package; nothing else needs it. Frames are counted by the packets
of the file, without decoding a picture. Where packets do not tell, they are decoded: a header
counts what an edit list hides and what an AVI leaves empty to hold the frame before, some codecs
have packets that show nothing, in a stream every half picture may have one of its own, and of a
video that was cut between two key frames some decoders leave out what comes before the second.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.media.containers import SUFFIXES, import_av, open_video
from dferlib.datasets.media.display import Display, deinterlace, display_of
from dferlib.datasets.media.notes import VideoNotes
from dferlib.datasets.media.oddities import Oddities

VIDEOS = rf".*\.(?:{'|'.join(SUFFIXES)})"
FPS_UNKNOWN = 25.0  # where a file does not say
MOST_FPS = 240
SLACK = 2  # headers are often wrong by a frame or two: such clips are cut or held, and noted
HIDING = ("vp8", "vp9")  # codecs with packets that hold a frame for reference only
HALVES = ("mpeg", "mpegvideo", "mpegts")  # containers in which a half picture may be a packet
LEAST_BYTES = 16  # a smaller packet may say that nothing changed, which is no frame
RIFF = slice(4, 8)  # where an AVI says how long it is


@dataclass(frozen=True)
class VideoFacts:
    """Number of frames that a video can show, and frames per second."""

    count: int
    fps: float


class _Packets(NamedTuple):
    """What the packets of a video say: all that hold data, those of them to be shown, and so on."""

    all: int
    shown: int
    smallest: int  # bytes
    end: float  # of the last one, in frames
    corrupt: bool
    keyed: bool  # the first of them stands alone


def probe(path: str | Path) -> VideoFacts:
    """Number of frames and rate of a video; DatasetError naming the file if it is none.

    Where data are missing the header's count is given, which decoding will not reach.
    """
    with open_video(path) as (container, stream):
        packets, declared = _read_packets(container, stream), stream.frames
        if declared > (size := Path(path).stat().st_size):
            raise DatasetError(f"video {path} declares {declared} frames in {size} bytes")
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        count = packets.shown
        if _cut_short(path, container, stream, packets):
            count = declared
        elif not _certain(container, stream, packets):
            count = sum(1 for _ in iter_frames(path, at=()))
    if count < 1:
        raise DatasetError(f"video {path} has no frames")
    return VideoFacts(count, rate if 0 < rate <= MOST_FPS else FPS_UNKNOWN)


def _read_packets(container: Any, stream: Any) -> _Packets:
    packets = [packet for packet in container.demux(stream) if packet.size]
    ends = [p.dts + (p.duration or 0) for p in packets if p.dts is not None]
    seconds = float(max(ends, default=0) * stream.time_base)
    return _Packets(
        len(packets),
        sum(not packet.is_discard for packet in packets),
        min((packet.size for packet in packets), default=0),
        seconds * float(stream.average_rate or 0),
        any(packet.is_corrupt for packet in packets),
        bool(packets and packets[0].is_keyframe),
    )


def _cut_short(path: str | Path, container: Any, stream: Any, packets: _Packets) -> bool:
    """Whether data that the header counts are not in the file."""
    if stream.frames <= packets.all and not packets.corrupt:
        return False
    if container.format.name == "avi":
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(RIFF.stop)[RIFF], "little")
        whole = RIFF.stop + length <= Path(path).stat().st_size
        return not (packets.end >= stream.frames - SLACK or (length and whole))
    return packets.corrupt or len(stream.index_entries) > packets.all


def _certain(container: Any, stream: Any, packets: _Packets) -> bool:
    """Whether every packet that is to be shown is a frame."""
    return (
        stream.frames in (0, packets.shown)
        and packets.keyed
        and packets.smallest >= LEAST_BYTES
        and stream.codec_context.name not in HIDING
        and container.format.name not in HALVES
    )


def picture_of_video(path: str | Path) -> tuple[int, int, str]:
    """Width and height as shown, and pixel format; DatasetError naming the file if it is none."""
    with open_video(path) as (container, stream):
        codec, shown = stream.codec_context, _display(container, stream)
        return *shown.size(codec.width, codec.height), str(codec.pix_fmt)


def look_at_display(path: str | Path) -> Display:
    """How the frames of a video are to be shown; DatasetError naming the file if it is none."""
    with open_video(path) as (container, stream):
        return _display(container, stream)


def _display(container: Any, stream: Any) -> Display:
    first = next(container.decode(stream), None)
    return Display() if first is None else display_of(stream, first)


def probe_all(paths: Sequence[str | Path]) -> tuple[dict[str, VideoFacts], list[str]]:
    """Facts of many videos by path, and what is wrong with those that cannot be opened.

    A video that was opened before and has not changed since is not opened again. One whose path is
    no text cannot be opened, nor be named in a store.
    """
    import_av()
    named, errors = [], []
    for path in paths:
        if _is_text(path):
            named.append(path)
        else:
            fault = "the name of the file or of a folder above it is no UTF-8; rename it"
            errors.append(f"{path}: {fault}")
    notes = VideoNotes(named)

    def attempt(path: str | Path) -> VideoFacts | str:
        if known := notes.find(path):
            return VideoFacts(*known)
        try:
            return probe(path)
        except DatasetError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:  # waits for the disk, most of the time
        results = list(pool.map(attempt, named))
    facts = {str(p): r for p, r in zip(named, results, strict=True) if isinstance(r, VideoFacts)}
    for path, fact in facts.items():
        if notes.find(path) is None:
            notes.note(path, fact.count, fact.fps)
    notes.save()
    return facts, [*errors, *(result for result in results if isinstance(result, str))]


def _is_text(path: str | Path) -> bool:
    """Whether the absolute path can be written as UTF-8."""
    try:
        str(Path(path).absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True


def iter_frames(
    path: str | Path, at: Container[int] | None = None, seen: Oddities | None = None
) -> Iterator[np.ndarray | None]:
    """Decode a video frame by frame as uint8 RGB (H, W, 3), as a player shows it.

    Frames of another size than the first are brought to its. With `at` only the frames at these
    places are made; None stands for the others, which are decoded all the same. `seen` counts what
    is odd about the frames. DatasetError naming the file.
    """
    seen = seen or Oddities()
    with open_video(path) as (container, stream):
        shown: Display | None = None
        size = {}
        for place, frame in enumerate(deinterlace(seen.watch(container.decode(stream)))):
            shown = shown or display_of(stream, frame)
            size = size or {"width": frame.width, "height": frame.height}
            if at is None or place in at:
                pixels = shown.show(frame.to_ndarray(format="rgb24", **size))
                seen.look(pixels)
                yield pixels
            else:
                yield None
    seen.finish()


def compare_counts(path: str | Path, decoded: int, declared: int) -> str:
    """Note on how many frames were decoded, empty if as many as the file declares.

    DatasetError naming the file if there are none, or if more than two are missing or too many.
    """
    if decoded == declared:
        return ""
    what = f"{decoded} of {declared} declared frames decoded"
    if not decoded or abs(decoded - declared) > SLACK:
        raise DatasetError(
            f"video {path} is damaged: {what}. "
            "Copy it anew from the dataset, or put its clip into exclude.txt"
        )
    return what
