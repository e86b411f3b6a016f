"""Intervals of WAR and UAR over persons, by six methods, and how well each of them covers.

All work on what each unit (person) got right: `hits` and `sizes` (..., U, K), right and all clips
of a class. Leading axes are independent data sets, so a simulation is one call. What each method
covers is measured by `benchmarks/evidence/coverage.py` and stored in
`results/evidence/coverage.csv`: with 80 persons korn-graubard, the default, covers 93 to 97.5 %;
with 10 it is too wide (97 to 99.9 %) and the resampling methods fall to between 69 and 94 %. The
design of that table was fixed beforehand; its first run, with U - 1 degrees and without leaving one
out, showed 91 % where persons have unequal numbers of clips, and was mended.

| method | what it is |
|---|---|
| percentile | quantiles of resampled persons |
| bca | the same, corrected for bias and skewness (Efron 1987) |
| studentised | resampled t on the logit scale |
| logit-t | t on the logit scale, linearised variance, U - 1 degrees |
| wilson | score interval with the number of clips that persons leave, and their degrees |
| korn-graubard | exact binomial with the number of clips that persons leave (Korn, Graubard 1998) |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import beta, norm
from scipy.stats import t as student

from dferlib.evidence.metrics import choose
from dferlib.evidence.stats import Interval, units_of

METHODS = ("percentile", "bca", "studentised", "logit-t", "wilson", "korn-graubard")
DEFAULT = "korn-graubard"
# least and most coverage (per cent) of DEFAULT in results/evidence/coverage.csv, by persons
COVERED = {10: ("96.9", "99.9"), 80: ("93.4", "97.4")}
_EDGE = 1e-9  # how near to 0 or 1 the logit scale ends
_FAR = 1e9  # t of a resample without spread


def subject_interval(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    metric: str = "war",
    *,
    select: str = "last",
    method: str = DEFAULT,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the interval of "war" or "uar" over subjects (clips where they are unknown).

    Several seeds of a clip count as one clip that is right in part. Of a single clip nothing is
    known of others, and the interval is that of one throw. ValueError for another metric or method.
    """
    unit, hits, sizes = _shares(predictions, classes, select)
    value = float(estimate(hits, sizes, metric)[0])
    if len(sizes) == 1:
        low, high = exact_interval(np.float64(value), 1.0, level)
        return Interval(value, float(low), float(high), level, unit, 1)
    options = {"level": level, "resamples": resamples, "seed": seed}
    low, high = interval(hits, sizes, metric, method, **options)
    return Interval(value, float(low), float(high), level, unit, len(sizes))


def independent_clips(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    metric: str = "war",
    *,
    select: str = "last",
    level: float = 0.95,
) -> float:
    """Return of how many independent clips `subject_interval` is the `exact_interval` by default.

    1 for a single unit.
    """
    _, hits, sizes = _shares(predictions, classes, select)
    if len(sizes) == 1:
        return 1.0
    value, influence = estimate(hits, sizes, metric)
    return float(_independent_clips(value, influence, sizes, metric, level))


def covers(persons: int) -> str:
    """Say in a clause how the default interval covers for so many units, by the simulation."""
    few, many = sorted(COVERED)
    if persons >= many:
        return "cover {} to {} % in a simulation with {} persons".format(*COVERED[many], many)
    said = "cover {} to {} % in a simulation with {} persons".format(*COVERED[few], few)
    return f"{said} (too wide) and {COVERED[many][0]} to {COVERED[many][1]} % with {many}"


def _shares(predictions: pd.DataFrame, classes: Sequence[str], select: str):
    """What a unit is, and what each got right and had of each class, the seeds averaged."""
    rows = choose(predictions, select)
    unit, codes = units_of(rows)
    y_true, y_pred = (rows[name].to_numpy(int) for name in ("y_true", "y_pred"))
    hits, sizes = _by_unit(codes, y_true, y_pred, len(classes))
    copies = len(rows) / rows["clip_id"].nunique() if "clip_id" in rows else 1.0
    return unit, hits / copies, sizes / copies


def _by_unit(codes: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, k: int):
    """What each unit got right and had of each class, both (U, K)."""
    shape = (int(codes.max()) + 1, k)
    cells = codes * k + y_true
    sizes = np.bincount(cells, minlength=shape[0] * k)
    hits = np.bincount(cells, y_true == y_pred, minlength=shape[0] * k)
    return hits.reshape(shape), sizes.reshape(shape).astype(float)


