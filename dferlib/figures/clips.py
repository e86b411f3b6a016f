"""Figures about videos cut into clips: the network, activation maps, embeddings and sweeps.

As in `figures`, a tidy table or plain arrays go in, and nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dferlib.figures.diagrams import block, plot_schematic, table_of
from dferlib.figures.overlays import show_image
from dferlib.figures.palette import (
    CURVE_COLOURS,
    GREY,
    class_styles,
    dataset_styles,
    text_on,
)
from dferlib.figures.plots import ABOVE
from dferlib.figures.wording import dataset_name

LOCATED = "#c05a00"  # orange boxes, as in the paper's Figure 6


def plot_self_attention(shapes: Mapping[str, str]) -> Figure:
    """The self-attention of one clip as in Figure 2; ``shapes`` for frames, weights and output."""
    softmax = "MatMul, Scale,\nsoftmax"
    table = table_of(
        block("I", "$I$", 0, 0, "data", shape=shapes["frames"], wide=0.7),
        block("q", "$Q = I\\,W_Q$", 3.0, 1.4, after="I"),
        block("k", "$K = I\\,W_K$", 3.0, 0, after="I"),
        block("v", "$V = I\\,W_V$", 3.0, -1.4, after="I"),
        block("weights", softmax, 6.2, 0.7, "own", after="q k", shape=shapes["weights"], wide=2.6),
        block("turn", "", 9.4, -1.4, "joint", after="v"),
        block("product", "MatMul", 9.4, 0.7, "own", after="weights turn"),
        block("f", "$f'$", 11.8, 0.7, "data", after="product", shape=shapes["output"]),
    )
    return plot_schematic(table)


def plot_located_clips(
    frames: np.ndarray,
    scores: np.ndarray,
    titles: Sequence[str],
    apex: Sequence[Sequence[int]],
) -> Figure:
    """Emotional activation maps as in Figures 3, 4 and 6: one video a row.

    ``frames`` (V, n, H, W, 3) show each clip by one frame, ``scores`` (V, n) are A, which colour
    the strip below it, darker for more. The orange box is the located clip, the dot a clip
    that holds the apex; ``apex`` lists these clips for each video, none where it is unknown.
    """
    videos, n = scores.shape
    figure, axes = plt.subplots(
        2 * videos,
        n,
        figsize=(1.05 * n + 1.6, 1.5 * videos + 0.4),
        height_ratios=[1, 0.28] * videos,
        squeeze=False,
    )
    for video, clip in np.ndindex(videos, n):
        image, strip = axes[2 * video, clip], axes[2 * video + 1, clip]
        show_image(image, frames[video, clip])
        share = scores[video, clip] / scores[video].max()
        show_image(strip, [[share]], cmap="Purples", vmin=0, vmax=1, aspect="auto")
        ink = text_on(plt.get_cmap("Purples")(share))
        text = f"{scores[video, clip]:.2f}" + (" ●" if clip in apex[video] else "")
        strip.text(0, 0, text, ha="center", va="center", fontsize=7, color=ink)
        if clip == scores[video].argmax():
            side = frames.shape[2:4]
            box = Rectangle((-0.5, -0.5), side[1], side[0], fill=False, ec=LOCATED, lw=4)
            image.add_patch(box)
    for video, title in enumerate(titles):
        axes[2 * video, 0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=7)
    return figure


def plot_embeddings(points: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Grid of embeddings as in Figure 7: a row for each dataset, a column for each method.

    ``points`` has the columns dataset, method, label, x and y. Classes keep their colour
    throughout; a panel without points says that it was not run.
    """
    size = (2.3 * len(columns) + 1.3, 2.2 * len(rows) + 0.3)
    figure, axes = plt.subplots(len(rows), len(columns), figsize=size, squeeze=False)
    labels = sorted(points["label"].unique())
    looks = class_styles(labels)
    for row, column in np.ndindex(*axes.shape):
        ax = axes[row, column]
        ax.set(xticks=[], yticks=[])
        part = points[(points["dataset"] == rows[row]) & (points["method"] == columns[column])]
        for label in labels if len(part) else ():
            own = part[part["label"] == label]
            look = looks[label]
            ax.scatter(own["x"], own["y"], s=14, color=look.colour, marker=look.marker)
        if part.empty:
            ax.text(0.5, 0.5, "not run", ha="center", va="center", transform=ax.transAxes)
        if row == 0:
            ax.set_title(columns[column], fontsize=9)
        if column == 0:
            ax.set_ylabel(dataset_name(rows[row]))
    handles = [
        plt.Line2D([], [], ls="", marker=look.marker, color=look.colour) for look in looks.values()
    ]
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    return figure


def plot_sweep(
    table: pd.DataFrame,
    published: Mapping[int, float],
    *,
    label: str,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Accuracy over a number, as in Figure 8: columns number, dataset, ours, ci_low and ci_high.

    ``published`` holds what is known of the paper's curve for the dataset of this run.
    """
    ax = ax or plt.subplots(figsize=(4.6, 3.2))[1]
    looks = dataset_styles(table["dataset"])
    for index, (dataset, rows) in enumerate(table.groupby("dataset", sort=False)):
        rows = rows.sort_values("number")
        reach = np.vstack([rows["ours"] - rows["ci_low"], rows["ci_high"] - rows["ours"]])
        look = looks[dataset]
        style = {"color": look.colour, "marker": look.marker, "linestyle": look.line}
        style |= {"capsize": 3, "label": dataset_name(dataset)}
        ax.errorbar(rows["number"] + 0.08 * index, rows["ours"], reach, **style)
    marks = {"marker": "D", "s": 26, "color": GREY}
    ax.scatter(list(published), list(published.values()), label="published (real data)", **marks)
    if chance is not None:
        ax.axhline(chance, color=GREY, linestyle=":", linewidth=1, label="chance")
    ax.set(xlabel=label, ylabel="accuracy (%)", ylim=(0, 102))
    ax.set_xticks(sorted({*table["number"], *published}))
    ax.legend(ncols=3, **ABOVE)
    return ax


def plot_locating(table: pd.DataFrame, published: float, *, title: str = "") -> Figure:
    """Share of located clips and distance to the apex, by kind of choice, with intervals.

    ``table`` is that of ``locate.summarise_locating``; ``published`` is Table 7's share,
    or NaN.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
    place = np.arange(len(table))[::-1]
    labels = {"hit": "located clip holds the apex (%)", "distance": "frames from the apex"}
    for ax, (name, label) in zip(axes, labels.items(), strict=True):
        low, high = (np.abs(table[name] - table[f"{name}_{end}"]) for end in ("low", "high"))
        ax.errorbar(
            table[name], place, xerr=[low, high], fmt="o", color=CURVE_COLOURS[0], capsize=3
        )
        ax.set(xlabel=label, ylim=(-0.6, len(table) - 0.4))
        ax.set_xlim(left=0)
    text = "published (real data, other rule)"
    if np.isfinite(published):
        axes[0].axvline(published, color=GREY, linestyle="--", linewidth=1, label=text)
        axes[0].legend(**ABOVE)
    axes[0].set_yticks(place, table["kind"])
    figure.suptitle(title, fontsize=10)
    return figure
