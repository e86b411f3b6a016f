"""A build that is killed at any point, and started again, ends with the same bytes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from toy_source import build, toy_source

from dferlib.datasets.building import _jobs
from dferlib.datasets.store import load_store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")
ROOT, TESTS = Path(__file__).parent.parent, Path(__file__).parent
FILES = ("frames.npy", "aus.npy", "manifest.csv", "store.json")

# In a process of its own, which is forked for every point, so that all start the same way: run up
# to the n-th call of a function, do a part of what it does, and die at once.
CODE = """
import os, signal, sys
from dferlib.datasets import building
from toy_source import build

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def half_line(partial, entry):
    with open(partial / "journal.jsonl", "a") as file:
        file.write(building.json.dumps(entry)[:int(sys.argv[2])])
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
    owner = os if hasattr(os, name) else building
    real, calls = getattr(owner, name), []
    def run(*args, **options):
        calls.append(name)
        if len(calls) == call:
            part(*args) if part else die()
        return real(*args, **options)
    setattr(owner, name, run)

POINTS = [
    ("_allocate", 1, half_file), ("_allocate", 2, None), ("_write_job", 1, None),
    ("_log", 1, half_line), ("_log", 1, None), ("_log", 3, half_line), ("_write_job", 1, half_job),
    ("_log", 2, half_line), ("_log", 1, half_line), ("_write_job", 2, half_job),
    ("_finish", 1, None), ("_facts", 2, None), ("write_csv", 1, None), ("write_json", 1, None),
    ("write_json", 2, None), ("replace", 1, None), ("replace", 2, None), ("replace", 4, None),
]
for point in POINTS:
    child = os.fork()
    if not child:
        kill_at(*point)
        build(sys.argv[1], 1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    journal = [*building.Path(sys.argv[1]).glob("stores/*.partial/journal.jsonl")]
    lines = len(journal[0].read_bytes().splitlines()) if journal else 0
    print(point[0], point[1], os.WIFSIGNALED(status) and os.WTERMSIG(status), lines, flush=True)
"""


@pytest.mark.parametrize("torn", [1, 30])
def test_killed_at_many_points_one_after_another(tmp_path, torn):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "killed"), str(torn)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    steps = [line.split() for line in done.stdout.splitlines()]
    assert len(steps) == 18, done.stderr
    assert {step[2] for step in steps} == {str(int(signal.SIGKILL))}, done.stdout
    # what was finished before a kill is not made again after it, torn lines or not
    finished = [int(step[3]) for step in steps]
    assert finished[-1] == len(_jobs(toy_source())) > 5
    assert finished[9] >= 4

    log = tmp_path / "log"
    killed = build(tmp_path / "killed", 1, log=log)
    clean = build(tmp_path / "clean", 1)
    assert not log.exists()  # nothing was left to make
    assert killed.path.name == clean.path.name
    for name in FILES:
        assert (killed.path / name).read_bytes() == (clean.path / name).read_bytes(), name
    assert load_store(killed.path, verify=True).manifest.equals(clean.manifest)
    assert [path.name for path in (tmp_path / "killed/stores").glob("*.partial")] == []
    assert {p.name for p in killed.path.iterdir()} == {p.name for p in clean.path.iterdir()}


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
