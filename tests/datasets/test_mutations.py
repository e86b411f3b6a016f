"""Damaged trees: every reader gives a named error or a counted skip, and writes to the cache only.

By default eight of the damaged trees of each dataset are read. DFER_MUTATIONS=1000 reads so many in
all, which takes about a quarter of an hour of a core; `benchmarks/datasets/mutations.py` counts
what came of them.
"""

import os
import signal
import sys
import threading
import time

import pytest
from damaged_trees import SUBJECTS, Patience, Reader, judge, outcome, show, silent_differences

from dferlib.datasets import list_datasets, load_manifest

PER_DATASET = -(-int(os.environ.get("DFER_MUTATIONS", "72")) // len(list_datasets()))

# other systems refuse some of the names, and limits of memory
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes, links, odd names, limits")


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("dataset", list_datasets())
def test_damaged_trees(dataset, rendered_tree, tmp_path):
    tree = rendered_tree(dataset, subjects=SUBJECTS.get(dataset, 2))
    clean = load_manifest(dataset, tree)["clip_id"].tolist()
    home = tmp_path / "home"
    home.mkdir()
    reader, failures = Reader(home), []
    for case in range(PER_DATASET):
        done, answer = show(reader, dataset, case, tree, tmp_path / f"case{case}")
        try:
            judge(answer, clean, done)
        except AssertionError as error:
            failures.append(f"case {case} {done}: {error}")
        if reader.process.poll() is not None or "hangs" in answer.get("failed", ""):
            reader.end()
            reader = Reader(home)
    reader.end()
    assert [path.name for path in home.iterdir()] == ["stderr"]
    assert not failures, f"{len(failures)} of {PER_DATASET}:\n" + "\n".join(failures)


def answers(code):
    """Code of a process that does something and then answers."""
    return f"import os, sys, time\nsys.stdin.readline()\n{code}\nprint('{{}}', flush=True)"


@pytest.mark.parametrize(
    ("code", "patience", "message"),
    [
        ("os.mkfifo('pipe')\nopen('pipe')", Patience(60, 1, 600), "hangs: asleep for"),
        ("while True: pass", Patience(0.5, 600, 600), "hangs: busy for"),
        ("while True: time.sleep(0.01)", Patience(60, 600, 1), "hangs: no answer in"),
        ("os._exit(3)", Patience(60, 60, 600), "died with 3"),
    ],
    ids=["waits", "computes", "dawdles", "dies"],
)
def test_a_reader_that_hangs_is_told_from_one_that_died(tmp_path, code, patience, message):
    reader = Reader(tmp_path, answers(code), patience)
    with pytest.raises(AssertionError, match=message):
        reader.read("x")
    reader.end()


def test_a_reader_that_gets_no_core_does_not_hang(tmp_path):
    # stopped for longer than it may sleep, it stands for one that others keep from the core
    reader = Reader(tmp_path, answers("time.sleep(0.1)"), Patience(60, 2, 600))
    assert reader.process.poll() is None
    os.kill(reader.process.pid, signal.SIGSTOP)
    begun = time.monotonic()
    waker = threading.Timer(5, os.kill, (reader.process.pid, signal.SIGCONT))
    waker.start()
    assert reader.read("x") == {}
    assert time.monotonic() - begun > 4.5
    waker.join()
    reader.end()


CLIP = {"label": "fear", "subject": "S1", "split": "", "apex": 2, "onset": -1, "frames": [1, 2, 3]}
CLEAN = {
    "manifest": {"ok": ["a", "b"]},
    "check": {"ok": {"errors": [], "told": ["odd"], "counts": {"images": 6}}},
    "store": {"ok": {"clips": 2, "notes": {}, "content": {"a": CLIP, "b": CLIP}}},
}


def test_what_came_of_a_tree():
    assert outcome(CLEAN, CLEAN) == "unaffected"
    refused = {"error": "a.png cannot be decoded"}
    assert outcome(CLEAN | {"store": refused}, CLEAN) == "named error"
    assert outcome(CLEAN | {"manifest": refused, "store": refused}, CLEAN) == "named error"
    for changed in (
        {"manifest": {"ok": ["a"]}},
        {"store": {"ok": {**CLEAN["store"]["ok"], "notes": {"a": "no face"}}}},
        {"check": {"ok": {"errors": [], "told": ["odder"], "counts": {}}}},
    ):
        assert outcome(CLEAN | changed, CLEAN) == "counted"


@pytest.mark.parametrize(
    ("changed", "images", "found"),
    [
        ({}, 6, []),
        ({"subject": "S2"}, 6, ["labels"]),
        ({"apex": 1, "frames": [3, 2, 1]}, 6, ["order", "peak"]),
        ({"frames": [1, 2]}, 5, ["missing frames, but counted"]),
        ({"frames": [1, 2, 3, 4]}, 6, ["more frames"]),
        ({"frames": [1, 2, 7]}, 6, ["pixels"]),
    ],
)
def test_what_differs_without_a_word(changed, images, found):
    store = {"ok": {**CLEAN["store"]["ok"], "content": {"a": CLIP, "b": {**CLIP, **changed}}}}
    check = {"ok": {**CLEAN["check"]["ok"], "counts": {"images": images}}}
    assert silent_differences(CLEAN | {"store": store, "check": check}, CLEAN) == found
