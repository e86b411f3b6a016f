"""Power of paired comparisons: against simulation, and the published pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest

from dferlib.evidence.claims import NEVER, compare_printed, published_claims
from dferlib.evidence.power import allowed_by, clips_needed, detectable, power_of
from dferlib.protocols import load_protocol


def test_power_equals_counting_all_outcomes():
    n, difference, discordance = 12, 0.3, 0.5
    better, worse = (discordance + difference) / 2, (discordance - difference) / 2
    total = 0.0
    for b, c in itertools.product(range(n + 1), repeat=2):
        if b + c and b + c <= n and binomtest(b, b + c).pvalue <= 0.05:
            ways = np.prod(np.arange(n - b - c + 1, n + 1, dtype=float))
            ways /= np.prod(np.arange(1, b + 1)) * np.prod(np.arange(1, c + 1))
            total += ways * better**b * worse**c * (1 - discordance) ** (n - b - c)
    assert power_of(n, difference, discordance) == pytest.approx(total, rel=1e-6)


def test_without_a_difference_power_is_at_most_the_level():
    assert 0 < power_of(400, 0, 0.3) <= 0.05


@pytest.mark.parametrize(
    ("difference", "discordance", "clips"),
    [  # published differences at the discordance of the stored predictions
        (0.0839, 25 / 93, 317),  # HACN on AFEW
        (0.0711, 31 / 96, 524),  # HACN on Oulu-CASIA
        (0.0331, 17 / 152, 844),  # STT on AFEW
        (0.0821, 62 / 152, 494),  # ECNN-FSA on AFEW
        (0.0209, 10 / 96, 1963),  # STCAM on Oulu-CASIA
    ],
)
def test_clips_that_published_differences_need(difference, discordance, clips):
    found = clips_needed(difference, discordance)
    assert found == pytest.approx(clips, rel=0.01)
    assert power_of(found, difference, discordance) >= 0.8
    assert power_of(found - 2, difference, discordance) < 0.8
    assert detectable(found, discordance) == pytest.approx(difference, rel=0.01)


def test_large_and_impossible_differences():
    assert clips_needed(0, 0.2) == np.inf
    assert np.isnan(detectable(10, 0.1))
    assert clips_needed(0.001, 0.2) > 1_000_000
    with pytest.raises(ValueError, match="at least the difference"):
        clips_needed(0.3, 0.2)


@pytest.mark.parametrize(("first", "second", "n"), [(322, 324, 327), (5, 9, 12), (3, 3, 4)])
def test_the_range_of_p_equals_all_tables(first, second, n):
    ps = []
    for shared in range(n + 1):  # clips only the worse one is right about
        better = second - first + shared
        if better >= 0 and first - shared >= 0 and second + shared <= n:
            ps.append(binomtest(better, better + shared).pvalue if better + shared else 1.0)
    allowed = allowed_by(first, second, n)
    assert (allowed.p_low, allowed.p_high) == (pytest.approx(min(ps)), pytest.approx(max(ps)))


def test_stcam_on_ckplus_can_never_be_significant():
    row = compare_printed(98.47, 99.08, 327)
    assert (row["other_right"], row["own_right"], row["fits"]) == (322, 324, True)
    assert (row["p_low"], round(row["p_high"], 2)) == (0.5, 0.73)
    assert row["significant"] == NEVER
    with pytest.raises(ValueError, match="counts from 0 to n"):
        allowed_by(5, 3, 4)


def test_published_claims_of_a_paper():
    table = published_claims([load_protocol("stcam")])
    assert set(table["table"]) == {2, 3, 4, 5, 6, 7, 8}
    row = table[(table["table"] == 2) & (table["other"] == "Baseline")].iloc[0]
    assert (row["own_right"], row["other_right"], row["n"]) == (324, 322, 327)
    assert not row["cited"]
    assert (table["p_low"] <= table["p_high"]).all()
    assert (table["clips_low"] <= table["clips_high"]).all()
    assert table[table["table"] == 5]["cited"].sum() == 9
