"""Figures of evidence: coverage of intervals, levels of tests, published claims, ranks, pairs.

Each takes a table that the functions of `dferlib.evidence` return (in the shares or per cent that
they say) and returns its Axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

INK, FAINT = "0.2", "0.85"
BLUE, ORANGE, GREEN, RED = "#0173b2", "#de8f05", "#029e73", "#b03a2e"  # apart for every eye
VERDICT_COLOURS = {
    "whatever the discordance": GREEN,
    "depends on the discordance": ORANGE,
    "never": RED,
}
HALF_BAR = 0.28  # of the distance between two rows


def plot_coverage(
    table: pd.DataFrame, *, kind: str = "interval", metric: str = "war", ax: Axes | None = None
) -> Axes:
    """Show each cell of the simulation as a dot, by method and number of persons.

    `table` has columns kind, name, metric, persons, balanced, value (results/evidence/
    coverage.csv); the band is what a method should give: 93 to 97 % coverage, or at most 6 %
    rejected true nulls for kind "test".
    """
    rows = table[(table["kind"] == kind) & (table["metric"] == metric)]
    names = list(dict.fromkeys(rows["name"]))
    ax = ax or plt.subplots(figsize=(5.4, 0.5 * len(names) + 1.3))[1]
    band = (93, 97) if kind == "interval" else (0, 6)
    ax.axvspan(*band, color=FAINT, zorder=0, lw=0)
    ax.axvline(95 if kind == "interval" else 5, color="0.5", lw=0.8, zorder=1)
    for (persons, colour, side), balanced in [
        (group, even) for group in ((80, BLUE, -1), (10, ORANGE, 1)) for even in (True, False)
    ]:
        part = rows[(rows["persons"] == persons) & (rows["balanced"] == balanced)]
        height = part["name"].map(names.index) + side * (0.1 if balanced else 0.24)
        face = colour if balanced else "white"
        label = f"{persons} persons, {'equal' if balanced else 'unequal'}"
        style = {"s": 26, "facecolor": face, "edgecolor": colour, "linewidth": 1.1, "zorder": 3}
        ax.scatter(100 * part["value"], height, label=label, **style)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    what = "coverage of nominal 95 %" if kind == "interval" else "true nulls rejected at 5 %"
    ax.set(xlabel=f"{what} (per cent), {metric.upper()}")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color=FAINT, lw=0.6)
    ax.set_axisbelow(True)
    ax.legend(fontsize=7, ncols=2, loc="lower center", bbox_to_anchor=(0.45, 1.0), frameon=False)
    return ax


def plot_claims(table: pd.DataFrame, *, alpha: float = 0.05, ax: Axes | None = None) -> Axes:
    """Show the p-values that printed accuracies allow, a bar per published pair, log scale.

    `table` is (part of) `evidence.claims.published_claims`: own, other, dataset, difference,
    p_low, p_high, significant. p below 1e-6 is drawn at the edge.
    """
    ax = ax or plt.subplots(figsize=(6.6, 0.24 * len(table) + 1.2))[1]
    floor = 1e-6
    ax.axvspan(floor, alpha, color=FAINT, zorder=0, lw=0)
    for height, row in enumerate(table.itertuples()):
        low, high = max(row.p_low, floor), max(row.p_high, floor)
        colour = VERDICT_COLOURS[row.significant]
        ax.plot([low, high], [height, height], color=colour, lw=4, solid_capstyle="butt")
        ax.plot([low, high], [height, height], ls="", marker="|", ms=8, mew=1.6, color=colour)
        if row.p_low < floor:
            ax.plot(floor, height, marker="<", ms=5, color=colour, clip_on=False)
    labels = [f"{row.dataset}: {row.other}  ({row.difference:+.2f})" for row in table.itertuples()]
    ax.set_yticks(range(len(table)), labels, fontsize=7)
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xscale("log")
    ax.set_xlim(floor, 1.3)
    ax.set_xlabel("exact McNemar p, least to most discordance (shaded: significant at .05)")
    ax.tick_params(axis="y", length=0)
    handles = [Patch(color=colour, label=name) for name, colour in VERDICT_COLOURS.items()]
    ax.legend(
        handles=handles,
        title="could be significant",
        fontsize=7,
        title_fontsize=7,
        ncols=3,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
    )
    return ax


def plot_differences(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Show each model minus the reference with its interval, over what the clips could show.

    `table` is that of `scoring.paired_tests`: second, war_difference, war_low, war_high,
    detectable (per cent), p_war_holm. The grey bar reaches to the difference that these clips show
    with 80 % power; a filled dot is significant after Holm.
    """
    ax = ax or plt.subplots(figsize=(5.6, 0.36 * len(table) + 1.2))[1]
    for height, row in enumerate(table.itertuples()):
        if np.isfinite(row.detectable):
            ends = (-row.detectable, 2 * row.detectable)
            ax.barh(height, ends[1], 2 * HALF_BAR, ends[0], color=FAINT, zorder=0)
        sure = row.p_war_holm <= 0.05
        ax.plot([row.war_low, row.war_high], [height, height], color=BLUE, lw=1.6)
        face = BLUE if sure else "white"
        ax.plot(row.war_difference, height, "o", ms=6, mfc=face, mec=BLUE, mew=1.3)
    ax.axvline(0, color=INK, lw=0.8, zorder=1)
    ax.set_yticks(range(len(table)), table["second"])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    first = table["first"].iloc[0] if len(table) else ""
    ax.set_xlabel(f"WAR minus that of {first} (points)")
    marker = {"ls": "", "marker": "o", "mec": BLUE, "ms": 6}
    handles = [
        Line2D([], [], mfc=BLUE, label="p (Holm) at most .05", **marker),
        Line2D([], [], mfc="white", label="not", **marker),
        Patch(color=FAINT, label="too small for these clips at 80 % power"),
    ]
    place = {"loc": "lower center", "bbox_to_anchor": (0.45, 1.0)}
    ax.legend(handles=handles, fontsize=7, ncols=3, frameon=False, **place)
    return ax


