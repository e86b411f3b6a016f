"""Paired tests over persons: against enumeration, against McNemar, and on worked numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, permutation_test, ttest_1samp
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from dferlib.evidence import clustered, stats
from dferlib.evidence.comparison import compare_models, compare_pair
from dferlib.evidence.paired import Paired, UnequalClipsError, pair_predictions

CLASSES = ("a", "b", "c")


def enumerated(effects) -> float:
    signs = itertools.product((1, -1), repeat=len(effects))
    sums = np.array([np.dot(effects, s) for s in signs])
    return float((abs(sums) >= abs(sum(effects)) - 1e-9).mean())


def table(subjects=12, clips=6, seeds=1, seed=0, variant="first", accuracy=0.7) -> pd.DataFrame:
    """Predictions of random clips: the true classes hang on the clip alone."""
    rng, rows = np.random.default_rng([seed, len(variant)]), []
    for run, person, clip in itertools.product(range(seeds), range(subjects), range(clips)):
        true = (person + clip) % 3
        right = rng.random() < accuracy
        name = f"s{person}-{clip}"
        rows.append((name, f"s{person}", 1, "last", true, true if right else (true + 1) % 3, run))
    columns = ["clip_id", "subject", "fold", "select", "y_true", "y_pred", "seed"]
    return pd.DataFrame(rows, columns=columns).assign(variant=variant)


@pytest.mark.parametrize(
    "effects",
    [(1, 2, -1, 3, 0, 1), (2, 3, 3, -2), (0.3, 0.5, 0.7, 1.1, -0.2), (1 / 7, 1 / 3, -1 / 11), (5,)],
)
def test_sign_flips_equal_all_patterns(effects):
    found = clustered.sign_flip(effects)
    assert found.exact
    assert found.p == pytest.approx(enumerated(effects))
    assert found.units == sum(effect != 0 for effect in effects)
    assert found.p >= found.least_p


def test_sign_flips_equal_scipy_and_random_ones_come_near():
    effects = np.random.default_rng(3).normal(0.4, 1, 14)
    options = {"permutation_type": "samples", "n_resamples": np.inf, "vectorized": True}
    expected = permutation_test((effects,), np.sum, **options).pvalue
    assert clustered.sign_flip(effects).p == pytest.approx(expected)
    many = np.random.default_rng(4).normal(0.2, 1, 40)
    random = clustered.sign_flip(many, seed=1)
    assert not random.exact
    assert random.p == pytest.approx(ttest_1samp(many, 0).pvalue, abs=0.03)
    assert random == clustered.sign_flip(many, seed=1)
    far = clustered.sign_flip(many + 9)
    assert far.p == 1 / 10_000


@pytest.mark.parametrize(("better", "worse"), [(3, 5), (2, 10), (0, 0), (30, 20), (700, 600)])
def test_one_clip_a_person_is_the_exact_mcnemar_test(better, worse):
    effects = np.r_[np.ones(better), -np.ones(worse), np.zeros(7)]
    expected = reference_mcnemar([[0, better], [worse, 7]], exact=True).pvalue
    assert clustered.sign_flip(effects).p == pytest.approx(min(1, expected))
    statistic, p = clustered.obuchowski(effects)
    units, either = better + worse + 7, max(better + worse, 1)
    asymptotic = (better - worse) ** 2 / either * (units - 1) / units
    assert (statistic, p) == (pytest.approx(asymptotic), pytest.approx(chi2.sf(asymptotic, 1)))


def test_obuchowski_by_hand():
    # persons' differences 2, 0, -1, 3: sum 4, squares 14, (4 - 1) / 4 * 16 / 14
    assert clustered.obuchowski([2, 0, -1, 3])[0] == pytest.approx(6 / 7)


def test_effects_sum_to_the_differences_of_both_metrics():
    first, second = table(), table(variant="second", accuracy=0.9)
    pair = pair_predictions(first, second, CLASSES)
    y, a, b = first["y_true"], first["y_pred"], second["y_pred"]
    assert pair.effects("war").sum() == pytest.approx((y == b).mean() - (y == a).mean())
    recall = [(b[y == k] == k).mean() - (a[y == k] == k).mean() for k in range(3)]
    assert pair.effects("uar").sum() == pytest.approx(np.mean(recall))
    assert (pair.kind, pair.units, len(pair.y_true)) == ("subjects", 12, 72)
    with pytest.raises(ValueError, match="metric is 'f1'"):
        pair.effects("f1")


def test_without_subjects_the_clips_are_the_units():
    pair = pair_predictions(*(table(variant=v).drop(columns="subject") for v in "ab"), CLASSES)
    assert (pair.kind, pair.units) == ("clips", 72)


def test_seeds_of_a_clip_are_averaged_and_not_dropped():
    one, three = table(seeds=1), table(seeds=3)
    again = pd.concat([one.assign(seed=k) for k in range(3)])
    other = table(variant="second", accuracy=0.9)
    same = [pair_predictions(rows, other, CLASSES) for rows in (one, again)]
    assert np.allclose(same[0].effects("war"), same[1].effects("war"))
    pair = pair_predictions(three, other, CLASSES)
    mean = (three["y_true"] == three["y_pred"]).mean()
    assert pair.effects("war").sum() == pytest.approx(
        (other["y_true"] == other["y_pred"]).mean() - mean
    )


def test_what_does_not_fit_is_named():
    rows = table()
    other = rows.assign(y_true=(rows["y_true"] + 1) % 3)
    for second, message in (
        (rows.iloc[1:], "1 clips were tested for one model only, 's0-0'"),
        (pd.concat([rows, rows.iloc[:1]]), "predicts clip 's0-0' twice"),
        (other, "another true class"),
        (rows.assign(y_pred=3), "y_pred of the second model holds 3"),
        (rows.assign(y_pred=np.nan), "holds nan"),
        (pd.concat([rows, rows.iloc[:3].assign(seed=1)]), "lacks a seed"),
        (rows.assign(fold=2), "tested for one model only"),
    ):
        with pytest.raises(UnequalClipsError, match=message):
            pair_predictions(rows, second, CLASSES)


def test_a_class_of_few_clips_is_not_tested():
    y = np.array([0] * 20 + [1] * 20 + [2] * 4)
    right = np.ones((44, 1))
    pair = Paired(y, np.arange(44) % 11, "subjects", right, right * (y < 2)[:, None], CLASSES)
    assert "c (4)" in clustered.untestable(pair)
    row = compare_pair(pair)
    assert np.isnan(row["p_uar"])
    assert row["p_war"] <= 1
    assert row["uar_difference"] == pytest.approx(-1 / 3)


def test_mixed_variance_is_that_of_persons_and_of_seeds():
    first = table(seeds=3, accuracy=0.6)
    second = table(seeds=3, variant="second", accuracy=0.6)
    pair = pair_predictions(first, second, CLASSES)
    mixed = clustered.mixed_difference(pair)
    effects = pair.effects("war")
    persons = len(effects) * effects.var(ddof=1)
    seeds = sum(right.mean(0).var(ddof=1) / 3 for right in (pair.first, pair.second))
    assert mixed.from_units == pytest.approx(persons / (persons + seeds))
    alone = clustered.mixed_difference(
        pair_predictions(*(rows[rows["seed"] == 0] for rows in (first, second)), CLASSES)
    )
    assert alone.df == pytest.approx(11)
    single = pair_predictions(*(rows[rows["seed"] == 0] for rows in (first, second)), CLASSES)
    low, high = clustered.difference_interval(single.effects("war"))
    assert (alone.low, alone.high) == (pytest.approx(low), pytest.approx(high))
    expected = ttest_1samp(single.effects("war"), 0)
    assert alone.p == pytest.approx(expected.pvalue)


def test_folds_share_their_training_clips():
    differences = np.array([0.02, 0.05, -0.01, 0.03, 0.04])
    t, p = clustered.fold_corrected_t(differences, 1 / 4)
    plain = ttest_1samp(differences, 0)
    assert t == pytest.approx(plain.statistic * np.sqrt((1 / 5) / (1 / 5 + 1 / 4)))
    assert plain.pvalue < p < 1
    assert clustered.fold_corrected_t([0.0, 0.0], 0.1) == (0.0, 1.0)
    with pytest.raises(ValueError, match="two folds"):
        clustered.fold_corrected_t([0.1], 0.25)


def test_models_against_a_reference():
    rows = pd.concat(
        [table(), table(variant="better", accuracy=1.0), table(variant="same as first")]
    )
    result = compare_models(rows, CLASSES, "first").set_index("second")
    assert list(result.index) == ["better", "same as first"]
    better = result.loc["better"]
    assert better["war_low"] < better["war_difference"] < better["war_high"]
    assert better["p_war"] < 0.01
    holm = stats.holm(result["p_war"])
    assert list(result["p_war_holm"]) == pytest.approx(list(holm))
    expected = compare_models(rows, CLASSES, "first", expected=0.3).set_index("second")
    assert expected.loc["better", "clips_needed"] != better["clips_needed"]
    with pytest.raises(ValueError, match="reference is 'none'"):
        compare_models(rows, CLASSES, "none")
