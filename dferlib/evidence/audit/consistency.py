"""Printed numbers against each other: text and tables, folds, frames, and several papers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from dferlib.evidence.audit.findings import CONTRADICTION, HINT, INCONSISTENT, SOUND, Finding
from dferlib.evidence.audit.printed import is_cited
from dferlib.evidence.audit.shares import ACCURACY, SIZES, claimed_totals, folds_of

SLACK = 0.0051  # points: half a unit of the last of two decimals
MOST_ERRORS = 40  # of all folds together, up to which their patterns are listed
WEAK_CLASSES = 1.5  # times their even share of clips, above which recalls contradict an accuracy


def check_claims(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield findings on what the text says of its tables: differences, orders, ranks, values."""
    checks = {"difference": _check_difference, "better": _check_better, "rank": _check_rank}
    for claim in table[table["kind"].isin([*checks, "value"])].itertuples():
        if claim.kind in checks:
            yield checks[claim.kind](table, claim)
        elif claim.metric in (*ACCURACY, "UAR", "F1"):
            for number, value in _values(table, claim, claim.row).items():
                same = abs(value - claim.number) <= SLACK
                text = "the text prints what the table does" if same else "the text prints another"
                where = (*_where(claim, number), "text against table", claim.value, f"{value:.2f}")
                yield Finding(*where, SOUND if same else CONTRADICTION, text)


def _where(claim, number: str = "") -> tuple[str, str, str, str]:
    return claim.paper, number or claim.table, claim.dataset, claim.row


def _values(table: pd.DataFrame, claim, row: str, anywhere: bool = True) -> dict[str, float]:
    """The cells of a row with the claim's metric, by table."""
    there = (table["paper"] == claim.paper) & (table["dataset"] == claim.dataset)
    there &= (table["metric"] == claim.metric) & (table["row"] == row) & (table["kind"] == "cell")
    if not anywhere:
        there &= table["table"] == claim.table
    return dict(zip(table.loc[there, "table"], table.loc[there, "share"], strict=True))


def _check_difference(table: pd.DataFrame, claim) -> Finding:
    where, printed = _where(claim), claim.value
    check = f"difference of {claim.metric}"
    own = _values(table, claim, claim.row, anywhere=False)
    if not own:
        elsewhere = ", ".join(_values(table, claim, claim.row)) or "none"
        text = f"Table {claim.table} has no such row; Table {elsewhere} does"
        return Finding(*where, check, printed, "", CONTRADICTION, text)
    value = own[claim.table]
    if claim.against:
        gap = value - _values(table, claim, claim.against, anywhere=False)[claim.table]
        right = abs(gap - claim.number) <= SLACK
        text = f"against {claim.against}"
        return Finding(
            *where, check, printed, f"{gap:.2f}", SOUND if right else CONTRADICTION, text
        )
    rows = table[(table["paper"] == claim.paper) & (table["table"] == claim.table)]
    rows = rows[(rows["metric"] == claim.metric) & (rows["kind"] == "cell")].dropna(subset="share")
    gaps = {row.row: value - row.share for row in rows.itertuples() if row.row != claim.row}
    near = min(gaps, key=lambda name: abs(gaps[name] - claim.number))
    right = abs(gaps[near] - claim.number) <= SLACK
    text = f"against what, the text does not say; the nearest difference is that to {near}"
    found = f"{gaps[near]:.2f}"
    return Finding(*where, check, printed, found, SOUND if right else CONTRADICTION, text)


def _check_better(table: pd.DataFrame, claim) -> Finding:
    first, second = (
        _values(table, claim, row, anywhere=False)[claim.table]
        for row in (claim.row, claim.against)
    )
    right = first > second
    text = f"said to be better than {claim.against}: {first:.2f} against {second:.2f}"
    check = f"order of {claim.metric}"
    verdict = SOUND if right else CONTRADICTION
    return Finding(*_where(claim), check, "better", f"{first - second:+.2f}", verdict, text)


def _check_rank(table: pd.DataFrame, claim) -> Finding:
    rows = table[(table["paper"] == claim.paper) & (table["table"] == claim.table)]
    rows = rows[(rows["metric"] == claim.metric) & (rows["kind"] == "cell")]
    ranks = rows.set_index("row")["share"].rank(ascending=False, method="min")
    rank = int(ranks[claim.row])
    named = ranks.index[ranks == claim.number]
    text = f"marked as number {claim.number:.0f}, which is {', '.join(named) or 'none'}"
    verdict = SOUND if rank == claim.number else CONTRADICTION
    return Finding(*_where(claim), "rank", claim.value, str(rank), verdict, text)


