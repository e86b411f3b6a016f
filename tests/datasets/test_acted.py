"""The readers of CREMA-D and RAVDESS on procedural trees."""

import shutil
import sys

import pytest

from dferlib.datasets import (
    DATASETS,
    DatasetError,
    MissingDatasetError,
    check,
    load_manifest,
    open_store,
)
from dferlib.datasets.readers.ravdess import scan


@pytest.mark.parametrize("layout", ["flat", "nested"])
def test_cremad_manifest(write_tree, layout):
    manifest = load_manifest("cremad", write_tree("cremad", layout=layout))
    assert manifest["clip_id"].tolist() == [
        "1001_DFA_ANG_XX",
        "1001_IEO_HAP_HI",
        "1002_DFA_DIS_XX",
        "1002_IEO_NEU_HI",
        "1064_IEO_DIS_MD",
    ]
    assert manifest["label"].tolist() == ["anger", "happiness", "disgust", "neutral", "disgust"]
    assert manifest["subject"].unique().tolist() == ["1001", "1002", "1064"]
    assert manifest["n_frames"].tolist() == [3, 4, 3, 4, 3]  # counted: flv does not declare it


def test_cremad_known_bad_file_is_a_note(write_tree):
    root = write_tree("cremad")
    report = check("cremad", root)
    assert report.errors == ()
    assert "1064_IEO_DIS_MD lasts a minute and shows all emotions" in report.problems[0]
    assert len(load_manifest("cremad", root, exclude=["1064_IEO_DIS_MD"])) == 4
    with pytest.raises(DatasetError, match=r"exclude names \['1'\]"):
        load_manifest("cremad", root, exclude=["1"])
    counts = report.counts.set_index("what")
    assert counts.loc["clips"].tolist() == [7442, 5]
    assert counts.loc["neutral"].tolist() == [1087, 1]


def test_cremad_stub_of_git_lfs(write_tree):
    root = write_tree("cremad", pitfalls=["lfs_stub"])
    with pytest.raises(DatasetError, match=r"1 of 5 videos are stubs .* run `git lfs pull`"):
        load_manifest("cremad", root)
    stub = (root / "VideoFlash/1001_DFA_ANG_XX.flv").read_text()
    for path in (root / "VideoFlash").glob("*.flv"):
        path.write_text(stub)
    report = check("cremad", root)
    assert "5 of 5 videos are stubs" in str(report)


def test_cremad_damage_and_absence(write_tree, tmp_path, monkeypatch):
    root = write_tree("cremad")
    (root / "VideoFlash/1001_DFA_ANG_XX.flv").write_bytes(b"FLV")
    assert any("1001_DFA_ANG_XX.flv" in text for text in check("cremad", root).errors)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDatasetError, match=r"github\.com/CheyneyComputerScience"):
        open_store("cremad", data_root=tmp_path / "empty")
    with pytest.raises(DatasetError, match="has no procedural stand-in, only ckplus, oulu"):
        open_store("cremad", source="synthetic")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DatasetError, match=r"dferlib\[video\]"):
        load_manifest("cremad", root)


def test_ravdess_takes_each_take_once(write_tree):
    root = write_tree("ravdess")
    found = scan(root)
    assert [clip.clip_id for clip in found.clips] == [
        "01-01-01-01-01-01",
        "01-02-01-01-01-01",
        "01-03-01-01-01-18",
        "01-04-01-01-01-18",
    ]
    assert [clip.label for clip in found.clips] == ["neutral", "calm", "happiness", "sadness"]
    assert [clip.subject for clip in found.clips] == ["01", "01", "18", "18"]
    assert all("/02-" in clip.video.replace("\\", "/") for clip in found.clips)
    assert found.layout == "4 files without sound, 0 with"
    for path in root.rglob("02-01-01-*.mp4"):
        path.unlink()
    assert scan(root).layout == "3 files without sound, 1 with"
    assert [clip.row() for clip in scan(root).clips] == [clip.row() for clip in found.clips]


def test_ravdess_song_without_actor_18(write_tree):
    root = write_tree("ravdess", subjects=3)
    song = load_manifest("ravdess", root, channel="song")
    assert song["subject"].tolist() == ["01", "02"]
    assert set(song["label"]) == {"happiness"}
    with pytest.raises(DatasetError, match="channel is 'both', allowed are speech, song"):
        load_manifest("ravdess", root, channel="both")


def test_ravdess_store_and_classes(write_tree, open_real):
    store = open_real("ravdess", write_tree("ravdess"))
    assert store.notes == {}
    assert store.classes == DATASETS["ravdess"]
    assert "calm" in store.classes
    assert len(store.frames) == 12


def test_ravdess_check(write_tree):
    root = write_tree("ravdess", pitfalls=["truncated_video"])
    report = check("ravdess", root)
    assert any("02-01-01-01-01-01-01.mp4" in text for text in report.errors)
    counts = report.counts.set_index("what")["expected"]
    assert (counts["clips"], counts["neutral"], counts["calm"]) == (1440, 96, 192)
    assert sum(counts[f"clips in fold {fold}"] for fold in range(1, 11)) == 1440


def test_ravdess_copied_twice(write_tree):
    root = write_tree("ravdess")
    shutil.copytree(root / "Video_Speech_Actor_01", root / "more")
    found = scan(root)
    assert len(found.clips) == 4
    assert any("clips are there twice with the same files" in text for text in found.problems)
