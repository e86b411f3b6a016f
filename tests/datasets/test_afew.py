"""The reader of AFEW on a procedural tree: two lists, faces without classes, classes by video."""

import shutil
import sys

import numpy as np
import pytest

from dferlib.datasets import DATASETS, DatasetError, check, load_manifest
from dferlib.datasets.folds import split_fold

LAST = ("000004480", "000004520")  # of the training list: no folder of faces, and an empty one


@pytest.mark.parametrize("layout", ["flat", "short"])
def test_afew_manifest(write_tree, layout):
    manifest = load_manifest("afew", write_tree("afew", layout=layout)).set_index("clip_id")
    assert len(manifest) == 21
    assert manifest["split"].value_counts().to_dict() == {"train": 14, "val": 7}
    assert manifest.loc["train/001703120", "label"] == "sadness"
    assert manifest.loc["val/001703120", "label"] == "happiness"
    assert manifest.loc["train/000004040", "n_frames"] == 5
    assert (manifest["subject"] == manifest.index).all()
    assert set(manifest["apex"]) == {-1}
    split = split_fold(manifest.reset_index(), 1)
    assert len(split.test) == 7


def test_clips_without_faces_are_read_from_their_videos(write_tree, open_real):
    pytest.importorskip("av")
    root = write_tree("afew")
    report = check("afew", root)
    for name in LAST:
        assert f"train/{name} has no aligned faces: its video is read" in report.problems
    counts = report.counts.set_index("what")
    assert counts.loc["train clips without faces"].tolist() == [2, 2]
    assert counts.loc["names in both splits"].tolist() == [2, 1]
    assert counts.loc["clips in fold 1"].tolist() == [383, 7]
    store = open_real("afew", root)
    assert store.notes == {}
    assert store.classes == DATASETS["afew"]
    # aligned faces are grey, videos in colour
    spread = [np.ptp(store.clip(row).astype(int), axis=3).max() for row in range(21)]
    in_colour = store.manifest["clip_id"][np.array(spread) > 0]
    assert set(in_colour) == {f"train/{name}" for name in LAST}


def test_without_pyav_a_grey_frame_stands_for_them(write_tree, open_real, monkeypatch):
    root = write_tree("afew")
    monkeypatch.setitem(sys.modules, "av", None)
    manifest = load_manifest("afew", root).set_index("clip_id")
    assert manifest.loc[[f"train/{name}" for name in LAST], "n_frames"].tolist() == [1, 1]
    assert len(manifest) == 21
    with pytest.warns(UserWarning, match="a grey frame stands in"):
        store = open_real("afew", root)
    assert len(store.manifest) == 21
    with pytest.raises(DatasetError, match=r"dferlib\[video\]"):
        load_manifest("afew", root, images="videos")


def test_afew_from_videos(write_tree):
    pytest.importorskip("av")
    manifest = load_manifest("afew", write_tree("afew"), images="videos")
    assert len(manifest) == 21
    assert (manifest["n_frames"] == 5).all()


def test_faces_in_folders_of_classes(write_tree):
    root = write_tree("afew")
    before = load_manifest("afew", root, exclude=[f"train/{name}" for name in LAST])
    for suffix, place in (("", "Train_AFEW"), ("_Val", "Val_AFEW")):
        faces = root / place / f"AlignedFaces_LBPTOP_Points{suffix}"
        for video in list((root / place).glob("*/*.avi")):
            if (faces / "Faces" / video.stem).is_dir():
                (faces / video.parent.name).mkdir(exist_ok=True)
                shutil.move(faces / "Faces" / video.stem, faces / video.parent.name / video.stem)
            video.unlink()
    after = load_manifest("afew", root, exclude=["train/000004520"])
    assert after.equals(before)


def test_faces_without_videos_have_no_class(write_tree):
    root = write_tree("afew", pitfalls=["no_videos"])
    with pytest.raises(DatasetError, match="have no classes: these come from the folders of the"):
        load_manifest("afew", root)


def test_afew_damage(write_tree, tmp_path):
    root = write_tree("afew", pitfalls=["truncated_image"])
    assert "001703120" in check("afew", root).errors[0]
    video = next((root / "Train_AFEW/Angry").glob("*.avi"))
    shutil.copy(video, root / "Train_AFEW/Sad")
    with pytest.raises(DatasetError, match="in the folders of anger and sadness"):
        load_manifest("afew", root)


def test_afew_missing_parts(write_tree, tmp_path):
    with pytest.raises(DatasetError, match="has no val clips"):
        load_manifest("afew", write_tree("afew", pitfalls=["no_val"]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"anu\.edu\.au"):
        load_manifest("afew", tmp_path / "empty")
    with pytest.raises(DatasetError, match="images is 'all', allowed are aligned, videos"):
        load_manifest("afew", tmp_path / "empty", images="all")
