"""The reader of any clips: folders of classes, or a table."""

from itertools import pairwise

import numpy as np
import pytest

from dferlib.datasets import DatasetError, MissingDatasetError, check, load_manifest, open_store
from dferlib.datasets.faces.geometry import crop
from dferlib.datasets.media.images import load_rgb


def test_folders_of_classes(write_tree, open_real):
    root = write_tree("folder")
    manifest = load_manifest("folder", root)
    clips = ["Anger/S01", "Anger/S02", "Happiness/S01", "Happiness/S02"]
    assert manifest["clip_id"].tolist() == clips
    assert (manifest["subject"] == manifest["clip_id"]).all()
    store = open_real("folder", root, cropped=True)
    assert store.classes == ("anger", "happiness")
    # frames 9, 10, 11, by number and not by name
    whole = [load_rgb(root / f"Anger/S01/frame_{number}.png") for number in (9, 10, 11)]
    assert [np.abs(one - other).mean() > 0 for one, other in pairwise(whole)] == [True, True]
    wanted = [crop(frame, (0, 0, 320, 240), 48, margin=0) for frame in whole]
    assert np.array_equal(store.clip(0), wanted)


def test_table_with_subjects(write_tree):
    root = write_tree("folder", layout="table")
    manifest = load_manifest("folder", root)
    assert manifest["clip_id"].tolist()[:2] == ["S01/happiness", "S01/anger"]
    assert manifest["subject"].tolist() == ["S01", "S01", "S02", "S02"]
    assert "labels.csv" in check("folder", root).layout
    assert len(load_manifest("folder", root, exclude=["S01/anger"])) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../other/clip,fear,S1", "does not lead to a clip below the table"),
        ("S01/../../other,fear,S1", "does not lead to a clip below"),
        ("..\\other,fear,S1", "does not lead to a clip below"),
        (",fear,S1", "does not lead to a clip below"),
        ("/data/clip,fear,S1", "is absolute"),
        ("C:\\clips\\a,fear,S1", "is absolute"),
        ("S01/anger,boredom,S1", r"labels.csv:6: 'boredom' is no expression class"),
        ("S01/anger,fear,S1", "lists 'S01/anger' twice"),
        ("S01/./anger,fear,S1", "lists 'S01/anger' twice"),
        ("S09/anger,fear,S1", "clip S09/anger is not below"),
    ],
)
def test_bad_lines_of_a_table(write_tree, line, message):
    root = write_tree("folder", layout="table")
    with open(root / "labels.csv", "a") as file:
        file.write(f"{line}\n")
    with pytest.raises(DatasetError, match=message):
        load_manifest("folder", root)


def test_table_without_subjects_and_with_backslashes(write_tree):
    root = write_tree("folder", layout="table")
    (root / "labels.csv").write_text("path, label\nS01\\anger, Angry\nS02/anger, angry\n")
    manifest = load_manifest("folder", root)
    assert manifest["subject"].tolist() == ["S01/anger", "S02/anger"]
    (root / "labels.csv").write_text("file,label\na,anger\n")
    with pytest.raises(DatasetError, match=r"lacks the columns \['path'\]"):
        load_manifest("folder", root)


def test_videos_in_folders_of_classes(write_tree):
    pytest.importorskip("av")
    import numpy as np

    from dferlib.datasets.standins.trees.film import write_video

    root = write_tree("folder")
    write_video(root / "Anger/a.mp4", [np.full((48, 64, 3), 90, np.uint8)] * 5, fps=10)
    (root / "Anger/notes.txt").write_text("")
    (root / "Anger/.DS_Store").write_text("")
    manifest = load_manifest("folder", root).set_index("clip_id")
    assert manifest.loc["Anger/a.mp4", ["n_frames", "fps"]].tolist() == [5, 10.0]
    assert len(manifest) == 5


def test_unknown_classes_and_empty_clips(write_tree):
    root = write_tree("folder", pitfalls=["no_frames"])
    with pytest.raises(DatasetError, match="S01 has no frames with a number"):
        load_manifest("folder", root)
    (root / "Boredom").mkdir()
    with pytest.raises(DatasetError, match="'Boredom' is no expression class"):
        load_manifest("folder", root)


def test_nothing_there(tmp_path):
    with pytest.raises(MissingDatasetError, match="no clips below"):
        load_manifest("folder", tmp_path)
    with pytest.raises(DatasetError, match="has no procedural stand-in"):
        open_store("folder", source="synthetic")
