"""One face through a clip: several faces, cuts, borrowed boxes, smoothing; options, detectors."""

import sys

import numpy as np
import pytest

from dferlib.datasets import DatasetError
from dferlib.datasets.faces import detectors
from dferlib.datasets.faces.detectors import Faces, make_detector
from dferlib.datasets.faces.geometry import clip_box, read_landmarks
from dferlib.datasets.faces.options import FaceOptions, parse_faces
from dferlib.datasets.faces.tracking import (
    changes,
    choose_face,
    follow,
    jitter,
    longest_gap,
    shots,
    smooth,
    to_places,
    turn_of,
)
from dferlib.datasets.media.images import load_rgb
from dferlib.protocols import list_protocols, load_protocol

NONE = np.zeros((0, 4))


def boxes_of(*frames):
    return [np.array(boxes, float).reshape(-1, 4) for boxes in frames]


def test_the_largest_face_that_stays_is_chosen():
    face, small, flash = [10, 10, 60, 60], [200, 10, 220, 30], [100, 100, 170, 170]
    found = boxes_of([face, small], [small, face], [flash], [face])
    assert choose_face(found).tolist() == [0, 1, -1, 0]
    assert choose_face([NONE] * 3).tolist() == [-1] * 3
    assert choose_face([]).tolist() == []


def test_a_head_is_followed_across_the_frame():
    walk = [[[x, 10, x + 50, 60], [300, 10, 320, 30]] for x in range(10, 200, 10)]
    assert choose_face(boxes_of(*walk)).tolist() == [0] * len(walk)


def test_after_a_cut_the_next_face_that_stays_is_taken():
    one, two, flash = [10, 10, 90, 90], [200, 20, 260, 80], [300, 0, 340, 40]
    found = boxes_of(*[[one]] * 8, [flash], *[[two]] * 6)
    assert choose_face(found).tolist() == [0] * 8 + [-1] + [0] * 6
    # between two shots of the first, too
    between = boxes_of(*[[one]] * 4, *[[two]] * 6, *[[one]] * 4)
    assert choose_face(between).tolist() == [0] * 14
    # but not if it is seen in four frames only, or together with the chosen one
    assert choose_face(boxes_of(*[[one]] * 8, *[[two]] * 4)).tolist() == [0] * 8 + [-1] * 4
    beside = boxes_of(*[[one, two]] * 2, *[[two]] * 6, *[[one]] * 9)
    assert choose_face(beside).tolist() == [0] * 2 + [-1] * 6 + [0] * 9


def test_a_face_that_is_lost_is_followed_to_where_it_is_next():
    places = np.full((9, 4), np.nan)
    places[1], places[5] = [10, 20, 40, 0.0], [18, 24, 42, 0.2]
    filled = follow(places)
    assert filled[:, 0].tolist() == [10, 10, 12, 14, 16, 18, 18, 18, 18]
    assert filled[:, 2] == pytest.approx([40, 40, 40.5, 41, 41.5, 42, 42, 42, 42])
    assert filled[3] == pytest.approx([14, 22, 41, 0.1])
    assert (longest_gap(places), longest_gap(filled)) == (3, 0)
    assert longest_gap(places[:4]) == 2
    assert len(shots(filled)) == 1


def test_between_two_places_apart_the_nearest_is_held():
    lost = [np.nan] * 4
    places = np.array([lost, [1, 1, 5, 0], lost, lost, [7, 8, 6, 0], lost])
    filled = follow(places)
    assert filled[:, 0].tolist() == [1, 1, 1, 7, 7, 7]
    assert filled[:, 1].tolist() == [1, 1, 1, 8, 8, 8]
    places[:, 3] = np.nan  # a detector without eyes
    assert follow(places)[:, 3].tolist() == [0] * 6


def test_one_box_for_a_clip_is_that_of_one_face():
    one, two = [10, 10, 90, 90], [200, 20, 260, 80]
    found = boxes_of(*[[one]] * 4, *[[two]] * 5)
    assert choose_face(found).tolist() == [0] * 9
    assert choose_face(found, cuts=False).tolist() == [0] * 4 + [-1] * 5


