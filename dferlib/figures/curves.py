"""Curves in panels: small multiples wherever more than a few lines would share one.

As in `plots`, a tidy table goes in and a Figure comes out; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from dferlib.figures.palette import (
    FAINT,
    GREY,
    MOST_LINES,
    class_styles,
    curve_styles,
    for_seaborn,
)
from dferlib.figures.plots import BESIDE, plot_history


def plot_curves(history: pd.DataFrame, columns: Mapping[str, str]) -> Figure:
    """Several quantities over the epochs, side by side: ``columns`` maps each to its label.

    Up to `MOST_LINES` variants share a row of panels, more get rows of their own; the scale of a
    quantity is the same in all of them.
    """
    variants = list(dict.fromkeys(history["variant"]))
    rows = -(-len(variants) // MOST_LINES)
    size = -(-len(variants) // rows)  # even groups
    groups = [variants[start : start + size] for start in range(0, len(variants), size)]
    figure, axes = plt.subplots(
        len(groups),
        len(columns),
        figsize=(3.2 * len(columns) + 1.6, 2.9 * len(groups)),
        squeeze=False,
        sharey="col",
    )
    for line, group in zip(axes, groups, strict=True):
        part = history[history["variant"].isin(group)]
        for ax, (column, label) in zip(line, columns.items(), strict=True):
            plot_history(part, column, label=label, ax=ax).get_legend().remove()
        line[-1].legend(title="", **BESIDE)
    return figure


def plot_roc(curves: pd.DataFrame, *, title: str = "") -> Figure:
    """ROC curves from columns curve, fpr, tpr and auc: a panel a curve, its area in the title.

    "macro" and "micro", the means, share a panel; the macro mean is repeated, dotted, in the panel
    of each class. The diagonal is chance.
    """
    found = dict(iter(curves.groupby("curve", sort=False)))
    means = {name: found.pop(name) for name in ("macro", "micro") if name in found}
    panels = [*([("means", means)] if means else []), *((k, {k: v}) for k, v in found.items())]
    figure, axes = _panels(len(panels), (1.9, 2.25), "false positive rate", "true positive rate")
    for ax, (name, shown) in zip(axes, panels, strict=True):
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
        if name != "means" and "macro" in means:
            ax.plot(means["macro"]["fpr"], means["macro"]["tpr"], ":", color=GREY, linewidth=1)
        looks = curve_styles(shown) if name == "means" else class_styles(shown)
        for curve, look in zip(shown.values(), looks.values(), strict=True):
            line = {"color": look.colour, "linestyle": look.line, "linewidth": 1.5}
            ax.plot(curve["fpr"], curve["tpr"], **line)
        said = ", ".join(f"{each} {curve['auc'].iloc[0]:.2f}" for each, curve in shown.items())
        ax.set(aspect="equal", title=said, xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    figure.suptitle(f"{title}{': ' if title else ''}area under each curve", fontsize=10)
    return figure


def plot_time_profile(
    values: pd.DataFrame, *, label: str, axis: str = "", even: bool = False
) -> Figure:
    """Mean over clips of a quantity at each sampled frame: columns frame, value and curve.

    Up to `MOST_LINES` curves share a panel, more get one each. ``even`` draws the line of an even
    share, 1 / T. Bands are 95 % intervals.
    """
    curves = list(dict.fromkeys(values["curve"]))
    groups = [curves] if len(curves) <= MOST_LINES else [[name] for name in curves]
    side = (2.1, 1.8) if len(groups) > 1 else (5.0, 2.4)
    axis = axis or "sampled frame (1 neutral, last peak)"
    figure, axes = _panels(len(groups), side, axis, label)
    for ax, group in zip(axes, groups, strict=True):
        part = values[values["curve"].isin(group)]
        drawn = for_seaborn(curve_styles(group))
        options = {"x": "frame", "y": "value", "hue": "curve", "style": "curve", "seed": 0}
        said = ax.get_xlabel(), ax.get_ylabel()
        sns.lineplot(part, **options, **drawn, ax=ax)
        ax.set(xlabel=said[0], ylabel=said[1])
        ax.xaxis.get_major_locator().set_params(integer=True)
        if even:
            ax.axhline(1 / values["frame"].max(), color=GREY, linestyle=":", linewidth=1)
            ax.set_ylim(0, 1.1 * values["value"].max())
        ax.get_legend().remove()
        if len(groups) > 1:
            ax.set_title(group[0])
    if len(groups) == 1:
        axes[0].legend(title="", **BESIDE)
    return figure


def _panels(
    count: int, side: tuple[float, float], xlabel: str, ylabel: str
) -> tuple[Figure, np.ndarray]:
    """A figure of panels with the same scales, up to four in a row; labels at the first column."""
    columns = min(4, count)
    rows = -(-count // columns)
    size = (side[0] * columns + 0.6, side[1] * rows + 0.5)
    shared = {"squeeze": False, "sharex": True, "sharey": True}
    figure, axes = plt.subplots(rows, columns, figsize=size, **shared)
    for ax in axes.flat[count:]:
        ax.set_axis_off()
    for ax in axes.flat[max(0, count - columns) : count]:  # with nothing below
        ax.tick_params(labelbottom=True)
    axes[-1, 0].set_xlabel(xlabel)
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel)
    return figure, axes.flat[:count]
