"""Metrics by hand, statistics against statsmodels and against their own promises."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.metrics import balanced_accuracy_score, f1_score
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from dferlib.evidence import metrics, scoring, stats
from dferlib.training import predict

CLASSES = ("anger", "fear", "happiness")


def table(y_true, y_pred, subjects=None, folds=None, select="last") -> pd.DataFrame:
    n = len(y_true)
    return pd.DataFrame(
        {
            "clip_id": [f"c{i}" for i in range(n)],
            "subject": range(n) if subjects is None else subjects,
            "fold": 1 if folds is None else folds,
            "select": select,
            "y_true": y_true,
            "y_pred": y_pred,
        }
    )


def draw(accuracy: float, subjects: int, clips: int, seed: int) -> pd.DataFrame:
    """Clips of subjects who differ in how readable they are."""
    rng = np.random.default_rng(seed)
    y_true = np.tile(np.arange(3), subjects * clips // 3)
    subject = np.repeat(np.arange(subjects), clips)
    right = rng.random(len(y_true)) < np.repeat(
        rng.beta(8 * accuracy, 8 - 8 * accuracy, subjects), clips
    )
    return table(y_true, np.where(right, y_true, (y_true + 1) % 3), [f"s{i}" for i in subject])


# --------------------------------------------------------------------------------------- metrics


def test_accuracy_and_recall_by_hand():
    y_true, y_pred = [0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 2, 2]
    assert metrics.war(y_true, y_pred) == pytest.approx(5 / 7)
    assert metrics.uar(y_true, y_pred, 3) == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    np.testing.assert_allclose(metrics.per_class_recall(y_true, y_pred, 3), [0.75, 0.5, 1])
    expected = [[3, 1, 0], [0, 1, 1], [0, 0, 1]]
    np.testing.assert_array_equal(metrics.confusion(y_true, y_pred, 3), expected)
    normal = metrics.confusion(y_true, y_pred, 3, normalise=True)
    np.testing.assert_allclose(normal.sum(1), 1)


@pytest.mark.filterwarnings("ignore:y_pred contains")
def test_an_absent_class_counts_as_zero():
    y_true, y_pred = [0, 0, 1, 1], [0, 0, 1, 2]
    assert balanced_accuracy_score(y_true, y_pred) == pytest.approx(0.75)  # the trap
    assert metrics.uar(y_true, y_pred, 3) == pytest.approx(0.5)
    assert np.isnan(metrics.per_class_recall(y_true, y_pred, 3)[2])
    assert np.isnan(metrics.confusion(y_true, y_pred, 3, normalise=True)[2]).all()


def test_impossible_input_is_refused():
    with pytest.raises(ValueError, match=r"y_pred holds \[3\]"):
        metrics.uar([0, 1], [0, 3], 3)
    with pytest.raises(ValueError, match="same length"):
        metrics.war([0, 1], [0])
    with pytest.raises(ValueError, match="best_val"):
        metrics.choose(table([0], [0], select="best_val"), "last")


def test_score_pools_and_gives_folds():
    rows = table([0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 0, 0], folds=[1, 1, 1, 2, 2, 2])
    rows = pd.concat([rows, rows.assign(select="best_val", y_pred=rows["y_true"])])
    result = metrics.score(rows, CLASSES, "last")
    assert result["n"] == 6
    assert result["folds"] == 2
    assert result["war"] == pytest.approx(4 / 6)
    assert result["war_fold_mean"] == pytest.approx((1 + 1 / 3) / 2)
    assert result["war_fold_sd"] == pytest.approx(np.std([1, 1 / 3], ddof=1))
    assert result["recall"] == {"anger": 1.0, "fear": 0.5, "happiness": 0.5}
    assert metrics.score(rows, CLASSES, "best_val")["uar"] == 1


def test_roc_by_hand_and_its_ends():
    scores = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.4, 0.5, 0.1], [0.1, 0.2, 0.7]])
    curves = metrics.roc([0, 0, 1, 2], scores, CLASSES)
    # pairs (true, other) ranked rightly: anger 2x2 of which 0.3 < 0.4 is wrong
    assert curves["anger"].auc == pytest.approx(3 / 4)
    assert curves["happiness"].auc == 1
    mean = np.mean([curves[name].auc for name in CLASSES])
    assert curves["macro"].auc == pytest.approx(mean)
    for curve in curves.values():
        assert curve.fpr[0] == curve.tpr[0] == 0
        assert curve.fpr[-1] == curve.tpr[-1] == 1
        assert (np.diff(curve.fpr) >= 0).all()
        assert (np.diff(curve.tpr) >= 0).all()
    assert "fear" not in metrics.roc([0, 0, 2, 2], scores, CLASSES)


def test_micro_roc_counts_all_pairs():
    rng = np.random.default_rng(0)
    scores, y_true = rng.dirichlet(np.ones(3), 30), rng.integers(0, 3, 30)
    truth = np.eye(3, dtype=bool)[y_true]
    positive, negative = scores[truth], scores[~truth]
    pairs = positive[:, None] - negative[None]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert metrics.roc(y_true, scores, CLASSES)["micro"].auc == pytest.approx(expected)


# ----------------------------------------------------------------------------------------- stats


def test_confusion_metrics_equal_the_plain_ones():
    rng = np.random.default_rng(1)
    for k in (3, 4):  # with 4, one class never occurs
        y_true, y_pred = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
        counts = metrics.confusion(y_true, y_pred, k)
        assert stats.war_of(counts) == pytest.approx(metrics.war(y_true, y_pred))
        assert stats.uar_of(counts) == pytest.approx(metrics.uar(y_true, y_pred, k))


def interval(rows, classes, metric="war", **options):
    return stats.bootstrap_intervals(rows, classes, {"": metric}, **options)[""]


def test_the_bootstrap_equals_a_loop_that_resamples_rows():
    rows = draw(0.7, 20, 6, 0)
    found = interval(rows, CLASSES, "uar", resamples=4000)
    rng, values = np.random.default_rng(9), []
    groups = [part for _, part in rows.groupby("subject")]
    for _ in range(600):
        again = pd.concat([groups[i] for i in rng.integers(0, 20, 20)])
        values.append(metrics.uar(again["y_true"], again["y_pred"], 3))
    assert found.low == pytest.approx(np.quantile(values, 0.025), abs=0.02)
    assert found.high == pytest.approx(np.quantile(values, 0.975), abs=0.02)
    assert (found.unit, found.units) == ("subjects", 20)


def test_subjects_make_the_interval_wider_and_clips_are_the_fallback():
    rows = draw(0.7, 15, 30, 3)
    wide = interval(rows, CLASSES)
    narrow = interval(rows.assign(subject=None), CLASSES)
    assert narrow.unit == "clips"
    assert narrow.units == 450
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert interval(rows.assign(subject="only"), CLASSES).unit == "clips"
    assert wide == interval(rows, CLASSES)  # the seed decides


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        found = interval(draw(0.7, 40, 6, seed), CLASSES, resamples=400)
        hits += found.low <= 0.7 <= found.high
    assert binom.ppf(0.001, 200, 0.92) <= hits <= 200


def test_any_metric_can_be_bootstrapped():
    def fear(counts):
        return counts[..., 1, 1] / counts[..., 1, :].sum(-1)

    found = interval(draw(0.7, 20, 6, 0), CLASSES, fear)
    assert found.low < found.value < found.high
    with pytest.raises(ValueError, match="war, uar"):
        interval(draw(0.7, 20, 6, 0), CLASSES, "gain")


def test_recall_and_f1_of_counts_are_scikit_learns():
    rng = np.random.default_rng(2)
    y_true, y_pred = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    counts = metrics.confusion(y_true, y_pred, 4)  # the fourth class never occurs
    recalls = metrics.per_class_recall(y_true, y_pred, 4)
    np.testing.assert_allclose([stats.recall_of(k)(counts) for k in range(4)], recalls)
    wanted = f1_score(y_true, y_pred, labels=range(4), average="macro", zero_division=0)
    assert stats.f1_of(counts) == pytest.approx(wanted)


def test_a_bootstrap_of_equal_clips_is_that_of_single_ones():
    rows = draw(0.7, 15, 30, 3).assign(subject=None)
    right = (rows["y_true"] == rows["y_pred"]).to_numpy()
    found = stats.bootstrap_intervals(rows, CLASSES, {"a": "war", "b": stats.recall_of(1)})
    low, high = binom.ppf([0.025, 0.975], len(right), right.mean()) / len(right)
    assert found["a"].low == pytest.approx(low, abs=0.006)
    assert found["a"].high == pytest.approx(high, abs=0.006)
    assert found["b"] == interval(rows, CLASSES, stats.recall_of(1))
    absent = interval(rows, (*CLASSES, "contempt"), stats.recall_of(3))
    assert np.isnan([absent.value, absent.low, absent.high]).all()


def test_a_class_that_was_not_drawn_is_left_out_of_its_resample():
    counts = np.zeros((2, 3, 3))
    counts[0] = np.diag([1, 1, 1])
    counts[1] = np.diag([1, 1, 0])
    np.testing.assert_allclose(stats.uar_of(counts), [1, 1])
    assert stats.uar_of(counts[1]) == pytest.approx(2 / 3)  # alone, the class is absent for good


def test_mcnemar_equals_statsmodels():
    rng = np.random.default_rng(2)
    for _ in range(20):
        y, a, b = rng.integers(0, 3, (3, 60))
        found = stats.mcnemar(y, a, b)
        square = pd.crosstab(a == y, b == y).reindex([True, False], axis=0, fill_value=0)
        square = square.reindex([True, False], axis=1, fill_value=0)
        assert (found.only_first, found.only_second) == (square.iloc[0, 1], square.iloc[1, 0])
        assert found.p == pytest.approx(reference_mcnemar(square, exact=True).pvalue)
    assert stats.mcnemar(y, a, a).p == 1


@pytest.mark.parametrize(
    ("first", "second"), [(0, [0, 1, 1]), ([0], [0, 1, 1]), ([0, 1, 1], [[0, 1, 1]]), ([], [])]
)
def test_mcnemar_repeats_no_prediction(first, second):
    with pytest.raises(ValueError, match="each needs one label for every clip"):
        stats.mcnemar([0, 1, 1], first, second)


def test_binomial_interval_is_exact():
    low, high = stats.binomial_interval(327, 327)
    assert high == 1
    assert low == pytest.approx(0.025 ** (1 / 327))


def test_uar_difference_equals_its_definition():
    rng = np.random.default_rng(4)
    y = np.repeat([0, 1, 2], [40, 20, 10])
    a = np.where(rng.random(70) < 0.6, y, (y + 1) % 3)
    b = np.where(rng.random(70) < 0.8, y, (y + 1) % 3)
    found = stats.uar_difference(y, a, b, 3, resamples=4000)
    assert found.value == pytest.approx(metrics.uar(y, b, 3) - metrics.uar(y, a, 3))
    values = []
    for _ in range(1000):
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(y == k), (y == k).sum()) for k in range(3)]
        )
        values.append(metrics.uar(y[rows], b[rows], 3) - metrics.uar(y[rows], a[rows], 3))
    assert found.low == pytest.approx(np.quantile(values, 0.025), abs=0.03)
    assert found.high == pytest.approx(np.quantile(values, 0.975), abs=0.03)
    same = stats.uar_difference(y, a, a, 3)
    assert (same.value, same.p) == (0, 1)


def test_holm_by_hand_with_a_gap():
    np.testing.assert_allclose(stats.holm([0.01, 0.04, np.nan, 0.03]), [0.03, 0.06, np.nan, 0.06])
    assert np.isnan(stats.holm([np.nan])).all()


def test_comparison_of_variants():
    rng = np.random.default_rng(5)
    y = np.tile(np.arange(3), 60)

    def variant(accuracy):
        return table(y, np.where(rng.random(180) < accuracy, y, (y + 1) % 3))

    runs = {"baseline": variant(0.5), "better": variant(0.9), "same": variant(0.5)}
    runs["better"] = runs["better"].sample(frac=1, random_state=0)  # order must not matter
    found = stats.compare_variants(runs, CLASSES).set_index("second")
    assert list(found.index) == ["better", "same"]
    assert (found["first"] == "baseline").all()
    assert found.loc["better", "p_mcnemar_holm"] < 0.001 < found.loc["same", "p_mcnemar_holm"]
    assert found.loc["better", "uar_low"] > 0
    assert (found["p_uar_holm"] >= found["p_uar"]).all()
    pairs = stats.compare_variants(runs, CLASSES, reference=None)
    assert len(pairs) == 3
    assert len(stats.compare_variants({"baseline": runs["same"]}, CLASSES)) == 0


def test_variants_on_different_clips_are_not_compared():
    first = table([0, 1, 2], [0, 1, 2])
    with pytest.raises(ValueError, match="not tested on the same clips"):
        stats.compare_variants({"baseline": first, "b": first.iloc[:2]}, CLASSES)
    with pytest.raises(ValueError, match="twice"):
        stats.compare_variants({"baseline": first, "b": pd.concat([first, first])}, CLASSES)
    with pytest.raises(ValueError, match="reference is 'x'"):
        stats.compare_variants({"baseline": first}, CLASSES, reference="x")


def test_no_torch_here():
    names = "dferlib.evidence.metrics, dferlib.evidence.stats"
    code = f"import sys, {names}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_silhouette_by_hand_and_where_it_is_not_defined():
    far = [[0.0, 0], [0, 1], [10, 0], [10, 1]]
    assert metrics.silhouette(far, [0, 0, 1, 1]) > 0.85
    assert metrics.silhouette(far, [0, 1, 0, 1]) < 0
    assert np.isnan(metrics.silhouette(far, [0, 0, 0, 0]))
    assert np.isnan(metrics.silhouette(far, [0, 1, 2, 3]))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 12])
def test_clips_are_placed_on_a_plane_however_few_they_are(count):
    features = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    points = predict.embed(features)
    assert points.shape == (count, 2)
    assert np.isfinite(points).all()
    assert len(np.unique(points.round(6), axis=0)) == count


def test_the_tables_say_which_epoch_and_which_classes_hang_on_single_clips():
    labels = [0] * 6 + [1] * 5 + [2]
    said = scoring.explain_tables(table(labels, labels, select="best_test"), CLASSES, "best_test")
    assert "oracle" in said
    assert "happiness (1)" in said
    assert "fear" not in said
    said = scoring.explain_tables(table([0] * 6, [0] * 6), CLASSES, "last")
    assert "single clips" not in said


def test_the_commonest_confusion_is_counted_and_not_a_share_of_a_rare_class():
    y_true, y_pred = [0] * 10 + [1] * 5 + [2], [0] * 7 + [1] * 3 + [1] * 5 + [0]
    rows = table(y_true, y_pred).assign(variant="net")
    said = scoring.commonest_confusion(rows, CLASSES, "net", "last")
    assert said == "Commonest confusion: **anger** taken for **fear**, 3 of 10 clips."
    right = table([0, 1], [0, 1]).assign(variant="net")
    assert scoring.commonest_confusion(right, CLASSES, "net", "last") == "No clip was confused."
