"""Odd frames of a video, each with its right pixels, named and counted; hidden frames are none."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from films import greys, remux, write_film

from dferlib.datasets.faces.crops import read_clip
from dferlib.datasets.media.footage import Footage
from dferlib.datasets.media.oddities import LEAST_RUN, Oddities
from dferlib.datasets.media.video import iter_frames, probe
from dferlib.datasets.readers.scan import Clip

av = pytest.importorskip("av")
SIZE = (48, 64)


@pytest.fixture(scope="module")
def moving():
    """Thirty frames of a texture that moves by three pixels a frame."""
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    base = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    return [np.roll(base, 3 * step, axis=1) for step in range(30)]


def seen(path):
    """The frames of a video and what is said of them."""
    footage = Footage(video=str(path))
    return list(footage), footage.notes


def away(frame, wanted):
    """Mean difference of two frames in grey levels."""
    return float(np.abs(frame.astype(int) - wanted).mean())


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "libx264"), ("avi", "mpeg4"), ("flv", "flv"), ("mpg", "mpeg1video")],
)
def test_a_damaged_frame_in_the_middle_is_counted(tmp_path, moving, suffix, codec):
    path = write_film(tmp_path / f"whole.{suffix}", moving, codec, options={"g": "10"})
    assert seen(path)[1] == ()
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size and p.pts is not None]
        middle = bytes(max(packets[12:18], key=lambda packet: packet.size))
    data = bytearray(path.read_bytes())
    place = data.index(middle[len(middle) // 3 :][:24])
    data[place : place + 24] = np.random.default_rng(1).bytes(24)
    path.write_bytes(data)
    frames, notes = seen(path)
    assert len(frames) == 30
    (note,) = [text for text in notes if text.startswith("damaged and filled up by the decoder: ")]
    first = int(note.rsplit(" ", 1)[1])
    assert 10 <= first < 20
    assert note.endswith(f" of 30 frames, first {first}")
    clip = Clip("c", "s", "fear", (), 25.0, -1, video=str(path), count=30, cropped=True)
    assert note in read_clip(clip, 16).note


def in_one_stream(path, parts):
    """An AVI of JPEG pictures whose size or format changes; `parts` are (frames, format)."""
    packets, done = [], 0
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=25)
        high, wide = parts[0][0][0].shape[:2]
        stream.height, stream.width, stream.pix_fmt = high, wide, parts[0][1]
        container.start_encoding()
        for frames, form in parts:
            codec = av.CodecContext.create(stream.codec_context.name, "w")
            codec.height, codec.width = frames[0].shape[:2]
            codec.pix_fmt, codec.time_base = form, Fraction(1, 25)
            pictures = [av.VideoFrame.from_ndarray(f, format="rgb24") for f in frames]
            made = [p for picture in pictures for p in codec.encode(picture.reformat(format=form))]
            packets += [*made, *codec.encode()]
        for packet in packets:
            packet.pts = packet.dts = done
            packet.stream, packet.time_base, done = stream, Fraction(1, 25), done + 1
            container.mux(packet)
    return path


def test_frames_of_another_size_are_brought_to_the_first_and_counted(tmp_path, moving):
    small = [cv2.resize(frame, (32, 24), interpolation=cv2.INTER_AREA) for frame in moving[4:7]]
    parts = [(moving[:4], "yuvj444p"), (small, "yuvj444p"), (moving[7:10], "yuvj444p")]
    path = in_one_stream(tmp_path / "sizes.avi", parts)
    frames, notes = seen(path)
    assert {frame.shape for frame in frames} == {(*SIZE, 3)}
    assert max(away(frame, wanted) for frame, wanted in zip(frames, moving, strict=False)) < 9
    assert notes == (
        "of another size, 32x24 instead of 64x48, brought to the first's: 3 of 10 frames, first 4",
    )


def test_frames_in_another_colour_format_keep_their_colours(tmp_path, moving):
    parts = [(moving[:4], "yuvj444p"), (moving[4:6], "yuvj420p"), (moving[6:9], "yuvj444p")]
    frames, notes = seen(in_one_stream(tmp_path / "formats.avi", parts))
    assert max(away(frame, good) for frame, good in zip(frames, moving, strict=False)) < 9
    assert notes == ("stored in another colour format than the first: 2 of 9 frames, first 4",)


def test_a_black_start_and_a_frozen_part_are_counted(tmp_path, moving):
    black = [np.zeros((*SIZE, 3), np.uint8)] * 2
    film = [*black, *moving[:6], *[moving[5]] * 6, *moving[6:10]]
    frames, notes = seen(write_film(tmp_path / "odd.avi", film, "ffv1"))
    assert len(frames) == 18
    assert frames[0].max() < 3
    assert notes == (
        "of one colour, showing nothing: 2 of 18 frames, first 0",
        "frozen: 6 of 18 frames repeat the one before, first those from 7 to 13",
    )
    still = write_film(tmp_path / "still.avi", [moving[0]] * LEAST_RUN, "ffv1")
    assert seen(still)[1] == ("a still picture: all frames are the same",)
    held = write_film(tmp_path / "held.avi", [*moving[:3], moving[2], *moving[3:6]], "ffv1")
    assert seen(held)[1] == ()  # a film holds a picture now and then


def test_frames_that_come_late_are_counted(tmp_path, moving):
    times = [0, 1, 2, 3, 7, 8, 9, 12, 13]
    path = write_film(tmp_path / "lost.mkv", moving[:9], times=times)
    assert seen(path)[1] == (
        "uneven in time, frames may be missing: 2 of 9 frames stay longer than the usual 0.040 s, "
        "up to 0.160 s, first 3",
    )
    assert probe(path).count == 9


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "mpeg4"), ("mkv", "libx264")])
def test_a_video_cut_between_two_key_frames(tmp_path, moving, suffix, codec):
    path = write_film(tmp_path / f"whole.{suffix}", moving, codec, options={"g": "10", "bf": "0"})
    left = iter(range(100))
    path = remux(path, tmp_path / f"cut.{suffix}", lambda packet: [packet] * (next(left) > 2))
    frames, notes = seen(path)
    assert probe(path).count == len(frames)  # what a decoder leaves out does not count
    assert away(frames[-1], moving[-1]) < 12
    if codec == "mpeg4":  # which shows grey with what changes
        assert len(frames) == 27
        assert (
            "cut in the middle, what its start builds on is not there: 7 of 27 frames, first 0"
            in (notes)
        )
    else:
        assert len(frames) == 20
        assert away(frames[0], moving[10]) < 12


@pytest.mark.parametrize(("codec", "shown"), [("libvpx", 0x10), ("libvpx-vp9", 0x02)])
def test_hidden_frames_of_webm_do_not_count(tmp_path, codec, shown):
    options = {"g": "1", "lag-in-frames": "0", "auto-alt-ref": "0"}
    whole = write_film(tmp_path / "whole.webm", greys(), codec, options=options)

    def hide(packet):
        if packet.pts not in (120, 200):
            return [packet]
        data = bytearray(bytes(packet))
        data[0] &= ~shown  # the bit show_frame of a key frame
        hidden = av.Packet(bytes(data))
        hidden.pts, hidden.dts, hidden.time_base = packet.pts, packet.dts, packet.time_base
        return [hidden]

    path = remux(whole, tmp_path / "hidden.webm", hide)
    assert (probe(whole).count, probe(path).count) == (9, 7)
    assert [round(frame.mean() / 20) for frame in iter_frames(path)] == [0, 1, 2, 4, 6, 7, 8]


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_frames_that_an_encoder_hides_do_not_count(tmp_path, moving, codec):
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "arnr-maxframes": "5", "g": "30"}
    path = write_film(tmp_path / "clip.webm", moving, codec, options=options)
    frames, notes = seen(path)
    assert (probe(path).count, len(frames), notes) == (30, 30, ())
    assert max(away(frame, wanted) for frame, wanted in zip(frames, moving, strict=True)) < 12


@pytest.mark.parametrize("size", [(75, 101), (33, 35)])
@pytest.mark.parametrize(("codec", "form"), [("ffv1", "yuv444p"), ("rawvideo", "bgr24")])
def test_odd_sides_and_rows_from_below_are_read_as_they_are(tmp_path, size, codec, form):
    frame = np.zeros((*size, 3), np.uint8)
    frame[:, size[1] // 2 :], frame[-1] = 200, 120  # bright on the right, grey at the bottom
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream(codec, rate=25)
        (stream.height, stream.width), stream.pix_fmt = size, form
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    for read in iter_frames(tmp_path / "a.avi"):
        np.testing.assert_array_equal(read, frame)


@pytest.mark.parametrize("space", ["ITU601", "ITU709"])
@pytest.mark.parametrize("reach", ["MPEG", "JPEG"])
def test_colours_are_read_by_the_matrix_and_range_that_the_file_names(tmp_path, space, reach):
    from av.video.reformatter import ColorRange, Colorspace

    colours = [(200, 60, 60), (60, 180, 60), (70, 70, 220), (255, 255, 255), (0, 0, 0)]
    frame = np.repeat(np.array([colours], np.uint8), 32, axis=1).repeat(64, axis=0)
    own, wide = Colorspace[space], ColorRange[reach]
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        (stream.height, stream.width), stream.pix_fmt = frame.shape[:2], "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = int(own), int(wide)
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace=own, dst_color_range=wide)
        container.mux([*stream.encode(picture), *stream.encode()])
    (read,) = iter_frames(path)
    assert np.abs(read[32, 16::32].astype(int) - colours).max() < 5


def test_a_film_for_bright_screens_is_named():
    class Frame:
        width, height, time, key_frame, is_corrupt = 8, 8, None, True, False
        format = type("Format", (), {"name": "yuv420p10le"})
        color_trc = 18

    odd = Oddities()
    assert len(list(odd.watch([Frame()]))) == 1
    assert odd.notes() == ("meant for a bright screen (HLG): read as it is it looks pale",)
