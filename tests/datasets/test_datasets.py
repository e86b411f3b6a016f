"""Where data come from, the manifest, the check of a dataset, fixtures and command line."""

import subprocess
import sys

import pytest
from PIL import Image

from dferlib.datasets import (
    DATASETS,
    DatasetError,
    MissingDatasetError,
    check,
    class_name,
    list_datasets,
    open_store,
)
from dferlib.datasets.__main__ import main
from dferlib.datasets.manifest import check_manifest, make_manifest
from dferlib.datasets.readers.folders import search
from dferlib.datasets.standins import trees


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
    with pytest.warns(UserWarning, match="using the procedural stand-in: no lists of the test"):
        assert sources.find_source("dfew", data_root=tmp_path) == "stand-in"
    with pytest.warns(UserWarning, match="using the procedural stand-in: no original images"):
        assert sources.find_source("oulu", data_root=tmp_path) == "stand-in"
    monkeypatch.setenv("DFER_DATA", str(tmp_path / "gone"))
    with pytest.warns(UserWarning, match="DFER_DATA is"):
        assert sources.find_source("oulu") == "stand-in"


def test_fraction_keeps_ten_subjects_spread_over_the_ids():
    from dferlib.datasets.readers.scan import Clip
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
    monkeypatch.setattr("dferlib.datasets.readers.folders.SEARCH_FOLDERS", 7)
    assert len(list(search(tmp_path))) == 7


def test_class_names():
    assert class_name("Happy") == class_name(" happiness ") == "happiness"
    assert class_name("Angry") == "anger"
    assert class_name("Surprised") == "surprise"
    with pytest.raises(DatasetError, match="'boredom' is no expression class"):
        class_name("boredom")


def test_class_orders():
    papers = ("ckplus", "oulu", "mmi", "afew", "dfew", "bu4dfe")
    assert list_datasets() == (*papers, "cremad", "ravdess", "folder")
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


def test_check_reports_counts_and_goes_on(ckplus_tree):
    report = check("ckplus", ckplus_tree)
    counts = report.counts.set_index("what")
    assert counts.loc["labelled clips"].tolist() == [327, 10]
    assert counts.loc["labelled subjects"].tolist() == [118, 4]
    assert counts.loc["subjects"].tolist() == [123, 5]
    assert counts.loc["sequences", "found"] == 13
    assert counts.loc["clips in fold 10"].tolist() == [22, -1]
    assert report.errors == ()
    assert report.verdict != "READY"
    assert "differs" in report.full()
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
    trees.PITFALLS["ckplus"]["text_label"](ckplus)
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
        trees.write_oulu(tmp_path)
    with pytest.raises(DatasetError, match=r"unknown pitfalls \['flood'\]"):
        trees.write_ckplus(tmp_path / "new", pitfalls=["flood"])
    with pytest.raises(DatasetError, match="layout is 'deep'"):
        trees.write_ckplus(tmp_path / "new", layout="deep")
    assert not (tmp_path / "new").exists()


def test_fixture_depends_on_the_seed_alone(tmp_path):
    roots = [trees.write_oulu(tmp_path / str(n), subjects=1, seed=n % 2) for n in range(3)]
    images = [(root / "VL/Strong/P001/Fear/004.jpeg").read_bytes() for root in roots]
    assert images[0] == images[2] != images[1]
