"""Tables in Markdown: what a cell holds never breaks out of it."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

_MARKS = re.compile(r"([\\`*_\[\]|~])")


def cell(value: Any) -> str:
    """Return a value as the text of a table's cell, every character of it meant as it stands.

    None and NaN are empty; whole numbers have commas, others as many digits as they were given.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _MARKS.sub(r"\\\1", html.escape(" ".join(str(value).split()), quote=False))


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "None.") -> str:
    """Return a table, or the sentence `empty` where there is no row."""
    lines = [f"| {' | '.join(map(cell, row))} |" for row in rows]
    if not lines:
        return empty
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *lines])


def section(title: str, *parts: str) -> str:
    """Return a section with its heading; empty parts are left out."""
    return "\n\n".join([f"## {title}", *filter(None, parts)])
