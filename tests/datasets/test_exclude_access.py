"""Clips that a user leaves out with a file, and the table of how to get each dataset."""

import re
from pathlib import Path

import pytest

from dferlib.datasets import DatasetError, check, list_datasets, load_manifest, open_store
from dferlib.datasets.__main__ import main
from dferlib.datasets.readers.access import ACCESS, ASK, access_table
from dferlib.datasets.readers.scan import read_exclude
from dferlib.datasets.sources import load_reader

README = Path(__file__).parents[2] / "README.md"


def test_excluded_clips_are_not_in_the_manifest_nor_in_the_store(ckplus, open_real):
    everything = set(load_manifest("ckplus", ckplus)["clip_id"])
    text = "\ufeff# my list\nS005/001  # wrong label\n\n  S010/003\n"
    (ckplus / "exclude.txt").write_text(text, encoding="utf-8")
    left = everything - {"S005/001", "S010/003"}
    assert set(load_manifest("ckplus", ckplus)["clip_id"]) == left
    assert set(open_real("ckplus", ckplus).manifest["clip_id"]) == left
    both = load_manifest("ckplus", ckplus, exclude=["S010/002", "S005/001"])
    assert set(both["clip_id"]) == left - {"S010/002"}


def test_a_damaged_clip_can_be_left_out(ckplus):
    (label,) = ckplus.rglob("S005_001_*_emotion.txt")
    label.write_text("happy")
    with pytest.raises(DatasetError, match=r"ids in exclude\.txt"):
        load_manifest("ckplus", ckplus)
    (ckplus / "exclude.txt").write_text("S005/001")
    assert "S005/001" not in set(load_manifest("ckplus", ckplus)["clip_id"])
    assert check("ckplus", ckplus, decode=False).errors == ()


def test_a_misspelt_id_is_refused(ckplus):
    (ckplus / "exclude.txt").write_text("S005/1")
    with pytest.raises(DatasetError, match=r"exclude names \['S005/1'\].*exclude\.txt"):
        load_manifest("ckplus", ckplus)


def test_one_list_serves_all_parts_of_a_dataset(oulu, write_tree):
    base = oulu / "B_OriginalImg/B_OriginalImg/OriginalImg"
    (oulu / "exclude.txt").write_text("VL/Strong/P001/Anger\nNI/Strong/P001/Fear")
    assert base.is_dir()
    assert len(load_manifest("oulu", oulu)) == 11
    assert len(load_manifest("oulu", oulu, camera="NI")) == 5
    root = write_tree("ravdess", subjects=3)
    names = [load_manifest("ravdess", root, channel=c)["clip_id"][0] for c in ("speech", "song")]
    (root / "exclude.txt").write_text("\n".join(names))
    for channel, name in zip(("speech", "song"), names, strict=True):
        clips = set(load_manifest("ravdess", root, channel=channel)["clip_id"])
        assert clips
        assert name not in clips


def test_a_list_that_is_no_text_is_named(tmp_path):
    (tmp_path / "exclude.txt").write_bytes(b"\xff\xfe\x00S")
    with pytest.raises(DatasetError, match=r"exclude\.txt cannot be read"):
        read_exclude(tmp_path)
    assert read_exclude(tmp_path / "elsewhere") == ()


def test_the_store_follows_the_list(ckplus, tmp_path, open_real):
    before = open_real("ckplus", ckplus).key
    (ckplus / "exclude.txt").write_text("S005/001")
    assert open_real("ckplus", ckplus).key != before


def test_every_dataset_says_how_to_get_it(monkeypatch):
    monkeypatch.delenv("DFER_DATA", raising=False)
    assert set(ACCESS) == set(list_datasets()) - {"folder"}
    for name, entry in ACCESS.items():
        text = load_reader(name).HELP
        for word in (*entry.where, entry.who, entry.cost, entry.shown):
            assert word in text
        with pytest.raises(DatasetError, match=re.escape(entry.where[0])):
            open_store(name, source="real")


def test_only_confirmed_facts_stand_in_the_table():
    open_to_all = {name for name, entry in ACCESS.items() if entry.who == "anyone"}
    assert open_to_all == {"cremad", "ravdess"}
    stated = {name for name, entry in ACCESS.items() if ASK not in (entry.who, entry.cost)}
    assert stated == open_to_all | {"dfew"}
    unsure = {name for name, entry in ACCESS.items() if not entry.sure}
    assert unsure == {"oulu", "mmi", "afew"}
    assert access_table().count("(address not confirmed)") == 3


def test_the_readme_has_the_table_of_the_command_line(capsys):
    assert main(["access"]) == 0
    printed = capsys.readouterr().out.strip()
    block = re.search(
        r"<!-- access: .*?-->\n(.*?)\n<!-- end of access -->", README.read_text(), re.S
    )
    assert block
    assert block[1].strip() == printed
