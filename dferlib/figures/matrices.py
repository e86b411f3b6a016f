"""Confusion matrices: rows true, columns predicted, with the number of clips of each row.

Arrays in, Axes (or a Figure of panels) out; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dferlib.figures.palette import DIFFERENCES, FAINT, GREY, SHARES, rule_style, text_on

OFTEN = 0.5  # share of the cells that has to be printed for a matrix to be drawn as one


def plot_confusion(
    matrix: np.ndarray,
    classes: Sequence[str],
    *,
    counts: Sequence[int] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Row-normalised confusion matrix (K, K), rows true; NaN cells stay blank.

    `counts` are the clips of each true class, written at its row.
    """
    ax = ax or plt.subplots(figsize=(5.2, 4.2))[1]
    text = np.where(np.isnan(matrix), "", np.char.mod("%.3f", matrix))
    text[matrix == 0] = "0"
    _draw_cells(ax, matrix, text, SHARES, (0, 1), "share of the true class")
    _name_axes(ax, classes, counts)
    ax.set_title(title)
    return ax


def plot_confusion_difference(
    ours: np.ndarray,
    published: np.ndarray,
    classes: Sequence[str],
    *,
    counts: Sequence[int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Ours minus published, cell by cell, in fractions of the true class; lost cells stay blank."""
    ax = ax or plt.subplots(figsize=(5.2, 4.2))[1]
    difference = ours - published
    text = np.where(np.isnan(difference), "", np.char.mod("%+.2f", difference))
    text[np.abs(difference) < 0.005] = "0"
    _draw_cells(ax, difference, text, DIFFERENCES, (-1, 1), "ours - published")
    _name_axes(ax, classes, counts)
    ax.set_title("ours - published")
    return ax


def plot_confusion_pair(
    ours: np.ndarray,
    published: np.ndarray,
    classes: Sequence[str],
    *,
    title: str,
    counts: Sequence[int] | None = None,
    select: str = "last",
) -> Figure:
    """Our matrix beside what was published of it.

    Three panels - ours, the published one, their difference - where at least half of its cells are
    known; ours and the few printed cells as points where fewer are; ours alone where none is.
    """
    known = np.isfinite(published)
    if not known.any():
        return plot_confusion(ours, classes, counts=counts, title=f"ours: {title}").figure
    if known.mean() < OFTEN:
        figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1.3, 1))
        plot_confusion(ours, classes, counts=counts, title=f"ours: {title}", ax=axes[0])
        plot_printed_cells(ours, published, classes, select=select, ax=axes[1])
        return figure
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.2))
    plot_confusion(ours, classes, counts=counts, title=f"ours: {title}", ax=axes[0])
    plot_confusion(published, classes, title="published (real data)", ax=axes[1])
    plot_confusion_difference(ours, published, classes, ax=axes[2])
    return figure


def plot_printed_cells(
    ours: np.ndarray,
    published: np.ndarray,
    classes: Sequence[str],
    *,
    select: str = "last",
    ax: Axes | None = None,
) -> Axes:
    """The few cells of a matrix that a paper prints, as points beside ours.

    A cell is named "fear as sadness", one of the diagonal by its class. Zeros off the diagonal
    only follow from a row that is told apart whole, and are left out.
    """
    shown = np.isfinite(published) & ((published > 0) | np.eye(len(classes), dtype=bool))
    cells = np.argwhere(shown)
    names = [classes[t] if t == p else f"{classes[t]} as {classes[p]}" for t, p in cells]
    ax = ax or plt.subplots(figsize=(4.6, 0.4 * len(cells) + 1.4))[1]
    place = np.arange(len(cells))[::-1]
    own, printed = ours[shown], published[shown]
    ax.hlines(
        place, np.minimum(own, printed), np.maximum(own, printed), color=FAINT, lw=2, zorder=0
    )
    printed_style = {"marker": "D", "s": 34, "color": GREY, "label": "published (real data)"}
    ax.scatter(printed, place, **printed_style)
    look = rule_style(select)
    ax.scatter(own, place, marker=look.marker, s=34, color=look.colour, label="ours")
    ax.set_yticks(place, names)
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.6, len(cells) - 0.4), xlabel="share of the true class")
    ax.set_title("what the paper prints", pad=22)
    ax.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.1)
    return ax


def _draw_cells(
    ax: Axes,
    values: np.ndarray,
    text: np.ndarray,
    colours: str,
    limits: tuple[float, float],
    label: str,
) -> None:
    """Cells with a bar, each with its text in black or white, whichever can be read on it."""
    low, high = limits
    style = {"vmin": low, "vmax": high, "cmap": colours, "square": True, "linewidths": 0.5}
    bar = {"label": label, "shrink": 0.8, "pad": 0.02}
    sns.heatmap(values, ax=ax, cbar=bool(label), cbar_kws=bar if label else None, **style)
    shade = plt.get_cmap(colours)
    for (row, column), value in np.ndenumerate(values):
        if text[row, column]:
            ink = text_on(shade((value - low) / (high - low)))
            where = {"ha": "center", "va": "center", "fontsize": 7, "color": ink}
            ax.text(column + 0.5, row + 0.5, text[row, column], **where)


def _name_axes(ax: Axes, classes: Sequence[str], counts: Sequence[int] | None) -> None:
    named = [f"{k} (n = {n})" for k, n in zip(classes, counts, strict=True)] if counts else classes
    place = np.arange(len(classes)) + 0.5
    ax.set_yticks(place, named, rotation=0)
    ax.set_xticks(place, classes, rotation=40, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    ax.set(xlabel="predicted", ylabel="true")
