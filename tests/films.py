"""Small videos for tests, with what people's files have: written with PyAV, then spoilt."""

from fractions import Fraction

import numpy as np
import pytest


def greys(count=9, size=(48, 64)):
    """Frames (H, W, 3) of which frame t is grey 20 t, modulo 240."""
    return [np.full((*size, 3), 20 * t % 240, np.uint8) for t in range(count)]


def count_decoded(path, declared):
    """Decode a whole video; the note that its number of frames is worth, if any."""
    from dferlib.datasets.media.video import compare_counts, iter_frames

    return compare_counts(path, sum(1 for _ in iter_frames(path, at=())), declared)


def write_film(path, frames, codec="mpeg4", *, muxer=None, times=None, sar=None, options=None):
    """Encode RGB frames; `times` are their numbers where some are left out. Skips the test where
    the FFmpeg at hand cannot write such a file."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with av.open(str(path), "w", format=muxer) as container:
            stream = container.add_stream(codec, rate=Fraction(25), options=options or {})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
            if sar:
                stream.codec_context.sample_aspect_ratio = sar
            for time, pixels in zip(times or range(len(frames)), frames, strict=True):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                frame.pts = time
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except (ValueError, av.FFmpegError) as error:
        pytest.skip(f"this FFmpeg writes no {path.suffix} with {codec}: {error}")
    return path


def remux(source, path, change=lambda packet: [packet], options=None):
    """Copy a video's packets into another file, each replaced by what `change` makes of it."""
    import av

    with av.open(str(source)) as old, av.open(str(path), "w", options=options or {}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            for part in change(packet) if packet.size else ():
                part.stream = stream
                new.mux(part)
    return path


def boxes(data, start, stop):
    """(name, start, stop) of the boxes of an mp4 between two places, heads included."""
    while start < stop:
        length = int.from_bytes(data[start : start + 4], "big")
        yield data[start + 4 : start + 8], start, start + length
        start += length


def turn(path, matrix):
    """Write a display matrix (a, b, c, d) into the track header of an mp4."""
    data = bytearray(path.read_bytes())
    a, b, c, d = matrix
    place = data.index(b"tkhd") + 44
    whole = np.array([a, b, 0, c, d, 0, 0, 0, 0.25 * 65536])
    data[place : place + 36] = (whole * 65536).astype(">i8").astype(">i4").tobytes()
    path.write_bytes(data)


def put_first(path, name, inside=b"moov"):
    """Move a box of an mp4 to the front of the one that it is in."""
    data = path.read_bytes()
    _, start, stop = next(box for box in boxes(data, 0, len(data)) if box[0] == inside)
    parts = [(kind, data[a:b]) for kind, a, b in boxes(data, start + 8, stop)]
    parts.sort(key=lambda part: part[0] != name)
    inner = b"".join(part for _, part in parts)
    path.write_bytes(data[: start + 8] + inner + data[stop:])
