"""Videos are shown as a player shows them: turned, with square pixels, without half pictures."""

from fractions import Fraction

import numpy as np
import pytest
from films import turn, write_film

from dferlib.datasets.faces.crops import read_clip
from dferlib.datasets.media.display import Display
from dferlib.datasets.media.footage import Footage
from dferlib.datasets.media.video import iter_frames, look_at_display, picture_of_video
from dferlib.datasets.readers.scan import Clip

TURNED = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}  # clockwise, of an mp4


def corner(count=3):
    """Frames of 96 x 64, black but for their upper left quarter."""
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:32, :48] = 240
    return [frame] * count


def quarters(frame):
    """Which quarters of a frame are bright, row by row."""
    high, wide = frame.shape[0] // 2, frame.shape[1] // 2
    parts = (frame[:high, :wide], frame[:high, wide:], frame[high:, :wide], frame[high:, wide:])
    return [bool(part.mean() > 120) for part in parts]


@pytest.mark.parametrize(
    ("matrix", "bright", "said"),
    [
        (TURNED[90], 1, "shown turned by 90 degrees"),
        (TURNED[180], 3, "shown turned by 180 degrees"),
        (TURNED[270], 2, "shown turned by 270 degrees"),
        ((-1, 0, 0, 1), 1, "shown mirrored"),
        ((0.8, 0.6, -0.6, 0.8), 0, "asks for an oblique turn, which was not done"),
        ((1, 0, 0, 1), 0, ""),
    ],
)
def test_frames_are_turned_as_the_file_says(tmp_path, matrix, bright, said):
    path = write_film(tmp_path / "phone.mp4", corner())
    turn(path, matrix)
    size = (96, 64) if matrix[0] else (64, 96)
    for frame in iter_frames(path):
        assert frame.shape == (size[1], size[0], 3)
        assert np.flatnonzero(quarters(frame)).tolist() == [bright]
    assert picture_of_video(path)[:2] == size
    notes = Footage(video=str(path)).notes
    assert [said in note for note in notes] == [True] * bool(said)


@pytest.mark.parametrize("degrees", TURNED)
def test_a_face_filmed_with_the_phone_on_its_side_comes_upright(tmp_path, degrees):
    from dferlib.datasets.standins.trees.film import film

    face = [picture.pixels for picture in film(0, 0, "happiness", 3, (320, 240))]
    plain = write_film(tmp_path / "plain.mp4", face)
    path = write_film(tmp_path / "phone.mp4", [np.rot90(f, degrees // 90) for f in face])
    turn(path, TURNED[degrees])

    def crops(video, **more):
        return read_clip(Clip("c", "s", "fear", (), 25.0, -1, video=video, count=3, **more), 32)

    upright, turned = crops(str(plain)), crops(str(path))
    assert (upright.note, turned.record.own) == ("", upright.record.looked)
    assert turned.note == f"shown turned by {degrees} degrees, as the video's file says"
    assert np.corrcoef(turned.frames.ravel(), upright.frames.ravel())[0, 1] > 0.95
    # and what the owner cropped is turned, too
    kept = crops(str(path), cropped=True)
    assert kept.note == turned.note
    assert np.abs(kept.frames.astype(int) - crops(str(plain), cropped=True).frames).mean() < 4


@pytest.mark.parametrize(
    ("ratio", "size"),
    [("64:45", (137, 64)), ("8:9", (96, 72)), ("1:1", (96, 64)), ("1:50", (96, 64))],
)
def test_pixels_that_are_not_square_are_made_square(tmp_path, ratio, size):
    wide, high = map(int, ratio.split(":"))
    path = write_film(tmp_path / "tv.mp4", corner(), sar=Fraction(wide, high))
    assert {frame.shape for frame in iter_frames(path)} == {(size[1], size[0], 3)}
    assert picture_of_video(path)[:2] == size
    said = [f"shown {wide / high:.3g} times as wide"] if size != (96, 64) else []
    notes = Footage(video=str(path)).notes
    assert [note.startswith(text) for note, text in zip(notes, said, strict=True)] == [True] * len(
        said
    )


def test_stretching_comes_before_turning(tmp_path):
    path = write_film(tmp_path / "both.mp4", corner(), sar=Fraction(2))
    turn(path, TURNED[90])
    assert look_at_display(path) == Display(2.0, swap=True, flip_x=True)
    assert next(iter_frames(path)).shape == (192, 64, 3)
    assert picture_of_video(path)[:2] == (64, 192)


def combs(count):
    """A bright block that moves by 8 pixels from half picture to half picture."""
    frames = np.full((count, 64, 192, 3), 16, np.uint8)
    for index, frame in enumerate(frames):
        for half in range(2):
            left = 8 * (2 * index + half)
            frame[half + 16 : 48 : 2, left : left + 24] = 235
    return frames


def comb(frame):
    """How much neighbouring lines differ beyond those of the same half picture."""
    lines = frame[18:46, :, 0].astype(int)
    return np.abs(lines[1:] - lines[:-1]).mean() - np.abs(lines[2:] - lines[:-2]).mean()


@pytest.mark.parametrize("suffix", ["ts", "mp4"])
def test_half_pictures_are_made_whole(tmp_path, suffix):
    options = {"flags": "+ildct+ilme", "top": "1"}
    path = write_film(tmp_path / f"tv.{suffix}", combs(9), "mpeg2video", options=options)
    frames = list(iter_frames(path))
    assert len(frames) == 9
    assert comb(combs(9)[1]) > 15
    assert max(map(comb, frames)) < 2
    said = "interlaced: one frame was made of every two half pictures"
    assert Footage(video=str(path)).notes == (said,)
    plain = write_film(tmp_path / f"plain.{suffix}", combs(9), "mpeg2video")
    assert comb(next(iter_frames(plain))) > 15  # nothing says that it is interlaced
