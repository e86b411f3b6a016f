"""Killed at random and inside each write: what comes of it has the bits of an untouched try."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from benchmarks.trust import kills, victims
from dferlib.notebook import execution

pytestmark = pytest.mark.skipif(
    os.name != "posix" or torch.cuda.is_available(), reason="forks, and kills by signal"
)
FOREVER = float("inf")


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    return kills.Score(tmp_path_factory.mktemp("kills") / "state.json")


@pytest.mark.parametrize("part", ["stcam", "store"])
def test_random_kills_change_no_bit(part, score, tmp_path):
    kills.random_kills(kills.VICTIMS[part], part, 2, tmp_path, score, FOREVER)
    counts = score.of(part)
    assert counts["random_kills"] >= 2
    assert counts["equal"] == counts["tries_ended"] > 0, counts["differ"]
    assert counts["whole"]
    again = kills.Score(score.path)  # another process goes on from there
    kills.random_kills(kills.VICTIMS[part], part, 2, tmp_path, again, FOREVER)
    assert again.of(part)["tries_ended"] == counts["tries_ended"]


@pytest.mark.parametrize("point", victims.POINTS)
def test_a_kill_inside_a_write_leaves_the_old_file_or_the_new_one(point, tmp_path):
    path = tmp_path / "kept.json"

    def write(place):
        victims.files.write_json(path, {"new": [1, 2, 3]})

    victims.files.write_json(path, "old")
    assert kills.Child(write, tmp_path, (point, 1)).wait(60) == -signal.SIGKILL
    assert path.read_text() == '"old"\n' or point == "after the name"
    assert kills.Child(write, tmp_path, (point, 2)).wait(60) == 0  # it makes one write only
    assert '"new"' in path.read_text()


def test_kills_inside_the_last_writes_of_a_training_change_no_bit(score, tmp_path):
    part, victim = "stcam", kills.VICTIMS["stcam"]
    kills.untouched(victim, part, tmp_path, score)
    writes = victims.EPOCHS + 4  # checkpoints, weights, their record, predictions, the run's record
    for call, point in ((writes, "before the name"), (writes - 1, "in the write")):
        place = kills.fresh(tmp_path, part)
        assert victim.start(place, (point, call)).wait(600) == -signal.SIGKILL
        assert not list(place.rglob("results/*/*/runs/*.json"))
        assert kills.attack(victim, place, "", kills.LONGEST) == (0, True, 0)
        score.compare(part, place, point)
    assert score.of(part)["differ"] == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_ends_the_runner_as_an_interrupt_does(name, monkeypatch, tmp_path, capsys):
    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGUSR1)}
    monkeypatch.setattr(execution, "execute", lambda *_, **__: signal.raise_signal(number))
    number = getattr(signal, name)
    try:
        assert execution.main([str(tmp_path / "n.ipynb"), str(tmp_path / "out.ipynb")]) == 130
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert "start the same command again" in capsys.readouterr().err


@pytest.mark.notebook
def test_slurms_warning_leaves_no_kernel_and_says_how_to_go_on(tmp_path):
    import nbformat
    import psutil

    book = nbformat.v4.new_notebook()
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    code = "import time\nopen('began', 'w').close()\ntime.sleep(300)"
    book.cells = [nbformat.v4.new_code_cell(code)]
    nbformat.write(book, tmp_path / "n.ipynb")
    command = [sys.executable, "-m", "dferlib.notebook", "n.ipynb", "out.ipynb"]
    path = f"{victims.ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    while not (tmp_path / "began").exists() and process.poll() is None:
        signal.sigtimedwait([], 0.1)
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGUSR1)
    assert process.communicate(timeout=120)[1].endswith("start the same command again to go on\n")
    assert process.returncode == 130
    assert psutil.wait_procs(below, timeout=30)[1] == []
    assert (tmp_path / "out.partial.ipynb").is_file()
