"""What a paired comparison could have shown, before or after it was run.

Of two models on the same n clips only the clips that one of them alone is right about count. Their
share is the *discordance*; the difference of the accuracies lies within it. All power is that of
the exact McNemar test on independent clips, two-sided; where clips of a person go together, n is
the number of clips over the design effect. Shares are fractions.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.stats import binom, norm

from dferlib.evidence.paired import Paired

POWER, ALPHA = 0.8, 0.05
EXACT_UP_TO = 20_000  # clips; beyond, the normal approximation is right within one per cent


class Allowed(NamedTuple):
    """What two printed accuracies on n clips leave open: p and discordance, each low and high."""

    p_low: float
    p_high: float
    discordance_low: float
    discordance_high: float


def power_of(n: float, difference: float, discordance: float, alpha: float = ALPHA) -> float:
    """Return the chance that n clips show `difference` at level `alpha`.

    The number of discordant clips is binomial (n, discordance), and so is how many of them speak
    for the better model. ValueError where the difference is larger than the discordance.
    """
    n, difference = int(n), abs(difference)
    _check(difference, discordance)
    spread = 6 * (n * discordance * (1 - discordance)) ** 0.5 + 1
    low = max(0, int(n * discordance - spread))
    m = np.arange(low, min(n, int(n * discordance + spread)) + 1)
    limit = _limits(1 << int(m[-1]).bit_length(), alpha)[m]
    share = (discordance + difference) / (2 * discordance)
    shown = binom.cdf(limit, m, share) + binom.sf(m - limit - 1, m, share)
    return float((binom.pmf(m, n, discordance) * np.where(limit >= 0, shown, 0.0)).sum())


def clips_needed(
    difference: float, discordance: float, power: float = POWER, alpha: float = ALPHA
) -> float:
    """Return how many clips show `difference` with `power`; infinite for a difference of 0."""
    difference = abs(difference)
    _check(difference, discordance)
    if difference == 0:
        return float("inf")
    reach = norm.ppf(1 - alpha / 2) * discordance**0.5
    reach += norm.ppf(power) * (discordance - difference**2) ** 0.5
    rough = reach**2 / difference**2 + 2 / difference
    if rough > EXACT_UP_TO:
        return float(np.ceil(rough))
    low, high = int(0.9 * rough) - 10, int(1.1 * rough) + 10
    while power_of(max(low, 1), difference, discordance, alpha) >= power and low > 1:
        low //= 2
    low = max(low, 0)
    while high - low > 1:
        middle = (low + high) // 2
        enough = power_of(middle, difference, discordance, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return float(high)


def detectable(n: float, discordance: float, power: float = POWER, alpha: float = ALPHA) -> float:
    """Return the smallest difference that n clips show with `power`; NaN where none is."""
    if n < 1 or discordance <= 0 or power_of(n, discordance, discordance, alpha) < power:
        return float("nan")
    low, high = 0.0, discordance
    while high - low > 1e-5:
        middle = (low + high) / 2
        enough = power_of(n, middle, discordance, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def allowed_by(first: int, second: int, n: int) -> Allowed:
    """Return the exact McNemar p that `first` and `second` right answers of n allow.

    Fewest discordant clips where the worse model is right only where the better is; most where
    they overlap as little as they can. ValueError for counts outside 0 to n.
    """
    if not (0 <= first <= n and 0 <= second <= n and n > 0):
        raise ValueError(f"{first} and {second} right of {n}: counts from 0 to n needed")
    gap, worse = abs(second - first), min(first, second)
    most = min(worse, n - max(first, second))
    ends = []
    for shared in (0, most):
        ends.append(float(min(1.0, 2 * binom.cdf(shared, 2 * shared + gap, 0.5))))
    return Allowed(*ends, gap / n, (gap + 2 * most) / n)


def design_effect(paired: Paired) -> float:
    """Return the variance of the accuracy difference over persons over that of as many clips.

    1 where the clips are the units, or where they do not differ.
    """
    steps, effects = paired.steps(), paired.effects("war")
    alone = steps.var() / len(steps)
    if paired.kind == "clips" or alone == 0:
        return 1.0
    units = len(effects)
    return float(units * effects.var(ddof=1) / alone)


@cache
def _limits(count: int, alpha: float) -> np.ndarray:
    """Up to how many of m discordant clips on one side reject, for m below `count`; -1: never."""
    m = np.arange(count)
    limit = binom.ppf(alpha / 2, m, 0.5)
    return limit - (2 * binom.cdf(limit, m, 0.5) > alpha)


def _check(difference: float, discordance: float) -> None:
    if not 0 <= difference <= discordance + 1e-12 or discordance > 1:
        raise ValueError(
            f"difference {difference:.4f} with discordance {discordance:.4f}: the models differ on "
            "a share of the clips that is at least the difference, and at most 1"
        )
