"""What a printed accuracy allows: which numbers of clips, and which ways of averaging, give it.

An accuracy is k of n clips, and k is an integer. So a value printed with two decimals rules out
most n, and a claimed n can be checked against it. How much such a check is worth depends on how
many values would have passed: see `chance_of_fit`. Arithmetic is exact; values are per cent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pandas as pd

MOST_SUMS = 5_000_000  # of accuracies of some folds, held at once


class Count(NamedTuple):
    """`correct` of `total` clips give a printed value; `how` is exact, rounded or truncated."""

    correct: int
    total: int
    how: str


def find_count(value: float, total: int, decimals: int = 2) -> Count | None:
    """Return the integer k for which 100 k / total prints as `value`, or None if there is none.

    Prints as: equals it, is rounded to it (a half goes either way), or is cut off to it. An exact
    count is preferred to a rounded and this to a truncated one. ValueError for a value outside 0 to
    100, one with more decimals than `decimals`, or a total below 1.
    """
    printed = _exact(value, decimals)
    if total < 1:
        raise ValueError(f"total is {total}; at least one clip needed")
    unit, floor = Fraction(1, 10**decimals), int(printed * total / 100)
    found = {}
    for correct in (floor, floor + 1):
        excess = Fraction(100 * correct, total) - printed
        if correct <= total:
            for how, fits in (
                ("exact", excess == 0),
                ("rounded", abs(excess) <= unit / 2),
                ("truncated", 0 <= excess < unit),
            ):
                if fits:
                    found.setdefault(how, Count(correct, total, how))
    return next((found[how] for how in ("exact", "rounded", "truncated") if how in found), None)


def check_shares(
    printed: Iterable[tuple[str, float]], totals: Mapping[str, int], decimals: int = 2
) -> pd.DataFrame:
    """Check every printed value, with its name, against every claimed total, with its name.

    One row per value and total: row, printed, of (what the total counts), n, count (as "320 of
    325", or "none"), how it is printed, and `chance_of_fit` of that total.
    """
    rows = []
    for name, value in printed:
        for what, total in totals.items():
            count = find_count(value, total, decimals)
            found = f"{count.correct} of {count.total}" if count else "none"
            row = {"row": name, "printed": value, "of": what, "n": total, "count": found}
            how = count.how if count else ""
            rows.append({**row, "how": how, "chance of fit": chance_of_fit(total, decimals)})
    return pd.DataFrame(rows)


def fitting_totals(
    values: float | Iterable[float], totals: Iterable[int], decimals: int = 2
) -> list[int]:
    """Return those totals of which every one of the values can be a share.

    Values of one table on one set of clips have to share a total.
    """
    values = [values] if isinstance(values, int | float) else list(values)
    return [n for n in totals if all(find_count(value, n, decimals) for value in values)]


def fits_fold_mean(value: float, sizes: Sequence[int], decimals: int = 2) -> bool:
    """Tell whether the mean of the accuracies of folds of these sizes can be printed as `value`.

    Of folds of one size it is a share of all their clips; of different sizes it can be nearly
    anything. ValueError where there are too many different folds to try.
    """
    printed, unit = float(_exact(value, decimals)), 10.0**-decimals
    merged = {size: list(sizes).count(size) * size for size in sizes}  # folds of a size pool
    sides = [np.zeros(1), np.zeros(1)]
    for size, most in sorted(merged.items(), key=lambda item: -item[1]):
        smaller = int(len(sides[1]) < len(sides[0]))
        if len(sides[smaller]) * (most + 1) > MOST_SUMS:
            raise ValueError(f"folds of {sorted(merged)} clips: too many sums to try")
        sums = sides[smaller][:, None] + np.arange(most + 1) / size
        sides[smaller] = np.unique(sums.round(12))
    scale, slack = 100 / len(sizes), 1e-9
    ends = (printed - unit / 2 - slack) / scale, (printed + unit - slack) / scale
    low = np.searchsorted(sides[1], ends[0] - sides[0])
    return bool((low < np.searchsorted(sides[1], ends[1] - sides[0])).any())


def chance_of_fit(total: int, decimals: int = 2) -> float:
    """Return the share of all printable values that some k of `total` clips would fit.

    A fit means something where this is small: of 327 clips 5 % of the values with two decimals can
    come, of more than ten thousand clips all.
    """
    _exact(0, decimals)
    scale = 10**decimals
    fitting = set()
    for correct in range(total + 1):
        value = Fraction(100 * scale * correct, total)
        floor = int(value)
        fitting.add(floor)
        if value - floor >= Fraction(1, 2):
            fitting.add(floor + 1)
    return len(fitting) / (100 * scale + 1)


def row_counts(
    row: Sequence[float], totals: Iterable[int], decimals: int = 2
) -> tuple[int, ...] | None:
    """Return the counts behind a row of a confusion matrix in per cent, or None if there are none.

    They print as the row's cells and add up to the first of `totals` for which that is possible.
    """
    for total in totals:
        found = [find_count(value, total, decimals) for value in row]
        if all(found) and sum(count.correct for count in found) == total:
            return tuple(count.correct for count in found)
    return None


def one_digit_away(value: float, total: int, decimals: int = 2) -> dict[float, Count]:
    """Return the values that differ from `value` in one digit and are a share of `total` clips.

    How many of them chance alone would give is the number of digits times nine times
    `chance_of_fit`: one candidate among few is a hint, and never a proof.
    """
    _exact(value, decimals)
    text = f"{value:.{decimals}f}"
    found = {}
    for place, digit in enumerate(text):
        for other in set("0123456789") - {digit} if digit != "." else ():
            changed = float(f"{text[:place]}{other}{text[place + 1 :]}")
            count = find_count(changed, total, decimals) if changed <= 100 else None
            if count:
                found[changed] = count
    return dict(sorted(found.items()))


def hard_label_auc(accuracy: float, num_classes: int) -> float:
    """Return the micro-averaged area under the ROC of bare labels with this accuracy (a fraction).

    A classifier that gives 1 to its choice and 0 to the rest has one threshold: true positive rate
    a, false positive rate (1 - a) / (K - 1). Scores that rank better than chance below the first
    choice mostly reach more, though not always: those of different clips need not be comparable.
    """
    if not 0 <= accuracy <= 1:
        raise ValueError(f"accuracy is {accuracy}; a fraction from 0 to 1 needed")
    return (accuracy + 1 - (1 - accuracy) / (num_classes - 1)) / 2


def _exact(value: float, decimals: int) -> Fraction:
    """The printed decimal number as an exact fraction."""
    printed, unit = Decimal(str(value)), Decimal(10) ** -decimals
    # NaN, asked whether it is larger, raises an error of its own that does not say the value
    if not printed.is_finite() or not 0 <= printed <= 100 or printed != printed.quantize(unit):
        raise ValueError(f"value is {value!r}; 0 to 100 with at most {decimals} decimals needed")
    return Fraction(printed)
