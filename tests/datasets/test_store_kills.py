"""A build that is killed at any point, and started again, ends with the same bytes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from toy_source import build, build_faces, toy_source

from dferlib.datasets.building import _jobs
from dferlib.datasets.store import load_store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")
ROOT, TESTS = Path(__file__).parents[2], Path(__file__).parents[1]
FILES = ("frames.npy", "aus.npy", "manifest.csv", "store.json")

# In a process of its own, which is forked for every point, so that all start the same way: run up
# to the n-th call of a function, do a part of what it does, and die at once.
CODE = """
import json, os, signal, sys
from dferlib.datasets import building
from dferlib.datasets.faces import crops, finding
from toy_source import build, build_faces

cache, root, torn, points = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def half_line(partial, entry):
    with open(partial / "journal.jsonl", "a") as file:
        file.write(json.dumps(entry)[:torn])
    die()

def half_job(partial, job, arrays, *rest):
    with open(partial / "frames.npy", "r+b") as file:
        building._seek_row(file, job.start)
        file.write(arrays["frames"].tobytes()[:1000])
    die()

def half_file(path, dtype, shape):
    path.write_bytes(b"\\x93NUMPY\\x01")
    die()

def kill_at(name, call, part):
    owner = next(owner for owner in (os, building, crops, finding) if hasattr(owner, name))
    real, calls = getattr(owner, name), []
    def run(*args, **options):
        calls.append(name)
        if len(calls) == call:
            globals()[part](*args) if part else die()
        return real(*args, **options)
    setattr(owner, name, run)

for point in points:
    child = os.fork()
    if not child:
        kill_at(*point)
        build_faces(cache, root) if root else build(cache, 1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    journal = [*building.Path(cache).glob("stores/*.partial/journal.jsonl")]
    lines = len(journal[0].read_bytes().splitlines()) if journal else 0
    print(point[0], point[1], os.WIFSIGNALED(status) and os.WTERMSIG(status), lines, flush=True)
"""
POINTS = [
    *(("_allocate", 1, "half_file"), ("_allocate", 2, None), ("_write_job", 1, None)),
    *(("_log", 1, "half_line"), ("_log", 1, None), ("_log", 3, "half_line")),
    *(("_write_job", 1, "half_job"), ("_log", 2, "half_line"), ("_log", 1, "half_line")),
    *(("_write_job", 2, "half_job"), ("_finish", 1, None), ("_facts", 2, None)),
    *(("write_csv", 1, None), ("write_json", 1, None), ("write_json", 2, None)),
    *(("replace", 1, None), ("replace", 2, None), ("replace", 4, None)),
]
FACE_POINTS = [
    *(("read_clip", 1, None), ("_allocate", 1, "half_file"), ("_write_job", 1, "half_job")),
    *(("choose_face", 2, None), ("cut", 3, None), ("_log", 2, "half_line")),
    *(("_write_job", 2, "half_job"), ("read_clip", 3, None), ("_log", 1, None)),
    # the face table, manifest and record are written and named one after another
    *(("_finish", 1, None), ("write_csv", 1, None), ("write_csv", 2, None)),
    *(("write_json", 1, None), ("unlink", 1, None), ("replace", 3, None), ("rename", 1, None)),
]


def kill(cache, points, root="", torn=30):
    """Build a store again and again, killed at one point after another.

    Returns the number of the journal's lines after each kill.
    """
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(cache), str(root), str(torn), json.dumps(points)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=550,
    )
    steps = [line.split() for line in done.stdout.splitlines()]
    assert len(steps) == len(points), done.stderr
    assert {step[2] for step in steps} == {str(int(signal.SIGKILL))}, done.stdout
    return [int(step[3]) for step in steps]


def assert_same(killed, clean, names):
    assert killed.path.name == clean.path.name
    for name in names:
        assert (killed.path / name).read_bytes() == (clean.path / name).read_bytes(), name
    assert load_store(killed.path, verify=True).manifest.equals(clean.manifest)
    assert {p.name for p in killed.path.iterdir()} == {p.name for p in clean.path.iterdir()}
    assert [path.name for path in killed.path.parent.glob("*.partial")] == []


@pytest.mark.parametrize("torn", [1, 30])
def test_killed_at_many_points_one_after_another(tmp_path, torn):
    finished = kill(tmp_path / "killed", POINTS, torn=torn)
    # what was finished before a kill is not made again after it, torn lines or not
    assert finished[-1] == len(_jobs(toy_source())) > 5
    assert finished[9] >= 4
    log = tmp_path / "log"
    killed = build(tmp_path / "killed", 1, log=log)
    clean = build(tmp_path / "clean", 1)
    assert not log.exists()  # nothing was left to make
    assert_same(killed, clean, FILES)


def test_faces_found_in_a_real_tree_are_the_same_after_kills(ckplus_tree, tmp_path):
    finished = kill(tmp_path / "killed", FACE_POINTS, root=ckplus_tree)
    clean = build_faces(tmp_path / "clean", ckplus_tree)
    assert "haar" in set(clean.faces["found_by"])
    assert set(clean.faces["found_by"]) <= {"haar", "none"}
    clips = len(clean.manifest)
    assert clips > 5  # each is a job
    assert max(finished[:9]) < clips
    assert finished[9:13] == [clips] * 4
    killed = build_faces(tmp_path / "killed", ckplus_tree)
    assert_same(killed, clean, ("frames.npy", "manifest.csv", "faces.csv", "store.json"))
    assert killed.notes == clean.notes


def test_a_kill_after_the_journal_is_gone_begins_anew(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("dferlib.datasets.building.os.rename", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path / "killed", 1)
    (partial,) = (tmp_path / "killed/stores").glob("*.partial")
    assert not (partial / "journal.jsonl").exists()
    killed, clean = build(tmp_path / "killed", 1), build(tmp_path / "clean", 1)
    for name in FILES:
        assert (killed.path / name).read_bytes() == (clean.path / name).read_bytes(), name


def interrupt(*_):
    raise KeyboardInterrupt
