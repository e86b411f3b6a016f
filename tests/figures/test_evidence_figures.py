"""Figures of evidence show the numbers that they are given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from dferlib.figures import evidence


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_coverage_has_a_dot_for_each_cell():
    table = pd.DataFrame({"persons": [80, 80, 10, 10], "balanced": [True, False] * 2})
    table = table.assign(kind="interval", metric="war", name="bca", value=[0.95, 0.94, 0.8, 0.9])
    ax = evidence.plot_coverage(table)
    shown = np.concatenate([dots.get_offsets() for dots in ax.collections])
    assert sorted(shown[:, 0]) == pytest.approx([80, 90, 94, 95])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["bca"]
    ax = evidence.plot_coverage(table.assign(kind="test"), kind="test", ax=plt.subplots()[1])
    assert "rejected" in ax.get_xlabel()


def test_claims_are_bars_of_p():
    table = pd.DataFrame({"dataset": "d", "other": ["a", "b"], "difference": [1.0, -2.0]})
    table = table.assign(p_low=[0.01, 1e-20], p_high=[0.5, 1e-3])
    table["significant"] = ["depends on the discordance", "whatever the discordance"]
    ax = evidence.plot_claims(table)
    assert ax.get_xscale() == "log"
    assert list(ax.lines[0].get_xdata()) == [0.01, 0.5]
    assert ax.lines[2].get_xdata()[0] == 1e-6  # at the edge
    assert ax.get_yticklabels()[1].get_text() == "d: b  (-2.00)"


def test_differences_stand_over_what_could_be_seen():
    table = pd.DataFrame({"first": "base", "second": ["a", "b"], "war_difference": [5.0, 1.0]})
    table = table.assign(war_low=[2.0, -3], war_high=[8.0, 5], detectable=[4.0, np.nan])
    ax = evidence.plot_differences(table.assign(p_war_holm=[0.01, 0.6]))
    (bar,) = ax.patches
    assert (bar.get_x(), bar.get_width()) == (-4, 8)
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"]
    assert faces == [evidence.BLUE, "white"]
    assert "base" in ax.get_xlabel()


def test_ranks_and_the_bars_over_them():
    ranks = pd.DataFrame({"model": ["a", "b", "c"], "rank": [1.2, 2.0, 2.8]})
    ax = evidence.plot_critical_difference(ranks, 1.0, [(1.2, 2.0), (2.0, 2.8)])
    texts = {text.get_text().strip() for text in ax.texts}
    assert {"a (1.20)", "b (2.00)", "c (2.80)", "critical difference 1.00"} <= texts
    bars = [line for line in ax.lines if line.get_color() == evidence.BLUE]
    assert len(bars) == 2
