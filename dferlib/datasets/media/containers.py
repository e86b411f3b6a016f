"""Which files are videos, and opening one: the stream that moves, no lists of files, no bombs.

    container     names of files        as FFmpeg calls it   count in the header
    AVI           .avi                  avi                  yes, with empty chunks
    Flash         .flv                  flv                  no
    MPEG-4        .mp4 .m4v .mov .3gp   mov                  yes, with what an edit list hides
    Matroska      .mkv .webm            matroska             no
    MPEG program  .mpg .mpeg .vob       mpeg, mpegvideo      no
    MPEG stream   .ts .m2ts .mts        mpegts               no
    Windows       .wmv .asf             asf                  no

Any codec is read that the FFmpeg inside PyAV decodes. Names are compared in any case. A video is
told by its content, not by its name: a .mp4 that is called .avi is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.media.images import MAX_PIXELS

SUFFIXES = (
    *("avi", "flv", "mp4", "m4v", "mov", "3gp", "mkv", "webm"),
    *("mpg", "mpeg", "vob", "ts", "m2ts", "mts", "wmv", "asf"),
)
LFS_HEADER = b"version https://git-lfs"
# Containers that hold their frames themselves. Left to choose, FFmpeg takes a text file for a list
# of other files and opens those.
FORMATS = "avi,flv,live_flv,mov,mp4,matroska,webm,mpeg,mpegvideo,mpegts,asf"
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}


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


@contextmanager
def open_video(path: str | Path) -> Iterator[tuple[Any, Any]]:
    """Open a file as PyAV's container and the stream that is its video.

    DatasetError naming the file, and the way out, for whatever fails inside the block, too.
    """
    av = import_av()
    try:
        if not Path(path).is_file():
            raise FileNotFoundError("there is no such file")
        with av.open(str(path), options=OPTIONS) as container:
            stream = _moving_stream(container, path)
            codec = stream.codec_context
            # frames may be larger than the header says
            codec.options = {"max_pixels": str(MAX_PIXELS)}
            codec.thread_count = 1  # the store is built by one process per core
            if codec.width * codec.height > MAX_PIXELS:
                raise DatasetError(
                    f"{path} is {codec.width} x {codec.height} pixels: no video of a face"
                )
            yield container, stream
    except DatasetError:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise DatasetError(f"video {path} cannot be decoded ({error}). {_way_out(path)}") from error


def _moving_stream(container: Any, path: str | Path) -> Any:
    """The video among the streams: not the cover, and of several the one with most frames."""
    attached = import_av().stream.Disposition.attached_pic
    moving = [s for s in container.streams.video if not s.disposition & attached]
    if not container.streams.video:
        raise DatasetError(f"{path} holds no video")
    if not moving:
        raise DatasetError(f"{path} holds no video, only a still picture on its cover")
    return max(moving, key=lambda stream: (stream.frames != 1, stream.frames, -stream.index))


def _way_out(path: str | Path) -> str:
    if Path(path).is_file() and is_lfs_stub(path):
        return "It is a stub of git-lfs: run `git lfs pull` in the dataset's folder"
    return "Copy it anew from the dataset, or put its clip into exclude.txt"
