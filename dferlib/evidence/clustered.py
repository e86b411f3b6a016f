"""Paired tests that hold where clips of one person go together, and what each of them assumes.

| test | assumes | where it fails |
|---|---|---|
| `sign_flip` over persons | models exchangeable within a person | few persons: no small p |
| `obuchowski` | many persons | fewer than about 20 of them |
| `stats.mcnemar` | independent clips | clips of a person go together: 9 to 20 % at a nominal 5 % |

`results/evidence/coverage.csv` holds the measured levels (`benchmarks/evidence/coverage.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom, chi2
from scipy.stats import t as student

from dferlib.evidence.paired import Paired

LEAST_OF_CLASS = 5  # clips of the rarest class, below which no UAR difference is tested
MOST_ENUMERATED = 16  # units whose 2^16 signs are all tried
LONGEST_EXACT = 200_000  # grid points of an exact distribution of whole-number effects
_TIE = 1e-9  # sums that are equal on paper


@dataclass(frozen=True)
class SignFlip:
    """Sum of the effects, two-sided p, units that say anything, and the least p they allow.

    `exact`: every pattern of signs counted; otherwise random ones, and p is never 0.
    """

    value: float
    p: float
    units: int
    least_p: float
    exact: bool


@dataclass(frozen=True)
class Mixed:
    """Second minus first with an interval for other persons *and* other seeds; t with `df`."""

    value: float
    low: float
    high: float
    p: float
    df: float
    from_units: float  # share of the variance that comes from persons, 0 to 1


def sign_flip(effects: ArrayLike, *, flips: int = 9999, seed: int = 0) -> SignFlip:
    """Test whether effects (U,) of independent units sum to more than chance signs would.

    Under the null the two models are exchangeable within a unit, so each effect is as likely with
    the other sign. Exact where the effects are whole multiples of the smallest (accuracies are), or
    where at most `MOST_ENUMERATED` differ from 0; otherwise `flips` random patterns. With one clip
    a unit it is the exact McNemar test. ValueError for an effect that is not finite.
    """
    effects = np.asarray(effects, dtype=float)
    if effects.ndim != 1 or not np.isfinite(effects).all():
        raise ValueError(f"effects of shape {effects.shape}: one finite number per unit needed")
    sizes = np.abs(effects)[np.abs(effects) > _TIE / max(len(effects), 1)]
    value, units = float(effects.sum()), len(sizes)
    if units == 0:
        return SignFlip(value, 1.0, 0, 1.0, True)
    least = min(1.0, 2.0 ** (1 - units))
    unit = _common_unit(sizes)
    if unit:
        p = _exact_tail(np.rint(sizes / unit).astype(int), value / unit)
        return SignFlip(value, p, units, least, True)
    if units <= MOST_ENUMERATED:
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums + size, sums - size])
        p = float((np.abs(sums) >= abs(value) - _TIE).mean())
        return SignFlip(value, p, units, least, True)
    signs = np.random.default_rng(seed).integers(0, 2, (flips, units), dtype=np.int8) * 2.0 - 1
    beyond = int((np.abs(signs @ sizes) >= abs(value) - _TIE).sum())
    return SignFlip(value, (beyond + 1) / (flips + 1), units, max(least, 1 / (flips + 1)), False)


def _common_unit(sizes: np.ndarray) -> float:
    """The largest twelfth of the smallest size, or more, that measures all; 0 without one."""
    for parts in range(1, 13):
        unit = sizes.min() / parts
        scaled = sizes / unit
        if np.abs(scaled - np.rint(scaled)).max() < 1e-6 and scaled.sum() < LONGEST_EXACT:
            return float(unit)
    return 0.0


def _exact_tail(sizes: np.ndarray, value: float) -> float:
    """P(|sum of signed whole numbers| >= |value|), by convolving one binomial per size."""
    law = np.ones(1)
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        heads = np.zeros(size * count + 1)
        heads[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        law = np.convolve(law, heads)
    sums = 2 * np.arange(len(law)) - sizes.sum()
    return float(min(1.0, law[np.abs(sums) >= abs(value) - 1e-4].sum()))


def obuchowski(effects: ArrayLike) -> tuple[float, float]:
    """Return chi-square and p of McNemar's test for clustered pairs (Obuchowski 1998, Stat. Med.).

    `effects` (U,) are each person's right answers of the second minus of the first model. The
    variance comes from the differences between persons; with one clip a person the statistic is
    McNemar's times (U - 1) / U. ValueError below two units.
    """
    effects = np.asarray(effects, dtype=float)
    if len(effects) < 2:
        raise ValueError(f"{len(effects)} units; at least two persons needed")
    squares = float((effects**2).sum())
    if squares == 0:
        return 0.0, 1.0
    statistic = float(effects.sum() ** 2 / squares * (len(effects) - 1) / len(effects))
    return statistic, float(chi2.sf(statistic, 1))


def untestable(paired: Paired) -> str:
    """Say why a difference of UAR is not tested on these clips; empty where it is.

    A class below `LEAST_OF_CLASS` clips weighs as much as any other: one clip of it moves UAR by
    up to 1 / (K LEAST_OF_CLASS).
    """
    few = [
        f"{name} ({size})"
        for name, size in zip(paired.classes, paired.sizes, strict=True)
        if size < LEAST_OF_CLASS
    ]
    return f"no test of UAR: fewer than {LEAST_OF_CLASS} clips of {', '.join(few)}" if few else ""


def difference_interval(effects: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the t interval of a sum of effects (U,) of independent units, with U - 1 degrees.

    The units are a sample of persons, and their number is fixed. NaN below two units.
    """
    effects = np.asarray(effects, dtype=float)
    units = len(effects)
    if units < 2:
        return float("nan"), float("nan")
    half = student.ppf((1 + level) / 2, units - 1) * np.sqrt(units * effects.var(ddof=1))
    return float(effects.sum() - half), float(effects.sum() + half)


