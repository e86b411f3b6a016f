"""Which files are videos, which of their streams is the clip, and how many frames it can show."""

import re

import numpy as np
import pytest
from films import count_decoded, greys, put_first, remux, write_film

from dferlib.datasets import DatasetError
from dferlib.datasets.media import containers
from dferlib.datasets.media.images import load_rgb
from dferlib.datasets.media.video import VIDEOS, iter_frames, picture_of_video, probe
from dferlib.datasets.sources import scan_dataset

WRITTEN = {  # by suffix: codec, and the muxer where FFmpeg does not know it by the suffix
    "avi": ("mpeg4", None),
    "flv": ("flv", None),
    "mp4": ("libx264", None),
    "m4v": ("mpeg4", "mp4"),
    "mov": ("libx264", None),
    "3gp": ("mpeg4", None),
    "mkv": ("mpeg4", None),
    "webm": ("libvpx-vp9", None),
    "mpg": ("mpeg1video", None),
    "mpeg": ("mpeg2video", None),
    "vob": ("mpeg2video", None),
    "ts": ("libx264", None),
    "m2ts": ("mpeg2video", "mpegts"),
    "mts": ("libx264", "mpegts"),
    "wmv": ("wmv2", None),
    "asf": ("wmv1", None),
}


def levels(path):
    return [round(frame.mean() / 20) for frame in iter_frames(path)]


def test_the_table_of_containers_is_the_list_that_is_read():
    assert set(WRITTEN) == set(containers.SUFFIXES)
    listed = re.findall(r"\.(\w+)", containers.__doc__.split("count in the header")[1])
    assert set(WRITTEN) <= set(listed)


@pytest.mark.parametrize("suffix", WRITTEN)
def test_every_container_is_read(tmp_path, suffix):
    codec, muxer = WRITTEN[suffix]
    path = write_film(tmp_path / f"Happy/clip.{suffix.upper()}", greys(), codec, muxer=muxer)
    assert re.fullmatch(VIDEOS, path.name, re.I)
    assert (probe(path).count, probe(path).fps) == (9, pytest.approx(25, rel=0.01))
    assert levels(path) == list(range(9))
    assert picture_of_video(path)[:2] == (64, 48)
    (clip,) = scan_dataset("folder", tmp_path).clips
    assert (clip.video, clip.count) == (str(path), 9)


def with_cover(path, frames, codec="mpeg4"):
    """A video with a white cover picture, as the programs of shops and phones write it."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        stream = container.add_stream(codec, rate=25) if frames else None
        white = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 255, np.uint8), format="rgb24")
        pictures = [*cover.encode(white), *cover.encode()]
        if stream:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for pixels in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
        container.mux(pictures)
    return path


def test_a_cover_picture_is_never_the_clip(tmp_path):
    path = with_cover(tmp_path / "clip.mp4", greys())
    put_first(path, b"udta")
    import av

    with av.open(str(path)) as container:
        assert container.streams.video[0].disposition & av.stream.Disposition.attached_pic
    assert probe(path).count == 9
    assert levels(path) == list(range(9))
    assert picture_of_video(path)[:2] == (64, 48)
    assert count_decoded(path, 9) == ""
    with pytest.raises(DatasetError, match=r"only\.mp4 holds no video, only a still picture"):
        probe(with_cover(tmp_path / "only.mp4", []))


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_what_an_edit_list_hides_does_not_count(tmp_path, codec):
    whole = write_film(tmp_path / "whole.mp4", greys(12), codec)

    def earlier(packet):
        packet.pts -= 3 * 512
        packet.dts -= 3 * 512
        return [packet]

    path = remux(whole, tmp_path / "trimmed.mp4", earlier)
    assert (probe(whole).count, probe(path).count) == (12, 9)
    assert levels(path) == levels(whole)[3:]
    assert count_decoded(path, 9) == ""


def test_empty_chunks_of_an_avi_do_not_count(tmp_path):
    for times in ([0, 1, 4, 5, 6, 9, 10, 11, 12], [0, 1, 2, 3, 4, 5, 6, 7, 40]):
        path = write_film(tmp_path / "clip.avi", greys(), times=times)
        assert probe(path).count == 9
        assert count_decoded(path, 9) == ""
        assert levels(path) == list(range(9))


def test_frames_that_are_for_reference_only_do_not_count(tmp_path):
    whole = write_film(tmp_path / "whole.webm", greys(), "libvpx-vp9", options={"g": "1"})
    import av

    def hide(packet):
        if packet.pts != 120:
            return [packet]
        data = bytearray(bytes(packet))
        data[0] &= ~2  # the bit show_frame of a key frame
        hidden = av.Packet(bytes(data))
        hidden.pts, hidden.dts, hidden.time_base = packet.pts, packet.dts, packet.time_base
        return [hidden]

    path = remux(whole, tmp_path / "hidden.webm", hide)
    assert (probe(whole).count, probe(path).count) == (9, 8)
    assert levels(path) == [0, 1, 2, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_missing_data_are_damage(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), dtype=np.uint8)
    whole = write_film(tmp_path / f"whole.{suffix}", noise)
    if suffix == "mp4":
        whole = remux(whole, tmp_path / "fast.mp4", options={"movflags": "faststart"})
    data = whole.read_bytes()
    path = tmp_path / f"half.{suffix}"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DatasetError, match=r"(is damaged: \d+ of 60|cannot be decoded)") as error:
        count_decoded(path, probe(path).count)
    assert str(path) in str(error.value)


def test_a_picture_that_is_called_a_video_is_none(tmp_path):
    from PIL import Image

    pytest.importorskip("av")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert load_rgb(tmp_path / "a.png").shape == (8, 8, 3)
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    with pytest.raises(DatasetError, match=r"a\.mp4 cannot be decoded"):
        probe(tmp_path / "a.mp4")
