"""Printed numbers as one tidy table: read from a CSV, or gathered from the five papers.

Columns: paper, table, dataset, row, metric, value (as text, so that its decimals are known), unit
(%, fraction, points, count, G, M, ms, -), note, kind, against, network. Only row, metric and value
are needed in a CSV; `method` stands for row, and `true` and `pred` for a confusion matrix (metric
"predicted <class>"). `kind` is "cell" or that of a claim of the text, see
`dferlib.protocols.reported.claims`; `network` is a common name of rows that are one network.
Added here: number, decimals, and share (in per cent, where the unit is one) with its decimals.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import pandas as pd

from dferlib.protocols import ceflnet, list_protocols, load_protocol, stcam, stt
from dferlib.protocols.reported import ecnn_fsa
from dferlib.protocols.reported.claims import Claim, text_claims

TEXT_COLUMNS = ("paper", "table", "dataset", "row", "metric", "value", "unit", "note")
TEXT_COLUMNS += ("kind", "against", "network")
DEFAULTS = {"unit": "%", "kind": "cell"}
NEEDED = ("row", "metric", "value")
KINDS = ("cell", "difference", "better", "rank", "value", "count")
NUMERIC_UNITS = ("%", "fraction", "points", "count", "G", "M", "ms")


class UnreadableTableError(ValueError):
    """A table of printed numbers that cannot be audited; the message names line and way out."""


def read_printed(path: str | Path) -> pd.DataFrame:
    """Read a CSV of printed numbers; UnreadableTableError names what is wrong with it."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UnreadableTableError(f"{path}: not readable as CSV in UTF-8 ({error})") from None
    return tidy_printed(table, str(path))


def tidy_printed(table: pd.DataFrame, name: str = "table") -> pd.DataFrame:
    """Return printed numbers with every column of this module, checked.

    An empty value is a lost one, and its note says why. UnreadableTableError for missing columns, a
    value that is NaN, infinite, no number though its unit wants one, or empty without a note, and
    for an unknown kind.
    """
    table = table.rename(columns=str.strip)
    if {"true", "pred"} <= set(table):
        shown = table["pred"].map(lambda label: f"predicted {label}")
        table = table.assign(row=table["true"], metric=shown)
    if "row" not in table and "method" in table:
        table = table.rename(columns={"method": "row"})
    missing = [column for column in NEEDED if column not in table]
    if missing:
        raise UnreadableTableError(
            f"{name}: no column {', '.join(missing)}; needed: row (or method, or true and pred), "
            f"metric and value; there is: {', '.join(table) or 'none'}"
        )
    for column in TEXT_COLUMNS:
        default = DEFAULTS.get(column, "")
        values = table[column] if column in table else pd.Series(default, index=table.index)
        table[column] = values.fillna("").astype(str).str.strip()
        if default:
            table[column] = table[column].replace("", default)
    table = table[list(TEXT_COLUMNS)].reset_index(drop=True)
    for index, cell in enumerate(table.itertuples()):
        _check_value(cell, f"{name}, line {index + 2}")
    return _with_numbers(table)


def printed_numbers() -> pd.DataFrame:
    """Return all that the five papers print, and what their texts claim of it, as one table."""
    rows = []
    for slug in list_protocols():
        for cell in load_protocol(slug).reported():
            value = "" if cell.value is None else str(cell.value)
            note = cell.note or ("" if value else "lost")
            row = {"paper": slug, "table": str(cell.table), "dataset": cell.dataset}
            row |= {"row": cell.row, "metric": cell.metric, "value": value, "unit": cell.unit}
            rows.append(row | {"note": note})
    rows += [_claim_row(claim) for claim in text_claims()]
    rows += [*_class_counts(), *_spreads(), *_text_differences(), *_figure_recalls()]
    table = tidy_printed(pd.DataFrame(rows), "the five papers")
    same = {row: pair[0] for pair in ecnn_fsa.SAME_NETWORK for row in pair}
    table["network"] = np.where(table["table"].isin(["6", "7"]), table["row"].map(same), "")
    table["network"] = table["network"].fillna("")
    return table


def is_cited(row: str) -> bool:
    """Tell whether a row carries a reference, as other people's work does."""
    return bool(re.search(r"\[\d", row))


