"""The reader of Oulu-CASIA on a procedural tree: layouts, oddities, damage."""

import shutil

import numpy as np
import pytest
from PIL import Image

from dferlib.datasets import DATASETS, DatasetError, check, load_manifest
from dferlib.datasets.readers.frames import numbered_files
from dferlib.datasets.standins import trees


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


def test_oulu_cameras_and_lights(oulu_tree, open_real):
    near = open_real("oulu", oulu_tree, camera="NI")
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


def test_oulu_crops_by_detection(oulu_tree, open_real):
    store = open_real("oulu", oulu_tree)
    assert store.notes == {}
    assert store.frames.shape[1:] == (48, 48, 3)
    # one box per clip: what lies still beside the face does not move
    clip = store.clip(0).astype(int)
    assert np.abs(clip[1:] - clip[:-1]).mean() < 4


def test_oulu_clip_without_a_face_stays_and_is_reported(oulu, open_real):
    for path in oulu.rglob("VL/Strong/P002/Fear/*.jpeg"):
        Image.new("RGB", (320, 240), (90, 120, 90)).save(path)
    with pytest.warns(UserWarning, match="1 of 12 clips"):
        store = open_real("oulu", oulu)
    assert store.notes == {"VL/Strong/P002/Fear": "no face found, centre square kept"}
    assert len(store.manifest) == 12


def test_oulu_frames_of_different_size(oulu, open_real):
    path = sorted(oulu.rglob("VL/Strong/P002/Fear/*.jpeg"))[1]
    Image.open(path).resize((160, 120)).save(path)
    with pytest.raises(DatasetError, match=r"differ in size \(160x120, 320x240\)"):
        open_real("oulu", oulu)


def test_oulu_preprocessed_set(oulu, open_real):
    with pytest.raises(DatasetError, match=r"no preprocessed images .* \(only the original ones\)"):
        load_manifest("oulu", oulu, images="preprocessed")
    shutil.move(oulu / "B_OriginalImg", oulu / "Preprocess Img")
    with pytest.raises(DatasetError, match="only the preprocessed ones"):
        load_manifest("oulu", oulu)
    store = open_real("oulu", oulu, images="preprocessed")
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
    trees.PITFALLS["oulu"][pitfall](oulu)
    report = check("oulu", oulu)
    assert any("VL/Strong/P001/Anger" in text for text in (*report.problems, *report.errors))