def test_a_crop_unlike_the_one_before_is_a_change():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 255, (2, 6, 6, 3)).repeat(8, 1).repeat(8, 2)
    noise = rng.normal(0, 8, (9, 48, 48, 3))
    crops = (np.stack([one] * 4 + [other] * 5) + noise).clip(0, 255).astype(np.uint8)
    assert changes(crops).tolist() == [4]
    assert changes(crops // 2 + np.arange(9, dtype=np.uint8)[:, None, None, None]).tolist() == [4]
    crops[4] = 90  # what shows nothing is no person
    assert changes(crops).tolist() == []
    assert changes(crops[:1]).tolist() == []


def test_turn_of_the_eyes():
    eyes = np.array([[[0, 0], [10, 0]], [[0, 0], [10, 10]], [[0, 10], [10, 0]]], float)
    assert np.degrees(turn_of(eyes))[:, 0] == pytest.approx([0, 45, -45])
    place = to_places(np.array([[10, 20, 30, 60]], float), eyes[1:2])[0]
    assert place == pytest.approx([20, 40, 40, np.radians(45)])


def test_smoothing_removes_noise_and_keeps_motion():
    steps = np.arange(120)
    path = np.stack([100 + 2.0 * steps, 80 + 15 * np.sin(steps / 20)], axis=1)
    noise = np.random.default_rng(0).normal(0, 2, (120, 2))
    places = np.concatenate([path + noise, np.full((120, 1), 100.0), np.zeros((120, 1))], axis=1)
    places[60, :2] += 25  # a wrong box
    smoothed = smooth(places, fps=25)
    assert jitter(places[:50]) == pytest.approx(0.02, rel=0.3)
    assert jitter(smoothed) < jitter(places[:50]) / 4
    away = np.abs(smoothed[10:-10, :2] - path[10:-10])
    assert away.max() < 4  # half of the noise's range, and no lag: 2 pixels a frame
    assert away.mean() < 1.5
    assert np.allclose(smoothed[:, 2], 100)


def test_smoothing_stops_at_a_cut():
    before, after = [50.0, 50, 40, 0.1], [300.0, 80, 60, 0.0]
    places = np.array([before] * 10 + [after] * 10)
    assert np.allclose(smooth(places, fps=25), places)
    still = np.array([before] * 2)
    assert np.allclose(smooth(still, fps=25), still)
    assert np.isnan(jitter(still))


def test_options_are_read_over_the_defaults_of_a_dataset():
    assert parse_faces("") == FaceOptions()
    assert parse_faces("margin=0.25", "box=frame smallest=0.1") == FaceOptions(
        box="frame", margin=0.25, smallest=0.1
    )
    first = parse_faces("align=first", "box=clip")
    assert (first.box, first.chosen_detector) == ("frame", "mtcnn")
    assert parse_faces(str(first)) == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tight", "'tight' is not one of box, margin, align, detector, smallest"),
        ("margn=0.1", "'margn=0.1' is not one of"),
        ("margin=much", "margin is 'much', which is no number"),
        ("margin=-1", "allowed is 0 to 2"),
        ("smallest=0", "smallest is 0.0"),
        ("align=eyes", "align is 'eyes', allowed are none, first, upright"),
        ("detector=yolo", "detector is 'yolo', allowed are auto, haar, mtcnn, module:function"),
        ("align=first box=clip", "it needs box=frame"),
        ("align=first detector=haar", "needs the eyes, which haar does not find"),
    ],
)
def test_bad_options_are_named(text, message):
    with pytest.raises(DatasetError, match=message):
        parse_faces(text)


def test_mtcnn_is_the_default_where_it_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    assert parse_faces("").chosen_detector == "haar"
    assert parse_faces("align=first").chosen_detector == "mtcnn"
    monkeypatch.undo()
    pytest.importorskip("facenet_pytorch")
    assert parse_faces("").chosen_detector == "mtcnn"
    assert parse_faces("detector=haar").chosen_detector == "haar"