def _check_value(cell, where: str) -> None:
    what = f"{where}: {cell.metric!r} of {cell.row!r}"
    if cell.kind not in KINDS:
        raise UnreadableTableError(f"{what}: kind is {cell.kind!r}; valid: {', '.join(KINDS)}")
    if cell.value == "":
        if cell.kind == "better" or cell.note:
            return
        raise UnreadableTableError(f"{what} is empty; give the value, or say in note why not")
    try:
        number = Decimal(cell.value.replace(",", ""))
    except InvalidOperation:
        if cell.unit in NUMERIC_UNITS:
            raise UnreadableTableError(
                f"{what} is {cell.value!r}, no number in {cell.unit}; a value in words has unit -"
            ) from None
        return
    if not number.is_finite():
        raise UnreadableTableError(
            f"{what} is {cell.value}; leave a lost value empty and say so in note"
        )
    if cell.kind in ("cell", "value") and cell.unit in ("%", "fraction"):
        most = 100 if cell.unit == "%" else 1
        if not 0 <= number <= most:
            raise UnreadableTableError(f"{what} is {cell.value}; 0 to {most} in {cell.unit} needed")


def _with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    text = table["value"].str.replace(",", "")
    numbers = pd.to_numeric(text, errors="coerce")
    places = text.str.extract(r"\.(\d+)$")[0].str.len().fillna(0).astype(int)
    scale = table["unit"].map({"%": 1.0, "fraction": 100.0})
    share = (numbers * scale).round(10).where(table["kind"].isin(["cell", "value"]))
    places = (places - 2 * (table["unit"] == "fraction")).clip(lower=0)
    # a column is printed with as many decimals as its longest value; a matrix row by row
    matrix = table["metric"].str.startswith("predicted ")
    group = [table["paper"], table["table"], table["unit"], table["row"].where(matrix, "")]
    decimals = places.groupby(group).transform("max")
    return table.assign(number=numbers, decimals=decimals, share=share)


def _claim_row(claim: Claim) -> dict[str, str]:
    value = "" if claim.value is None else str(claim.value)
    units = {"difference": "points", "count": "count", "rank": "count", "better": "-"}
    row = {"paper": claim.paper, "table": str(claim.table), "dataset": claim.dataset}
    row |= {"row": claim.row, "metric": claim.metric, "value": value, "kind": claim.kind}
    return row | {"unit": units.get(claim.kind, "%"), "against": claim.against, "note": "text"}


def _class_counts() -> list[dict[str, str]]:
    """Clips of each class as public lists have them, for CK+, Oulu-CASIA and DFEW."""
    ckplus = (45, 18, 59, 25, 69, 28, 83)
    lists = (
        ("stcam", "ckplus", stcam.CLASSES["ckplus"], ckplus),
        ("stcam", "oulu", stcam.CLASSES["oulu"], (80,) * 6),
        ("stt", "dfew", stt.CLASSES["dfew"], stt.DFEW_COUNTS),
    )
    row = {"table": "list", "row": "-", "unit": "count", "kind": "count", "note": "public list"}
    return [
        row | {"paper": slug, "dataset": dataset, "metric": f"clips {name}", "value": str(count)}
        for slug, dataset, classes, counts in lists
        for name, count in zip(classes, counts, strict=True)
    ]


def _spreads() -> list[dict[str, str]]:
    rows = []
    for dataset in ceflnet.CLASSES:
        for metric, value in zip(("mean", "std"), ceflnet.reported_spread(dataset), strict=True):
            row = {"paper": "ceflnet", "table": "text", "dataset": dataset, "row": "CEFLNet"}
            rows.append(row | {"metric": f"accuracy {metric}", "value": f"{value:.2f}"})
    return rows


def _figure_recalls() -> list[dict[str, str]]:
    """The recalls that CEFLNet's text gives of Figure 5."""
    rows = []
    for dataset in ceflnet.CLASSES:
        classes, matrix = ceflnet.PAPER.reported_confusion(dataset)
        for name, value in zip(classes, np.diagonal(matrix), strict=True):
            if not np.isnan(value):
                row = {"paper": "ceflnet", "table": "text", "dataset": dataset}
                row |= {"row": "CEFLNet (clip-based)", "metric": f"recall {name}"}
                rows.append(row | {"value": f"{100 * value:.2f}"})
    return rows


def _text_differences() -> list[dict[str, str]]:
    """ECNN-FSA's differences, but for the one whose table the text names wrongly."""
    row = {"paper": "ecnn_fsa", "metric": "accuracy", "unit": "points", "kind": "difference"}
    return [
        row
        | {"table": str(d.table), "dataset": d.dataset, "row": d.row, "against": d.minus}
        | {"value": str(d.text)}
        for d in ecnn_fsa.reported_differences()
        if d.table != 6
    ]