def mixed_difference(paired: Paired, metric: str = "war", level: float = 0.95) -> Mixed:
    """Return second minus first for other persons and other seeds, seeds nested in the models.

    Variance = that between persons of the seeds' mean, plus each model's variance between its
    seeds over their number; Satterthwaite's degrees of freedom. A seed's value contains some noise
    of its clips, so this errs on the wide side. With one seed of each model the second part is
    unknown and counts as nothing.
    """
    effects = paired.effects(metric)
    units, value = len(effects), float(effects.sum())
    parts = [(units * effects.var(ddof=1), units - 1)] if units > 1 else []
    weight = np.full(len(paired.y_true), 1 / len(paired.y_true))
    if metric == "uar":
        weight = 1 / (len(paired.classes) * paired.sizes[paired.y_true])
    for right in (paired.first, paired.second):
        if right.shape[1] > 1:
            scores = weight @ right
            parts.append((scores.var(ddof=1) / right.shape[1], right.shape[1] - 1))
    total = sum(variance for variance, _ in parts)
    if not parts or total == 0:
        return Mixed(value, value, value, 1.0 if value == 0 else 0.0, float("nan"), float("nan"))
    df = total**2 / sum(variance**2 / degrees for variance, degrees in parts)
    half, t = student.ppf((1 + level) / 2, df) * total**0.5, value / total**0.5
    p = float(2 * student.sf(abs(t), df))
    share = parts[0][0] / total if units > 1 else 0.0
    return Mixed(value, float(value - half), float(value + half), p, float(df), float(share))


def fold_corrected_t(differences: ArrayLike, test_share: float) -> tuple[float, float]:
    """Return t and two-sided p of differences (J,) over folds (Nadeau and Bengio 2003).

    Training sets of folds overlap, so the variance of the mean is not s2 / J but
    (1 / J + test / train) s2; `test_share` is that ratio, 1 / (J - 1) for J-fold cross-validation.
    Folds that all differ alike, by other than nothing, say nothing of the spread: not a number.
    ValueError below two folds.
    """
    differences = np.asarray(differences, dtype=float)
    folds = len(differences)
    if folds < 2 or test_share <= 0:
        raise ValueError(f"{folds} folds, test_share {test_share}; two folds and a positive share")
    spread = differences.std(ddof=1)
    if spread == 0:
        return (0.0, 1.0) if differences[0] == 0 else (np.nan, np.nan)
    t = float(differences.mean() / (spread * np.sqrt(1 / folds + test_share)))
    return t, float(2 * student.sf(abs(t), folds - 1))
