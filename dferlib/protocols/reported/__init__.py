"""What the papers print, cell by cell: one CSV a paper, read once.

Columns `table,dataset,row,metric,value,unit,note`. `table` is a number, or "Figure 5" or "§4.2" for
what a figure shows or the text says; `dataset` is "-" for what belongs to none. In a confusion
matrix `row` is the true class and `metric` "predicted <class>". A value is as printed: a number,
words (in quotes where they look like a number), or nothing where the text at hand lost it.
"""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Reported(NamedTuple):
    """One published cell; `value` is None where the text at hand lost it."""

    table: int | str
    dataset: str
    row: str
    metric: str
    value: float | str | None
    unit: str
    note: str = ""


@cache
def load_cells(slug: str) -> tuple[Reported, ...]:
    """Read all published cells of a paper, in its order."""
    path = Path(__file__).with_name(f"{slug}.csv")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [Reported(**row) for row in csv.DictReader(file)]
    return tuple(
        cell._replace(
            table=int(cell.table) if cell.table.isdecimal() else cell.table,
            value=_value(cell.value),
        )
        for cell in rows
    )


def _value(text: str) -> float | str | None:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
