"""Real footage, in the folder that DFER_FOOTAGE names: faces are found, followed and cut out."""

import os
from pathlib import Path

import numpy as np
import pytest

from dferlib.datasets.faces.crops import read_clip
from dferlib.datasets.faces.detectors import make_detector
from dferlib.datasets.faces.finding import NO_FACE
from dferlib.datasets.faces.options import parse_faces
from dferlib.datasets.faces.tracking import choose_face
from dferlib.datasets.media.images import load_rgb
from dferlib.datasets.media.video import iter_frames, probe
from dferlib.datasets.readers.scan import Clip

FOOTAGE = os.environ.get("DFER_FOOTAGE", "")
pytestmark = pytest.mark.skipif(not FOOTAGE, reason="DFER_FOOTAGE names no folder of footage")
DETECTORS = ["haar", "mtcnn"]


def clip_of(name):
    pytest.importorskip("av")
    path = Path(FOOTAGE) / name
    facts = probe(path)
    return Clip(name, "someone", "fear", (), facts.fps, -1, video=str(path), count=facts.count)


def need(detector):
    if detector == "mtcnn":
        pytest.importorskip("facenet_pytorch")


def test_the_face_is_found_and_followed():
    clip = clip_of("one_face.mp4")
    crops = read_clip(clip, 64, parse_faces("box=frame"))
    assert crops.note == ""
    record = crops.record
    assert record.looked == clip.count == len(crops.frames) == 472
    assert record.own >= 0.98 * clip.count
    assert record.own + record.borrowed == clip.count
    # a tenth of the detector's trembling is left, and the face stays in the middle
    assert 0.003 < record.raw_jitter < 0.02
    assert record.jitter < record.raw_jitter / 10
    assert record.drift < 0.03


def test_both_detectors_mean_the_same_box():
    need("mtcnn")
    clip = clip_of("one_face.mp4")
    frames = [f for index, f in enumerate(iter_frames(clip.video)) if index % 8 == 0]
    haar, mtcnn = (make_detector(name, 0.2)(frames) for name in DETECTORS)
    assert [len(faces.boxes) for faces in mtcnn] == [1] * len(frames)
    pairs = [(a.boxes[0], b.boxes[0]) for a, b in zip(haar, mtcnn, strict=True) if len(a.boxes)]
    assert len(pairs) >= 0.95 * len(frames)
    mine, theirs = np.array(pairs).transpose(1, 0, 2)
    sides = theirs[:, 2] - theirs[:, 0]
    away = ((mine - theirs)[:, :2] + (mine - theirs)[:, 2:]) / 2 / sides[:, None]
    assert np.abs(np.median(away, axis=0)).max() < 0.05
    assert np.median((mine[:, 2] - mine[:, 0]) / sides) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("detector", DETECTORS)
def test_no_face_is_found_where_none_is(detector):
    need(detector)
    clip = clip_of("no_face.mp4")
    assert clip.count == 95  # the header counts 98, of which an edit list hides three
    crops = read_clip(clip, 32, parse_faces(f"box=frame detector={detector}"))
    assert crops.note == NO_FACE
    assert (crops.record.own, crops.record.none) == (0, 95)
    assert crops.frames.shape == (95, 32, 32, 3)


def test_the_largest_of_many_faces_is_taken():
    need("mtcnn")
    frame = load_rgb(Path(FOOTAGE) / "many_faces.jpg")
    (faces,) = make_detector("mtcnn", 0.1)([frame])
    assert len(faces.boxes) == 5
    (chosen,) = choose_face([faces.boxes])
    sides = faces.boxes[:, 2] - faces.boxes[:, 0]
    assert chosen == np.argmax(sides)
    middle = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    # between brows and chin, by eye
    wanted = [[258, 136], [365, 305], [478, 270], [580, 372], [738, 362]]
    assert middle[np.argsort(middle[:, 0])] == pytest.approx(np.array(wanted), abs=20)
