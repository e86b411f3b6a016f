"""Figures: a tidy table or plain arrays in, Axes (or a Figure of panels) out.

Nothing here computes a result. Colours are colour-blind safe; sizes fit a printed page; a figure
that shows numbers made on procedural faces carries a watermark that says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
PALETTE = sns.color_palette("colorblind")
OURS, PUBLISHED = PALETTE[0], "0.35"


def watermark(figure: Figure, source: str) -> Figure:
    """Mark a figure that shows procedural data; figures of real data are left as they are."""
    if source == "synthetic":
        style = {"ha": "right", "va": "bottom", "fontsize": 7, "color": "0.55"}
        figure.text(
            0.995, 0.002, "synthetic faces - not a reproduction of the published number", **style
        )
        figure.set_layout_engine("constrained", rect=(0, 0.025, 1, 0.975))
    return figure


def plot_confusion(
    matrix: np.ndarray, classes: Sequence[str], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Row-normalised confusion matrix, rows true and columns predicted; NaN cells stay blank."""
    ax = ax or plt.subplots(figsize=(4.2, 3.8))[1]
    names = [name[:2].capitalize() for name in classes]
    text = np.where(np.isnan(matrix), "", np.char.mod("%.3f", matrix))
    options = {
        "vmin": 0,
        "vmax": 1,
        "cmap": "Blues",
        "square": True,
        "cbar": False,
        "linewidths": 0.5,
    }
    sns.heatmap(
        matrix,
        annot=text,
        fmt="",
        xticklabels=names,
        yticklabels=names,
        annot_kws={"size": 7},
        ax=ax,
        **options,
    )
    ax.set(xlabel="predicted", ylabel="true", title=title)
    ax.tick_params(axis="y", rotation=0)
    return ax