def plot_critical_difference(
    ranks: pd.DataFrame,
    critical_difference: float,
    cliques: Sequence[tuple[float, float]],
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw a critical-difference diagram: mean ranks on a line, bars over what does not differ.

    `ranks` has columns model and rank, rising (`evidence.ranking.rank_models`), `cliques` the ends
    of each bar. Ranks from 1 to the number of models.
    """
    count = len(ranks)
    left, right = (count + 1) // 2, count // 2
    ax = ax or plt.subplots(figsize=(6.4, 0.3 * left + 0.22 * len(cliques) + 1.1))[1]
    ax.set_axis_off()
    ax.set_xlim(count + 1.2, -0.2)
    ax.plot([1, count], [0, 0], color=INK, lw=1)
    for tick in range(1, count + 1):
        ax.plot([tick, tick], [0, 0.18], color=INK, lw=1)
        ax.text(tick, 0.28, str(tick), ha="center", va="bottom", fontsize=8)
    ax.plot([1, 1 + critical_difference], [1.25, 1.25], color=INK, lw=1.6)
    for end in (1, 1 + critical_difference):
        ax.plot([end, end], [1.15, 1.35], color=INK, lw=1.6)
    text = f"critical difference {critical_difference:.2f}"
    ax.text(1 + critical_difference / 2, 1.42, text, ha="center", va="bottom", fontsize=8)
    for level, (low, high) in enumerate(cliques):
        depth = -0.25 - 0.28 * level
        ax.plot([low - 0.06, high + 0.06], [depth, depth], color=BLUE, lw=3.2)
    top = 0.55 + 0.28 * len(cliques)
    for place, row in enumerate(ranks.itertuples()):
        best = place < right
        step = place if best else count - 1 - place
        depth, edge = -top - 0.42 * step, 0.55 if best else count + 0.45
        ax.plot([row.rank, row.rank, edge], [0, depth, depth], color=INK, lw=0.8)
        text = f"{row.model} ({row.rank:.2f})"
        ax.text(edge, depth, f" {text} ", ha="left" if best else "right", va="center", fontsize=8)
    ax.set_ylim(-top - 0.42 * (left - 1) - 0.3, 1.9)
    return ax
