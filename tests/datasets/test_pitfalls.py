"""What is known to go wrong with copies of the datasets, as far as no reader's own test has it."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from dferlib.datasets import DatasetError, MissingDatasetError, check, load_manifest
from dferlib.datasets.folds import split_fold
from dferlib.datasets.readers.mmi_xml import read_emotion, read_onset_and_apex

GREY = Image.new("L", (48, 48), 90)


def shadow(root, folder):
    """The twin of a tree that a Mac puts into an archive: files of a few bytes, dotted names."""
    for path in sorted((root / folder).rglob("*")):
        if path.is_file():
            twin = root / "__MACOSX" / path.relative_to(root).with_name(f"._{path.name}")
            twin.parent.mkdir(parents=True, exist_ok=True)
            twin.write_bytes(b"\x00\x05\x16\x07")


def test_archives_of_a_mac(ckplus, ckplus_tree, oulu, oulu_tree):
    for name in ("cohn-kanade-images", "Emotion", "Landmarks"):
        shadow(ckplus, name)
    shadow(oulu, "B_OriginalImg")
    for name, root, tree in (("ckplus", ckplus, ckplus_tree), ("oulu", oulu, oulu_tree)):
        assert load_manifest(name, root).equals(load_manifest(name, tree))
        assert check(name, root, decode=False).counts.equals(check(name, tree, decode=False).counts)
    for path in sorted((oulu / "B_OriginalImg").rglob("P001/Fear/*.jpeg")):
        path.with_name(f"._{path.name}").write_bytes(b"\x00")  # beside the image itself
    assert load_manifest("oulu", oulu).equals(load_manifest("oulu", oulu_tree))


@pytest.mark.parametrize("dataset", ["ckplus", "folder"])
def test_single_crops_in_folders_of_classes_are_no_sequences(dataset, tmp_path):
    for label in ("anger", "happy"):
        (tmp_path / label).mkdir()
        for number in (15, 16, 17):
            GREY.save(tmp_path / label / f"S010_004_000000{number}.png")
    with pytest.raises(MissingDatasetError):
        load_manifest(dataset, tmp_path)


def test_folds_of_ckplus_count_labelled_subjects_only(ckplus_tree):
    # S121 has images and no label: were it counted, every later subject would change its fold
    assert list(ckplus_tree.rglob("S121_*.png"))
    manifest = load_manifest("ckplus", ckplus_tree)
    labelled = sorted(manifest["subject"].unique())
    assert "S121" not in labelled
    for fold in range(1, 5):
        test = manifest["subject"].iloc[split_fold(manifest, fold, 4).test]
        assert sorted(set(test)) == labelled[fold - 1 :: 4]


def test_a_fold_without_a_class_is_said(ckplus_tree):
    report = check("ckplus", ckplus_tree, decode=False, num_folds=4)
    (finding,) = [f for f in report.findings if "tests every class" in f.what]
    contempt_only = report.manifest.query("subject == 'S147'").index
    fold = next(
        k for k in range(1, 5) if contempt_only[0] in split_fold(report.manifest, k, 4).test
    )
    (line,) = [text for text in finding.where if text.startswith(f"fold {fold}:")]
    assert "contempt" not in line
    assert "anger" in line


def test_a_facs_file_with_a_wrong_name_is_no_hindrance(ckplus, ckplus_tree):
    path = next(ckplus.rglob("S005_001_*_facs.txt"))
    path.rename(path.with_name(path.name.replace("S005", "S0005")))
    assert load_manifest("ckplus", ckplus).equals(load_manifest("ckplus", ckplus_tree))


def test_oulu_cameras_need_not_have_the_same_frames(oulu_tree):
    counts = [load_manifest("oulu", oulu_tree, camera=name)["n_frames"] for name in ("VL", "NI")]
    assert (counts[1] == counts[0].iloc[:6] - 1).all()  # the fixture's first subject, all emotions


def test_oulu_modes_of_both_cameras_are_told(oulu_tree):
    modes = [
        set(check("oulu", oulu_tree, camera=c, decode=False).kinds["mode"]) for c in ("VL", "NI")
    ]
    assert modes == [{"RGB"}, {"L"}]


def test_mmi_emotion_is_found_by_name_and_not_by_place(tmp_path):
    tags = ['<Metatag Name="Emotion" Value="4"/>', '<Metatag Name="Site" Value="9"/>']
    for order in (tags, tags[::-1]):
        (tmp_path / "a.xml").write_text(f"<Session>{''.join(order)}</Session>")
        assert read_emotion(tmp_path / "a.xml") == "4"


def test_mmi_action_units_need_no_number(tmp_path):
    marks = "".join(f'<Marker Type="{kind}" Frame="{frame}"/>' for kind, frame in ((1, 2), (2, 5)))
    (tmp_path / "a.xml").write_text(f'<a><ActionUnit Number="L12">{marks}</ActionUnit></a>')
    assert read_onset_and_apex(tmp_path / "a.xml", 8) == (1, 5)


def test_afew_name_in_both_splits_is_two_clips(write_tree):
    manifest = load_manifest("afew", write_tree("afew"))
    both = manifest[manifest["clip_id"].str.endswith("001703120")]
    assert both["split"].tolist() == ["train", "val"]
    assert both["label"].nunique() == 2
    split = split_fold(manifest, 1)
    assert both.index[1] in split.test
    assert both.index[0] not in split.test


@pytest.mark.parametrize("name", ["DFEW", "DFEW-part2"])
def test_dfew_in_a_common_folder(write_tree, tmp_path, name):
    root = write_tree("dfew")
    shutil.move(root, tmp_path / "all" / name)
    assert len(load_manifest("dfew", tmp_path / "all")) == 10


def test_dfew_clips_shorter_than_sixteen_frames_stay(write_tree):
    counts = load_manifest("dfew", write_tree("dfew"))["n_frames"]
    assert counts.min() < 16
    assert len(counts) == 10


def test_the_same_name_in_two_classes_is_two_clips(tmp_path):
    for label in ("Angry", "Sad"):
        folder = tmp_path / label / "0001"
        folder.mkdir(parents=True)
        GREY.save(folder / "0.png")
    manifest = load_manifest("folder", tmp_path)
    assert manifest["clip_id"].tolist() == ["Angry/0001", "Sad/0001"]


def test_frames_are_sorted_by_number_whatever_their_names(tmp_path, open_real):
    folder = tmp_path / "Happy/a"
    folder.mkdir(parents=True)
    for number in (1, 2, 10, 9):
        Image.fromarray(np.full((48, 48), 10 * number, np.uint8)).save(folder / f"x{number}.PNG")
    frames = open_real("folder", tmp_path, cropped=True).clip(0)
    assert frames.mean(axis=(1, 2, 3)).tolist() == [10, 20, 90, 100]


def test_still_packed_archives_are_named(tmp_path):
    for name, dataset in (
        ("Train_AFEW.zip", "afew"),
        ("clip_224x224_part_1.zip", "dfew"),
        ("BU4DFE.rar", "bu4dfe"),
        ("Video_Speech_Actor_01.zip", "ravdess"),
        ("OriginalImg.tar.gz", "oulu"),
    ):
        folder = tmp_path / dataset
        folder.mkdir()
        (folder / name).write_bytes(b"PK")
        with pytest.raises(DatasetError, match=f"unpack first: {re.escape(name)}"):
            load_manifest(dataset, folder)
