"""The reader of DFEW on a procedural tree: lists, layouts, official folds, shifted copies."""

import shutil

import numpy as np
import pytest

from dferlib.datasets import DatasetError, check, load_manifest
from dferlib.datasets.faces.geometry import crop
from dferlib.datasets.folds import split_fold
from dferlib.datasets.media.images import load_rgb
from dferlib.datasets.readers.dfew import read_list


@pytest.mark.parametrize("layout", ["flat", "parts", "short"])
def test_dfew_manifest(write_tree, layout):
    root = write_tree("dfew", layout=layout)
    manifest = load_manifest("dfew", root)
    assert manifest["clip_id"].tolist() == [f"{number:05d}" for number in range(1, 11)]
    assert manifest["split"].tolist() == [str(number // 2 + 1) for number in range(10)]
    assert manifest["label"].tolist()[:7] == [
        "happiness",
        "sadness",
        "neutral",
        "anger",
        "surprise",
        "disgust",
        "fear",
    ]
    assert manifest["n_frames"].tolist()[:3] == [12, 5, 3]
    assert split_fold(manifest, 2).test.tolist() == [2, 3]
    assert check("dfew", root).problems == ()


def test_dfew_check(write_tree):
    counts = check("dfew", write_tree("dfew")).counts.set_index("what")
    assert counts.loc["clips"].tolist() == [11697, 10]
    assert counts.loc["shortest clip"].tolist() == [12, 3]
    assert [counts.loc[f"clips in fold {fold}", "found"] for fold in range(1, 6)] == [2] * 5
    assert counts.loc["clips in fold 5", "expected"] == 2336


def test_dfew_store_keeps_the_order_of_the_frames(write_tree, open_real):
    root = write_tree("dfew", subjects=1)
    store = open_real("dfew", root)
    places = [root / f"Clip/clip_224x224/00001/00001_{1 + 3 * n:05d}.jpg" for n in range(12)]
    frames = [crop(load_rgb(path), (0, 0, 224, 224), 48, margin=0) for path in places]
    assert np.array_equal(store.clip(0), frames)
    assert len(np.unique(frames, axis=0)) > 9


def test_frames_are_sorted_by_their_last_number(write_tree, open_real):
    root = write_tree("dfew", subjects=1)
    before = open_real("dfew", root).clip(0)
    folder = root / "Clip/clip_224x224/00001"
    for path in sorted(folder.iterdir()):
        number = int(path.stem.split("_")[1])
        path.rename(folder / f"{number}.jpg")  # as the copies of 16 frames have them
    assert np.array_equal(open_real("dfew", root).clip(0), before)


def test_shifted_labels_are_refused(write_tree):
    root = write_tree("dfew", pitfalls=["shifted"])
    with pytest.raises(DatasetError, match=r"has the label 0: in this copy the labels are shifted"):
        load_manifest("dfew", root)


def test_listed_clip_that_is_missing(write_tree):
    root = write_tree("dfew", pitfalls=["missing_clip"])
    with pytest.raises(DatasetError, match="00001 is listed, but its frames are not there"):
        load_manifest("dfew", root)
    assert len(load_manifest("dfew", root, exclude=["00001"])) == 9
    assert len(load_manifest("dfew", root, partial=True)) == 9
    report = check("dfew", root, partial=True)
    assert report.problems == ("00001 is listed, but its frames are not there",)
    (root / "Clip/clip_224x224/00001").mkdir()
    assert len(load_manifest("dfew", root, partial=True)) == 9


def test_dfew_damaged_image_is_named(write_tree):
    report = check("dfew", write_tree("dfew", pitfalls=["truncated_image"]))
    assert "00001_00001.jpg" in report.errors[0]


def test_missing_and_contradicting_lists(write_tree):
    root = write_tree("dfew")
    test = root / "EmoLabel_DataSplit/test(single_labeled)"
    train = root / "EmoLabel_DataSplit/train(single_labeled)"
    path = train / "set_2.csv"
    path.write_text(path.read_text().replace("\n1,1\n", "\n1,2\n"))
    (problem,) = check("dfew", root).problems
    assert "set_2.csv of training differs from the other four test sets in 1 clip, for" in problem
    shutil.copy(test / "set_1.csv", test / "set_3.csv")
    with pytest.raises(DatasetError, match="clip 00001 is in test set 1, too"):
        load_manifest("dfew", root)
    (test / "set_3.csv").unlink()
    with pytest.raises(DatasetError, match=r"lists of the test sets \[3\] of DFEW"):
        load_manifest("dfew", root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("order,label\n1,1\n", r"begins with \['order', 'label'\]"),
        ("video_name,label\n1,8\n", r"set_1.csv:2 holds \['1', '8'\]"),
        ("video_name,label\n1,3\n2\n", r"set_1.csv:3 holds \['2'\]"),
        ("video_name,label\nclip,3\n", "1 happiness, 2 sadness"),
    ],
)
def test_bad_lists_are_named(tmp_path, text, message):
    path = tmp_path / "set_1.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_list(path)


def test_names_are_padded(tmp_path):
    path = tmp_path / "set_1.csv"
    path.write_text("video_name,label\r\n7, 3\r\n00008,4\r\n\r\n")
    assert read_list(path) == {"00007": "neutral", "00008": "anger"}


def test_dfew_from_videos_and_from_sixteen_frames(write_tree):
    pytest.importorskip("av")
    from dferlib.datasets.standins.trees.film import write_video

    root = write_tree("dfew", subjects=1)
    for number in range(1, 6):
        frames = [np.full((48, 64, 3), 90, np.uint8)] * (number + 2)
        write_video(root / f"Clip/original/data_part_1/{number:05d}.mp4", frames)
    shutil.copytree(root / "Clip/clip_224x224", root / "Clip/clip_224x224_16f")
    assert load_manifest("dfew", root, images="videos")["n_frames"].tolist() == [3, 4, 5, 6, 7]
    assert load_manifest("dfew", root, images="16f").equals(load_manifest("dfew", root))
    shutil.rmtree(root / "Clip/clip_224x224")
    shutil.rmtree(root / "Clip/clip_224x224_16f")
    assert load_manifest("dfew", root)["n_frames"].tolist() == [3, 4, 5, 6, 7]
    with pytest.raises(DatasetError, match="no frames of DFEW"):
        load_manifest("dfew", root, images="frames")
