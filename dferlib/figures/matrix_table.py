"""A confusion matrix as a table of HTML: read by screen readers, drawn in a millisecond."""

from __future__ import annotations

import html
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from dferlib.figures.palette import SHARES, text_on


def confusion_table(
    matrix: np.ndarray, classes: Sequence[str], counts: Sequence[int], title: str
) -> str:
    """A row-normalised confusion matrix (K, K), rows true, as HTML; NaN cells stay empty.

    `counts` are the clips of each true class. Shades are those of `matrices.plot_confusion`.
    """
    names = [html.escape(name) for name in classes]
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{name} (n = {count})</th>'
        + "".join(map(_cell, row))
        + "</tr>"
        for name, count, row in zip(names, counts, matrix, strict=True)
    )
    return (
        f"<table><caption>{html.escape(title)}: rows are true classes, columns predictions, in "
        f"shares of the row</caption><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody>"
        "</table>"
    )


def _cell(share: float) -> str:
    if np.isnan(share):
        return "<td></td>"
    shade = mpl.colormaps[SHARES](share)
    ink = to_hex(text_on(shade))
    text = f"{share:.3f}" if share else "0"
    style = f"background:{to_hex(shade)};color:{ink};text-align:center"
    return f'<td style="{style}">{text}</td>'
