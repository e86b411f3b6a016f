"""The reader of CK+ on a procedural tree: layouts, oddities, damage."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from dferlib.datasets import (
    DATASETS,
    MANIFEST_COLUMNS,
    DatasetError,
    check,
    load_manifest,
    open_store,
)
from dferlib.datasets.faces.geometry import clip_box, cut, read_landmarks
from dferlib.datasets.standins import trees


def test_ckplus_manifest(ckplus_tree):
    manifest = load_manifest("ckplus", ckplus_tree)
    assert tuple(manifest.columns) == MANIFEST_COLUMNS
    assert sorted(manifest["subject"].unique()) == ["S005", "S010", "S147", "S999"]
    assert manifest["clip_id"].tolist()[:4] == ["S005/001", "S005/002", "S005/003", "S010/002"]
    assert manifest["label"].tolist()[:3] == ["disgust", "happiness", "surprise"]
    assert manifest["label"].iloc[3] == "surprise"
    assert manifest.loc[manifest["subject"] == "S147", "label"].tolist() == ["contempt"]
    assert (manifest["apex"] == manifest["n_frames"] - 1).all()
    assert (manifest["onset"] == -1).all()
    assert set(manifest["fps"]) == {30.0}
    assert set(manifest["source"]) == {"real"}


def test_ckplus_store(ckplus_tree, open_real):
    store = open_real("ckplus", ckplus_tree)
    assert store.classes == DATASETS["ckplus"]
    assert (store.source, store.truth, store.notes) == ("real", {}, {})
    assert store.frames.shape == (store.manifest["n_frames"].sum(), 48, 48, 3)
    first = store.clip(0)
    assert np.ptp(first.astype(int), axis=3).max() == 0  # S005 is grey
    assert np.ptp(store.clip(3).astype(int), axis=3).max() > 20  # S010 is in colour
    # the landmarks' box, enlarged by 10 %: brows near the top, chin near the bottom
    points = np.stack(
        [read_landmarks(path) for path in sorted(ckplus_tree.rglob("S005_001_*_la*"))]
    )
    low, high = np.split(clip_box(points), 2)
    side = (high - low).max() * 1.1
    inside = (points - (low + high) / 2) / side + 0.5
    assert inside.min() > 0.03
    assert inside.max() < 0.97
    assert open_real("ckplus", ckplus_tree).path == store.path


@pytest.mark.parametrize(
    "move",
    [
        {"cohn-kanade-images": "extended-cohn-kanade-images/cohn-kanade-images"},
        {"Emotion": "Emotion_labels/Emotion", "FACS": "FACS_labels/FACS"},
        {"Landmarks": "Landmarks/Landmarks", "Emotion": "Emotion_labels"},
        {"cohn-kanade-images": "Images", "Emotion": "Labels"},
        {"cohn-kanade-images": "x/data/images", "Emotion": "x/data/emotion"},
    ],
)
def test_ckplus_layouts(ckplus, ckplus_tree, move):
    for old, new in move.items():
        shutil.move(ckplus / old, ckplus / "moving")
        (ckplus / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(ckplus / "moving", ckplus / new)
    pd.testing.assert_frame_equal(
        load_manifest("ckplus", ckplus), load_manifest("ckplus", ckplus_tree)
    )
    report = check("ckplus", ckplus, decode=False)
    assert all(new in report.layout for new in move.values() if "FACS" not in new)


def test_ckplus_with_a_name_that_repeats_the_subject_wrongly(ckplus, ckplus_tree):
    label = next(ckplus.rglob("S005_001_*_emotion.txt"))
    label.rename(label.with_name(label.name.replace("S005", "S0005")))
    assert load_manifest("ckplus", ckplus).equals(load_manifest("ckplus", ckplus_tree))


def test_ckplus_is_found_in_a_common_folder(ckplus, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("DFER_DATA", str(tmp_path))
    store = open_store("ckplus", size=32, cache_dir=tmp_path / "c", workers=1, progress=False)
    assert store.source == "real"
    monkeypatch.setenv("DFER_DATA", str(ckplus))
    assert open_store("ckplus", size=32, cache_dir=tmp_path / "c").path == store.path


@pytest.mark.parametrize("text", ["happy", "", "3.5", "0.0", "8", "nan", "3 4"])
def test_ckplus_bad_label_is_named(ckplus, tmp_path, text, open_real):
    label = next(ckplus.rglob("S005_001_*_emotion.txt"))
    label.write_text(text)
    with pytest.raises(DatasetError) as error:
        open_real("ckplus", ckplus)
    assert str(label) in str(error.value)
    assert repr(text) in str(error.value)
    assert "1 anger, 2 contempt" in str(error.value)
    assert not list((tmp_path / "cache").rglob("*.npy"))
    left = open_real("ckplus", ckplus, exclude=["S005/001"])
    assert "S005/001" not in set(left.manifest["clip_id"])


@pytest.mark.parametrize("text", ["   3.0000000e+00\n", "3", "3.0\r\n", " 3 "])
def test_ckplus_label_spellings(ckplus, text):
    next(ckplus.rglob("S005_001_*_emotion.txt")).write_text(text)
    assert load_manifest("ckplus", ckplus)["label"].iloc[0] == "disgust"


def test_ckplus_truncated_image_is_named_and_nothing_stays(ckplus, tmp_path, open_real):
    trees.PITFALLS["ckplus"]["truncated_image"](ckplus)
    image = sorted(ckplus.rglob("S005_001_*.png"))[0]
    with pytest.raises(DatasetError, match="cannot be decoded") as error:
        open_real("ckplus", ckplus)
    assert str(image) in str(error.value)
    assert not list((tmp_path / "cache").rglob("*.npy"))
    report = check("ckplus", ckplus)
    assert [str(image) in text for text in report.errors] == [True]
    assert report.verdict != "READY"
    assert check("ckplus", ckplus, decode=False).errors == ()


def test_ckplus_labelled_clip_without_images(ckplus, open_real):
    trees.PITFALLS["ckplus"]["no_images"](ckplus)
    with pytest.raises(DatasetError, match=r"S005/001 has a label .* but no images"):
        open_real("ckplus", ckplus)
    assert "S005/001" in check("ckplus", ckplus).errors[0]


def test_ckplus_one_frame_is_kept_and_reported(ckplus, open_real):
    trees.PITFALLS["ckplus"]["one_frame"](ckplus)
    store = open_real("ckplus", ckplus)
    assert store.manifest[["n_frames", "apex"]].iloc[0].tolist() == [1, 0]
    assert "S005/001 has a single frame" in str(check("ckplus", ckplus))


def test_ckplus_gap_and_late_frames_are_reported(ckplus):
    trees.PITFALLS["ckplus"]["gap"](ckplus)
    frames = sorted(ckplus.rglob("S005_002_*.png"))
    shutil.copy(frames[-1], frames[-1].with_name("S005_002_00000099.png"))
    problems = check("ckplus", ckplus).problems
    assert "S005/001 lacks the frames [2]" in problems
    assert any("S005/002 is labelled at frame" in text and "99" in text for text in problems)
    clip = load_manifest("ckplus", ckplus).set_index("clip_id").loc["S005/002"]
    assert clip["apex"] == clip["n_frames"] - 2


def test_ckplus_without_landmarks_detects_and_reports(ckplus, open_real):
    whole = open_real("ckplus", ckplus)
    trees.PITFALLS["ckplus"]["no_landmarks"](ckplus)
    with pytest.warns(UserWarning, match="S005/001: no landmarks, face detected instead"):
        store = open_real("ckplus", ckplus)
    assert store.path != whole.path
    assert store.notes == {"S005/001": "no landmarks, face detected instead"}
    assert similarity(store.clip(0), whole.clip(0)) > 0.8
    assert np.array_equal(store.clip(1), whole.clip(1))
    assert any("S005/001 lacks the landmarks of all" in t for t in check("ckplus", ckplus).problems)
    shutil.rmtree(ckplus / "Landmarks")
    assert "no Landmarks tree" in check("ckplus", ckplus).problems[0]


def similarity(first, second):
    """Correlation of the grey values of two clips."""
    return np.corrcoef(first.mean(axis=3).ravel(), second.mean(axis=3).ravel())[0, 1]


@pytest.mark.parametrize(
    ("line", "value", "found"),
    [
        (3, "1e400 5.0", r":3 .*but there is '1e400 5.0'"),
        (1, "-1e400 5.0", ":1 "),
        (68, "5.0 1e308", r":68 .*'5.0 1e308'"),
        (7, "1e30 1e30", ":7 "),
        (7, "100001 5", ":7 "),
        (2, "inf 5.0", ":2 .*'inf 5.0'"),
        (2, "5.0 nan", ":2 .*'5.0 nan'"),
        (5, "5.0", ":5 .*'5.0'"),
        (5, "5.0 6.0 7.0", ":5 "),
        (5, "5.0 " + "9" * 5000, ":5 .*'5.0 9{36}'"),
        (4, "x y", ":4 .*'x y'"),
        (68, "", " .*it has 67 rows"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else str(value),
)
def test_ckplus_bad_landmarks_are_named(ckplus, open_real, line, value, found):
    path = sorted(ckplus.rglob("S005_001_*_landmarks.txt"))[0]
    lines = path.read_text().splitlines()
    lines[line - 1] = value
    path.write_text("\n".join(lines))
    with pytest.raises(DatasetError, match="(?s)" + re.escape(str(path)) + found) as error:
        open_real("ckplus", ckplus)
    assert "copy the file anew" in str(error.value)
    assert len(str(error.value)) < 1000
    fault = check("ckplus", ckplus, faces="box=frame").errors
    assert [str(path) in text for text in fault] == [True]


@pytest.mark.parametrize("points", ["0 0", "90000 -3.5"])
def test_landmarks_in_one_place_are_no_face(tmp_path, points):
    path = tmp_path / "S005_001_00000001_landmarks.txt"
    path.write_text(f"{points}\n" * 68)
    with pytest.raises(DatasetError, match=r"00000001_landmarks.*but all lie at"):
        read_landmarks(path)


def test_landmarks_beyond_the_picture_are_noted(ckplus, open_real):
    for path in ckplus.rglob("S005_001_*_landmarks.txt"):
        np.savetxt(path, np.loadtxt(path) + 5000)
    with pytest.warns(UserWarning, match="S005/001: most of the crop lies beyond the picture"):
        store = open_real("ckplus", ckplus)
    assert list(store.notes) == ["S005/001"]
    report = check("ckplus", ckplus)
    assert any("most of the crop lies beyond" in finding.what for finding in report.findings)


@pytest.mark.parametrize("side", [1e8, 1e30, 1e200, 1e308, np.inf, np.nan])
def test_absurd_windows_are_refused_and_do_not_overflow(side):
    for window in ((5.0, 5.0, side, 0.0), (side, 5.0, 20.0, 0.3), (5.0, -side, 20.0, 0.0)):
        with pytest.raises(DatasetError, match=r"is empty|out of a frame of 40 x 30"):
            cut(np.zeros((30, 40, 3), np.uint8), window, 16)


def test_ckplus_two_labels_for_one_clip(ckplus):
    label = next(ckplus.rglob("S005_001_*_emotion.txt"))
    shutil.copy(label, label.with_name("S005_001_00000001_emotion.txt"))
    with pytest.raises(DatasetError, match="S005/001 has 2 label files"):
        load_manifest("ckplus", ckplus)


def test_half_unpacked_ckplus(ckplus, tmp_path):
    shutil.rmtree(ckplus / "Emotion")
    (ckplus / "Emotion_labels.zip").write_bytes(b"PK")
    for source in ("real", "auto"):
        with pytest.raises(DatasetError) as error:
            open_store("ckplus", source=source, data_root=ckplus, cache_dir=tmp_path)
        text = str(error.value)
        assert "found images, FACS, landmarks, but no labels" in text
        assert "Still packed, unpack first: Emotion_labels.zip" in text
        assert "<root>/Emotion/S005/001/" in text


def test_still_packed_ckplus(tmp_path):
    (tmp_path / "extended-cohn-kanade-images.zip").write_bytes(b"PK")
    with pytest.raises(DatasetError, match="unpack first: extended-cohn-kanade-images"):
        load_manifest("ckplus", tmp_path)
