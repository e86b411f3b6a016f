"""Decoding videos to RGB frames with PyAV, with errors that name the file.

PyAV is the extra `video` of this package; nothing else needs it. How many frames a clip has is
taken from the file's header, or by counting packets where the header does not say or counts frames
that are not shown, and neither decodes a picture. What was decoded is compared with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.media.images import MAX_PIXELS
from dferlib.datasets.media.notes import VideoNotes

VIDEOS = r".*\.(?:avi|flv|mp4|mkv|mov|webm|mpg|mpeg|wmv)"
FPS_UNKNOWN = 25.0  # where a file does not say
MOST_FPS = 240
SLACK = 2  # headers are often wrong by a frame or two: such clips are cut or held, and noted
LFS_HEADER = b"version https://git-lfs"
# Containers that hold their frames themselves. Left to choose, FFmpeg takes a text file for a list
# of other files and opens those.
FORMATS = "avi,flv,live_flv,mov,mp4,matroska,webm,mpeg,mpegvideo,mpegts,asf"
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}


@dataclass(frozen=True)
class VideoFacts:
    """Number of frames and frames per second of a video, as its file says."""

    count: int
    fps: float


def import_av() -> ModuleType:
    """Import PyAV; DatasetError naming the extra if it is not installed."""
    try:
        import av
    except ImportError as error:
        raise DatasetError(
            f"reading videos needs PyAV ({error}); install it with pip install 'dferlib[video]' "
            "or pip install av"
        ) from error
    return av


def is_lfs_stub(path: str | Path) -> bool:
    """Whether the file is the few lines that git leaves where the real one was not fetched."""
    with open(path, "rb") as file:
        return file.read(len(LFS_HEADER)) == LFS_HEADER


def probe(path: str | Path) -> VideoFacts:
    """Number of frames and rate of a video; DatasetError naming the file if it is none."""
    with _open(path) as (container, stream):
        packets = (packet for packet in container.demux(stream) if packet.size)
        first, count = next(packets, None), stream.frames
        # an edit list of an mp4 hides frames that the header counts, at the beginning above all
        if first and (count < 1 or first.is_discard):
            count = sum(not packet.is_discard for packet in itertools.chain([first], packets))
        if count < 1:
            raise DatasetError(f"video {path} has no frames")
        if count > (size := Path(path).stat().st_size):
            raise DatasetError(f"video {path} declares {count} frames in {size} bytes")
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        return VideoFacts(count, rate if 0 < rate <= MOST_FPS else FPS_UNKNOWN)


def picture_of_video(path: str | Path) -> tuple[int, int, str]:
    """Width, height and pixel format of a video; DatasetError naming the file if it is none."""
    with _open(path) as (_, stream):
        codec = stream.codec_context
        return codec.width, codec.height, str(codec.pix_fmt)


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


def iter_frames(path: str | Path) -> Iterator[np.ndarray]:
    """Decode a video frame by frame as uint8 RGB (H, W, 3); DatasetError naming the file."""
    with _open(path) as (container, stream):
        stream.codec_context.thread_count = 1  # the store is built by one process per core
        for frame in container.decode(stream):
            yield frame.to_ndarray(format="rgb24")


def count_decoded(path: str | Path, declared: int) -> str:
    """Decode a whole video and compare; see `compare_counts`."""
    return compare_counts(path, sum(1 for _ in iter_frames(path)), declared)


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


@contextmanager
def _open(path: str | Path) -> Iterator[tuple[Any, Any]]:
    av = import_av()
    try:
        if not Path(path).is_file():
            raise FileNotFoundError("there is no such file")
        with av.open(str(path), options=OPTIONS) as container:
            if not container.streams.video:
                raise DatasetError(f"{path} holds no video")
            stream = container.streams.video[0]
            # frames may be larger than the header says
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > MAX_PIXELS:
                raise DatasetError(f"{path} is {width} x {height} pixels: no video of a face")
            yield container, stream
    except DatasetError:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise DatasetError(f"video {path} cannot be decoded ({error}). {_way_out(path)}") from error


def _way_out(path: str | Path) -> str:
    if Path(path).is_file() and is_lfs_stub(path):
        return "It is a stub of git-lfs: run `git lfs pull` in the dataset's folder"
    return "Copy it anew from the dataset, or put its clip into exclude.txt"