def plot_confusion_difference(
    ours: np.ndarray, published: np.ndarray, classes: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Ours minus published, cell by cell, in fractions of the true class; lost cells stay blank."""
    ax = ax or plt.subplots(figsize=(4.2, 3.8))[1]
    names = [name[:2].capitalize() for name in classes]
    difference = ours - published
    text = np.where(np.isnan(difference), "", np.char.mod("%+.2f", difference))
    options = {
        "vmin": -1,
        "vmax": 1,
        "cmap": "RdBu_r",
        "square": True,
        "cbar": False,
        "linewidths": 0.5,
    }
    sns.heatmap(
        difference,
        annot=text,
        fmt="",
        xticklabels=names,
        yticklabels=names,
        annot_kws={"size": 7},
        ax=ax,
        **options,
    )
    ax.set(xlabel="predicted", ylabel="true", title="ours - published")
    ax.tick_params(axis="y", rotation=0)
    return ax


def plot_confusion_pair(
    ours: np.ndarray, published: np.ndarray, classes: Sequence[str], *, title: str
) -> Figure:
    """Three panels: our matrix, the published one, and their difference; ours alone if nothing was
    published.
    """
    if np.isnan(published).all():
        return plot_confusion(ours, classes, title=f"ours: {title}").figure
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.9))
    plot_confusion(ours, classes, title=f"ours: {title}", ax=axes[0])
    plot_confusion(published, classes, title="published (real data)", ax=axes[1])
    plot_confusion_difference(ours, published, classes, ax=axes[2])
    return figure


def plot_history(
    history: pd.DataFrame, column: str, *, label: str = "", ax: Axes | None = None
) -> Axes:
    """One line per variant over the epochs, the mean over folds and seeds with its range."""
    ax = ax or plt.subplots(figsize=(4.6, 3.2))[1]
    sns.lineplot(
        history,
        x="epoch",
        y=column,
        hue="variant",
        style="variant",
        markers=True,
        dashes=False,
        errorbar=("pi", 100),
        palette=_colours()[: history["variant"].nunique()],
        ax=ax,
    )
    ax.set(xlabel="epoch", ylabel=label or column)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(title="", fontsize=7)
    return ax


def plot_intervals(
    table: pd.DataFrame, *, chance: float | None = None, metric: str = "WAR", ax: Axes | None = None
) -> Axes:
    """Own values with their intervals beside the published ones.

    ``table`` has the columns row, published, ours, ci_low and ci_high, all in per cent; rows
    without an own value show the published one alone.
    """
    ax = ax or plt.subplots(figsize=(6.2, 0.42 * len(table) + 1.1))[1]
    place = np.arange(len(table))[::-1]
    if table["published"].notna().any():
        style = {"marker": "D", "s": 26, "color": PUBLISHED, "label": "published (real data)"}
        ax.scatter(table["published"], place, **style)
    own = table["ours"].notna().to_numpy()
    values = table.loc[own, "ours"]
    reach = np.vstack([values - table.loc[own, "ci_low"], table.loc[own, "ci_high"] - values])
    ax.errorbar(
        values, place[own], xerr=reach, fmt="o", color=OURS, capsize=3, label="ours, 95 % interval"
    )
    if chance is not None:
        ax.axvline(chance, color="0.6", linestyle=":", linewidth=1, label="chance")
    ax.set_yticks(place, table["row"])
    ax.set(xlabel=f"{metric} (%)", ylim=(-0.6, len(table) - 0.4))
    ax.legend(fontsize=7, loc="best")
    return ax


def plot_embedding(
    points: np.ndarray, labels: Sequence[str], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Scatter of a two-dimensional embedding (N, 2) coloured by class."""
    ax = ax or plt.subplots(figsize=(4.6, 4.0))[1]
    order = sorted(set(labels))
    sns.scatterplot(
        x=points[:, 0],
        y=points[:, 1],
        hue=list(labels),
        hue_order=order,
        palette="colorblind",
        s=24,
        ax=ax,
    )
    ax.set(xticks=[], yticks=[], title=title)
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def plot_roc(curves: pd.DataFrame, *, title: str = "", ax: Axes | None = None) -> Axes:
    """ROC curves from columns curve, fpr, tpr and auc, with the area in the legend."""
    ax = ax or plt.subplots(figsize=(4.6, 3.8))[1]
    for colour, (name, curve) in zip(_colours(), curves.groupby("curve", sort=False), strict=False):
        line = "--" if name in ("macro", "micro") else "-"
        text = f"{name} ({curve['auc'].iloc[0]:.2f})"
        ax.plot(curve["fpr"], curve["tpr"], line, color=colour, linewidth=1.3, label=text)
    ax.plot([0, 1], [0, 1], ":", color="0.6", linewidth=1)
    ax.set(xlabel="false positive rate", ylabel="true positive rate", title=title)
    ax.legend(fontsize=7, title="curve (area)", title_fontsize=7)
    return ax


def plot_samples(
    frames: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    maps: np.ndarray | None = None,
    colour_label: str = "relevance",
) -> Figure:
    """Grid of frames (rows, columns, H, W, 3) with a label to each row and column.

    ``maps`` (rows, columns, H, W) in 0..1 are laid over the frames, blue to red with one scale for
    all; a frame whose map holds NaN is shown bare.
    """
    rows, columns = frames.shape[:2]
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.05 * columns + 0.9, 1.05 * rows + 0.3), squeeze=False
    )
    for row, column in np.ndindex(rows, columns):
        _show(axes[row, column], frames[row, column])
        if maps is not None and not np.isnan(maps[row, column]).any():
            axes[row, column].imshow(maps[row, column], cmap="jet", vmin=0, vmax=1, alpha=0.45)
        if row == 0:
            axes[row, column].set_title(column_labels[column], fontsize=8)
    for axis, label in zip(axes[:, 0], row_labels, strict=True):
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    if maps is not None:
        scale = plt.cm.ScalarMappable(plt.Normalize(0, 1), "jet")
        figure.colorbar(scale, ax=axes, shrink=0.7, label=colour_label)
    return figure


