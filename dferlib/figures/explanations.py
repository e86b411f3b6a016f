"""Figure of scored maps: each map of a paper beside its rivals, by question, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dferlib.figures.palette import CURVE_COLOURS

OURS = CURVE_COLOURS[0]
MARKS = ("D", "s", "^", "v", "x", "|")
AXES = {
    "where": "where it moves\n(ROC area; 0.5 knows nothing)",
    "when": "when it moves\n(rank correlation)",
    "faithful": "insertion minus deletion\n(area)",
}


def plot_map_scores(
    summary: pd.DataFrame,
    changed: pd.DataFrame,
    *,
    own: str = "model",
    ceiling: str = "truth",
    title: str = "",
) -> Figure:
    """Draw a row per map and a panel per question; the last panel is the check by redrawn weights.

    `summary` has the columns map, question, kind, value, low and high; the kind `own` is the dot
    with its interval, `ceiling` a line, and all others rivals. `changed` has map and correlation, a
    dot per clip, with the map of a network whose weights were redrawn.
    """
    questions = [name for name in AXES if name in set(summary["question"])]
    names = list(dict.fromkeys([*summary["map"], *changed["map"]]))
    others = [kind for kind in dict.fromkeys(summary["kind"]) if kind not in (own, ceiling)]
    look = {
        kind: {"marker": mark, "color": CURVE_COLOURS[(1 + place) % len(CURVE_COLOURS)]}
        for place, (kind, mark) in enumerate(zip(others, MARKS, strict=False))
    }
    size = (2.6 * (len(questions) + 1) + 1.8, 0.42 * len(names) + 1.7)
    figure, axes = plt.subplots(1, len(questions) + 1, figsize=size, sharey=True, squeeze=False)
    for ax, question in zip(axes[0], questions, strict=False):
        rows = summary[summary["question"] == question]
        _draw_question(ax, rows, names, own, ceiling, look)
        ax.set_xlabel(AXES[question])
    _draw_redrawn(axes[0, -1], changed, names)
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    handles = [Line2D([], [], color=OURS, marker="o", label="the model's map")]
    handles += [Line2D([], [], ls="", label=kind, **style) for kind, style in look.items()]
    handles += [Line2D([], [], color="0.4", marker="|", ls="", ms=12, label="the truth itself")]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=7)
    if title:
        axes[0, 0].set_title(title, loc="left", fontsize=8)
    return figure


def _draw_question(
    ax: Axes, rows: pd.DataFrame, names: list[str], own: str, ceiling: str, look: Mapping
) -> None:
    place = rows["map"].map(names.index)
    for kind, style in look.items():
        part = rows["kind"] == kind
        ax.scatter(rows["value"][part], place[part], s=20, zorder=2, **style)
    best = rows["kind"] == ceiling
    ax.scatter(rows["value"][best], place[best], marker="|", s=150, color="0.4", zorder=1)
    mine = rows[rows["kind"] == own]
    reach = np.vstack([mine["value"] - mine["low"], mine["high"] - mine["value"]])
    reach = np.nan_to_num(reach).clip(min=0)
    ax.errorbar(mine["value"], place[mine.index], xerr=reach, fmt="o", color=OURS, capsize=3)
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


def _draw_redrawn(ax: Axes, changed: pd.DataFrame, names: list[str]) -> None:
    known = changed.dropna(subset="correlation")
    place = known["map"].map(names.index)
    ax.scatter(known["correlation"], place, s=10, color="0.6", zorder=2)
    means = known.groupby("map")["correlation"].mean()
    ax.scatter(means, [names.index(name) for name in means.index], s=40, color=OURS, zorder=3)
    ax.axvline(0, color="0.8", linewidth=1, zorder=1)
    ax.set(xlabel="same map, weights redrawn\n(rank correlation)", xlim=(-1.05, 1.05))
