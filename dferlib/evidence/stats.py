"""Intervals and paired tests from predictions.

Intervals resample *subjects* where they are known, because clips of one person are not independent,
and clips otherwise. Everything works on small confusion matrices, one per subject, so that 2000
resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from dferlib.evidence.metrics import choose, uar, war

Metric = Callable[[np.ndarray], np.ndarray]  # confusion counts (..., K, K) -> values (...)


@dataclass(frozen=True)
class Interval:
    """A value with its bootstrap interval; `unit` is what was resampled, `units` how many."""

    value: float
    low: float
    high: float
    level: float
    unit: str
    units: int


@dataclass(frozen=True)
class McNemar:
    """Clips that only the first or only the second is right about, and the exact p."""

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class Difference:
    """Second minus first, with interval and two-sided bootstrap p."""

    value: float
    low: float
    high: float
    p: float


def war_of(counts: np.ndarray) -> np.ndarray:
    """Return the accuracy of confusion counts (..., K, K)."""
    return np.trace(counts, axis1=-2, axis2=-1) / counts.sum((-2, -1))


def uar_of(counts: np.ndarray) -> np.ndarray:
    """Return the UAR of confusion counts (..., K, K).

    Classes absent from *all* of them count as 0, as in `metrics.uar`. A class that merely was not
    drawn in one resample says nothing about its recall and is left out of that resample's mean.
    """
    sizes = counts.sum(-1).astype(float)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    recall = np.divide(hits, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    known = sizes.reshape(-1, sizes.shape[-1]).any(0)
    drawn = (sizes > 0) | ~known
    return recall.sum(-1) / drawn.sum(-1)


def f1_of(counts: np.ndarray) -> np.ndarray:
    """Return the macro F1 of confusion counts (..., K, K): the mean over classes of 2 hits / (true
    + predicted).

    A class absent from *all* of them counts as 0; one that was not drawn in a resample is left out
    of that resample's mean, as in `uar_of`.
    """
    sizes, named = counts.sum(-1).astype(float), counts.sum(-2)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    both = sizes + named
    f1 = np.divide(2 * hits, both, out=np.zeros_like(sizes), where=both > 0)
    known = sizes.reshape(-1, sizes.shape[-1]).any(0)
    drawn = (sizes > 0) | ~known
    return (f1 * drawn).sum(-1) / drawn.sum(-1)


def recall_of(index: int) -> Metric:
    """Return the metric that is the recall of one class; NaN where it has no true clip."""

    def recall(counts: np.ndarray) -> np.ndarray:
        sizes = counts[..., index, :].sum(-1).astype(float)
        hits = counts[..., index, index]
        return np.divide(hits, sizes, out=np.full_like(sizes, np.nan), where=sizes > 0)

    return recall


METRICS: dict[str, Metric] = {"war": war_of, "uar": uar_of, "f1": f1_of}


def bootstrap_intervals(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    metrics: Mapping[str, str | Metric],
    *,
    select: str = "last",
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return percentile bootstrap intervals of metrics by name, pooled over folds.

    A metric is "war", "uar", "f1" or a function of confusion counts (..., K, K); all come from the
    same resamples. Subjects are resampled where every clip has one and there are at least two,
    clips otherwise. A resample in which a metric is not defined (NaN) does not count.
    """
    functions = {name: _metric(metric) for name, metric in metrics.items()}
    rows = choose(predictions, select)
    unit, codes = units_of(rows)
    counts = counts_by(codes, rows["y_true"], rows["y_pred"], len(classes))
    units, patterns = len(counts), counts.reshape(len(counts), -1)
    shares = np.full(units, 1 / units)
    if unit == "clips":  # equal clips share one draw: thousands of clips, dozens of patterns
        patterns, equal = np.unique(patterns, axis=0, return_counts=True)
        shares = equal / units
    draws = np.random.default_rng(seed).multinomial(units, shares, size=resamples)
    flat = (draws.astype(np.float64) @ patterns).reshape(resamples, *counts.shape[1:])
    found = {}
    for name, function in functions.items():
        low, high = _percentiles(function(flat), level)
        found[name] = Interval(float(function(counts.sum(0))), low, high, level, unit, units)
    return found


