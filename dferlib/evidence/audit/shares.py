"""Printed accuracies as k of n clips: of the n that a paper claims, and of those near it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binom

from dferlib.evidence.audit import Count, chance_of_fit, find_count
from dferlib.evidence.audit.findings import (
    CONTRADICTION,
    HINT,
    INCONSISTENT,
    SAYS_NOTHING,
    SOUND,
    Finding,
)
from dferlib.evidence.audit.printed import is_cited

WIDE, NEAR = (0.5, 1.05), (0.885, 1.02)  # of a claimed n, where another n is looked for
RARE = 0.05  # chance of a search, below which the n that it found stands out
SHOWN = 6  # other n that are named
ANY = 0.5  # chance of fit, above which a fit says nothing
ACCURACY = ("accuracy", "WAR")
SIZES = ("clips", "sequences")
TOTALS = (*SIZES, "recordings")  # the last of more than one list, or light
_count, _chance = cache(find_count), cache(chance_of_fit)


class Best(NamedTuple):
    """The n of which most values are counts, and the chance that some n is of so many."""

    n: int
    fitting: int
    values: int
    chance: float


def check_shares_of_clips(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield findings on every accuracy in a table of `printed`, dataset by dataset.

    Own rows that are no count of the claimed n contradict it; rows of other people's work are
    hints. Values that a text derives from others (their note begins with "from the text") are left.
    """
    for (paper, dataset), part in _accuracies(table).groupby(["paper", "dataset"], sort=False):
        totals = claimed_totals(table, paper, dataset)
        if not totals:
            continue
        own = part[~part["row"].map(is_cited)]
        shared = best_total(list(own["share"]), totals, int(part["decimals"].max()))
        if shared and 2 * shared.fitting < shared.values:
            shared = None  # its tables may have an n each
        if shared:
            yield _which_n((paper, "all", dataset, "own rows"), shared)
        for number, rows in part.groupby("table", sort=False):
            yield from _check_table(paper, number, dataset, rows, totals, shared)
        yield from _check_rounding(paper, dataset, own, totals)


def claimed_totals(
    table: pd.DataFrame, paper: str, dataset: str, names: tuple[str, ...] = TOTALS
) -> tuple[int, ...]:
    """Return the numbers of clips that a paper claims for a dataset, under these metrics."""
    there = (table["paper"] == paper) & (table["dataset"] == dataset) & (table["unit"] == "count")
    named = table["metric"].isin(names)
    return tuple(int(n) for n in dict.fromkeys(table.loc[there & named, "number"].dropna()))


def folds_of(table: pd.DataFrame, paper: str, dataset: str) -> int:
    """Return over how many folds a paper averages on a dataset; 0 where it does not say."""
    there = (table["paper"] == paper) & (table["dataset"] == dataset)
    found = table.loc[there & (table["metric"] == "folds"), "number"]
    return int(found.iloc[0]) if len(found) else 0


def _accuracies(table: pd.DataFrame) -> pd.DataFrame:
    kept = table["metric"].isin(ACCURACY) & (table["kind"] == "cell") & table["share"].notna()
    derived = table["note"].str.startswith("from the text")
    rows = table[kept & ~derived & (table["table"] != "text")]
    keys = zip(rows["paper"], rows["dataset"], strict=True)
    return rows.assign(folds=[folds_of(table, paper, dataset) for paper, dataset in keys])


def _check_table(paper, number, dataset, rows, totals, shared) -> Iterator[Finding]:
    decimals = int(rows["decimals"].max())
    values = list(rows["share"])
    found = best_total(values, totals, decimals)
    if found:
        yield _which_n((paper, number, dataset, "all rows"), found)
    others = tuple(best.n for best in (found, shared) if best)
    for row in rows.itertuples():
        count = _first_count(row.share, (*totals, *others), decimals)
        where = (paper, number, dataset, row.row, "k of n", row.value)
        if count:
            chance = _chance(count.total, decimals)
            verdict = SAYS_NOTHING if chance > ANY else SOUND
            text = f"{count.correct} of {count.total}, {count.how}"
            text += "" if count.total in totals else ": see which n"
            yield Finding(*where, f"{count.correct}/{count.total}", verdict, text, chance)
            continue
        verdict = HINT if is_cited(row.row) else CONTRADICTION
        text = _explain(row.share, totals, decimals) + _folds_that_fit(row, totals, decimals)
        yield Finding(*where, "none", verdict, text, _chance(max(totals), decimals))


def _which_n(where, best: Best) -> Finding:
    text = f"{best.fitting} of {best.values} values are counts of {best.n}, which is not claimed"
    return Finding(*where, "which n", "", str(best.n), INCONSISTENT, text, best.chance)


def best_total(values, totals, decimals: int) -> Best | None:
    """Return the n of which most values are counts, how many are, and the chance of so many.

    Looked for in `WIDE` around the claimed totals; the nearest to a claim of equals. None where a
    search among random values would find as good an n in more than `RARE` of the cases, or where a
    claimed n does as well.
    """
    values = list(dict.fromkeys(values))
    window = range(max(2, int(WIDE[0] * min(totals))), int(WIDE[1] * max(totals)) + 1)
    if _chance(window[-1], decimals) > ANY or len(values) < 3:
        return None
    fits = {n: sum(_count(v, n, decimals) is not None for v in values) for n in window}
    most = max(fits.values())
    if any(fits.get(n, 0) >= most for n in totals):
        return None
    n = min((n for n in window if fits[n] == most), key=lambda n: min(abs(n - t) for t in totals))
    alone = binom.sf(most - 1, len(values), [_chance(k, decimals) for k in window])
    chance = float(1 - np.prod(1 - alone))
    return Best(n, most, len(values), chance) if chance < RARE else None


