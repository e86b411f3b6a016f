"""Frames in which a head is tilted by known angles: crops turn it back, by landmarks and MTCNN."""

import cv2
import numpy as np
import pytest
from PIL import Image

from dferlib.datasets import DatasetError
from dferlib.datasets.faces.crops import read_clip
from dferlib.datasets.faces.geometry import eye_centres
from dferlib.datasets.faces.options import parse_faces
from dferlib.datasets.faces.tracking import turn_of
from dferlib.datasets.readers.scan import Clip

SIZE = 64
RAMP = tuple(range(-12, 13, 2))  # degrees, frame by frame


@pytest.fixture(scope="module")
def portrait():
    from dferlib.datasets.standins.trees.film import film

    return next(film(3, 1, "neutral", 1, (320, 240)))


def tilt(picture, degrees):
    """The picture turned clockwise about its middle, and where its landmarks are then."""
    angle, middle = np.radians(degrees), np.array([160.0, 120.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pixels = Image.fromarray(picture.pixels).rotate(-degrees, Image.Resampling.BICUBIC)
    return pixels, (picture.landmarks - middle) @ turn.T + middle


def write_clip(folder, portrait, angles, landmarks):
    frames, marks = [], []
    for index, degrees in enumerate(angles):
        pixels, points = tilt(portrait, degrees)
        frames.append(str(folder / f"{index}.png"))
        pixels.save(frames[-1])
        marks.append(str(folder / f"{index}.txt"))
        np.savetxt(marks[-1], points)
    return Clip("c", "s", "fear", tuple(frames), 25.0, -1, tuple(marks) if landmarks else ())


def tilt_between(crop, reference):
    """Degrees clockwise by which the crop shows the reference turned, wherever it shows it."""
    image, candidates = Image.fromarray(reference), np.arange(-30, 30.5, 0.5)
    middle, crop = slice(SIZE // 5, -SIZE // 5), np.ascontiguousarray(crop)
    turned = [np.asarray(image.rotate(-a, Image.Resampling.BICUBIC)) for a in candidates]
    alike = [
        cv2.matchTemplate(crop, np.ascontiguousarray(face[middle, middle]), cv2.TM_CCOEFF_NORMED)
        for face in turned
    ]
    return candidates[int(np.argmax([found.max() for found in alike]))]


@pytest.fixture(scope="module")
def reference(portrait, tmp_path_factory):
    """Crop of the untilted face, and how its eyes lie in truth, in degrees."""
    clip = write_clip(tmp_path_factory.mktemp("level"), portrait, [0], landmarks=True)
    level = read_clip(clip, SIZE, parse_faces("box=frame")).frames[0]
    return level, np.degrees(turn_of(eye_centres(portrait.landmarks[None])))[0, 0]


@pytest.mark.parametrize("landmarks", [True, False], ids=["landmarks", "mtcnn"])
@pytest.mark.parametrize("degrees", [-20, 8, 20])
def test_a_tilted_face_comes_upright(tmp_path, portrait, reference, degrees, landmarks):
    if not landmarks:
        pytest.importorskip("facenet_pytorch")
    clip = write_clip(tmp_path, portrait, [degrees] * 2, landmarks)
    level, own = reference
    left = read_clip(clip, SIZE, parse_faces("box=frame")).frames[0]
    assert tilt_between(left, level) == pytest.approx(degrees, abs=2)
    crops = read_clip(clip, SIZE, parse_faces("align=upright"))
    assert crops.note == ""
    assert crops.record.found_by == ("landmarks" if landmarks else "mtcnn")
    assert crops.record.turn == pytest.approx(abs(degrees + own), abs=2)
    for frame in crops.frames:
        assert tilt_between(frame, level) + own == pytest.approx(0, abs=2)


@pytest.mark.parametrize("landmarks", [True, False], ids=["landmarks", "mtcnn"])
def test_a_tilting_face_stays_as_in_the_first_frame(tmp_path, portrait, reference, landmarks):
    if not landmarks:
        pytest.importorskip("facenet_pytorch")
    clip = write_clip(tmp_path, portrait, RAMP, landmarks)
    crops = read_clip(clip, SIZE, parse_faces("align=first")).frames
    level, _ = reference
    tilts = [tilt_between(frame, level) for frame in crops]
    assert tilts == pytest.approx([RAMP[0]] * len(RAMP), abs=2 if landmarks else 3)
    free = read_clip(clip, SIZE, parse_faces("box=frame")).frames
    assert [tilt_between(frame, level) for frame in free] == pytest.approx(RAMP, abs=2)


def test_aligned_crops_keep_the_size_and_place_of_the_face(tmp_path, portrait, reference):
    clip = write_clip(tmp_path, portrait, [15] * 2, landmarks=True)
    crop = read_clip(clip, SIZE, parse_faces("align=upright")).frames[0].astype(float)
    level = np.asarray(Image.fromarray(reference[0]).rotate(reference[1]), float)
    middle = slice(SIZE // 6, -SIZE // 6)
    assert np.abs(crop - level)[middle, middle].mean() < 8
    wide = read_clip(clip, SIZE, parse_faces("align=upright margin=0.25")).frames[0]
    smaller = Image.fromarray(wide).resize(
        (SIZE, SIZE), box=(SIZE * 0.06,) * 2 + (SIZE * 0.94,) * 2
    )
    assert np.abs(crop - np.asarray(smaller, float))[middle, middle].mean() < 8


def test_a_frame_without_landmarks_borrows_place_and_turn(tmp_path, portrait):
    clip = write_clip(tmp_path, portrait, [10] * 5, landmarks=True)
    marks = ("", *clip.landmarks[1:3], "", clip.landmarks[4])
    gaps = Clip("c", "s", "fear", clip.frames, 25.0, -1, marks)
    for options in ("box=frame", "align=upright", "box=clip"):
        whole = read_clip(clip, SIZE, parse_faces(options))
        crops = read_clip(gaps, SIZE, parse_faces(options))
        assert np.abs(crops.frames.astype(int) - whole.frames).max() <= 1
        assert (crops.record.own, crops.record.borrowed) == (3, 2)


def test_aligning_without_the_extra_says_how_to_install_it(tmp_path, portrait, monkeypatch):
    import sys

    from dferlib.datasets.faces import finding

    finding._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    clip = write_clip(tmp_path, portrait, [0], landmarks=False)
    with pytest.raises(DatasetError, match=r"pip install 'dferlib\[face\]'"):
        read_clip(clip, SIZE, parse_faces("align=first"))


@pytest.mark.parametrize("mode", ["L", "I;16", "RGBA", "P"])
def test_a_face_is_found_in_images_of_every_kind(tmp_path, portrait, mode):
    grey = Image.fromarray(portrait.pixels).convert("L")
    grey.save(tmp_path / "plain.png")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    (deep if mode == "I;16" else grey.convert(mode)).save(tmp_path / "other.png")
    crops = [
        read_clip(Clip("c", "s", "fear", (str(tmp_path / name),), 25.0, -1), SIZE)
        for name in ("plain.png", "other.png")
    ]
    assert [c.record.own for c in crops] == [1, 1]
    assert crops[1].frames.shape == (1, SIZE, SIZE, 3)
    assert np.abs(crops[0].frames.astype(int) - crops[1].frames).max() <= 2
