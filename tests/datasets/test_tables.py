"""Tables and trees as they are made elsewhere: separators, links, wrong numbers, many rows."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dferlib.datasets import DatasetError, check, load_manifest
from dferlib.datasets.folds import split_fold, subject_folds
from dferlib.datasets.manifest import make_manifest
from dferlib.datasets.readers import folder
from dferlib.datasets.readers.frames import describe_outlier
from dferlib.datasets.sources import scan_dataset

LABELS = ("anger", "fear", "happiness")


def frames(place, count=2):
    place.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("L", (8, 8), 20 * number).save(place / f"{number}.png")


ROWS = [["clips/a", "anger", "S1"], ["clips/b", "Joy", "S2"], ["clips/c,d", "fear", "S3"]]


@pytest.mark.parametrize(
    ("sign", "before", "after"),
    [
        (",", "", "\n"),
        (";", "", "\r\n"),
        ("\t", "", "\r\n"),
        (";", "\ufeffsep=;\r\n", "\r\n"),
        (";", "\n", "\n"),
    ],
)
def test_a_table_with_another_separator_is_read(tmp_path, sign, before, after):
    for name, _, _ in ROWS:
        frames(tmp_path / name)
    rows = [["path", "label", "Subject"], *ROWS]
    lines = [sign.join(f'"{cell}"' if sign in cell else cell for cell in row) for row in rows]
    (tmp_path / "labels.csv").write_text(before + after.join([*lines, ""]), encoding="utf-8")
    manifest = load_manifest("folder", tmp_path)
    assert manifest["clip_id"].tolist() == [row[0] for row in ROWS]
    assert manifest["label"].tolist() == ["anger", "happiness", "fear"]
    assert manifest["subject"].tolist() == ["S1", "S2", "S3"]
    wrong = (tmp_path / "labels.csv").read_text(encoding="utf-8").replace("Joy", "Jolly")
    (tmp_path / "labels.csv").write_text(wrong, encoding="utf-8")
    line = 3 + before.count("\n")
    with pytest.raises(DatasetError, match=rf"labels\.csv:{line}: 'Jolly' is no expression class"):
        load_manifest("folder", tmp_path)


class Counted(str):
    """A text that counts how often it is compared with others."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Counted.compared += 1
        return str.__eq__(self, other)


def comparisons(root, count, monkeypatch):
    """How often paths are compared when a table of so many clips is read."""
    frames(root / "0")
    names = ["0", *map(str, range(1, count))]
    for name in names[1:]:
        (root / name).symlink_to("0")
    lines = [f"{name},{LABELS[int(name) % 3]},S{int(name) // 4}" for name in names]
    (root / "labels.csv").write_text("\n".join(["path,label,subject", *lines]))
    inside = folder._stay_inside
    monkeypatch.setattr(folder, "_stay_inside", lambda *where: Counted(inside(*where)))
    Counted.compared = 0
    assert len(scan_dataset("folder", root).clips) == count
    monkeypatch.undo()
    return Counted.compared


def test_no_step_of_reading_a_table_looks_through_all_its_rows(tmp_path, monkeypatch):
    few = comparisons(tmp_path / "few", 20, monkeypatch)
    many = comparisons(tmp_path / "many", 200, monkeypatch)
    assert many <= 10 * few + 200  # each path in a list of all would be 20,000 more


def test_ten_thousand_subjects_make_folds():
    people = np.repeat(np.arange(10_000), 2)
    clips = pd.DataFrame({"subject": [f"P{person:05d}" for person in people]})
    clips["clip_id"] = [f"{name}/{row}" for row, name in enumerate(clips["subject"])]
    clips["label"] = np.resize(LABELS, len(clips))
    manifest = make_manifest(clips.assign(n_frames=3).to_dict("records"), "folder", "real")
    assert subject_folds(manifest).value_counts().tolist() == [2000] * 10
    split = split_fold(manifest, 3)
    assert [len(part) for part in (split.train, split.val, split.test)] == [16_000, 2000, 2000]
    assert set(people[split.test] % 10) == {2}


def test_links_that_leave_the_tree_are_said(tmp_path):
    root, away = tmp_path / "data", tmp_path / "elsewhere"
    for label in LABELS:
        frames(root / label / "1")
        frames(root / label / "2", 3)
    assert scan_dataset("folder", root).doubts == ()
    (root / "fear/3").symlink_to("2")  # within the tree
    assert scan_dataset("folder", root).doubts == ()
    shutil.move(root / "anger", away)
    (root / "anger").symlink_to(away)
    (root / "fear/1/1.png").unlink()
    (root / "fear/1/1.png").symlink_to(away / "1/1.png")
    assert scan_dataset("folder", root).doubts == (
        f"2 symbolic links lead out of this folder, such as anger to {away}: "
        "3 clips are read there",
    )
    report = check("folder", root, decode=False)
    assert [finding.level for finding in report.findings if finding.where == report.doubts] == [
        "look"
    ]
    with pytest.warns(UserWarning, match="symbolic links lead out of this folder"):
        load_manifest("folder", root)
    shutil.copytree(root, tmp_path / "whole")  # which follows the links
    none = tmp_path / "none.txt"
    (tmp_path / "whole/exclude.txt").symlink_to(none)
    assert scan_dataset("folder", tmp_path / "whole").doubts == (
        f"1 symbolic link leads out of this folder, such as exclude.txt to {none}: "
        "no clip is there",
    )
    (tmp_path / "by").symlink_to(tmp_path / "whole")  # a root may be a link itself
    assert len(scan_dataset("folder", tmp_path / "by").doubts) == 1


def test_a_frame_with_a_number_far_from_the_others_is_said():
    said = describe_outlier([Path(f"00012_{number}.jpg") for number in (4, 9, 700, 4294967296)])
    assert said.startswith("the numbers jump between 00012_700.jpg and 00012_4294967296.jpg: ")
    assert describe_outlier([Path(f"00012_{number}.jpg") for number in (4, 9, 700)]) == ""
    assert describe_outlier([Path("1.jpg")]) == ""


def test_landmarks_that_two_people_share_are_said(tmp_path):
    rng, files = np.random.default_rng(0), []
    for person in ("S001", "S002"):
        for kind in ("cohn-kanade-images", "Landmarks", "Emotion"):
            (tmp_path / kind / person / "001").mkdir(parents=True)
        for number in (1, 2, 3):
            start = f"{person}/001/{person}_001_{number:08d}"
            picture = Image.fromarray(rng.integers(0, 255, (24, 32), dtype=np.uint8))
            picture.save(tmp_path / f"cohn-kanade-images/{start}.png")
            files.append(tmp_path / f"Landmarks/{start}_landmarks.txt")
            np.savetxt(files[-1], rng.uniform(4, 20, (68, 2)))
        (tmp_path / f"Emotion/{start}_emotion.txt").write_text("3.0")
    assert check("ckplus", tmp_path).marks == ()
    shutil.copy(files[0], files[1])  # of one person: a head that keeps still
    assert check("ckplus", tmp_path).marks == ()
    shutil.copy(files[2], files[5])
    report = check("ckplus", tmp_path)
    assert report.marks == (f"S002/001: {files[5].name} = {files[2].name}",)
    (found,) = [finding for finding in report.findings if finding.where == report.marks]
    assert found.level == "look"
    assert found.what.startswith("1 landmark file is the same for two people")