def plot_maps_over_frames(
    frames: np.ndarray,
    maps: np.ndarray,
    frame_labels: Sequence[str],
    *,
    title: str = "",
    colour_label: str = "weight",
    value_range: tuple[float, float] | None = None,
) -> Figure:
    """Three rows - frames, maps, overlay - over the T frames of a clip, with one colour scale.

    ``frames`` (T, H, W, 3) in 0..1 or uint8, ``maps`` (T, H, W); ``value_range`` fixes the scale,
    else it spans the clip, so that differences over time show.
    """
    low, high = value_range or (float(maps.min()), float(maps.max()))
    high = high if high > low else low + 1  # an even map gets one colour and a scale with numbers
    steps = len(frames)
    figure, axes = plt.subplots(3, steps, figsize=(1.05 * steps + 1.1, 3.6), squeeze=False)
    for step in range(steps):
        _show(axes[0, step], frames[step])
        axes[0, step].set_title(frame_labels[step], fontsize=8)
        image = _show(axes[1, step], maps[step], cmap="inferno", vmin=low, vmax=high)
        _show(axes[2, step], frames[step])
        axes[2, step].imshow(maps[step], cmap="inferno", vmin=low, vmax=high, alpha=0.5)
    for axis, label in zip(axes[:, 0], ("frames", "maps", "overlay"), strict=True):
        axis.set_ylabel(label, fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.7, label=colour_label)
    figure.suptitle(title, fontsize=10)
    return figure


def plot_frame_attention(
    frames: np.ndarray, weights: np.ndarray, frame_labels: Sequence[str], *, title: str = ""
) -> Figure:
    """Frames of a clip over the weights (T, T) that each of them, a row, gives to all of them.

    The bars between are the mean weight that a frame is given; the line is 1 / T, an even share.
    """
    steps = len(frames)
    figure = plt.figure(figsize=(1.0 * steps + 1.4, 0.5 * steps + 2.8))
    grid = figure.add_gridspec(3, steps, height_ratios=(1, 0.8, 0.5 * steps))
    for step in range(steps):
        ax = figure.add_subplot(grid[0, step])
        _show(ax, frames[step])
        ax.set_title(frame_labels[step], fontsize=8)
    bars = figure.add_subplot(grid[1, :])
    bars.bar(range(steps), weights.mean(0), color=OURS, width=0.6)
    bars.axhline(1 / steps, color="0.4", linestyle=":", linewidth=1)
    bars.set(xlim=(-0.5, steps - 0.5), xticks=[], ylabel="mean weight")
    ax = figure.add_subplot(grid[2, :])
    text = {"annot": True, "fmt": ".2f", "annot_kws": {"size": 8}}
    labels = {"xticklabels": frame_labels, "yticklabels": frame_labels}
    sns.heatmap(weights, vmin=0, cmap="inferno", cbar=False, ax=ax, **text, **labels)
    ax.set(xlabel="frame that is read", ylabel="frame that reads")
    ax.tick_params(axis="y", rotation=0)
    figure.suptitle(title, fontsize=10)
    return figure


def plot_times(times: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Milliseconds of models side by side: columns model, phase, ms, low and high (quartiles)."""
    ax = ax or plt.subplots(figsize=(5.4, 2.8))[1]
    phases, models = times["phase"].unique(), times["model"].unique()
    height = 0.8 / len(models)
    for index, (colour, model) in enumerate(zip(_colours(), models, strict=False)):
        rows = times[times["model"] == model].set_index("phase").loc[phases]
        place = np.arange(len(phases))[::-1] + (0.5 * (len(models) - 1) - index) * height
        reach = np.vstack([rows["ms"] - rows["low"], rows["high"] - rows["ms"]])
        ax.barh(place, rows["ms"], height, xerr=reach, color=colour, label=model, capsize=2)
    ax.set_yticks(np.arange(len(phases))[::-1], phases)
    ax.set(xlabel="ms for one frame, median and quartiles")
    ax.legend(fontsize=7)
    return ax


def plot_time_profile(values: pd.DataFrame, *, label: str, ax: Axes | None = None) -> Axes:
    """Mean over clips of a quantity at each sampled frame: columns frame, value and curve."""
    ax = ax or plt.subplots(figsize=(4.6, 2.8))[1]
    sns.lineplot(
        values, x="frame", y="value", hue="curve", marker="o", palette="colorblind", seed=0, ax=ax
    )
    ax.set(xlabel="sampled frame (1 neutral, last peak)", ylabel=label)
    ax.legend(title="", fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def _colours():
    return [*PALETTE, *sns.color_palette("dark")]


def _show(ax: Axes, image: np.ndarray, **options):
    """Draw an image without ticks or frame."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax.imshow(image, **options)
