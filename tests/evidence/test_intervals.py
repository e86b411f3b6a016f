"""Intervals over persons: against closed forms and scipy, and that they cover in a small run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap
from statsmodels.stats.proportion import proportion_confint

from dferlib.evidence import stats
from dferlib.evidence.intervals import (
    METHODS,
    effective_clips,
    estimate,
    interval,
    subject_interval,
)


@pytest.fixture
def persons():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 4, (30, 3))
    return rng.binomial(sizes, rng.beta(3, 1, (30, 1))), sizes


@pytest.mark.parametrize("metric", ["war", "uar"])
def test_influences_are_the_derivative_of_the_metric(persons, metric):
    hits, sizes = persons
    value, influence = estimate(hits, sizes, metric)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    step = 1e-6
    for unit in (0, 7):
        weight = np.ones((30, 1))
        weight[unit] += step
        moved, _ = estimate(hits * weight, sizes * weight, metric)
        assert (moved - value) / step == pytest.approx(influence[unit], rel=1e-4)


def test_independent_clips_give_the_textbook_intervals():
    hits, sizes = np.r_[np.ones(45), np.zeros(5)][:, None], np.ones((50, 1))
    for method, name in (("korn-graubard", "beta"), ("wilson", "wilson")):
        low, high = interval(hits, sizes, "war", method)
        n = 50 * (49 / 50) ** 3  # 50 / 49 as a sample variance, and squared for leaving one out
        expected = proportion_confint(0.9 * n, n, method=name)
        assert (float(low), float(high)) == (
            pytest.approx(expected[0], abs=1e-6),
            pytest.approx(expected[1], abs=1e-6),
        )


def test_all_right_is_not_certain():
    ones = np.ones((20, 6))
    low, high = interval(ones, ones, "war", "korn-graubard")
    assert (float(low), float(high)) == (pytest.approx(stats.binomial_interval(120, 120)[0]), 1.0)
    low, high = interval(ones, ones, "uar", "wilson")
    assert 0.9 < low < high == 1
    assert interval(ones, ones, "war", "logit-t") == (1.0, 1.0)


def test_bca_equals_scipy(persons):
    hits, sizes = persons
    data = (hits.sum(1), sizes.sum(1))
    options = {"paired": True, "vectorized": False, "n_resamples": 4000, "rng": 1}
    expected = bootstrap(data, lambda h, s: h.sum() / s.sum(), **options).confidence_interval
    low, high = interval(hits, sizes, "war", "bca", resamples=4000)
    assert (float(low), float(high)) == (
        pytest.approx(expected.low, abs=0.01),
        pytest.approx(expected.high, abs=0.01),
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("metric", ["war", "uar"])
def test_data_sets_together_are_data_sets_alone(persons, method, metric):
    hits, sizes = persons
    both = np.stack([hits, np.minimum(hits + 1, sizes)])
    options = {"resamples": 99}
    together = interval(both, sizes, metric, method, **options)
    for index in (0, 1):
        alone = interval(both[index], sizes, metric, method, **options)
        assert [float(end) for end in alone] == pytest.approx([end[index] for end in together])
    assert (together[0] < together[1]).all()


def test_effective_clips_shrink_with_clustering():
    assert effective_clips(0.5, 0.05, 1000) == pytest.approx(100)
    assert effective_clips(0.5, 0.0, 40) == 40


def test_an_interval_from_predictions():
    rows = pd.DataFrame({"clip_id": [f"c{k}" for k in range(60)], "select": "last", "fold": 1})
    rows = rows.assign(subject=[f"s{k % 10}" for k in range(60)], y_true=[k % 3 for k in range(60)])
    rows["y_pred"] = rows["y_true"].where(rows.index % 5 > 0, (rows["y_true"] + 1) % 3)
    found = subject_interval(rows, "abc", "war")
    assert (found.value, found.unit, found.units) == (pytest.approx(0.8), "subjects", 10)
    assert found.low < 0.8 < found.high
    seeds = pd.concat([rows, rows])
    assert subject_interval(seeds, "abc", "uar") == subject_interval(rows, "abc", "uar")
    with pytest.raises(ValueError, match="method is 'exact'"):
        subject_interval(rows, "abc", method="exact")
    with pytest.raises(ValueError, match="metric is 'f1'"):
        subject_interval(rows, "abc", "f1")
