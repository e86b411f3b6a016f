"""Arithmetic of printed accuracies: against brute force and against numbers worked by hand."""

from __future__ import annotations

import itertools
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from dferlib.evidence.audit import (
    chance_of_fit,
    check_shares,
    find_count,
    fits_fold_mean,
    fitting_totals,
    hard_label_auc,
    one_digit_away,
    row_counts,
)
from dferlib.evidence.metrics import roc

CENT = Decimal("0.01")


def printed(correct: int, total: int) -> dict[str, Decimal]:
    """How 100 k / n may be printed, by decimal arithmetic of 40 digits."""
    exact = Decimal(100 * correct) / Decimal(total)
    kinds = {"rounded": (ROUND_HALF_UP, ROUND_HALF_EVEN), "truncated": (ROUND_DOWN,)}
    return {name: {exact.quantize(CENT, mode) for mode in modes} for name, modes in kinds.items()}


@pytest.mark.parametrize("total", [3, 37, 208, 327])
def test_every_value_that_a_count_prints_is_found_and_no_other(total):
    rounded, truncated = set(), set()
    for correct in range(total + 1):
        rounded |= printed(correct, total)["rounded"]
        truncated |= printed(correct, total)["truncated"]
    for step in range(0, 10_001, 7):
        value = step * CENT
        count = find_count(float(value), total)
        if count is None:
            assert value not in rounded | truncated
        else:
            known = printed(count.correct, total)
            assert value in known["truncated" if count.how == "truncated" else "rounded"]
            assert (count.how == "truncated") == (value not in rounded)
    assert chance_of_fit(total) == pytest.approx(len(rounded | truncated) / 10_001)


@pytest.mark.parametrize(
    ("value", "total", "expected"),
    [
        (99.08, 327, (324, "rounded")),  # STCAM on CK+
        (89.16, 480, (428, "truncated")),  # 89.1667
        (91.25, 480, (438, "exact")),
        (77.89, 208, None),  # 162 of 208 is 77.8846
        (98.46, 325, (320, "rounded")),
        (98.46, 327, None),
        (87.31, 480, None),
        (87.31, 465, (406, "rounded")),
        (100, 327, (327, "exact")),
        (0, 5, (0, "exact")),
    ],
)
def test_worked_values(value, total, expected):
    count = find_count(value, total)
    assert count == (None if expected is None else (expected[0], total, expected[1]))


def test_a_half_may_go_either_way():
    assert find_count(3.12, 32).how == "rounded"  # 1 of 32 is 3.125
    assert find_count(3.13, 32).how == "rounded"


def test_a_table_of_checks_has_every_value_against_every_total():
    table = check_shares([("a", 98.46), ("b", 100.0)], {"five folds of 65": 325, "all": 327})
    assert list(table["count"]) == ["320 of 325", "none", "325 of 325", "327 of 327"]
    assert list(table["how"]) == ["rounded", "", "exact", "exact"]
    assert table["chance of fit"].between(0.04, 0.06).all()


def test_totals_that_several_values_share():
    assert fitting_totals(98.46, range(300, 330)) == [
        n for n in range(300, 330) if find_count(98.46, n)
    ]
    assert 325 in fitting_totals(98.46, range(300, 330))
    # of 328: 325, 324 and 323, the first cut off from 99.085
    assert fitting_totals([99.08, 98.78, 98.47], [325, 326, 327, 328]) == [327, 328]


@pytest.mark.parametrize("sizes", [(3, 4), (5, 5, 7), (2, 3, 4, 5)])
def test_fold_means_equal_brute_force(sizes):
    means = set()
    for counts in itertools.product(*(range(n + 1) for n in sizes)):
        share = sum(Decimal(k) / Decimal(n) for k, n in zip(counts, sizes, strict=True))
        exact = 100 * share / len(sizes)
        means |= {exact.quantize(CENT, mode) for mode in (ROUND_HALF_UP, ROUND_DOWN)}
    for step in range(0, 10_001, 3):
        assert fits_fold_mean(float(step * CENT), sizes) == (step * CENT in means), step


def test_folds_of_one_size_are_one_total_and_of_several_fit_nearly_anything():
    assert fits_fold_mean(98.46, (65,) * 5)
    assert not fits_fold_mean(98.50, (65,) * 5)
    assert not fits_fold_mean(87.31, (96,) * 5)
    values = np.arange(4000, 6000, 37) / 100
    assert all(fits_fold_mean(value, (231, 231, 231, 231, 232)) for value in values)


def test_chance_of_fit_grows_to_one():
    assert chance_of_fit(100, 0) == 1
    assert chance_of_fit(327) == pytest.approx(
        1.5 * 328 / 10_001, rel=0.01
    )  # half of them print twice
    assert chance_of_fit(20_000) == 1


@pytest.mark.parametrize(("accuracy", "classes"), [(0.9, 7), (0.5, 6), (1.0, 3)])
def test_the_area_of_bare_labels_is_that_of_their_roc(accuracy, classes):
    rng = np.random.default_rng(0)
    number = 840
    truth = rng.integers(0, classes, number)
    guess = truth.copy()
    wrong = np.arange(number) >= round(accuracy * number)
    guess[wrong] = (truth[wrong] + rng.integers(1, classes, wrong.sum())) % classes
    scores = np.eye(classes)[guess]
    names = [str(k) for k in range(classes)]
    assert roc(truth, scores, names)["micro"].auc == pytest.approx(
        hard_label_auc(accuracy, classes)
    )


def test_values_that_cannot_be_printed_are_refused():
    for value in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError, match=f"value is {value!r}; 0 to 100"):
            find_count(value, 327)
    with pytest.raises(ValueError, match="at most 2 decimals"):
        find_count(98.461, 327)
    with pytest.raises(ValueError, match="0 to 100"):
        find_count(101, 327)
    with pytest.raises(ValueError, match="total is 0"):
        find_count(50, 0)
    with pytest.raises(ValueError, match="accuracy is 98"):
        hard_label_auc(98, 7)
    with pytest.raises(ValueError, match="too many sums"):
        fits_fold_mean(50, tuple(range(1001, 1011)))


def test_row_counts_are_those_that_print_as_the_row():
    for counts in ((32, 2, 4, 9, 2, 9, 6), (3, 1, 0, 49, 3, 4, 2), (1, 0), (2, 5)):
        row = [round(100 * k / sum(counts), 2) for k in counts]
        found = row_counts(row, range(1, 200))
        scale = sum(counts) // sum(found)
        assert tuple(scale * k for k in found) == counts
    assert row_counts([94.16, 4.41, 1.44], range(1, 151)) is None
    assert row_counts([50.0, 30.0, 20.0], range(1, 10)) is None  # needs ten
    assert row_counts([33.33, 33.33, 33.33], range(1, 10)) == (1, 1, 1)


def test_one_digit_away_are_all_values_that_fit():
    found = one_digit_away(49.78, 374)
    assert found[42.78] == (160, 374, "rounded")
    for value, count in found.items():
        digits = zip(f"{value:05.2f}", "49.78", strict=True)
        assert sum(a != b for a, b in digits) == 1
        assert find_count(value, 374) == count
    tried = [float(f"{d}9.78") for d in "012356789"] + [float(f"4{d}.78") for d in "012345678"]
    tried += [float(f"49.{d}8") for d in "012345689"] + [float(f"49.7{d}") for d in "012345679"]
    assert set(found) == {value for value in tried if find_count(value, 374)}
