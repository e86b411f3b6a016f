"""How tables look: a caption, headers with a scope, prose on the left, numbers as printed.

Widths are for a column of 1,000 pixels: long headers break, and a value and its interval stand in
one cell, which breaks between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Self

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from dferlib.evidence.tables import widen

HARD_SPACE = "\N{NO-BREAK SPACE}"
_CSS = (
    ("", "font-size: 12px; border-collapse: collapse"),
    ("caption", "caption-side: top; text-align: left; font-weight: bold; padding: 4px 0"),
    ("th", "white-space: normal; max-width: 7.5em; vertical-align: bottom; padding: 3px 6px"),
    ("th[scope=row]", "max-width: 16em; text-align: left; vertical-align: top"),
    ("td", "white-space: normal; text-align: right; vertical-align: top; padding: 3px 6px"),
)


class Table(Styler):
    """A table whose headers say what they head: `scope` is "col" above, "row" at the left.

    Without an index, the column `named` holds the names of the rows. Cells and headers are text:
    markup in a name of a file or a class is shown and never obeyed, which pandas leaves to its
    caller.
    """

    named: str = ""

    def __init__(self, data: pd.DataFrame, **options: Any) -> None:
        super().__init__(data, **options)
        for axis in (0, 1):
            self.format_index(escape="html", axis=axis)

    def format(self, *arguments: Any, **options: Any) -> Self:
        """Format cells as `Styler.format` does, with markup in them escaped."""
        return super().format(*arguments, **{**options, "escape": "html"})

    def to_html(self, *args, **options) -> str:
        """Return the table as HTML, as `Styler.to_html` does, with the scope of every header."""
        html = super().to_html(*args, **options)
        if not isinstance(html, str):  # it went to a file
            return html
        head, mark, body = html.partition("<tbody>")
        body = body.replace("<th ", '<th scope="row" ')
        if self.named:
            column = list(self.data.columns).index(self.named)
            body = re.sub(
                rf"<td (id=\"\S+_row\d+_col{column}\"[^>]*)>(.*?)</td>",
                r'<th scope="row" \1>\2</th>',
                body,
                flags=re.DOTALL,
            )
        return head.replace("<th ", '<th scope="col" ') + mark + body


def lay_out(
    table: pd.DataFrame, caption: str, *, named: str = "", prose: Iterable[str] = ()
) -> Table:
    """Return a table to show: `named` is the column of names of its rows, `prose` hold text.

    Without `named` the index is shown and names the rows. Missing values are empty.
    """
    table = table.reset_index(drop=True) if named else table
    style = Table(table).set_caption(caption).format(na_rep="")
    style.set_table_styles([{"selector": name, "props": props} for name, props in _CSS])
    left = [name for name in prose if name in table]
    if left:
        style.set_properties(subset=left, **{"text-align": "left"})
    if named:
        style.hide(axis="index")
        style.named = named
    return style


def decimals_of(values: Iterable[float], least: int = 0) -> int:
    """Return with how many decimals a column is printed: those of its longest value."""
    places = [-Decimal(str(v)).as_tuple().exponent for v in values if v is not None and v == v]
    return max([least, *places])


def as_printed(values: pd.Series, least: int = 0) -> pd.Series:
    """Return published numbers as text with the digits of their column; empty where none is.

    A value of 47.65 stays 47.65, and 96.9 in a column with two decimals is 96.90.
    """
    places = decimals_of(values, least)
    return values.map(lambda value: "" if pd.isna(value) else f"{value:.{places}f}")


def with_interval(
    value: float, low: float, high: float, decimals: int = 2, *, signed: bool = False
) -> str:
    """Return "63.77 [49.08, 76.80]" that breaks before the bracket only; empty without a value."""
    if np.isnan(value):
        return ""
    sign = "+" if signed else ""
    shown = [f"{number:{sign}.{decimals}f}" for number in (value, low, high)]
    if np.isnan(low):
        return shown[0]
    return f"{shown[0]} [{shown[1]},{HARD_SPACE}{shown[2]}]"


def show(table: pd.DataFrame, source: str) -> Table:
    """Lay out a table of ``tables.published_beside_ours``; the header says what ours are.

    Published values have the digits that are printed, ours and their interval as many.
    """
    published, ours, uar = "published (real data)", f"ours ({source}) [95 %]", f"UAR ({source})"
    shown = table.reset_index(drop=True)
    for unit, rows in shown.groupby("unit", sort=False):
        least = 4 if unit == "fraction" else 2
        places = decimals_of(rows["published"], least)
        shown.loc[rows.index, published] = as_printed(rows["published"], least)
        shown.loc[rows.index, ours] = [
            with_interval(row.ours, row.ci_low, row.ci_high, places) for row in rows.itertuples()
        ]
    shown[uar] = shown["uar"].map(lambda value: "" if pd.isna(value) else f"{value:.2f}")
    names = ["dataset"] if shown["dataset"].nunique() > 1 else []
    names += ["row"]
    names += ["metric"] if shown["metric"].nunique() > 1 else []
    names += ["unit"] if set(shown["unit"]) - {"%"} else []
    names += [published, ours, *([] if "UAR" in set(shown["metric"]) else [uar]), "n", "status"]
    return lay_out(shown[names], _caption(table), named="row", prose=("dataset", "status"))


def show_wide(table: pd.DataFrame, source: str) -> Table:
    """Lay out ``tables.widen(table)``, each value of ours with its interval in one cell."""
    wide = widen(table, intervals=True)
    units = table.groupby("metric")["unit"].first()
    parts = {}
    for metric in dict.fromkeys(table["metric"]):
        cells = wide[metric]
        least = 4 if units[metric] == "fraction" else 2
        places = decimals_of(cells["published"], least)
        name = f"{metric} ({units[metric]})" if units[metric] != "-" else metric
        parts[name, "published (real)"] = as_printed(cells["published"], least)
        ends = cells[["ours", "95 % low", "95 % high"]].to_numpy(float)
        parts[name, f"ours ({source}) [95 %]"] = [with_interval(*row, places) for row in ends]
    parts["", "n"], parts["", "status"] = wide[("", "n")], wide[("", "status")]
    shown = pd.DataFrame(parts, index=wide.index)
    if table["dataset"].nunique() == 1:
        shown = shown.droplevel("dataset")
    return lay_out(shown, _caption(table), prose=[("", "status")])


def _caption(table: pd.DataFrame) -> str:
    """Say what a table of cells is of: its metrics, and its datasets."""
    metrics: Sequence[str] = list(dict.fromkeys(table["metric"]))
    percent = set(table["unit"]) <= {"%"}
    listed = ", ".join(metrics[:3]) + (" and recalls" if len(metrics) > 3 else "")
    where = ", ".join(dict.fromkeys(table["dataset"]))
    return f"{listed}{' in per cent' if percent else ''}: {where}" if len(table) else "no cell"