def _first_count(value: float, totals, decimals: int) -> Count | None:
    return next((c for n in totals if (c := _count(value, n, decimals))), None)


def _explain(value: float, totals, decimals: int) -> str:
    """Say what a value that is no count of a claimed n could be."""
    for n in totals:
        if rounds_up(value, n, decimals):
            k = int(Fraction(str(value)) * n / 100)
            return f"{100 * k / n:.4f} ({k} of {n}) rounded up: neither rounded nor cut off"
    ends = [(int(NEAR[0] * n), int(NEAR[1] * n)) for n in totals]
    near = {n for low, high in ends for n in range(low, high + 1) if _count(value, n, decimals)}
    claimed = " or ".join(map(str, totals))
    if not near:
        return f"no count of {claimed}, nor of any n {' or '.join(f'{a} to {b}' for a, b in ends)}"
    nearest = sorted(near, key=lambda n: min(abs(n - total) for total in totals))[:SHOWN]
    return f"no count of {claimed}; near them, of {', '.join(map(str, sorted(nearest)))}"


def rounds_up(value: float, n: int, decimals: int) -> bool:
    """Tell whether a value is a count of n rounded up where rounding goes down."""
    printed, unit = Fraction(str(value)), Fraction(1, 10**decimals)
    below = Fraction(100 * int(printed * n / 100), n)
    return unit / 2 < printed - below < unit


def _check_rounding(paper, dataset, own, totals) -> Iterator[Finding]:
    """One way of rounding in all own rows of a dataset, where any is visible."""
    kinds: dict[str, list[str]] = {}
    for row in own.drop_duplicates("value").itertuples():
        decimals = row.decimals
        n = next((n for n in totals if _count(row.share, n, decimals)), None)
        if n:
            exact = Fraction(100 * _count(row.share, n, decimals).correct, n)
            printed, unit = Fraction(str(row.share)), Fraction(1, 10**decimals)
            rounded, cut = abs(exact - printed) < unit / 2, 0 <= exact - printed < unit
            if rounded != cut:
                kinds.setdefault("rounded" if rounded else "cut off", []).append(row.value)
        elif any(rounds_up(row.share, n, decimals) for n in totals):
            kinds.setdefault("rounded up", []).append(row.value)
    if len(kinds) > 1:
        text = "; ".join(f"{name}: {', '.join(values)}" for name, values in kinds.items())
        where = (paper, "all", dataset, "own rows", "rounding", "", " and ".join(kinds))
        yield Finding(*where, INCONSISTENT, text)


def _folds_that_fit(row, totals, decimals: int) -> str:
    """Say of which equal folds near a claimed n the value is the mean, where any are."""
    if not row.folds:
        return ""
    low, high = int(NEAR[0] * min(totals)), min(totals)
    sizes = [
        n // row.folds
        for n in range(low, high + 1)
        if n % row.folds == 0 and _count(row.share, n, decimals)
    ]
    if not sizes:
        return ""
    n = row.folds * max(sizes)
    count = _count(row.share, n, decimals)
    return f"; the mean of {row.folds} folds of {max(sizes)} ({count.correct} of {n}) fits"


def check_recalls(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield findings on rows with the recall of every class: UAR, WAR, and each recall's count.

    The clips of each class ("clips <class>", unit count) have to be known. A recall that is no
    count contradicts it in an own row, and is a hint in others.
    """
    cells = table[(table["kind"] == "cell") & table["share"].notna()]
    counts = class_counts(table)
    for key, rows in cells.groupby(["paper", "table", "dataset", "row"], sort=False):
        values = dict(zip(rows["metric"], rows["share"], strict=True))
        sizes = counts.get((key[0], key[2]), {})
        recalls = {m.removeprefix("recall "): v for m, v in values.items() if "recall " in m}
        if sizes and set(recalls) == set(sizes):
            yield from _check_recall_row(key, recalls, sizes, values)


def _check_recall_row(key, recalls, sizes, values) -> Iterator[Finding]:
    total = sum(sizes.values())
    expected = {"UAR": sum(recalls.values()) / len(recalls)}
    expected["WAR"] = sum(recalls[name] * sizes[name] for name in sizes) / total
    for metric, value in expected.items():
        if metric in values:
            off = values[metric] - value
            verdict = SOUND if abs(off) <= 0.0125 else CONTRADICTION  # half units of both, cut off
            text = f"the recalls give {value:.4f}, {abs(off):.3f} {'below' if off > 0 else 'above'}"
            where = (*key, f"recalls against {metric}", f"{values[metric]:.2f}")
            yield Finding(*where, f"{value:.2f}", verdict, text)
    for name, value in recalls.items():
        if _count(value, sizes[name], 2) is None:
            verdict = HINT if is_cited(key[3]) else CONTRADICTION
            k = round(value * sizes[name] / 100)
            near = f"{100 * k / sizes[name]:.2f}"
            text = f"recall of {name} is no count of {sizes[name]}; {k} of them is {near}"
            where = (*key, f"recall {name}", f"{value:.2f}")
            yield Finding(*where, near, verdict, text, _chance(sizes[name], 2))


def class_counts(table: pd.DataFrame) -> dict[tuple[str, str], dict[str, int]]:
    """Return clips of each class by (paper, dataset), where the table has them."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in table[table["unit"] == "count"].itertuples():
        name = re.fullmatch(r"clips (.+)", row.metric)
        if name:
            found.setdefault((row.paper, row.dataset), {})[name[1]] = int(row.number)
    return found
