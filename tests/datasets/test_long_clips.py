"""What a long clip costs, and what is said of one that shows several people."""

import subprocess
import sys

import numpy as np
import pytest
from films import write_film
from PIL import Image

from dferlib.datasets import DatasetError
from dferlib.datasets.faces.crops import CHANGES, read_clip, read_clips
from dferlib.datasets.faces.detectors import make_detector
from dferlib.datasets.faces.finding import DETECT_FRAMES, JUMPS, MOVES, NO_FACE
from dferlib.datasets.faces.options import parse_faces
from dferlib.datasets.readers.scan import Clip, View
from dferlib.datasets.standins.trees.film import film

WIDE = (320, 240)
FRAMES, SIZE = 800, 96
MEASURE = rf"""
import re, sys
from dferlib.datasets.faces.crops import read_clips
from dferlib.datasets.faces.options import parse_faces
from dferlib.datasets.readers.scan import Clip
def peak(path, count):
    clip = Clip("c", "s", "fear", (), 25.0, -1, video=path, count=count)
    read_clips([clip], parse_faces("box=frame detector=haar"), {SIZE})
    return int(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1]) * 1024
short = peak(sys.argv[1], 50)
print(peak(sys.argv[2], {FRAMES}) - short)
"""


def portrait(subject, count=1, **options):
    return [picture.pixels for picture in film(0, subject, "neutral", count, WIDE, **options)]


@pytest.fixture(scope="module")
def faces():
    return portrait(0)[0], portrait(1)[0]


def clip_of(path, count, **options):
    return Clip("c", "s", "fear", (), 25.0, -1, video=str(path), count=count, **options)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no /proc")
def test_a_clip_needs_no_more_memory_than_twice_its_crops(tmp_path, faces):
    paths = [write_film(tmp_path / f"{count}.mp4", [faces[0]] * count) for count in (50, FRAMES)]
    run = [sys.executable, "-c", MEASURE, *map(str, paths)]
    grown = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    crops = FRAMES * SIZE**2 * 3
    assert crops * 0.5 < grown < 2 * crops


def test_clips_are_cropped_into_one_array(tmp_path, faces):
    paths = [write_film(tmp_path / f"{count}.mp4", [faces[0]] * count) for count in (3, 5)]
    clips = [clip_of(path, count) for path, count in zip(paths, (3, 5), strict=True)]
    options = parse_faces("detector=haar")
    frames, _, _, rows = read_clips(clips, options, 32)
    alone = [read_clip(clip, 32, options) for clip in clips]
    assert np.array_equal(frames, np.concatenate([crops.frames for crops in alone]))
    assert [row["own"] for row in rows] == [3, 5]


def test_haar_follows_a_face_and_finds_it_anew(faces):
    detect = make_detector("haar", 0.2)
    moved = [np.roll(faces[0], 6 * step, axis=1) for step in range(8)]
    gone, far = np.full_like(faces[0], 115), np.roll(faces[0], -60, axis=1)
    together = detect([*moved, gone, far])
    assert [len(found.boxes) for found in together] == [1] * 8 + [0, 1]
    for frame, found in zip([*moved, far], together[:8] + together[9:], strict=True):
        alone = detect([frame])[0].boxes[0]
        assert np.abs(found.boxes[0] - alone).max() < 0.12 * (alone[2] - alone[0])


@pytest.mark.parametrize("detector", ["haar", "mtcnn"])
def test_a_face_lost_for_some_frames_is_followed(tmp_path, faces, detector):
    if detector == "mtcnn":
        pytest.importorskip("facenet_pytorch")
    frames = [np.roll(faces[0], 3 * step, axis=1) for step in range(12)]
    hidden = [np.full_like(f, 115) if 4 <= step < 8 else f for step, f in enumerate(frames)]
    options = parse_faces(f"box=frame detector={detector}")
    whole = read_clip(clip_of(write_film(tmp_path / "a.mp4", frames), 12), 48, options)
    crops = read_clip(clip_of(write_film(tmp_path / "b.mp4", hidden), 12), 48, options)
    assert whole.note == ""
    assert crops.note == "of one colour, showing nothing: 4 of 12 frames, first 4"
    assert (crops.record.own, crops.record.borrowed) == (8, 4)
    away = np.abs(crops.frames[8:].astype(int) - whole.frames[8:])
    assert away.mean() < 10


