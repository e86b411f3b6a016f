"""The check of a dataset: what it finds in damaged, doubled and mislabelled trees."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dferlib.datasets import DATASETS, FrameStore, check, check_store
from dferlib.datasets.__main__ import main
from dferlib.datasets.doctor import inspection
from dferlib.datasets.doctor.contact_sheet import contact_sheet
from dferlib.datasets.doctor.diagnosis import match_counts, same_names
from dferlib.datasets.doctor.likeness import face_likeness, find_twins, key_frames, thumbnails
from dferlib.datasets.manifest import make_manifest

LENGTH = 5


def smooth(rng, size=48):
    """A picture of a few soft spots, as no other one."""
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC))


def moving(rng, size=48):
    """Frames (5, size, size, 3) that go from one picture to another."""
    first, last = smooth(rng, size).astype(float), smooth(rng, size).astype(float)
    return np.stack([first + (last - first) * t for t in np.linspace(0, 0.5, LENGTH)]).astype("u1")


def compressed(frame, quality=40):
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def write_clip(folder, frames):
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number}.png")


@pytest.fixture
def clips(tmp_path):
    """Six subjects with two clips each, as a folder of clips with a table; crops already."""
    rng, rows = np.random.default_rng(0), []
    for subject in range(1, 7):
        for label in ("happiness", "anger"):
            write_clip(tmp_path / f"data/S{subject}/{label}", moving(rng))
            rows.append((f"S{subject}/{label}", label, f"S{subject}"))
    write_table(tmp_path / "data", rows)
    return tmp_path / "data"


def write_table(root, rows):
    table = pd.DataFrame(rows, columns=["path", "label", "subject"])
    table.to_csv(root / "labels.csv", index=False)


def add_rows(root, *rows):
    table = pd.read_csv(root / "labels.csv")
    write_table(root, [*table.itertuples(index=False, name=None), *rows])


def look(root, **options):
    return check("folder", root, cropped=True, **options)


def find(report, text):
    (finding,) = [finding for finding in report.findings if text in finding.what]
    return finding


def test_a_sound_folder_is_ready(clips):
    report = look(clips)
    assert report.verdict == "READY"
    assert report.verdict == "READY"
    assert report.errors == ()
    assert report.kinds.values.tolist() == [[48, 48, "RGB", 60]]
    assert len(report.worst) == 12
    text = str(report)
    assert "12 clips of 6 subjects; frames: 5 (S1/happiness) to 5" in text
    assert "class order: 0 anger, 1 happiness" in text
    assert "60 of 48 x 48 RGB" in text


def test_copies_are_found_in_another_folder_and_under_another_label(clips):
    shutil.copytree(clips / "S1/anger", clips / "S6/copy")
    add_rows(clips, ("S6/copy", "happiness", "S6"))
    report = look(clips)
    assert find(report, "the same files under two labels").where == (
        "S1/anger (anger) = S6/copy (happiness)",
    )
    assert report.verdict != "READY"
    assert "exclude.txt" in str(report)
    (clips / "exclude.txt").write_text("S6/copy")
    assert look(clips).verdict == "READY"


def test_a_copy_that_was_compressed_anew_leaks_into_another_fold(clips):
    frames = [np.asarray(Image.open(p)) for p in sorted((clips / "S1/anger").iterdir())]
    write_clip(clips / "S6/again", [compressed(frame) for frame in frames])
    add_rows(clips, ("S6/again", "anger", "S6"))
    report = look(clips)
    assert report.folds["subjects"].tolist() == [1] * 6  # six subjects cannot fill ten folds
    assert find(report, "lie in different folds").where == ("S1/anger ~ S6/again",)
    assert report.copies == ()
    assert report.twins["apart"].tolist() == ["folds"]


def test_damaged_and_empty_files_are_told_apart_and_all_named(clips):
    (clips / "S2/anger/3.png").write_bytes(b"")
    (clips / "S3/anger/1.png").write_bytes((clips / "S3/anger/1.png").read_bytes()[:80])
    (clips / "S3/anger/4.png").write_text("no image")
    report = look(clips)
    assert report.verdict.startswith("NOT READY")
    assert len(report.errors) == 3
    assert "S2/anger/3.png is empty: 0 bytes" in report.errors[0]
    assert len(report.worst) == 10  # the sound clips are looked at all the same


def test_people_who_are_spelt_in_two_ways(clips):
    table = (clips / "labels.csv").read_text()
    (clips / "labels.csv").write_text(table.replace("S6/anger,anger,S6", "S6/anger,anger,s06"))
    assert "S6, s06 look like one person" in find(look(clips), "one person").what
    assert same_names(["S001", "S1", "P001", "s-1"]) == [["S001", "S1", "s-1"]]
    assert same_names(["S10", "S100", "S1"]) == []


def test_unknown_subjects_and_a_single_class_are_said(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(3):
        write_clip(tmp_path / f"Happy/{number}", moving(rng))
    report = look(tmp_path)
    assert find(report, "nobody knows who is shown").level == "note"
    assert find(report, "clips of one class").level == "stop"


def test_clips_without_a_face_are_counted_and_pictured(clips):
    report = check("folder", clips)  # not cropped: there is no face in these pictures
    finding = find(report, "no face found")
    assert finding.what.startswith("12 of 12 clips")
    assert len(finding.where) == 12
    assert set(report.worst["note"]) == set(report.notes.values())


def test_many_clips_are_read_in_other_processes(clips, monkeypatch):
    alone = look(clips)
    monkeypatch.setattr(inspection, "CLIPS_PER_WORKER", 1)
    monkeypatch.setattr(inspection, "CLIPS_PER_JOB", 5)
    monkeypatch.setattr(inspection, "cpu_count", lambda: 2)
    together = look(clips)
    pd.testing.assert_frame_equal(alone.worst, together.worst)
    np.testing.assert_array_equal(alone.crops, together.crops)


def test_the_quick_check_reads_headers_only(clips, monkeypatch):
    (clips / "S2/anger/3.png").write_bytes(b"")
    monkeypatch.setattr(inspection, "load_rgb", None)
    report = look(clips, decode=False)
    assert report.errors == ()
    assert report.sheet() is None
    assert report.kinds["count"].tolist() == [12]  # the first of every clip


def test_page_and_pictures_on_the_command_line(clips, tmp_path, capsys):
    crops, page = tmp_path / "out/worst.png", tmp_path / "out/report.html"
    assert main(["check", "folder", str(clips), "--crops", str(crops), "--page", str(page)]) == 0
    assert Image.open(crops).size[0] > 500
    text = page.read_text(encoding="utf-8")
    assert "<img alt=" in text
    assert "12 of 12 clips: no face found" in text
    assert main(["check", "folder", str(clips), "--quick", "--crops", str(crops)]) == 2
    assert "no crop was looked at" in capsys.readouterr().err


def test_data_that_is_not_ready_ends_with_status_1(clips, capsys):
    rows = pd.read_csv(clips / "labels.csv")
    write_table(clips, rows[rows["subject"] < "S3"].itertuples(index=False, name=None))
    assert main(["check", "folder", str(clips), "--quick"]) == 1
    text = capsys.readouterr().out
    assert "[stop] 2 subjects\n  -> training, validation and test need 3 or more" in text


def test_the_same_copies_many_times_are_one_finding(clips):
    for subject in (1, 2):
        shutil.copytree(clips / f"S{subject}/anger", clips / f"S6/copy{subject}")
        add_rows(clips, (f"S6/copy{subject}", "anger", "S6"))
    finding = find(look(clips), "the same files twice")
    assert finding.what.startswith("2 groups of clips")
    assert len(finding.where) == 2


def test_what_is_asked_of_other_counts_depends_on_the_clips(write_tree, monkeypatch):
    from dferlib.datasets.readers import bu4dfe
    from dferlib.datasets.readers.scan import Golden

    root = write_tree("bu4dfe", subjects=4)
    for each, asked in ((5, "still packed"), (3, "two copies?"), (4, "-> say n beside")):
        classes = dict.fromkeys(DATASETS["bu4dfe"], each)
        golden = Golden({"subjects": 101}, classes)
        monkeypatch.setattr(bu4dfe, "GOLDEN", golden)
        finding = find(check("bu4dfe", root, decode=False), "copy that papers describe")
        assert asked in f"-> {finding.do}"


def test_names_in_the_page_cannot_be_markup(clips):
    shutil.copytree(clips / "S1/anger", clips / "<b>x")
    add_rows(clips, ("<b>x", "anger", "<i>"))
    page = look(clips)._repr_html_()
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;x" in page


def store_of(source, frames, labels, subjects):
    rows = [
        {"clip_id": f"c{i}", "subject": s, "label": name, "n_frames": LENGTH}
        for i, (name, s) in enumerate(zip(labels, subjects, strict=True))
    ]
    manifest = make_manifest(rows, "oulu", source)
    facts = {"path": Path(), "size": 48, "dataset": "oulu", "source": source, "key": ""}
    return FrameStore(manifest, frames, classes=DATASETS["oulu"], pixels="", **facts)


def test_the_store_of_a_stand_in_gets_a_short_report():
    rng = np.random.default_rng(0)
    frames = np.concatenate([moving(rng) for _ in range(12)])
    subjects = [f"P{i // 2}" for i in range(12)]
    report = check_store(
        store_of("synthetic", frames, ["fear", "anger"] * 6, subjects), num_folds=3
    )
    assert report.sheet() is None
    assert report.folds["subjects"].tolist() == [2, 2, 2]
    assert report.leaks == ()
    assert "Procedural faces that stand in for oulu" in str(report)
    assert find(report, "not every fold tests every class").level == "note"


def test_the_store_of_real_data_says_what_its_folder_does(oulu, open_real):
    store = open_real("oulu", oulu, fraction=1.0)
    report = check_store(store, data_root=oulu, num_folds=3)
    there = check("oulu", oulu)
    pd.testing.assert_frame_equal(report.counts, there.counts)
    assert report.notes == store.notes
    assert "filled" in report.read
    assert set(report.worst["clip_id"]) == set(store.manifest["clip_id"])
    assert report.crops.shape[1:] == (48, 48, 3)


def by_loops(thumbs, alike=0.95, moves=0.8):
    pairs = []
    for i in range(len(thumbs)):
        for j in range(i + 1, len(thumbs)):
            look = np.corrcoef(thumbs[i].ravel(), thumbs[j].ravel())[0, 1]
            change = [(clip[1:] - clip[:1]).ravel() for clip in (thumbs[i], thumbs[j])]
            if look >= alike and np.corrcoef(*change)[0, 1] >= moves:
                pairs.append((i, j))
    return pairs


def test_twins_are_those_of_explicit_loops():
    rng = np.random.default_rng(0)
    clips = [moving(rng)[[0, 2, 4]] for _ in range(12)]
    person = clips[0].astype(float)
    other = person[:1] + (moving(rng)[[0, 2, 4]] - person[:1]) * np.reshape(
        [0, 0.05, 0.1], (3, 1, 1, 1)
    )
    clips += [np.stack([compressed(f) for f in clips[3]]), other.astype("u1")]
    clips += [np.clip(clips[5] * 1.15, 0, 255).astype("u1")]
    thumbs = thumbnails(np.stack(clips))
    found = find_twins(thumbs)
    assert sorted(zip(found["first"], found["second"], strict=True)) == by_loops(thumbs)
    assert by_loops(thumbs) == [(3, 12), (5, 14)]  # and not the other take of person 0


def test_still_clips_are_twins_only_if_they_are_the_same():
    rng = np.random.default_rng(0)
    still = np.repeat(smooth(rng)[None, None], 3, axis=1)
    other = np.repeat(smooth(rng)[None, None], 3, axis=1)
    grey = np.full_like(still, 128)
    found = find_twins(thumbnails(np.concatenate([still, other, still, grey, grey])))
    assert found[["first", "second"]].values.tolist() == [[0, 2]]


def test_thousands_of_clips_are_compared_without_a_loop_over_pairs():
    thumbs = np.random.default_rng(0).integers(0, 256, (2500, 3, 16, 16)).astype(np.float32)
    thumbs[2400] = thumbs[3]
    assert find_twins(thumbs)[["first", "second"]].values.tolist() == [[3, 2400]]


def test_a_turned_face_looks_least_like_the_others(oulu_tree, open_real):
    store = open_real("oulu", oulu_tree)
    frames = np.stack([store.clip(row)[key_frames(len(store.clip(row)))] for row in range(12)])
    frames[5] = np.rot90(frames[5], 1, (1, 2))
    frames[8, 1] = np.random.default_rng(0).integers(0, 256, frames[8, 1].shape)
    likeness = face_likeness(thumbnails(frames))
    assert set(likeness.min(axis=1).argsort()[:2]) == {5, 8}
    assert likeness[8].argmin() == 1
    assert not face_likeness(np.full((2, 3, 16, 16), 7, np.float32)).any()


def test_mixed_up_labels_are_seen_in_the_counts():
    known = [45, 18, 59, 25, 69, 28, 83]
    assert match_counts(known, known) is None
    assert match_counts([18, 59, 25, 69, 28, 83, 45], known) == [1, 2, 3, 4, 5, 6, 0]
    assert match_counts([45, 18, 59, 25, 28, 70, 83], known) == [0, 1, 2, 3, 5, 4, 6]
    assert match_counts([20, 9, 30, 12, 35, 14, 40], known) is None  # a part of the data
    assert match_counts([80, 70, 90], [80, 80, 80]) is None


def test_swapped_classes_are_reported(write_tree, monkeypatch):
    root = write_tree("bu4dfe", subjects=4)
    for folder in sorted(root.rglob("Fear"))[:3]:
        shutil.rmtree(folder)
    from dferlib.datasets.readers import bu4dfe
    from dferlib.datasets.readers.scan import Golden

    counts = dict.fromkeys(DATASETS["bu4dfe"], 4) | {"anger": 1}
    monkeypatch.setattr(bu4dfe, "GOLDEN", Golden({}, counts))
    finding = find(check("bu4dfe", root, decode=False), "shifted or swapped")
    assert finding.where == ("anger -> fear", "fear -> anger")


def test_a_contact_sheet_holds_every_crop():
    crops = np.stack([np.full((8, 8, 3), 10 * number, np.uint8) for number in range(8)])
    sheet = np.asarray(contact_sheet(crops, [f"clip {number}" for number in range(8)]))
    for number in range(8):
        assert (sheet == 10 * number).all(axis=2).sum() >= 112 * 112
    with pytest.raises(ValueError, match="8 crops and 1 captions"):
        contact_sheet(crops, ["one"])


def test_no_caption_runs_into_the_next():
    white = np.full((2, 8, 8, 3), 255, np.uint8)
    sheet = np.asarray(contact_sheet(white, ["0.50 W_WIDE_LETTERS_WWWW_MMMM_WWWW_MMMM_WW", "x"]))
    assert (sheet[:, 8:120] < 128).any()
    assert (sheet[:, 120:128] == 255).all()  # the gap between the two crops