def test_the_options_of_every_protocol_can_be_read():
    for name in list_protocols():
        paper = load_protocol(name)
        for dataset in paper.datasets:
            for preset in paper.presets:
                for variant in paper.variants:
                    assert parse_faces(paper.resolve(preset, dataset, variant).faces)
        assert paper.stated.override(faces="align=first").key() == paper.stated.key()
    hacn = load_protocol("hacn").resolve("paper", "oulu", "hacn").faces
    assert parse_faces(hacn, "box=clip") == FaceOptions(box="frame", align="first")
    wide = parse_faces(load_protocol("ecnn_fsa").stated.faces)
    assert (wide.align, wide.margin, wide.chosen_detector) == ("upright", 0.25, "mtcnn")


@pytest.fixture(scope="module")
def portraits(ckplus_tree):
    """Frames of three clips and the boxes of their true landmarks."""
    clips = []
    for subject in ("S005", "S010", "S999"):
        frames = [load_rgb(path) for path in sorted(ckplus_tree.rglob(f"{subject}_002_*.png"))]
        files = sorted(ckplus_tree.rglob(f"{subject}_002_*_landmarks.txt"))
        clips.append((frames, clip_box(np.stack([read_landmarks(path) for path in files]))))
    return clips


@pytest.mark.parametrize("name", ["haar", "mtcnn"])
def test_detectors_find_the_box_of_the_landmarks(portraits, name):
    if name == "mtcnn":
        pytest.importorskip("facenet_pytorch")
    detect = make_detector(name, 0.2)
    for frames, box in portraits:
        found = detect(frames)
        assert len(found) == len(frames)
        assert all(faces.boxes.shape == (1, 4) for faces in found)
        mine = np.median([faces.boxes[0] for faces in found], axis=0)
        side = max(box[2:] - box[:2])
        assert np.abs((mine[:2] + mine[2:]) / 2 - (box[:2] + box[2:]) / 2).max() < 0.1 * side
        assert abs(max(mine[2:] - mine[:2]) / side - 1) < 0.2
        assert np.isfinite([faces.eyes for faces in found]).all() == (name == "mtcnn")


@pytest.mark.parametrize("name", ["haar", "mtcnn"])
def test_detectors_find_nothing_in_plain_frames_and_noise(name):
    if name == "mtcnn":
        pytest.importorskip("facenet_pytorch")
    detect = make_detector(name, 0.2)
    noise = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    frames = [np.full((120, 160, 3), 127, np.uint8), np.zeros((120, 160, 3), np.uint8), noise]
    assert [len(faces.boxes) for faces in detect(frames)] == [0, 0, 0]
    assert [len(faces.boxes) for faces in detect([np.zeros((9, 9, 3), np.uint8)])] == [0]


def make_corner(smallest):
    """A detector of one's own: a face in the upper left corner of every frame."""

    def detect(frames):
        side = smallest * min(frames[0].shape[:2])
        eyes = np.array([[[side / 4, side / 3], [3 * side / 4, side / 3]]])
        return [Faces(np.array([[0, 0, side, side]]), eyes) for _ in frames]

    return detect


def test_a_detector_of_ones_own(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_detectors", sys.modules[__name__])
    options = parse_faces("detector=my_detectors:make_corner align=upright")
    found = make_detector(options.chosen_detector, 0.5)([np.zeros((40, 60, 3), np.uint8)])
    assert found[0].boxes.tolist() == [[0, 0, 20, 20]]
    for name in ("my_detectors:gone", "no_such_module:make"):
        with pytest.raises(DatasetError, match="there is no detector"):
            make_detector(name, 0.5)


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(DatasetError, match=r"pip install 'dferlib\[face\]'"):
        make_detector("mtcnn", 0.2)


def test_opencv_without_cascades_is_named(monkeypatch):
    detectors._cascade.cache_clear()
    monkeypatch.delattr(detectors.cv2, "CascadeClassifier")
    with pytest.raises(DatasetError, match="opencv-python-headless<5"):
        make_detector("haar", 0.2)
