"""Which layout is chosen, when it is timed, and that nothing but speed hangs on it."""

import json

import pytest
import torch

from dferlib.training import pace
from dferlib.training.pace import Work, choose_layout, measure_pace, time_layouts

LARGE = 10**9


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("DFER_CACHE", str(tmp_path))
    monkeypatch.delenv("DFER_LAYOUT", raising=False)
    return Work("peak_cnn", {"width": 0.1}, 6, 1, 16, 4)


@pytest.mark.parametrize(
    ("contiguous", "channels_last", "chosen"),
    [(2.0, 1.0, "channels_last"), (1.0, 2.0, "contiguous"), (1.0, 0.98, "contiguous")],
)
def test_the_faster_layout_is_timed_once_and_kept(
    work, monkeypatch, tmp_path, contiguous, channels_last, chosen
):
    seconds, timed = {"contiguous": contiguous, "channels_last": channels_last}, []
    monkeypatch.setattr(pace, "time_layouts", lambda work: timed.append(work) or seconds)
    assert choose_layout(work, LARGE) == choose_layout(work, LARGE) == chosen
    assert measure_pace(work).seconds == seconds[chosen]
    assert len(timed) == 1
    (path,) = (tmp_path / "pace").glob("peak_cnn-*.json")
    kept = json.loads(path.read_text())
    assert (kept["layout"], kept["threads"]) == (chosen, torch.get_num_threads())
    monkeypatch.setattr(pace, "processor_name", lambda: "another")
    choose_layout(work, LARGE)
    assert len(timed) == 2


def test_small_trainings_and_a_given_layout_are_not_timed(work, monkeypatch):
    monkeypatch.setattr(pace, "time_layouts", lambda _: pytest.fail("it was timed"))
    assert choose_layout(work, 100) == "contiguous"
    monkeypatch.setenv("DFER_LAYOUT", "channels_last")
    assert choose_layout(work, 100) == choose_layout(work, LARGE) == "channels_last"
    monkeypatch.setenv("DFER_LAYOUT", "fast")
    with pytest.raises(ValueError, match="DFER_LAYOUT is 'fast'; allowed are contiguous, channels"):
        choose_layout(work, 100)


def test_timing_leaves_the_random_numbers_alone(work):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    seconds = time_layouts(work)
    assert torch.equal(before, torch.get_rng_state())
    assert set(seconds) == {"contiguous", "channels_last"}
    assert min(seconds.values()) > 0
