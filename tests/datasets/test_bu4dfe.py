"""The reader of BU-4DFE on a procedural tree."""

import pytest

from dferlib.datasets import DATASETS, DatasetError, check, load_manifest


@pytest.mark.parametrize("layout", ["flat", "nested"])
def test_bu4dfe_manifest(write_tree, layout):
    manifest = load_manifest("bu4dfe", write_tree("bu4dfe", layout=layout, subjects=4))
    assert manifest["subject"].unique().tolist() == ["F001", "F058", "M001", "M043"]
    assert manifest["label"].tolist() == list(DATASETS["bu4dfe"]) * 4
    assert manifest["clip_id"].iloc[3] == "F001/Happy"
    assert manifest["n_frames"].tolist() == [6] + [7] * 23
    assert set(manifest["apex"]) == {-1}  # nobody annotated it
    assert set(manifest["fps"]) == {25.0}


def test_bu4dfe_check(write_tree):
    report = check("bu4dfe", write_tree("bu4dfe", subjects=4))
    assert report.problems == ("F001/Angry lacks the textures [2]",)
    counts = report.counts.set_index("what")
    assert counts.loc["sequences"].tolist() == [606, 24]
    assert counts.loc["women"].tolist() == [58, 2]
    assert counts.loc["clips in fold 1"].tolist() == [66, -1]


def test_bu4dfe_damage(write_tree):
    root = write_tree("bu4dfe", pitfalls=["truncated_image"])
    assert "F001/Angry/000.jpg" in check("bu4dfe", root).errors[0].replace("\\", "/")


def test_bu4dfe_missing_emotion(write_tree):
    root = write_tree("bu4dfe", pitfalls=["no_emotion"])
    (root / "M001/Boredom").mkdir()
    problems = check("bu4dfe", root, decode=False).problems
    assert {"F001 has no anger", "M001/Boredom: folder ignored"} <= set(problems)
    assert len(load_manifest("bu4dfe", root, exclude=["M001/Sad"])) == 10


def test_scans_without_textures_are_reported(write_tree):
    root = write_tree("bu4dfe", subjects=1)
    for path in (root / "F001/Fear").glob("*.jpg"):
        path.unlink()
    assert "F001/Fear has no textures" in check("bu4dfe", root).problems


def test_static_scans_are_refused_with_the_reason(write_tree):
    root = write_tree("bu4dfe", pitfalls=["static"])
    with pytest.raises(DatasetError, match="belongs to BU-3DFE, which holds single scans"):
        load_manifest("bu4dfe", root)


def test_bu4dfe_not_there(tmp_path):
    with pytest.raises(DatasetError, match=r"Access: .*binghamton"):
        load_manifest("bu4dfe", tmp_path)