def binomial_interval(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) interval of k of n, which holds near 0 and 1, too."""
    interval = binomtest(int(correct), int(n)).proportion_ci(level, method="exact")
    return float(interval.low), float(interval.high)


def mcnemar(y_true: ArrayLike, first: ArrayLike, second: ArrayLike) -> McNemar:
    """Return the exact McNemar test of two predictions of the same clips.

    Under the null hypothesis each disagreement is a fair coin; without one, p is 1. That assumes
    independent clips: where clips of one person go together it rejects too often, and
    `clustered.sign_flip` over persons does not. ValueError unless all three are one-dimensional and
    of one length: a single prediction is not repeated.
    """
    shapes = [np.shape(values) for values in (y_true, first, second)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise ValueError(
            f"truth and predictions have the shapes {shapes[0]}, {shapes[1]} and {shapes[2]}; "
            "each needs one label for every clip, in one order"
        )
    right, other = (np.asarray(y_true) == np.asarray(y) for y in (first, second))
    only_first, only_second = int((right & ~other).sum()), int((other & ~right).sum())
    n = only_first + only_second
    return McNemar(only_first, only_second, float(binomtest(only_first, n).pvalue) if n else 1.0)


def uar_difference(
    y_true: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    num_classes: int,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """Return UAR of `second` minus UAR of `first` by a paired bootstrap, stratified by class.

    Within a class a clip only says -1, 0 or +1, so resampling its clips is one multinomial draw.
    Class sizes stay fixed and clips count as independent; the p is two-sided and never 0.
    """
    y_true = np.asarray(y_true)
    step = (np.asarray(second) == y_true).astype(int) - (np.asarray(first) == y_true)
    rng = np.random.default_rng(seed)
    total = np.zeros(resamples)
    for label in range(num_classes):
        steps = step[y_true == label]
        if len(steps):
            shares = np.bincount(steps + 1, minlength=3) / len(steps)
            worse, _, better = rng.multinomial(len(steps), shares, size=resamples).T
            total += (better - worse) / len(steps)
    values = total / num_classes
    value = uar(y_true, second, num_classes) - uar(y_true, first, num_classes)
    low, high = _percentiles(values, level)
    eps = 1e-12  # sums of fractions that are 0 on paper
    tail = min((values <= eps).sum(), (values >= -eps).sum())
    return Difference(value, low, high, min(1.0, 2 * (int(tail) + 1) / (resamples + 1)))


def holm(p_values: ArrayLike) -> np.ndarray:
    """Return p-values corrected by Holm over all that are not NaN; NaN stays NaN."""
    p_values = np.asarray(p_values, dtype=float)
    known, corrected = ~np.isnan(p_values), np.full(p_values.shape, np.nan)
    if known.any():
        corrected[known] = multipletests(p_values[known], method="holm")[1]
    return corrected


def compare_variants(
    predictions: Mapping[str, pd.DataFrame],
    classes: Sequence[str],
    *,
    reference: str | None = "baseline",
    select: str = "last",
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare variants on the same clips; p-values are corrected by Holm over the table.

    Each variant against `reference`, or every pair when that is None. One row per pair: first,
    second, n, war_first, war_second, war_difference, only_first, only_second, p_mcnemar,
    uar_difference, uar_low, uar_high, p_uar, and p_mcnemar_holm, p_uar_holm. ValueError where two
    variants were not tested on the same clips.
    """
    if reference is not None and reference not in predictions:
        raise ValueError(f"reference is {reference!r}; there is: {', '.join(predictions)}")
    tables = {name: _by_clip(choose(rows, select), name) for name, rows in predictions.items()}
    others = [name for name in tables if name != reference]
    pairs = [(reference, name) for name in others] if reference else combinations(tables, 2)
    options = {"level": level, "resamples": resamples, "seed": seed}
    rows = [
        {"first": first, "second": second}
        | _compare(*_align(first, tables[first], second, tables[second]), len(classes), options)
        for first, second in pairs
    ]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    for name in ("p_mcnemar", "p_uar"):
        table[f"{name}_holm"] = holm(table[name])
    return table


_COLUMNS = ["first", "second", "n", "war_first", "war_second", "war_difference", "only_first"]
_COLUMNS += ["only_second", "p_mcnemar", "uar_difference", "uar_low", "uar_high", "p_uar"]


def _compare(y_true, first, second, num_classes: int, options: dict) -> dict:
    test = mcnemar(y_true, first, second)
    difference = uar_difference(y_true, first, second, num_classes, **options)
    accuracy = war(y_true, first), war(y_true, second)
    return {
        "n": len(y_true),
        "war_first": accuracy[0],
        "war_second": accuracy[1],
        "war_difference": accuracy[1] - accuracy[0],
        "only_first": test.only_first,
        "only_second": test.only_second,
        "p_mcnemar": test.p,
        "uar_difference": difference.value,
        "uar_low": difference.low,
        "uar_high": difference.high,
        "p_uar": difference.p,
    }


def _metric(metric: str | Metric) -> Metric:
    if callable(metric):
        return metric
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; valid: {', '.join(METRICS)}, or a function")
    return METRICS[metric]


def units_of(rows: pd.DataFrame) -> tuple[str, np.ndarray]:
    """Return what counts as independent and its code per row: "subjects" where every clip has one
    and there are two at least, "clips" otherwise. ValueError where clip_id has gaps, too.
    """
    for unit, column in (("subjects", "subject"), ("clips", "clip_id")):
        if column not in rows or rows[column].isna().any():
            continue
        codes, names = pd.factorize(rows[column].astype(str))
        if unit == "clips" or (len(names) > 1 and "" not in names):
            return unit, codes
    raise ValueError("predictions need a column clip_id without gaps")


def counts_by(codes: np.ndarray, y_true: ArrayLike, y_pred: ArrayLike, k: int) -> np.ndarray:
    """Return confusion counts per unit, (U, K, K), of codes 0..U-1 and class indices."""
    counts = np.zeros((codes.max() + 1, k, k))
    np.add.at(counts, (codes, np.asarray(y_true), np.asarray(y_pred)), 1)
    return counts


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    values = values[~np.isnan(values)]
    low, high = np.quantile(values, [tail, 1 - tail]) if len(values) else (np.nan, np.nan)
    return float(low), float(high)


def _by_clip(rows: pd.DataFrame, variant: str) -> pd.DataFrame:
    keys = [name for name in ("clip_id", "fold", "seed") if name in rows]
    table = rows.set_index(keys)[["y_true", "y_pred"]].sort_index()
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise ValueError(f"variant {variant!r} predicts {twice} twice; pass one run per fold")
    return table


def _align(first: str, a: pd.DataFrame, second: str, b: pd.DataFrame):
    if not a.index.equals(b.index) or not (a["y_true"] == b["y_true"]).all():
        only = len(a.index.symmetric_difference(b.index))
        raise ValueError(
            f"variants {first!r} ({len(a)} rows) and {second!r} ({len(b)} rows) were not tested on "
            f"the same clips ({only} differ); run both on the same folds and seeds"
        )
    return a["y_true"].to_numpy(), a["y_pred"].to_numpy(), b["y_pred"].to_numpy()
