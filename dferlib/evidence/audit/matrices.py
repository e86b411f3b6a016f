"""Printed confusion matrices: their rows, the class sizes behind them, the accuracy they imply."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from dferlib.evidence.audit import find_count
from dferlib.evidence.audit.findings import CONTRADICTION, INCONSISTENT, SOUND, Finding
from dferlib.evidence.audit.printed import is_cited
from dferlib.evidence.audit.shares import ACCURACY, claimed_totals, class_counts

MOST_OF_CLASS = 150  # clips, up to which the size of a class is looked for where none are claimed
MOST_SHARE = 1.75  # times its even share of the claimed clips that a class may have
MOST_VECTORS = 500_000  # of class sizes, tried at once
PREDICTED = "predicted "


class Row(NamedTuple):
    """A class of which `correct` of `total` clips print as its row; `lost` are in lost cells."""

    correct: int
    total: int
    lost: int


def check_matrices(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield findings on every confusion matrix: its rows, its class sizes, and its accuracy.

    The accuracy is compared with those that the paper prints on the same dataset. Where the class
    sizes are not in the table, they are what makes all cells of a row counts; lost cells may hold
    what is missing of a row.
    """
    cells = table[table["metric"].str.startswith(PREDICTED) & (table["kind"] == "cell")]
    for key, part in cells.groupby(["paper", "table", "dataset"], sort=False):
        sizes = class_counts(table).get((key[0], key[2]), {})
        claimed = max(claimed_totals(table, key[0], key[2]), default=0)
        most = int(MOST_SHARE * claimed / part["row"].nunique()) or MOST_OF_CLASS
        options = {}
        for name, row in part.groupby("row", sort=False):
            known = [sizes[name]] if name in sizes else range(1, most + 1)
            diagonal = list(row["metric"]).index(PREDICTED + name)
            decimals = int(row["decimals"].max())
            yield from _check_sum((*key, name), row["share"], decimals)
            options[name] = possible_rows(row["share"], diagonal, decimals, known)
            if not options[name]:
                text = f"no class of up to {known[-1]} clips gives this row: no counts of sequences"
                yield Finding(*key, name, "matrix row", "", "none", CONTRADICTION, text)
        if all(options.values()):
            yield from _check_accuracy(table, key, options)


def possible_rows(
    shares: Sequence[float], diagonal: int, decimals: int, totals: Sequence[int]
) -> list[Row]:
    """Return every class size for which all known cells (per cent) of a row are counts of it.

    The counts add up to the size, or stay below it where cells are lost (NaN). `totals` are the
    sizes to try.
    """
    shares, found = np.asarray(shares, dtype=float), []
    for total in totals:
        counts = [None if np.isnan(s) else find_count(s, total, decimals) for s in shares]
        known = [count for count in counts if count]
        if len(known) < (~np.isnan(shares)).sum() or counts[diagonal] is None:
            continue
        lost = total - sum(count.correct for count in known)
        if lost == 0 or (lost > 0 and len(known) < len(shares)):
            found.append(Row(counts[diagonal].correct, total, lost))
    return found


def class_sizes(
    options: Sequence[Sequence[Row]], totals: Sequence[int], accuracy: Sequence[float]
) -> list[tuple[Row, ...]]:
    """Return the choices of one row per class that add up to one of `totals`, and to an accuracy.

    `accuracy` in per cent with two decimals; empty: any. Where there are too many choices only the
    smallest sizes are tried.
    """
    if np.prod([float(len(rows)) for rows in options]) > MOST_VECTORS:
        options = [rows[:1] for rows in options]
    found = []
    for rows in itertools.product(*options):
        n, correct = sum(row.total for row in rows), sum(row.correct for row in rows)
        if n in totals and (not accuracy or any(_prints(correct, n, a) for a in accuracy)):
            found.append(rows)
    return found


def _prints(correct: int, n: int, accuracy: float) -> bool:
    count = find_count(accuracy, n)
    return count is not None and count.correct == correct


def _check_sum(where, shares: pd.Series, decimals: int) -> Iterator[Finding]:
    if shares.isna().any():
        return
    slack = len(shares) * 10.0**-decimals
    if abs(shares.sum() - 100) > slack:
        text = f"the row sums to {shares.sum():.2f}, more than rounding off"
        yield Finding(*where, "matrix row", "", f"{shares.sum():.2f}", CONTRADICTION, text)


def _check_accuracy(table: pd.DataFrame, key, options: dict[str, list[Row]]) -> Iterator[Finding]:
    paper, number, dataset = key
    printed = table[(table["paper"] == paper) & (table["dataset"] == dataset)]
    printed = printed[printed["metric"].isin(ACCURACY) & (printed["kind"] == "cell")]
    printed = printed[~printed["row"].map(is_cited) & printed["share"].notna()]
    totals = claimed_totals(table, paper, dataset)
    values = list(dict.fromkeys(printed["share"]))
    where = (paper, number, dataset, "whole matrix")
    rows = list(options.values())
    found = class_sizes(rows, totals, values)
    if found:
        n, correct = (sum(getattr(row, part) for row in found[0]) for part in ("total", "correct"))
        text = f"{correct} of {n} = {100 * correct / n:.2f}, which is printed"
        yield Finding(*where, "matrix accuracy", "", f"{correct}/{n}", SOUND, text)
        vectors = [", ".join(str(row.total) for row in rows) for rows in found]
        text = f"clips of {', '.join(options)}: {' or '.join(vectors)}"
        yield Finding(*where, "class sizes", "", str(len(found)), SOUND, text)
        return
    smallest = [choice[0] for choice in rows]
    n, correct = sum(row.total for row in smallest), sum(row.correct for row in smallest)
    best = max(values, default=float("nan"))
    sizes = ", ".join(str(row.total) for row in smallest)
    text = f"class sizes {sizes}: {correct} of {n} = {100 * correct / n:.2f}"
    if not any(_prints(correct, n, value) for value in values):
        text += f"; the highest accuracy printed is {best:.2f}, {best * n / 100:.2f} clips of {n}"
        found = f"{correct}/{n}"
        yield Finding(*where, "matrix accuracy", f"{best:.2f}", found, CONTRADICTION, text)
    if totals and n not in totals:
        text = f"{n} clips, where {' or '.join(map(str, totals))} are claimed"
        yield Finding(*where, "matrix clips", str(totals[0]), str(n), INCONSISTENT, text)