def interval(
    hits: ArrayLike,
    sizes: ArrayLike,
    metric: str = "war",
    method: str = DEFAULT,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends (...) of the interval of `hits` (..., U, K) out of `sizes` (U, K).

    ValueError for an unknown method or metric, or fewer than two units.
    """
    hits, sizes = np.asarray(hits, dtype=float), np.asarray(sizes, dtype=float)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; valid: {', '.join(METHODS)}")
    if sizes.ndim != 2 or len(sizes) < 2:
        raise ValueError(f"sizes has shape {sizes.shape}; (units, classes), two units at least")
    value, influence = estimate(hits, sizes, metric)
    if method in ("wilson", "korn-graubard"):
        n = _independent_clips(value, influence, sizes, metric, level)
        return (_wilson if method == "wilson" else exact_interval)(value, n, level)
    if method == "logit-t":
        half = student.ppf((1 + level) / 2, len(sizes) - 1)
        return _logit(value, _deviation(influence), half, half)
    draws = _draws(len(sizes), resamples, seed)
    if method == "studentised":
        return _studentised(hits, sizes, metric, draws, level)
    resampled = np.sort(_resampled(hits, sizes, metric, draws), -1)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    shares = np.broadcast_to(tails, (*value.shape, 2))
    if method == "bca":
        shares = _bca_shares(value, influence, resampled, tails)
    return tuple(_quantile(resampled, shares[..., end]) for end in (0, 1))


def estimate(hits: np.ndarray, sizes: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the metric (...) and what each unit (..., U) moves it by, to first order.

    The influences sum to 0; U / (U - 1) times the sum of their squares is the variance of the
    metric over persons. A class without clips counts as 0 in UAR, as in `metrics.uar`.
    """
    if metric == "war":
        hits, sizes = hits.sum(-1, keepdims=True), sizes.sum(-1, keepdims=True)
    elif metric != "uar":
        raise ValueError(f"metric is {metric!r}; valid: war, uar")
    totals = sizes.sum(-2, dtype=float)
    scale = np.divide(1, totals, out=np.zeros_like(totals), where=totals > 0) / sizes.shape[-1]
    recall = hits.sum(-2) * scale * sizes.shape[-1]
    influence = hits @ scale - (recall * scale) @ np.swapaxes(sizes, -1, -2)
    return recall.mean(-1), influence


def effective_clips(value: ArrayLike, deviation: ArrayLike, most: ArrayLike) -> np.ndarray:
    """Return of how many independent clips a share has this standard deviation, `most` at most."""
    value, variance = np.asarray(value, dtype=float), np.asarray(deviation, dtype=float) ** 2
    shape = np.broadcast(value, variance, most).shape
    found = np.divide(
        value * (1 - value), variance, out=np.full(shape, np.inf), where=variance > 1e-15
    )
    return np.minimum(found, most)


def _deviation(influence: np.ndarray) -> np.ndarray:
    units = influence.shape[-1]
    return np.sqrt(units / (units - 1) * (influence**2).sum(-1))


def _independent_clips(value, influence, sizes, metric, level):
    """Of how many independent clips the value is a share: eq. 4 of Korn and Graubard (1998).

    The variance is that of leaving one unit out, and the degrees are those of equal units (Kish's
    number of them), because units of many clips weigh more. UAR is treated as a share of as many
    clips as would give it that variance: of K classes with n_k clips at most K^2 / sum(1 / n_k).
    Where all units agree nothing can be estimated, and all clips count.
    """
    totals = sizes.sum(0)[sizes.sum(0) > 0]
    clips = sizes.sum() if metric == "war" else len(totals) ** 2 / (1 / totals).sum()
    tail = (1 - level) / 2
    each = sizes.sum(1)
    persons = max(each.sum() ** 2 / (each**2).sum(), 2.0)
    rest = np.maximum(1 - each / each.sum(), _EDGE)  # all of one unit: it moves nothing
    n = effective_clips(value, _deviation(influence / rest), np.inf)
    degrees = max(clips - 1, 1.0)
    shrink = student.ppf(1 - tail, degrees) / student.ppf(1 - tail, persons - 1)
    return np.where(np.isfinite(n), np.minimum(n * shrink**2, clips), clips)


def exact_interval(
    value: ArrayLike, n: ArrayLike, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of Clopper and Pearson's interval of a share of n clips, n not whole, too."""
    right, tail = value * n, (1 - level) / 2
    low = beta.ppf(tail, np.maximum(right, _EDGE), n - right + 1)
    high = beta.ppf(1 - tail, right + 1, np.maximum(n - right, _EDGE))
    return np.where(right > _EDGE, low, 0.0), np.where(n - right > _EDGE, high, 1.0)


def _wilson(value, n, level):
    """Ends of Wilson's score interval."""
    z2 = norm.ppf((1 + level) / 2) ** 2
    centre = (value + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (value * (1 - value) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def _logit(value, deviation, below, above):
    """Back from the logit scale: `below` and `above` are how many deviations to go each way."""
    inside = np.clip(value, _EDGE, 1 - _EDGE)
    centre, step = np.log(inside / (1 - inside)), deviation / (inside * (1 - inside))
    edge = (value < _EDGE) | (value > 1 - _EDGE)
    ends = (1 / (1 + np.exp(-(centre + side * step))) for side in (-below, above))
    return tuple(np.where(edge, value, end) for end in ends)


def _draws(units: int, resamples: int, seed: int) -> np.ndarray:
    """How often each unit is drawn in each resample, (B, U)."""
    shares = np.full(units, 1 / units)
    return np.random.default_rng(seed).multinomial(units, shares, size=resamples).astype(float)


def _drawn(hits, sizes, metric, draw):
    """The metric (...) and its influences (..., U) in a resample, without undrawn classes."""
    if metric == "war":
        hits, sizes = hits.sum(-1, keepdims=True), sizes.sum(-1, keepdims=True)
    totals = draw @ sizes
    kept = totals > 0
    hits, sizes, totals = hits[..., kept], sizes[:, kept], totals[kept]
    recall = np.einsum("...uk,u->...k", hits, draw) / totals
    scale = 1 / (totals * len(totals))
    return recall.mean(-1), hits @ scale - (recall * scale) @ sizes.T


def _resampled(hits, sizes, metric, draws):
    """The metric in every resample (..., B)."""
    if metric == "war":
        hits, sizes = hits.sum(-1, keepdims=True), sizes.sum(-1, keepdims=True)
    totals = draws @ sizes  # (B, K)
    drawn = np.einsum("...uk,bu->...bk", hits, draws, optimize=True)
    recall = np.divide(drawn, totals, out=np.zeros_like(drawn), where=totals > 0)
    known = sizes.sum(0) > 0
    return recall.sum(-1) / ((totals > 0) | ~known).sum(-1)


def _studentised(hits, sizes, metric, draws, level):
    value, influence = estimate(hits, sizes, metric)
    centre, units = _logits(value), len(sizes)
    ratios = []
    for draw in draws:  # a loop over resamples: each is all data sets at once
        other, moved = _drawn(hits, sizes, metric, draw)
        deviation = np.sqrt(units / (units - 1) * (moved**2 @ draw))
        steep = np.clip(other * (1 - other), _EDGE, None)
        gone = _logits(other) - centre
        far = np.where(np.abs(gone) > _EDGE, np.sign(gone) * _FAR, 0.0)
        ratios.append(np.divide(gone, deviation / steep, out=far, where=deviation > _EDGE))
    ratios = np.sort(np.stack(ratios, -1), -1)
    tail = (1 - level) / 2
    above = -_quantile(ratios, np.full(value.shape, tail))
    below = _quantile(ratios, np.full(value.shape, 1 - tail))
    with np.errstate(over="ignore", invalid="ignore"):
        return _logit(value, _deviation(influence), below, above)


def _logits(value: np.ndarray) -> np.ndarray:
    inside = np.clip(value, _EDGE, 1 - _EDGE)
    return np.log(inside / (1 - inside))


def _bca_shares(value, influence, resampled, tails):
    """Which quantiles of the resamples BCa takes, (..., 2)."""
    count = resampled.shape[-1]
    under = (resampled < value[..., None] - _EDGE).sum(-1)
    ties = (np.abs(resampled - value[..., None]) <= _EDGE).sum(-1)
    bias = norm.ppf(np.clip((under + ties / 2) / count, 1 / count, 1 - 1 / count))
    cubes, squares = (influence**3).sum(-1), (influence**2).sum(-1)
    skew = np.divide(cubes, 6 * squares**1.5, out=np.zeros_like(cubes), where=squares > 1e-15)
    z = bias[..., None] + norm.ppf(tails)
    return norm.cdf(bias[..., None] + z / (1 - skew[..., None] * z))


def _quantile(ordered: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles of the last axis of sorted values, one share per data set; no interpolation."""
    last = ordered.shape[-1] - 1
    index = np.clip(np.rint(shares * last), 0, last).astype(int)
    return np.take_along_axis(ordered, index[..., None], -1)[..., 0]
