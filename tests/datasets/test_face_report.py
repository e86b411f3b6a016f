"""The record of how faces were found: counted per clip, kept with the store, told in a report."""

import numpy as np
import pytest
from PIL import Image

from dferlib.datasets import DatasetError, StoreError, choose_classes, face_report, load_store
from dferlib.datasets.faces import crops
from dferlib.datasets.faces.crops import read_clip
from dferlib.datasets.faces.options import parse_faces
from dferlib.datasets.faces.report import COLUMNS, FaceRecord, FaceReport, make_faces_table
from dferlib.datasets.readers.scan import Clip
from dferlib.datasets.sources import find_source
from dferlib.datasets.store import store_name


def table(*records):
    return make_faces_table(record.row() for record in records)


def test_the_worst_clips_come_first():
    clips = table(
        FaceRecord("good", "haar", 9, own=9, drift=0.02),
        FaceRecord("moving", "haar", 9, own=9, drift=0.30),
        FaceRecord("half", "haar", 9, own=4, borrowed=5, drift=0.01),
        FaceRecord("never", "none", 9, none=9),
    )
    report = FaceReport(clips, total=5)
    assert report.worst()["clip_id"].tolist() == ["never", "half", "moving", "good"]
    assert report.worst(1)["clip_id"].tolist() == ["never"]
    assert report.missing == ("never",)
    assert report.frames == {"looked": 36, "own": 22, "borrowed": 5, "none": 9}
    text = str(report)
    assert "3 of 5 clips have one (haar 3, none 1; 1 not looked at)" in text
    assert "faces not found: never" in text
    assert "half: found in 4 of 9 frames" in text


def test_a_store_keeps_the_record_of_every_clip(ckplus, open_real):
    for path in ckplus.rglob("S005_001_*_landmarks.txt"):
        path.unlink()  # its face is detected instead
    first = sorted(ckplus.rglob("S005_002_*_landmarks.txt"))[0]
    first.unlink()  # this frame borrows
    for path in ckplus.rglob("S999_001_*_landmarks.txt"):
        path.unlink()
    for path in ckplus.rglob("S999_001_*.png"):
        Image.new("L", (640, 490), 90).save(path)  # no face at all
    with pytest.warns(UserWarning, match="2 of"):
        store = open_real("ckplus", ckplus)
    clips = store.faces.set_index("clip_id")
    assert list(store.faces.columns) == list(COLUMNS)
    assert list(clips.index) == list(store.manifest["clip_id"])
    assert clips.loc["S005/001", "found_by"] == parse_faces("").chosen_detector
    frames = store.manifest.set_index("clip_id")["n_frames"]
    row = clips.loc["S005/002"]
    assert (row["found_by"], row["own"], row["borrowed"]) == (
        "landmarks",
        frames["S005/002"] - 1,
        1,
    )
    row = clips.loc["S999/001"]
    assert (row["found_by"], row["own"], row["none"]) == ("none", 0, row["looked"])
    assert ((clips["own"] + clips["borrowed"] + clips["none"]) == clips["looked"]).all()
    assert (clips["drift"].dropna() < 0.1).all()
    report = face_report(store)
    assert report.missing == ("S999/001",)
    assert report.total == len(store.manifest)  # it stays in the denominator
    assert load_store(store.path).faces.equals(store.faces)
    view = face_report(choose_classes(store, ("anger", "disgust")))
    assert len(view.clips) == view.total < report.total
    (store.path / "faces.csv").write_text("clip_id,found_by\n")
    with pytest.raises(StoreError, match=r"faces\.csv does not have the checksum"):
        load_store(store.path)


def test_procedural_faces_need_no_finding():
    report = FaceReport(make_faces_table(()), total=12)
    assert str(report) == "faces: rendered in place, nothing had to be found"
    assert report.missing == ()
    assert report.worst().empty


def test_the_key_of_a_store_holds_how_faces_are_cut_out(oulu_tree, tmp_path):
    def name(**options):
        return store_name(find_source("oulu", "real", oulu_tree, **options), 48)

    keys = [name(), name(faces="margin=0.25"), name(faces="align=first"), name(faces="box=frame")]
    assert len(set(keys)) == 4
    assert name(faces="box=clip margin=0.1") == keys[0]  # the defaults, spelt out
    with pytest.raises(DatasetError, match="faces is 'nose'"):
        name(faces="nose")
    with pytest.raises(DatasetError, match="faces is 'nose'"):
        find_source("oulu", "synthetic", faces="nose")


def test_the_key_holds_the_detector_and_its_version_where_one_is_needed(
    ckplus_tree, oulu_tree, monkeypatch
):
    def pixels(dataset, root, **options):
        return find_source(dataset, "real", root, **options).pixels

    for name, package in (("haar", "cv2"), ("mtcnn", "facenet_pytorch")):
        pytest.importorskip(package)
        assert f" {name}-" in pixels("oulu", oulu_tree, faces=f"detector={name}")
    marked = pixels("ckplus", ckplus_tree)  # its own landmarks in every frame
    first = pixels("oulu", oulu_tree)
    monkeypatch.setattr(crops, "version", lambda package: "9.9")
    monkeypatch.setattr(crops.cv2, "__version__", "9.9")
    assert pixels("oulu", oulu_tree) != first
    assert pixels("ckplus", ckplus_tree) == marked


def test_options_do_not_matter_where_the_owner_cropped(oulu, open_real):
    (oulu / "B_OriginalImg").rename(oulu / "Preprocess Img")
    first = open_real("oulu", oulu, images="preprocessed")
    again = open_real("oulu", oulu, images="preprocessed", faces="margin=0.25")
    assert first.path == again.path
    assert set(first.faces["found_by"]) == {"owner"}
    assert (first.faces["own"] == first.faces["looked"]).all()
    assert set(first.faces["pixels"]) == {320.0}


def test_landmarks_are_left_aside_where_a_detector_is_named(ckplus_tree):
    frames = sorted(map(str, ckplus_tree.rglob("S005_001_*.png")))
    marks = sorted(map(str, ckplus_tree.rglob("S005_001_*_landmarks.txt")))
    clip = Clip("c", "s", "fear", tuple(frames), 30.0, -1, tuple(marks))
    chosen = [read_clip(clip, 32, parse_faces(text)) for text in ("", "detector=haar")]
    assert [read.record.found_by for read in chosen] == ["landmarks", "haar"]
    assert [read.note for read in chosen] == ["", ""]


def test_a_rare_face_is_noted(tmp_path, ckplus_tree):
    faces = sorted(ckplus_tree.rglob("S010_001_*.png"))[:1]
    picture = np.asarray(Image.open(faces[0]).convert("RGB"))
    frames = []
    for index in range(6):
        path = tmp_path / f"{index}.png"
        Image.fromarray(picture if index in (2, 3) else np.full_like(picture, 90)).save(path)
        frames.append(str(path))
    read = read_clip(Clip("c", "s", "fear", tuple(frames), 25.0, -1), 32)
    assert read.note == "face found in 2 of 6 frames only, the others borrow its box"
    record = read.record
    assert (record.own, record.borrowed, record.none) == (2, 4, 0)
