"""Counted costs of whole protocols, and the page of them."""

import numpy as np
import pandas as pd
import pytest
from toy import make_store

from dferlib.analysis import full_cost
from dferlib.analysis.full_cost import growth, operations_of, protocol_costs, what_of
from dferlib.protocols import load_protocol
from dferlib.sweep.cost_page import page


@pytest.fixture(scope="module")
def costs():
    """STCAM at smoke, as if all its datasets were the toy store: 72 clips of 9 frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full_cost, "_clips", lambda dataset: make_store().manifest)
        return protocol_costs("stcam", "smoke").set_index("dataset")


def test_a_protocol_is_rows_times_folds_and_its_operations_are_counted(costs):
    assert list(costs.index) == ["ckplus", "oulu", "mmi"]
    row, paper = costs.loc["oulu"], load_protocol("stcam")
    assert (row["clips"], row["rows"], row["folds"], row["runs"]) == (72, 7, 1, 7)
    recipe = paper.resolve("smoke", "oulu", "stcam")
    macs = full_cost.size_of(*what_of(recipe, len(paper.classes["ckplus"]))).macs
    assert row["macs"] == macs
    # 12 subjects in ten folds: two test, two validate (12 clips each), 48 clips are trained on
    assert row["run_operations"] == 2 * macs * (3 * 48 + 24)
    assert row["run_gpu_hours"] == pytest.approx(row["run_operations"] / 40e12 / 3600)
    assert row["operations"] > 5 * row["run_operations"]
    assert row["store"] == 72 * 9 * 3 * recipe.store_size**2
    longer = recipe.override(epochs=4, passes=2)
    assert operations_of(longer, macs, 48, 24) == 2 * macs * 4 * (3 * 96 + 24)


def test_memory_grows_with_the_batch_and_has_room_for_the_optimiser():
    recipe = load_protocol("stcam").resolve("smoke", "oulu", "stcam")
    what = what_of(recipe, 6)
    two, four, eight = (full_cost.training_bytes(*what, n) for n in (2, 4, 8))
    assert four - two == pytest.approx((eight - four) / 2)
    assert two > 4 * 4 * full_cost.size_of(*what).parameters


def test_growth_and_page(costs):
    grown = growth("stcam", "quick").set_index("what")
    assert grown.loc["frames", "times"] == pytest.approx(2, abs=0.15)
    assert 3.5 < grown.loc["resolution", "times"] < 4.5
    measured = {"paper": "stcam", "dataset": "oulu-synthetic-quick", "runs": 3, "seconds": 60.0}
    measured |= {"gflops": 50.5, "memory": 900, "device": "a processor"}
    grown.loc["frames", ["times", "memory"]] = np.nan
    text = page(costs.reset_index(), grown.reset_index(), pd.DataFrame([measured]))
    assert "| stcam | oulu | 72 | 7 x 1 | 7 |" in text
    assert "| stcam | frames | 7 to 14 | - | - |" in text
    assert "| stcam | oulu-synthetic-quick | 3 | 60 | 50.5 | 900 | a processor |" in text
    assert f"All of it: {costs['runs'].sum()} runs, 0 GPU hours a seed." in text
    empty = pd.DataFrame(columns=list(measured))
    assert "no runs are stored" in page(costs.reset_index(), grown.reset_index(), empty)
