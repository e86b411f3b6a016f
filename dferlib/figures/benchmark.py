"""Figures of the benchmark: accuracy, its price, learning curves, transfer, and spoilt clips.

Each takes a table of `dferlib.evidence.benchmark` (per cent) and returns its figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

FAINT = "0.75"
MARKERS = "osD^vPX*"  # one for each row, so that colours are not alone


def looks_of(labels: Sequence[str]) -> dict[str, dict[str, object]]:
    """Colour and marker of each row, the same in all figures that name the same rows."""
    colours = sns.color_palette("colorblind", len(labels))
    return {
        label: {"color": colour, "marker": MARKERS[k % len(MARKERS)]}
        for k, (label, colour) in enumerate(zip(labels, colours, strict=True))
    }


def plot_accuracy(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """A panel for each dataset, a line for each row: accuracy with its interval; hollow at chance.

    `table` is that of `accuracy_table`, `labels` maps all rows to names; the dotted line is the
    share of the commonest class.
    """
    panels = list(dict.fromkeys(table["dataset"]))
    shown, looks = list(dict.fromkeys(table["label"])), looks_of(list(labels.values()))
    size = (2.6 * len(panels) + 1.6, 0.32 * len(shown) + 1.2)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, dataset in zip(axes[0], panels, strict=True):
        rows = table[table["dataset"] == dataset]
        ax.axvline(rows["chance"].max(), color=FAINT, ls=":", lw=1)
        for row in rows.itertuples():
            height, colour = shown.index(row.label), looks[row.label]["color"]
            ax.plot([row.low, row.high], [height, height], color=colour, lw=1.6)
            face = "white" if row.at_chance else colour
            ax.plot(row.war, height, looks[row.label]["marker"], ms=6, mfc=face, mec=colour)
        ax.set(title=f"{dataset}, n = {rows['n'].max()}", xlabel="WAR (per cent)", xlim=(0, 100))
        ax.set_yticks(range(len(shown)), shown)
        ax.tick_params(axis="y", length=0)
    axes[0][0].set_ylim(len(shown) - 0.5, -0.5)
    return figure


def plot_price(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Mean accuracy over the datasets against MACs of a clip and milliseconds of a forward pass.

    `table` has columns label, war, macs, ms and at_chance; rows at chance are hollow.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), sharey=True)
    looks = looks_of(list(labels.values()))
    for ax, column, name in zip(
        axes,
        ("macs", "ms"),
        ("MACs of a clip", "milliseconds of a clip, one at a time"),
        strict=True,
    ):
        for row in table.itertuples():
            hollow = {"mfc": "white"} if row.at_chance else {}
            style = {"ls": "", "ms": 8, **looks[row.label], **hollow}
            ax.plot(getattr(row, column), row.war, label=row.label, **style)
        ax.set(xscale="log", xlabel=name)
        ax.grid(color="0.9", lw=0.6)
    axes[0].set_ylabel("WAR, mean over datasets (per cent)")
    axes[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def plot_curves(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """A panel for each dataset: accuracy over the share of the training subjects, log scale.

    `table` is that of `curve_table`, `labels` maps rows to names.
    """
    panels, looks = list(dict.fromkeys(table["dataset"])), looks_of(list(labels.values()))
    size = (3.6 * len(panels) + 1.4, 3.4)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, dataset in zip(axes[0], panels, strict=True):
        for row, part in table[table["dataset"] == dataset].groupby("row", sort=False):
            label = labels[row]
            ax.plot(part["share"], part["war"], lw=1.3, label=label, **looks[label])
        shares = sorted(table["share"].unique())
        ax.set(title=dataset, xscale="log", xlabel="training subjects (per cent)")
        ax.set_xticks(shares, [f"{share:g}" for share in shares])
        ax.minorticks_off()
    axes[0][0].set_ylabel("WAR (per cent)")
    axes[0][-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def plot_transfer(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """A panel for each row of the benchmark: trained on (down), tested on (across), WAR.

    `table` is that of `transfer_table`; the diagonal is left blank.
    """
    rows = list(dict.fromkeys(table["row"]))
    names = sorted({*table["trained_on"], *table["tested_on"]})
    across = min(4, len(rows))
    down = -(-len(rows) // across)
    size = (0.75 * len(names) * across + 1.5, (0.6 * len(names) + 0.7) * down + 0.5)
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, row in zip(axes.flat, rows, strict=False):
        part = table[table["row"] == row]
        grid = part.pivot(index="trained_on", columns="tested_on", values="war")
        grid = grid.reindex(index=names, columns=names)
        ax.set_axis_on()
        style = {"vmin": 0, "vmax": 100, "cmap": "Blues", "cbar": False, "linewidths": 0.5}
        sns.heatmap(grid, annot=True, fmt=".0f", annot_kws={"fontsize": 7}, ax=ax, **style)
        ax.set_title(labels[row], fontsize=8)
        ax.set(xlabel="", ylabel="")
        ax.tick_params(labelsize=6, length=0)
    return figure


def plot_corruptions(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """A panel for each corruption: accuracy over the grade, mean over datasets, a line a row.

    `table` is that of `corruption_table`.
    """
    kinds = list(dict.fromkeys(table["corruption"]))
    across = min(4, len(kinds))
    down = -(-len(kinds) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(2.5 * across + 1.4, 2.3 * down), sharey=True, squeeze=False
    )
    looks = looks_of(list(labels.values()))
    for ax in axes.flat[len(kinds) :]:
        ax.set_axis_off()
    for ax, kind in zip(axes.flat, kinds, strict=False):
        part = table[table["corruption"] == kind]
        for row, mean in part.groupby(["row", "grade"], sort=False)["war"].mean().groupby("row"):
            label = labels[row]
            line = mean.droplevel("row").sort_index()
            ax.plot(line.index, line, lw=1.2, ms=4, label=label, **looks[label])
        ax.set(title=kind, xlabel="grade", xticks=range(6))
    for ax in axes[:, 0]:
        ax.set_ylabel("WAR (per cent)")
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=7, loc="outside right center", frameon=False)
    return figure


def plot_grades(pictures: Mapping[str, np.ndarray]) -> Figure:
    """One frame under each corruption, grades 0 to 5 across.

    `pictures` maps a corruption to uint8 (6, S, S, 3).
    """
    figure, axes = plt.subplots(len(pictures), 6, figsize=(6.6, 1.12 * len(pictures)))
    for line, (name, images) in zip(np.atleast_2d(axes), pictures.items(), strict=True):
        for grade, (ax, image) in enumerate(zip(line, images, strict=True)):
            ax.imshow(image)
            ax.set(xticks=[], yticks=[])
            if name == next(iter(pictures)):
                ax.set_title(f"grade {grade}", fontsize=7)
        line[0].set_ylabel(name, fontsize=7)
    return figure