def alive(frame: np.ndarray, count: int) -> list[np.ndarray]:
    """So many frames of somebody who nods a little, so that the film does not count as frozen."""
    return [np.roll(frame, step % 3, axis=0) for step in range(count)]


@pytest.mark.parametrize("box", ["frame", "clip"])
def test_a_jump_to_another_person_is_noted(tmp_path, faces, box):
    one = np.roll(faces[0], -70, axis=1)
    two = np.roll(faces[1], 70, axis=1)
    options = parse_faces(f"box={box} detector=haar")
    path = write_film(tmp_path / "apart.mp4", alive(one, 10) + alive(two, 8))
    note = read_clip(clip_of(path, 18), 48, options).note
    assert note.startswith({"frame": JUMPS, "clip": MOVES}[box])
    path = write_film(tmp_path / "alone.mp4", alive(one, 18))
    assert read_clip(clip_of(path, 18), 48, options).note == ""


def test_another_person_at_the_same_place_is_noted(tmp_path, faces):
    other = 255 - faces[1][:, ::-1]
    shown = alive(faces[0], 10) + alive(other, 2) + alive(faces[0], 10)
    path = write_film(tmp_path / "cut.mp4", shown)
    for box in ("frame", "clip"):
        read = read_clip(clip_of(path, 22), 48, parse_faces(f"box={box} detector=haar"))
        assert read.note == CHANGES


@pytest.mark.parametrize("detector", ["haar", "mtcnn"])
def test_the_frontal_view_is_taken_and_not_the_profile(tmp_path, detector):
    if detector == "mtcnn":
        pytest.importorskip("facenet_pytorch")
    front, side = portrait(3), portrait(3, yaw=1.0)
    views = (View("left"), View("right"))
    options = parse_faces(f"detector={detector}")
    alone = [np.concatenate([front[0]] * 2, axis=1)] * 3
    whole = read_clip(clip_of(write_film(tmp_path / "w.mp4", alone), 3, views=views), 32, options)
    for order in ((front, side), (side, front)):
        both = [np.concatenate([order[0][0], order[1][0]], axis=1)] * 3
        path = write_film(tmp_path / f"{len(list(tmp_path.iterdir()))}.mp4", both)
        crops = read_clip(clip_of(path, 3, views=views), 32, options)
        assert np.corrcoef(crops.frames.ravel(), whole.frames.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("options", ["", "box=frame", "detector=haar"])
def test_frames_of_two_sizes_are_named_whatever_looks_at_them(tmp_path, faces, options):
    paths = []
    for index in range(DETECT_FRAMES):
        frame = Image.fromarray(faces[0])
        paths.append(str(tmp_path / f"{index}.png"))
        (frame.resize((300, 200)) if index == 4 else frame).save(paths[-1])
    with pytest.raises(DatasetError, match=r"differ in size \(300x200, 320x240\)") as error:
        read_clip(Clip("c", "s", "fear", tuple(paths), 25.0, -1), 32, parse_faces(options))
    assert str(tmp_path) in str(error.value)


def test_what_shows_no_face_gets_none(tmp_path):
    rng = np.random.default_rng(0)
    walls = [rng.integers(0, 255, (6, 8, 3)).repeat(40, 0).repeat(40, 1) for _ in range(9)]
    path = write_film(tmp_path / "walls.mp4", [wall.astype(np.uint8) for wall in walls])
    for options in ("", "box=frame", "smallest=0.1"):
        assert read_clip(clip_of(path, 9), 32, parse_faces(options)).note == NO_FACE
