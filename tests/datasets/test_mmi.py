"""The reader of MMI on a procedural tree: XML, views, apex, what is left out."""

import numpy as np
import pytest

from dferlib.datasets import DatasetError, check, load_manifest
from dferlib.datasets.readers.mmi import scan
from dferlib.datasets.readers.mmi_xml import read_onset_and_apex, read_view, read_xml
from dferlib.datasets.readers.scan import View


@pytest.mark.parametrize("layout", ["flat", "nested"])
def test_mmi_manifest(write_tree, layout):
    manifest = load_manifest("mmi", write_tree("mmi", layout=layout))
    clips = ["2/S001-001", "3/S002-001", "501/S001-002", "502/S002-002"]
    assert manifest["clip_id"].tolist() == clips
    assert manifest["subject"].tolist() == ["S001", "S002", "S001", "S002"]
    assert manifest["label"].tolist() == ["anger", "fear", "disgust", "happiness"]
    assert (manifest["n_frames"] == 7).all()
    # action units are coded in the first and the last: onset and apex in frames 2 and 3 from 1
    assert manifest["apex"].tolist() == [2, -1, -1, 2]
    assert manifest["onset"].tolist() == [1, -1, -1, 1]


def test_mmi_counts_what_is_left_out(write_tree):
    report = check("mmi", write_tree("mmi"))
    assert [text for text in report.problems if "left out" in text] == [
        "1 session left out: emotion 9, which is none of the six",
        "1 session left out: no emotion label",
        "1 session left out: profile view",
        "1 session left out: stills, no video",
    ]
    counts = report.counts.set_index("what")
    assert counts.loc["sessions"].tolist() == [-1, 8]  # nobody knows how many there should be
    assert report.errors == ()
    assert report.differences.empty
    assert "differs" not in str(report)


def test_mmi_views_and_their_override(write_tree):
    root = write_tree("mmi")
    dual, _, single, _ = scan(root).clips
    assert dual.views == (View("left"), View("right"))
    assert single.views == (View(turn=90), View())
    given = scan(root, orientation={"S001": "upright", "2": "right"}).clips
    assert [clip.views for clip in given[:3:2]] == [(View("right"),), (View(),)]
    with pytest.raises(DatasetError, match="'sideways', allowed are upright, turned"):
        scan(root, orientation={"2": "sideways"}).refuse_errors()


def test_mmi_store(write_tree, open_real):
    store = open_real("mmi", write_tree("mmi", subjects=1))
    assert store.frames.shape == (14, 48, 48, 3)
    assert store.notes == {}
    # the half with the frontal view and the turned view: one neutral face, upright in both
    dual, turned = (store.clip(row)[0].astype(float) for row in (0, 1))
    assert np.corrcoef(dual.ravel(), turned.ravel())[0, 1] > 0.85
    assert np.corrcoef(dual.ravel(), np.rot90(turned).ravel())[0, 1] < 0.7


def test_mmi_sessions_from_a_list(write_tree, tmp_path):
    root = write_tree("mmi")
    (tmp_path / "list.txt").write_text("501\n2\n")
    manifest = load_manifest("mmi", root, sessions=str(tmp_path / "list.txt"))
    assert manifest["clip_id"].tolist() == ["2/S001-001", "501/S001-002"]
    assert len(load_manifest("mmi", root, sessions=["502"], exclude=[])) == 1
    with pytest.raises(DatasetError, match=r"sessions names \['7'\]"):
        load_manifest("mmi", root, sessions=["7"])
    with pytest.raises(DatasetError, match=r"gone\.txt cannot be read"):
        load_manifest("mmi", root, sessions=str(tmp_path / "gone.txt"))


@pytest.mark.parametrize(
    ("pitfall", "message"),
    [("two_videos", "has 2 videos"), ("entities", "declares entities")],
)
def test_mmi_bad_sessions_are_named(write_tree, pitfall, message):
    root = write_tree("mmi", pitfalls=[pitfall])
    with pytest.raises(DatasetError, match=message):
        load_manifest("mmi", root)
    assert len(check("mmi", root).errors) == 1
    assert len(scan(root).clips) == 3


def test_mmi_truncated_video_is_named(write_tree):
    report = check("mmi", write_tree("mmi", pitfalls=["truncated_video"]))
    assert len(report.errors) == 1
    assert "2/S001-001.avi" in report.errors[0].replace("\\", "/")


def coding(tmp_path, *units):
    """An AU file; every unit is a list of (frame from 1, type)."""
    marks = [
        "".join(f'<Marker Type="{kind}" Frame="{frame}"/>' for frame, kind in unit)
        for unit in units
    ]
    path = tmp_path / "S001-001-oao_aucs.xml"
    text = "".join(f'<ActionUnit Number="x">{mark}</ActionUnit>' for mark in marks)
    path.write_text(f"<a>{text}</a>")
    return path


@pytest.mark.parametrize(
    ("units", "found"),
    [
        # frames 5 to 8 from 1, which are 4 to 7 from 0
        ([[(1, 0), (3, 1), (5, 2), (9, 3), (12, 0)]], (2, 5)),
        # both together in frames 7 and 8 from 1
        ([[(2, 1), (5, 2), (9, 3)], [(4, 1), (7, 2), (12, 3)]], (1, 6)),
        # held to the end of a clip of 12
        ([[(2, 1), (5, 2)]], (1, 7)),
        # twice: the longer one, 8 to 11 from 1
        ([[(1, 1), (3, 2), (4, 3), (6, 1), (8, 2), (12, 3)]], (0, 8)),
        # no onset
        ([[(1, 2), (4, 3)]], (-1, 1)),
        ([[(1, 0), (3, 1)]], None),
        ([], None),
    ],
)
def test_apex_by_hand(tmp_path, units, found):
    assert read_onset_and_apex(coding(tmp_path, *units), 12) == found


def test_implausible_coding_is_reported_and_the_peak_unknown(write_tree, tmp_path):
    with pytest.raises(DatasetError, match="marks frame 13 of a clip of 12"):
        read_onset_and_apex(coding(tmp_path, [(13, 2)]), 12)
    with pytest.raises(DatasetError, match="right after an offset"):
        read_onset_and_apex(coding(tmp_path, [(3, 3), (5, 2)]), 12)
    root = write_tree("mmi")
    path = next(root.rglob("Sessions/2/*oao*"))
    path.write_text(path.read_text().replace('Frame="7"', 'Frame="99"'))
    found = scan(root)
    assert found.clips[0].apex == -1
    assert any("2/S001-001: apex unknown" in text for text in found.problems)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a><b></a>", "mismatched tag"),
        ("", "no element found"),
        ('<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>', "declares entities"),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hosts">]><a>&b;</a>', "declares entities"),
    ],
)
def test_bad_xml_is_named(tmp_path, text, message):
    path = tmp_path / "session.xml"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message) as error:
        read_xml(path)
    assert str(path) in str(error.value)


def test_the_view_of_the_videos_own_track(tmp_path):
    path = tmp_path / "session.xml"
    track = '<track filename="{}" view="{}"/>'.format
    path.write_text(f"<s><track/>{track('a.avi', 1)}{track('B.AVI', 2)}</s>")
    assert [read_view(path, name) for name in ("b.avi", "a.avi", "c.avi")] == ["2", "1", "1"]
    path.write_text("<s/>")
    assert read_view(path) == ""


def test_mmi_not_there(tmp_path):
    with pytest.raises(DatasetError, match=r"mmifacedb\.eu"):
        load_manifest("mmi", tmp_path)