def check_same_rows(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield rows of one paper that several of its tables print, with one value or with several.

    A row is known by its network where that is given, and by its name otherwise.
    """
    cells = table[(table["kind"] == "cell") & table["share"].notna() & (table["row"] != "-")]
    cells = cells[~cells["metric"].str.startswith("predicted ")]
    name = cells["network"].where(cells["network"] != "", cells["row"])
    for key, rows in cells.groupby(
        [cells["paper"], cells["dataset"], name, cells["metric"]], sort=False
    ):
        if rows["table"].nunique() < 2:
            continue
        values = rows["share"]
        same = values.max() - values.min() <= SLACK
        found = "; ".join(f"Table {r.table} {r.value}" for r in rows.itertuples())
        text = "one value" if same else f"{values.max() - values.min():.2f} points apart"
        where = (key[0], ", ".join(rows["table"]), key[1], key[2])
        yield Finding(*where, "same row", key[3], found, SOUND if same else INCONSISTENT, text)


def method_name(row: str) -> str:
    """Return what a method is called without its reference and its kind in brackets."""
    return re.sub(r"\s*[\[(][^])]*[])]", "", row).strip().lower()


def check_across_papers(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield methods and datasets that several papers print with different values or sizes."""
    cells = table[table["metric"].isin(ACCURACY) & (table["kind"] == "cell")]
    cells = cells[cells["share"].notna() & cells["row"].map(is_cited)]
    for (dataset, name), rows in cells.groupby(["dataset", cells["row"].map(method_name)]):
        first = rows.drop_duplicates("paper")
        if len(first) > 1:
            same = np.ptp(first["share"]) <= SLACK
            found = "; ".join(f"{r.paper} {r.value}" for r in first.itertuples())
            text = "one value" if same else f"{np.ptp(first['share']):.2f} points apart"
            where = ("several", "", dataset, name, "same method", "", found)
            yield Finding(*where, SOUND if same else INCONSISTENT, text)
    for dataset in dict.fromkeys(table["dataset"]):
        sizes = {p: claimed_totals(table, p, dataset, SIZES) for p in dict.fromkeys(table["paper"])}
        sizes = {paper: totals for paper, totals in sizes.items() if totals}
        if len(sizes) > 1:
            same = len(set(sizes.values())) == 1
            counts = {p: " or ".join(map(str, totals)) for p, totals in sizes.items()}
            found = "; ".join(f"{paper} {count}" for paper, count in counts.items())
            text = "one size" if same else "one dataset of several sizes"
            where = ("several", "", dataset, "-", "clips", "", found)
            yield Finding(*where, SOUND if same else INCONSISTENT, text)


def check_listed_clips(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield claimed numbers of clips against the sum of the public lists' classes."""
    listed = table["metric"].str.startswith("clips ") & (table["unit"] == "count")
    for dataset, rows in table[listed].groupby("dataset", sort=False):
        total = int(rows["number"].sum())
        for paper in dict.fromkeys(table.loc[table["dataset"] == dataset, "paper"]):
            for n in claimed_totals(table, paper, dataset, SIZES):
                verdict = SOUND if n == total else INCONSISTENT
                text = f"the public lists hold {total}"
                yield Finding(
                    paper, "text", dataset, "-", "listed clips", str(n), str(total), verdict, text
                )


def check_means(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield means that lie outside their own least and most: "<what> mean", "least" and "most"."""
    counts = table[table["kind"] == "count"]
    for (paper, dataset), rows in counts.groupby(["paper", "dataset"], sort=False):
        values = dict(zip(rows["metric"], rows["number"], strict=True))
        for metric in [m for m in values if m.endswith(" mean")]:
            what = metric.removesuffix(" mean")
            ends = values.get(f"{what} least"), values.get(f"{what} most")
            if None not in ends:
                inside = ends[0] <= values[metric] <= ends[1]
                text = f"a mean of {values[metric]:g} of {what} from {ends[0]:g} to {ends[1]:g}"
                where = (paper, "text", dataset, "-", "mean", f"{values[metric]:g}", "")
                yield Finding(*where, SOUND if inside else CONTRADICTION, text)


def check_macs(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield whether costs of several numbers of frames lie on a line (rows "<k> frames ...")."""
    rows = table[(table["metric"] == "MACs") & (table["kind"] == "cell")]
    rows = rows.assign(frames=rows["row"].str.extract(r"^(\d+) frames")[0].astype(float))
    rows = rows.dropna(subset=["frames", "number"])
    for (paper, number, dataset), part in rows.groupby(["paper", "table", "dataset"], sort=False):
        if len(part) < 3:
            continue
        slope, start = np.polyfit(part["frames"], part["number"], 1)
        off = np.abs(part["number"] - slope * part["frames"] - start).max()
        unit = 10.0 ** -part["decimals"].max()
        straight, through = off <= unit, abs(start) <= 2 * unit
        text = f"{slope:.4f} a frame, {start:+.4f} without any"
        text += "; through zero, so all of the cost is per frame" if through else ""
        where = (paper, number, dataset, "all rows", "MACs against frames", "", f"off by {off:.4f}")
        yield Finding(*where, SOUND if straight else CONTRADICTION, text)


def check_spreads(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield whether folds can have the printed mean and deviation, and which folds do.

    Needs "accuracy mean", "accuracy std", the number of folds, and an n, claimed or near, that the
    folds divide evenly and of which the mean is a count.
    """
    text = table[table["metric"].isin(["accuracy mean", "accuracy std"])]
    for (paper, dataset), rows in text.groupby(["paper", "dataset"], sort=False):
        values = dict(zip(rows["metric"].str[9:], rows["share"], strict=True))
        folds, totals = folds_of(table, paper, dataset), claimed_totals(table, paper, dataset)
        if len(values) < 2 or not folds or not totals:
            continue
        for size in range(max(totals) // folds, int(0.9 * min(totals) / folds), -1):
            patterns = fold_patterns(values["mean"], values["std"], folds, size)
            if patterns:
                break
        where = (paper, "text", dataset, rows["row"].iloc[0], "mean and s.d.")
        printed = f"{values['mean']:.2f} +- {values['std']:.2f}"
        if not patterns:
            continue
        shown = "; ".join(" ".join(map(str, p)) for p in patterns)
        text = f"{folds} folds of {size} clips, {len(patterns)} patterns of errors: {shown}"
        yield Finding(*where, printed, f"{len(patterns)} patterns", SOUND, text)


def fold_patterns(
    mean: float, deviation: float, folds: int, size: int, *, ddof: int = 0
) -> list[tuple[int, ...]]:
    """Return the errors per fold, in rising order, that print as this mean and deviation.

    Per cent with two decimals; `ddof` 0 for the deviation of the folds themselves. Empty where
    there are none, or more than `MOST_ERRORS` errors in all.
    """
    errors = round((100 - mean) * folds * size / 100)
    if abs(100 - 100 * errors / (folds * size) - mean) > SLACK or errors > MOST_ERRORS:
        return []
    found = []
    for pattern in _partitions(errors, folds, size):
        if abs(100 * np.std(pattern, ddof=ddof) / size - deviation) <= SLACK:
            found.append(tuple(pattern))
    return found


def _partitions(total: int, parts: int, most: int, least: int = 0) -> Iterator[list[int]]:
    """Ways to write a total as so many whole numbers in rising order."""
    if parts == 1:
        if least <= total <= most:
            yield [total]
        return
    for first in range(least, min(most, total // parts) + 1):
        for rest in _partitions(total - first, parts - 1, most, first):
            yield [first, *rest]


def check_recall_means(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield accuracies that the recalls of all classes, single or in groups, make unlikely.

    Without class sizes: how many clips the weaker classes would have to hold. A group is a metric
    "recall a and b", the mean of its classes.
    """
    rows = table[table["metric"].str.startswith("recall ") & table["share"].notna()]
    rows = rows[rows["table"] == "text"]
    for (paper, dataset, row), part in rows.groupby(["paper", "dataset", "row"], sort=False):
        names = part["metric"].str.removeprefix("recall ").str.split(" and ")
        sizes = names.str.len()
        printed = table[(table["paper"] == paper) & (table["dataset"] == dataset)]
        printed = printed[(printed["row"] == row) & printed["metric"].isin(ACCURACY)]
        printed = printed.dropna(subset="share")
        if printed.empty or part["share"].nunique() != 2 or not (sizes > 1).any():
            continue
        low, high, value = part["share"].min(), part["share"].max(), printed["share"].iloc[0]
        even = sizes[part["share"] == low].sum() / sizes.sum()
        needed = (high - value) / (high - low)
        macro = (part["share"] * sizes).sum() / sizes.sum()
        verdict = CONTRADICTION if needed > WEAK_CLASSES * even else HINT
        text = f"the recalls average {macro:.2f}; {value:.2f} needs {100 * needed:.0f} % of the "
        text += f"clips in the classes of {low:.0f} %, an even share is {100 * even:.0f} %"
        where = (paper, "text", dataset, row, "recalls against accuracy", f"{value:.2f}")
        yield Finding(*where, f"{macro:.2f}", verdict, text)
