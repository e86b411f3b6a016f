"""The audit finds by itself what a person found in the five papers, and flags nothing sound."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dferlib.evidence.audit.__main__ import main
from dferlib.evidence.audit.consistency import fold_patterns
from dferlib.evidence.audit.matrices import class_sizes, possible_rows
from dferlib.evidence.audit.printed import UnreadableTableError, read_printed, tidy_printed
from dferlib.evidence.audit.report import audit_numbers, audit_papers, flagged, summarise
from dferlib.files import project_root

# What a person found: (paper, dataset, check, what it says), as regular expressions over findings
LISTED = {
    "STCAM: an accuracy rounded up": ("stcam", "mmi", "k of n", r"77.8846.*rounded up"),
    "STCAM: cut off and rounded on Oulu": ("stcam", "oulu", "rounding", r"89.16, 90.62.*90.21"),
    "STCAM: cut off and rounded on MMI": ("stcam", "mmi", "rounding", r"78.84.*77.89"),
    "STCAM: matrix of CK+ is 324/327": ("stcam", "ckplus", "matrix accuracy", "324 of 327"),
    "STCAM: matrix of Oulu is 438/480": ("stcam", "oulu", "matrix accuracy", "438 of 480"),
    "STCAM: matrix of MMI is 171/208": ("stcam", "mmi", "matrix accuracy", "171 of 208"),
    "STCAM: MMI's class sizes": (
        *("stcam", "mmi", "class sizes"),
        "33, 32, 28, 42, 32, 41 or 34, 32, 28, 41, 32, 41$",
    ),
    "STCAM: STAM alone does not help": ("stcam", "ckplus", "order", "Baseline: 98.47.*98.47"),
    "STCAM: STAM + 3D-CAM does not help": ("stcam", "mmi", "order", "77.89 against 78.84"),
    "CEFLNet: BU-3DFE is k of 600": ("ceflnet", "bu4dfe", "which n", "counts of 600"),
    "CEFLNet: but for 62.77": ("ceflnet", "bu4dfe", "k of n", "no count of 606.*540"),
    "CEFLNet: MMI is 182 of 200": ("ceflnet", "mmi", "k of n", "no count of 205.*182 of 200"),
    "CEFLNet: three fold patterns": ("ceflnet", "mmi", "mean and s.d.", "20 clips, 3 patterns"),
    "CEFLNet: 190 of 352": ("ceflnet", "afew", "k of n", "190 of 352"),
    "CEFLNet: C3D 106 of 352": ("ceflnet", "afew", "k of n", "106 of 352"),
    "CEFLNet: MMI's recalls": ("ceflnet", "mmi", "recalls against accuracy", "94.33"),
    "CEFLNet: MACs are per frame": ("ceflnet", "bu4dfe", "MACs", "12.75.*through zero"),
    "CEFLNet: 2.45 matches nothing": ("ceflnet", "afew", "difference", "DenseNet-161"),
    "CEFLNet: the second best": ("ceflnet", "mmi", "rank", "WMCNN-LSTM"),
    "HACN: 98.46 of 327": ("hacn", "ckplus", "k of n", "no count of 327.*5 folds of 65"),
    "HACN: 87.31 of 480 or 1440": ("hacn", "oulu", "k of n", "480 or 1440.*5 folds of 93"),
    "HACN: k = mean(N)": ("hacn", "ckplus", "mean", "mean of 5 of frames from 10"),
    "STT: 54.23 is of 378": ("stt", "afew", "k of n", "no count of 383.*378"),
    "STT: AFEW is k of 381": ("stt", "afew", "which n", "counts of 381"),
    "STT: 2.71 is 2.17": ("stt", "dfew", "difference of WAR", "none \\(LSTM baseline\\)"),
    "STT: 66.65 is 65.70": ("stt", "dfew", "text against table", "another"),
    "STT: 12,509 clips": ("stt", "dfew", "listed clips", "11697"),
    "STT: disgust": ("stt", "dfew", "recall disgust", "5 of them is 3.45"),
    "STT: the GRU row's UAR": ("stt", "dfew", "recalls against UAR", "51.8957"),
    "STT: the GRU row's WAR": ("stt", "dfew", "recalls against WAR", "64.0957"),
    "ECNN-FSA: Table 2 is k of 371": ("ecnn_fsa", "afew", "which n", "counts of 371"),
    "ECNN-FSA: Table 3 is k of 366": ("ecnn_fsa", "afew", "which n", "counts of 366"),
    "ECNN-FSA: 49.78 fits no n": ("ecnn_fsa", "afew", "k of n", "nor of any n 338 to 390"),
    "ECNN-FSA: Table 4 is k of 196": ("ecnn_fsa", "ckplus", "which n", "counts of 196"),
    "ECNN-FSA: Table 10 is 160 of 374": ("ecnn_fsa", "afew", "matrix accuracy", "160 of 374"),
    "ECNN-FSA: its clips are 374": ("ecnn_fsa", "afew", "matrix clips", "374 clips"),
    "ECNN-FSA: Table 5 counts no clips": ("ecnn_fsa", "ckplus", "matrix row", "no counts"),
    "ECNN-FSA: 4.21 is 8.21": ("ecnn_fsa", "afew", "difference", "CNN-LSTM"),
    "ECNN-FSA: tables mis-cited": ("ecnn_fsa", "afew", "difference", "Table 6 does"),
    "ECNN-FSA: F1 of two layers": ("ecnn_fsa", "afew", "order of F1", "29.50 against 29.54"),
    "ECNN-FSA: Tables 6 and 7": ("ecnn_fsa", "afew", "same row", "2.00 points"),
    "C3D on AFEW": ("several", "afew", "same method", "16.61"),
    "DenseNet-161 on AFEW": ("several", "afew", "same method", "0.04"),
    "STM-ExpLet on CK+": ("several", "ckplus", "same method", "0.31"),
    "3DCNN-DAP on CK+": ("several", "ckplus", "same method", "0.05"),
    "DTAGN on CK+": ("several", "ckplus", "same method", "0.82"),
    "sizes of AFEW": ("several", "afew", "clips", "several sizes"),
    "sizes of MMI": ("several", "mmi", "clips", "several sizes"),
    "sizes of DFEW": ("several", "dfew", "clips", "several sizes"),
}
# What it lists and no table can show: a network has to be built and counted
NEEDS_A_NETWORK = ("STCAM's width 1072", "CEFLNet's 12.83 M", "C3D's 79.99 M", "FSA's 12.58 M")


@pytest.fixture(scope="module")
def findings() -> pd.DataFrame:
    return audit_papers()


@pytest.mark.parametrize("name", LISTED)
def test_what_a_person_found_is_found(findings, name):
    paper, dataset, check, text = LISTED[name]
    there = (findings["paper"] == paper) & (findings["dataset"] == dataset)
    there &= findings["check"].str.contains(check, regex=False)
    assert findings[there]["text"].str.contains(text).any()


def test_how_many_are_found():
    assert (len(LISTED), len(NEEDS_A_NETWORK)) == (49, 4)


def test_the_stored_table_is_what_the_audit_finds(findings):
    stored = pd.read_csv(project_root() / "results" / "evidence" / "audit.csv", dtype=str)
    assert stored["text"].tolist() == findings["text"].tolist()
    assert stored["verdict"].tolist() == findings["verdict"].tolist()


def test_nothing_sound_is_flagged(findings):
    """What was checked by hand and found right, and what no table of these papers contradicts."""
    flags = flagged(findings)
    sound = findings[findings["verdict"] == "sound"]
    own = findings[(findings["paper"] == "stcam") & (findings["check"] == "k of n")]
    assert list(own[own["verdict"] == "contradiction"]["printed"]) == ["77.89"]
    assert flags[flags["paper"] == "stcam"]["check"].str.contains("k of n|rounding|order").all()
    recalls = findings[findings["check"].str.startswith("recalls against ")]
    rows = recalls[recalls["dataset"] == "dfew"]
    assert (len(rows), (rows["verdict"] == "sound").sum()) == (28, 26)
    differences = findings[findings["check"].str.startswith("difference")]
    assert (differences["verdict"] == "contradiction").sum() == 4
    assert len(differences) == 32
    same = findings[findings["check"] == "same row"]
    assert (same["verdict"] == "inconsistent").sum() == 5
    assert len(sound) > 150
    assert "contradiction" in summarise(findings)
    assert set(audit_papers("hacn")["paper"]) == {"hacn", "several"}


def test_an_honest_table_has_no_flags():
    counts = {"a": 31, "b": 40, "c": 29}
    right = np.array([[27, 3, 1], [2, 36, 2], [0, 4, 25]])
    rows = [("-", "clips", "100", "count")]
    rows += [("-", f"clips {name}", str(n), "count") for name, n in counts.items()]
    rows += [("model", "accuracy", "88.00", "%"), ("baseline", "accuracy", "81.00", "%")]
    for name, row in zip(counts, right, strict=True):
        for other, k in zip(counts, row, strict=True):
            rows.append((name, f"predicted {other}", f"{100 * k / counts[name]:.2f}", "%"))
        share = 100 * right[list(counts).index(name), list(counts).index(name)] / counts[name]
        rows.append(("model", f"recall {name}", f"{share:.2f}", "%"))
    rows.append(("model", "UAR", "87.77", "%"))
    table = pd.DataFrame(rows, columns=["row", "metric", "value", "unit"])
    found = audit_numbers(table.assign(paper="own", dataset="d", table="1"))
    assert flagged(found).empty
    checks = set(found["check"])
    assert {"k of n", "matrix accuracy", "recalls against UAR", "class sizes"} <= checks
    wrong = table.assign(paper="own", dataset="d", table="1")
    wrong.loc[wrong["value"] == "88.00", "value"] = "89.50"
    assert {"k of n", "matrix accuracy"} <= set(flagged(audit_numbers(wrong))["check"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,metric\na,accuracy\n", "no column value"),
        ("", "not readable as CSV"),
        ("row,metric,value\na,accuracy,NaN\n", "line 2: 'accuracy' of 'a' is NaN"),
        ("row,metric,value\na,accuracy,90\nb,accuracy,inf\n", "line 3.*inf"),
        ("row,metric,value\na,accuracy,ninety\n", "no number in %"),
        ("row,metric,value\na,accuracy,\n", "is empty; give the value, or say in note"),
        ("row,metric,value\na,accuracy,101\n", "0 to 100 in % needed"),
        ("row,metric,value,kind\na,accuracy,9,guess\n", "kind is 'guess'"),
    ],
)
def test_a_table_that_cannot_be_audited_is_named(tmp_path, capsys, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableTableError, match=message):
        read_printed(path)
    assert main([str(path)]) == 2
    assert str(path) in capsys.readouterr().err
    with pytest.raises(UnreadableTableError):
        read_printed(tmp_path / "none.csv")


def test_any_csv_of_published_numbers_can_be_audited(tmp_path, capsys):
    path = tmp_path / "table.csv"
    text = "\ufeffmethod,metric,value,unit,note\nours,accuracy,98.46,%,\n-,clips,327,count,\n"
    path.write_text(text + "lost,accuracy,,%,an image\n", encoding="utf-8")
    assert main([str(path), "--out", str(tmp_path / "found.csv")]) == 0
    shown = capsys.readouterr().out
    assert "contradiction: ours, k of n: no count of 327" in shown
    assert len(pd.read_csv(tmp_path / "found.csv")) == 1
    pairs = pd.DataFrame({"true": ["a"], "pred": ["b"], "value": ["0.5"], "unit": "fraction"})
    tidy = tidy_printed(pairs)
    assert (tidy["row"][0], tidy["metric"][0], tidy["share"][0]) == ("a", "predicted b", 50)


def test_fold_patterns_equal_brute_force():
    rng = np.random.default_rng(0)
    errors = rng.integers(0, 4, 6)
    mean = round(100 - 100 * errors.sum() / 120, 2)
    deviation = round(100 * np.std(errors) / 20, 2)
    found = fold_patterns(mean, deviation, 6, 20)
    assert tuple(sorted(errors)) in found
    assert fold_patterns(91.0, 4.36, 10, 20, ddof=1) != fold_patterns(91.0, 4.36, 10, 20)
    assert fold_patterns(85.33, 3.29, 10, 60) == []


def test_class_sizes_come_from_the_cells():
    shares = [100 * k / 33 for k in (25, 1, 2, 5)]
    rows = possible_rows([round(s) for s in shares], 0, 0, range(1, 40))
    assert (25, 33, 0) in rows
    lost = possible_rows([76, 3, np.nan, 15], 0, 0, range(33, 34))
    assert lost == [(25, 33, 2)]
    assert class_sizes([rows, lost], [66], [75.76])[0] == ((25, 33, 0), (25, 33, 2))
