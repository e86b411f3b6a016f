"""Readers of CK+ and Oulu-CASIA on procedural trees: layouts, oddities, damage; images, faces."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dferlib.datasets import (
    DATASETS,
    MANIFEST_COLUMNS,
    DatasetError,
    MissingDatasetError,
    check,
    class_name,
    fixtures,
    list_datasets,
    load_manifest,
    open_store,
)
from dferlib.datasets.__main__ import main
from dferlib.datasets.faces import (
    centre_square,
    choose_face,
    clip_box,
    crop,
    haar_to_landmark_box,
    read_landmarks,
    track_face,
)
from dferlib.datasets.images import load_rgb
from dferlib.datasets.manifest import check_manifest, make_manifest
from dferlib.datasets.scan import numbered_files, search


@pytest.fixture
def ckplus(ckplus_tree, tmp_path):
    """A copy of the CK+ tree that a test may damage."""
    return shutil.copytree(ckplus_tree, tmp_path / "ckplus")


@pytest.fixture
def oulu(oulu_tree, tmp_path):
    """A copy of the Oulu-CASIA tree that a test may damage."""
    return shutil.copytree(oulu_tree, tmp_path / "oulu")


def open_real(dataset, root, tmp_path, **options):
    return open_store(
        dataset,
        source="real",
        data_root=root,
        size=48,
        cache_dir=tmp_path / "cache",
        workers=1,
        progress=False,
        **options,
    )


# CK+


def test_ckplus_manifest(ckplus_tree):
    manifest = load_manifest("ckplus", ckplus_tree)
    assert tuple(manifest.columns) == MANIFEST_COLUMNS
    assert sorted(manifest["subject"].unique()) == ["S005", "S012", "S147", "S999"]
    assert manifest["clip_id"].tolist()[:4] == ["S005/001", "S005/002", "S005/003", "S012/001"]
    assert manifest["label"].tolist()[:3] == ["anger", "disgust", "happiness"]
    assert manifest.loc[manifest["subject"] == "S147", "label"].tolist() == ["contempt"]
    assert (manifest["apex"] == manifest["n_frames"] - 1).all()
    assert (manifest["onset"] == -1).all()
    assert set(manifest["fps"]) == {30.0}
    assert set(manifest["source"]) == {"real"}


def test_ckplus_store(ckplus_tree, tmp_path):
    store = open_real("ckplus", ckplus_tree, tmp_path)
    assert store.classes == DATASETS["ckplus"]
    assert (store.source, store.truth, store.notes) == ("real", {}, {})
    assert store.frames.shape == (store.manifest["n_frames"].sum(), 48, 48, 3)
    first = store.clip(0)
    assert np.ptp(first.astype(int), axis=3).max() == 0  # S005 is grey
    assert np.ptp(store.clip(3).astype(int), axis=3).max() > 20  # S012 is in colour
    # the landmarks' box, enlarged by 10 %: brows near the top, chin near the bottom
    points = np.stack(
        [read_landmarks(path) for path in sorted(ckplus_tree.rglob("S005_001_*_la*"))]
    )
    low, high = np.split(clip_box(points), 2)
    side = (high - low).max() * 1.1
    inside = (points - (low + high) / 2) / side + 0.5
    assert inside.min() > 0.03
    assert inside.max() < 0.97
    assert open_real("ckplus", ckplus_tree, tmp_path).path == store.path


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
def test_ckplus_bad_label_is_named(ckplus, tmp_path, text):
    label = next(ckplus.rglob("S005_001_*_emotion.txt"))
    label.write_text(text)
    with pytest.raises(DatasetError) as error:
        open_real("ckplus", ckplus, tmp_path)
    assert str(label) in str(error.value)
    assert repr(text) in str(error.value)
    assert "1 anger, 2 contempt" in str(error.value)
    assert not list((tmp_path / "cache").rglob("*.npy"))
    left = open_real("ckplus", ckplus, tmp_path, exclude=["S005/001"])
    assert "S005/001" not in set(left.manifest["clip_id"])


@pytest.mark.parametrize("text", ["   3.0000000e+00\n", "3", "3.0\r\n", " 3 "])
def test_ckplus_label_spellings(ckplus, text):
    next(ckplus.rglob("S005_001_*_emotion.txt")).write_text(text)
    assert load_manifest("ckplus", ckplus)["label"].iloc[0] == "disgust"


def test_ckplus_truncated_image_is_named_and_nothing_stays(ckplus, tmp_path):
    fixtures.PITFALLS["ckplus"]["truncated_image"](ckplus)
    image = sorted(ckplus.rglob("S005_001_*.png"))[0]
    with pytest.raises(DatasetError, match="cannot be decoded") as error:
        open_real("ckplus", ckplus, tmp_path)
    assert str(image) in str(error.value)
    assert not list((tmp_path / "cache").rglob("*.npy"))
    report = check("ckplus", ckplus)
    assert [str(image) in text for text in report.errors] == [True]
    assert not report.ok
    assert check("ckplus", ckplus, decode=False).errors == ()


def test_ckplus_labelled_clip_without_images(ckplus, tmp_path):
    fixtures.PITFALLS["ckplus"]["no_images"](ckplus)
    with pytest.raises(DatasetError, match=r"S005/001 has a label .* but no images"):
        open_real("ckplus", ckplus, tmp_path)
    assert "S005/001" in check("ckplus", ckplus).errors[0]


def test_ckplus_one_frame_is_kept_and_reported(ckplus, tmp_path):
    fixtures.PITFALLS["ckplus"]["one_frame"](ckplus)
    store = open_real("ckplus", ckplus, tmp_path)
    assert store.manifest[["n_frames", "apex"]].iloc[0].tolist() == [1, 0]
    assert "S005/001 has a single frame" in str(check("ckplus", ckplus))


def test_ckplus_gap_and_late_frames_are_reported(ckplus):
    fixtures.PITFALLS["ckplus"]["gap"](ckplus)
    frames = sorted(ckplus.rglob("S005_002_*.png"))
    shutil.copy(frames[-1], frames[-1].with_name("S005_002_00000099.png"))
    problems = check("ckplus", ckplus).problems
    assert "S005/001 lacks the frames [2]" in problems
    assert any("S005/002 is labelled at frame" in text and "99" in text for text in problems)
    clip = load_manifest("ckplus", ckplus).set_index("clip_id").loc["S005/002"]
    assert clip["apex"] == clip["n_frames"] - 2


def test_ckplus_without_landmarks_detects_and_reports(ckplus, tmp_path):
    whole = open_real("ckplus", ckplus, tmp_path)
    fixtures.PITFALLS["ckplus"]["no_landmarks"](ckplus)
    with pytest.warns(UserWarning, match="S005/001: no landmarks, face detected instead"):
        store = open_real("ckplus", ckplus, tmp_path)
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


def test_ckplus_bad_landmarks_are_named(ckplus, tmp_path):
    path = sorted(ckplus.rglob("S005_001_*_landmarks.txt"))[0]
    lines = path.read_text().splitlines(keepends=True)
    for text, what in (("".join(lines[:67]), "67 rows"), ("x y\n" * 68, "float"), ("", "0 rows")):
        path.write_text(text)
        with pytest.raises(DatasetError, match=what) as error:
            open_real("ckplus", ckplus, tmp_path)
        assert str(path) in str(error.value)


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


# Oulu-CASIA


def test_oulu_manifest(oulu_tree):
    manifest = load_manifest("oulu", oulu_tree)
    assert len(manifest) == 12
    assert manifest["clip_id"].iloc[0] == "VL/Strong/P001/Anger"
    assert manifest["n_frames"].iloc[0] == 9
    assert manifest["label"].tolist()[:6] == list(DATASETS["oulu"])
    assert set(manifest["fps"]) == {25.0}


@pytest.mark.parametrize(
    "nesting",
    [
        ".",
        "Oulu_CASIA_NIR_VIS",
        "OriginalImg",
        "B_OriginalImg",
        "B_OriginalImg/OriginalImg",
        "B_OriginalImg/B_OriginalImg/OriginalImg",
        "oulu/B_OriginalImg/B_OriginalImg/OriginalImg",
    ],
)
def test_oulu_layouts(oulu_tree, tmp_path, nesting):
    source = oulu_tree / "B_OriginalImg/B_OriginalImg/OriginalImg"
    shutil.copytree(source, tmp_path / "data" / nesting, dirs_exist_ok=True)
    found = load_manifest("oulu", tmp_path / "data")
    assert found.equals(load_manifest("oulu", oulu_tree))


def test_oulu_cameras_and_lights(oulu_tree, tmp_path):
    near = open_real("oulu", oulu_tree, tmp_path, camera="NI")
    assert set(near.manifest["subject"]) == {"P001"}
    assert np.ptp(near.frames.astype(int), axis=3).max() == 0
    dark = check("oulu", oulu_tree, light="Dark")
    assert "VL/Dark/P001/Fear is missing" in dark.problems
    with pytest.raises(DatasetError, match="Oulu-CASIA has no 'Weak'"):
        load_manifest("oulu", oulu_tree, light="Weak")
    with pytest.raises(DatasetError, match="camera is 'vl', allowed are NI, VL"):
        load_manifest("oulu", oulu_tree, camera="vl")


def test_oulu_file_names(oulu):
    folder = oulu / "B_OriginalImg/B_OriginalImg/OriginalImg/VL/Strong/P001/Disgust"
    frames = sorted(folder.glob("*.jpeg"))
    frames[0].rename(folder / "000.JPEG")
    frames[1].rename(folder / "001.jpg")
    shutil.copy(frames[2], folder / "1000.jpeg")
    (folder / "notes.txt").write_text("")
    (folder / "._002.jpeg").write_text("")
    numbers = list(numbered_files(folder, r"(\d+)\.jpe?g"))
    assert numbers == [*range(len(frames)), 1000]
    shutil.copy(frames[2], folder / "0002.jpeg")
    with pytest.raises(DatasetError, match="are both frame 2"):
        load_manifest("oulu", oulu)


def test_oulu_crops_by_detection(oulu_tree, tmp_path):
    store = open_real("oulu", oulu_tree, tmp_path)
    assert store.notes == {}
    assert store.frames.shape[1:] == (48, 48, 3)
    # one box per clip: what lies still beside the face does not move
    clip = store.clip(0).astype(int)
    assert np.abs(clip[1:] - clip[:-1]).mean() < 4


def test_oulu_clip_without_a_face_stays_and_is_reported(oulu, tmp_path):
    for path in oulu.rglob("VL/Strong/P002/Fear/*.jpeg"):
        Image.new("RGB", (320, 240), (90, 120, 90)).save(path)
    with pytest.warns(UserWarning, match="1 of 12 clips"):
        store = open_real("oulu", oulu, tmp_path)
    assert store.notes == {"VL/Strong/P002/Fear": "no face found, centre square kept"}
    assert len(store.manifest) == 12


def test_oulu_frames_of_different_size(oulu, tmp_path):
    path = sorted(oulu.rglob("VL/Strong/P002/Fear/*.jpeg"))[1]
    Image.open(path).resize((160, 120)).save(path)
    with pytest.raises(DatasetError, match=r"differ in size \(160x120, 320x240\)"):
        open_real("oulu", oulu, tmp_path)


def test_oulu_preprocessed_set(oulu, tmp_path):
    with pytest.raises(DatasetError, match=r"no preprocessed images .* \(only the original ones\)"):
        load_manifest("oulu", oulu, images="preprocessed")
    shutil.move(oulu / "B_OriginalImg", oulu / "Preprocess Img")
    with pytest.raises(DatasetError, match="only the preprocessed ones"):
        load_manifest("oulu", oulu)
    store = open_real("oulu", oulu, tmp_path, images="preprocessed")
    assert len(store.manifest) == 12
    assert store.notes == {}


def test_oulu_unknown_and_missing_folders(oulu):
    base = oulu / "B_OriginalImg/B_OriginalImg/OriginalImg/VL/Strong"
    (base / "P001/Boredom").mkdir()
    (base / "P001/Neutral").mkdir()
    (base / "P001/Anger").rename(base / "P001/Angry")
    shutil.rmtree(base / "P002/Sadness")
    for path in (base / "P002/Fear").iterdir():
        path.unlink()
    report = check("oulu", oulu)
    assert "VL/Strong/P001/Boredom: folder ignored" in report.problems
    assert "VL/Strong/P001/Neutral: folder ignored" in report.problems
    assert "VL/Strong/P002/Sadness is missing" in report.problems
    assert "VL/Strong/P002/Fear has no images" in report.problems
    manifest = load_manifest("oulu", oulu)
    assert "VL/Strong/P001/Angry" in set(manifest["clip_id"])
    assert len(manifest) == 10


@pytest.mark.parametrize("pitfall", ["truncated_image", "one_frame", "gap", "no_emotion"])
def test_oulu_pitfalls_are_seen_by_the_check(oulu, pitfall):
    fixtures.PITFALLS["oulu"][pitfall](oulu)
    report = check("oulu", oulu)
    assert any("VL/Strong/P001/Anger" in text for text in (*report.problems, *report.errors))


# where the data come from


def test_missing_dataset_names_tree_and_access(tmp_path, monkeypatch):
    for dataset, tree, access in (
        ("ckplus", "<root>/Emotion/S005", "pitt.edu"),
        ("oulu", "<root>/VL/Strong", "oulu.fi/cmvs"),
    ):
        with pytest.raises(MissingDatasetError) as error:
            open_store(dataset, source="real")
        assert tree in str(error.value)
        assert access in str(error.value)
        with pytest.raises(MissingDatasetError, match="holds nothing"):
            open_store(dataset, source="real", data_root=tmp_path)
        with pytest.raises(DatasetError, match="is no folder"):
            open_store(dataset, data_root=tmp_path / "typo")


def test_auto_falls_back_with_a_warning(tmp_path, monkeypatch):
    from dferlib.datasets import sources

    monkeypatch.setattr(sources, "synthetic_source", lambda *args: "stand-in")
    assert sources.find_source("oulu") == "stand-in"
    assert sources.find_source("dfew", data_root=tmp_path) == "stand-in"
    with pytest.warns(UserWarning, match="using the procedural stand-in: no original images"):
        assert sources.find_source("oulu", data_root=tmp_path) == "stand-in"
    monkeypatch.setenv("DFER_DATA", str(tmp_path / "gone"))
    with pytest.warns(UserWarning, match="DFER_DATA is"):
        assert sources.find_source("oulu") == "stand-in"


def test_fraction_keeps_ten_subjects_spread_over_the_ids():
    from dferlib.datasets.scan import Clip
    from dferlib.datasets.sources import _take_fraction

    clips = [
        Clip(f"{s}/{k}", f"P{s:03d}", "fear", ("a",), 25.0, 0) for s in range(80) for k in "ab"
    ]
    assert _take_fraction(clips, 1.0) == tuple(clips)
    few = _take_fraction(clips, 0.01)
    assert len(few) == 20
    assert {few[0].subject, few[-1].subject} == {"P000", "P079"}
    assert len({clip.subject for clip in _take_fraction(clips, 0.5)}) == 40


def test_search_ends_in_a_large_folder(tmp_path, monkeypatch):
    for number in range(30):
        (tmp_path / str(number) / "a/b/c/d/e/f").mkdir(parents=True)
    assert max(len(path.relative_to(tmp_path).parts) for path in search(tmp_path)) == 4
    monkeypatch.setattr("dferlib.datasets.scan.SEARCH_FOLDERS", 7)
    assert len(list(search(tmp_path))) == 7


# manifest and names


def test_class_names():
    assert class_name("Happy") == class_name(" happiness ") == "happiness"
    assert class_name("Angry") == "anger"
    assert class_name("Surprised") == "surprise"
    with pytest.raises(DatasetError, match="'boredom' is no expression class"):
        class_name("boredom")


def test_class_orders():
    assert list_datasets() == ("ckplus", "oulu", "mmi", "afew", "dfew", "bu4dfe")
    assert DATASETS["dfew"][:3] == ("happiness", "sadness", "neutral")
    for classes in DATASETS.values():
        assert [class_name(name) for name in classes] == list(classes)


def rows_of(**changes):
    row = {"clip_id": "a", "subject": "S1", "label": "fear", "n_frames": 4}
    return [row, {**row, "clip_id": "b", **changes}]


def test_manifest_has_defaults_and_offsets():
    manifest = make_manifest(rows_of(n_frames=3, subject="007"), "oulu", "real")
    assert manifest["offset"].tolist() == [0, 4]
    assert manifest["subject"].tolist() == ["S1", "007"]
    assert manifest[["apex", "onset", "split"]].iloc[1].tolist() == [-1, -1, ""]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip_id": "a"}, "'a' stands in the manifest twice"),
        ({"label": "boredom"}, "'b' has a label that is not one of"),
        ({"n_frames": 0}, "'b' has no frames"),
        ({"subject": ""}, "'b' has an empty subject"),
        ({"apex": 4}, "'b' has its apex outside the clip"),
        ({"onset": -2}, "'b' has its onset outside the clip"),
    ],
)
def test_manifest_refuses(changes, message):
    rows = [{"apex": 0, "onset": 0, **row} for row in rows_of(**changes)]
    with pytest.raises(DatasetError, match=message):
        make_manifest(rows, "oulu", "real")


def test_manifest_refuses_gaps_and_missing_columns():
    manifest = make_manifest(rows_of(), "oulu", "real")
    with pytest.raises(DatasetError, match="'b' has an offset that does not follow"):
        check_manifest(manifest.assign(offset=[0, 5]))
    with pytest.raises(DatasetError, match=r"lacks the columns \['fps'\]"):
        check_manifest(manifest.drop(columns="fps"))
    with pytest.raises(DatasetError, match="no clips"):
        make_manifest([], "oulu", "real")


# images


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "CMYK", "1", "I;16"])
def test_images_of_every_mode(tmp_path, mode):
    grey = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1))
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert(mode)
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image.save(path)
    pixels = load_rgb(path)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (30, 40, 3)
    if mode == "1":
        assert set(pixels.ravel()) == {0, 255}
    else:
        assert np.abs(pixels - grey[..., None].astype(int)).max() <= 3


def test_image_transparency_and_rotation(tmp_path):
    clear = np.zeros((4, 6, 4), np.uint8)
    clear[..., 0] = 200
    clear[:2, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert load_rgb(tmp_path / "clear.png")[:, 0, 0].tolist() == [200, 200, 0, 0]
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    Image.new("RGB", (6, 4)).save(tmp_path / "turned.jpeg", exif=exif)
    assert load_rgb(tmp_path / "turned.jpeg").shape == (6, 4, 3)


def test_unreadable_images_are_named(tmp_path):
    whole = tmp_path / "whole.png"
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    data = whole.read_bytes()
    bad = {
        "cut.png": data[: len(data) // 2],
        "empty.png": b"",
        "page.png": b"<html>not found</html>",
        "flipped.png": data[:60] + bytes([data[60] ^ 255]) + data[61:],
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match="cannot be decoded") as error:
            load_rgb(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
    with pytest.raises(DatasetError, match="cannot be opened"):
        load_rgb(tmp_path / "gone.png")


def test_huge_image_is_refused_before_it_is_decoded(tmp_path):
    Image.new("1", (8000, 8000)).save(tmp_path / "bomb.png")
    with pytest.raises(DatasetError, match=r"bomb\.png"):
        load_rgb(tmp_path / "bomb.png")


# faces


def test_crop_enlarges_to_a_square_around_the_box():
    frame = np.zeros((100, 200, 3), np.uint8)
    frame[40:60, 90:110] = 255  # 20 x 20 in the middle of the frame
    out = crop(frame, (90, 40, 110, 60), 22)
    assert (out[2:20, 2:20] == 255).all()
    assert out[0].max() == out[:, 0].max() == 0
    tall = crop(frame, (95, 30, 105, 70), 44)  # 40 high, so 44 x 44 pixels at scale 1
    assert (tall[..., 0] > 127).sum() == 400


def test_crop_beyond_the_frame_repeats_its_edge():
    frame = np.full((50, 50, 3), 80, np.uint8)
    frame[0] = 200
    out = crop(frame, (10, -20, 40, 10), 33)
    assert (out[:15] == 200).all()
    assert (out[-5:] == 80).all()
    with pytest.raises(DatasetError, match="is empty"):
        crop(frame, (10, 10, 10, 10), 33)


def test_centre_square_is_the_whole_height():
    frame = np.arange(240 * 320 * 3, dtype=np.uint64).astype(np.uint8).reshape(240, 320, 3)
    assert np.array_equal(crop(frame, centre_square(frame), 240), frame[:, 40:280])


def test_clip_box_spans_all_frames_and_not_a_lost_track():
    points = np.zeros((40, 68, 2)) + np.linspace(50, 90, 68)[None, :, None]
    assert clip_box(points).tolist() == [50, 50, 90, 90]
    points[7] += 300  # the tracker is lost in one frame
    assert clip_box(points).tolist() == [50, 50, 90, 90]


def test_choose_face_takes_the_largest_that_stays():
    face, small, flash = [10, 10, 60, 60], [200, 10, 220, 30], [100, 100, 170, 170]
    found = [np.array(boxes, float) for boxes in ([face, small], [small, face], [flash], [face])]
    assert choose_face(found).tolist() == [face] * 4
    moved = [12, 10, 62, 60]
    chosen = choose_face([np.zeros((0, 4)), np.array([face]), np.zeros((0, 4)), np.array([moved])])
    assert chosen.tolist() == [face, face, face, moved]
    assert choose_face([np.zeros((0, 4))] * 3) is None


def test_detected_box_lies_where_the_landmarks_are(ckplus_tree):
    for subject in ("S005", "S012", "S999"):
        frames = [load_rgb(path) for path in sorted(ckplus_tree.rglob(f"{subject}_001_*.png"))]
        files = sorted(ckplus_tree.rglob(f"{subject}_001_*_landmarks.txt"))
        box = clip_box(np.stack([read_landmarks(path) for path in files]))
        found = haar_to_landmark_box(np.median(track_face(frames), axis=0))
        side = max(box[2:] - box[:2])
        assert np.abs((found[:2] + found[2:]) / 2 - (box[:2] + box[2:]) / 2).max() < 0.1 * side
        assert abs((found[2] - found[0]) / side - 1) < 0.2


def test_no_face_in_a_plain_frame():
    assert track_face([np.full((240, 320, 3), 127, np.uint8)] * 3) is None


# check, fixtures, command line


def test_check_reports_counts_and_goes_on(ckplus_tree):
    report = check("ckplus", ckplus_tree)
    counts = report.counts.set_index("what")
    assert counts.loc["labelled clips"].tolist() == [327, 10]
    assert counts.loc["labelled subjects"].tolist() == [118, 4]
    assert counts.loc["subjects"].tolist() == [123, 5]
    assert counts.loc["sequences", "found"] == 13
    assert counts.loc["clips in fold 10"].tolist() == [22, -1]
    assert report.errors == ()
    assert not report.ok
    assert "differs" in str(report)
    folds = counts.loc[[f"clips in fold {fold}" for fold in range(1, 11)], "expected"]
    assert folds.tolist() == [33, 39, 40, 35, 30, 37, 29, 29, 33, 22]


def test_check_of_twelve_subjects_counts_folds(tmp_path):
    picture = Image.new("RGB", (32, 24))
    for subject in range(1, 13):
        for label in DATASETS["oulu"]:
            folder = tmp_path / f"VL/Strong/P{subject:03d}/{label.capitalize()}"
            folder.mkdir(parents=True)
            picture.save(folder / "000.jpeg")
    counts = check("oulu", tmp_path).counts.set_index("what")["found"]
    assert [counts[f"clips in fold {fold}"] for fold in range(1, 11)] == [12] * 2 + [6] * 8
    assert [counts[f"subjects in fold {fold}"] for fold in range(1, 11)] == [2] * 2 + [1] * 8
    assert counts["subjects with 6 clips"] == 12


def test_repeated_emotion_of_a_subject_is_reported(ckplus):
    for label in ckplus.rglob("S005_00[12]_*_emotion.txt"):
        label.write_text("1")
    assert "S005 has 2 clips of anger" in check("ckplus", ckplus).problems


def test_command_line(ckplus, capsys):
    assert main(["check", "ckplus", str(ckplus)]) == 0
    out = capsys.readouterr().out
    assert "labelled clips" in out
    assert "327" in out
    fixtures.PITFALLS["ckplus"]["text_label"](ckplus)
    assert main(["check", "ckplus", str(ckplus), "--quick"]) == 1
    assert "'happy'" in capsys.readouterr().out
    assert main(["check", "ckpluss", str(ckplus)]) == 2
    assert "did you mean 'ckplus'" in capsys.readouterr().err
    assert main(["check", "ckplus", str(ckplus), "--camera", "NI"]) == 2
    assert "unknown options ['camera']" in capsys.readouterr().err
    assert main(["check", "oulu", str(ckplus)]) == 2
    assert "no original images of Oulu-CASIA" in capsys.readouterr().err


def test_module_runs_without_torch(tmp_path):
    code = (
        "import sys; from dferlib.datasets.__main__ import main\n"
        f"assert main(['check', 'oulu', {str(tmp_path)!r}]) == 2\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "unpack" not in done.stderr


def test_fixture_refuses(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="not an empty folder"):
        fixtures.write_oulu(tmp_path)
    with pytest.raises(DatasetError, match=r"unknown pitfalls \['flood'\]"):
        fixtures.write_ckplus(tmp_path / "new", pitfalls=["flood"])
    with pytest.raises(DatasetError, match="layout is 'deep'"):
        fixtures.write_ckplus(tmp_path / "new", layout="deep")
    assert not (tmp_path / "new").exists()


def test_fixture_depends_on_the_seed_alone(tmp_path):
    roots = [fixtures.write_oulu(tmp_path / str(n), subjects=1, seed=n % 2) for n in range(3)]
    images = [(root / "VL/Strong/P001/Fear/004.jpeg").read_bytes() for root in roots]
    assert images[0] == images[2] != images[1]
