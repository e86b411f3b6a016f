"""Several processes at one thing: one valid result, nothing lost, no half seen, no dead lock."""

import os
import time

import pytest
import torch
from toy_source import build

from benchmarks.trust import crowds
from dferlib.datasets import building

pytestmark = pytest.mark.skipif(
    os.name != "posix" or torch.cuda.is_available(), reason="forks, and kills by signal"
)


@pytest.mark.parametrize("size", [2, 8])
@pytest.mark.parametrize("name", ["results folder", "one store", "summary"])
def test_a_crowd_loses_nothing_and_no_reader_sees_a_half(name, size, tmp_path):
    told = crowds.CROWDS[name](tmp_path, size)
    assert crowds.is_sound(told), told
    assert told["looks"] > 0


def test_a_crowd_at_one_run_leaves_the_bits_of_one_alone(tmp_path):
    told = crowds.CROWDS["one run"](tmp_path, 2)
    assert crowds.is_sound(told), told


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    assert crowds.take_over(tmp_path)


def test_an_old_partial_of_another_machine_is_left_and_said(tmp_path):
    old = time.time() - 2 * building.STALE_SECONDS
    for name, host in (("ours", building._this_host()), ("theirs", "another")):
        partial = tmp_path / "stores" / f"{name}.partial"
        partial.mkdir(parents=True)
        (partial / building.HOST_FILE).write_text(host)
        (partial / building.JOURNAL_FILE).touch()
        os.utime(partial / building.JOURNAL_FILE, (old, old))
    with pytest.warns(UserWarning, match=r"theirs\.partial was begun on another machine"):
        build(tmp_path, 1, clips=6)
    assert [p.name for p in (tmp_path / "stores").glob("*.partial")] == ["theirs.partial"]
