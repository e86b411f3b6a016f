"""Figures: a tidy table or plain arrays in, Axes (or a Figure of panels) out.

Nothing here computes a result. Colours, markers and lines come from `palette`; sizes fit a printed
page; legends stand beside the data; a figure that shows numbers made on procedural faces carries a
watermark that says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dferlib.figures.overlays import colour_scale, is_even, show_image, show_overlay
from dferlib.figures.palette import (
    CURVE_COLOURS,
    GREY,
    MAPS,
    class_styles,
    curve_styles,
    for_seaborn,
    rule_style,
    text_on,
)
from dferlib.figures.wording import rule_name

STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=CURVE_COLOURS),
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "figure.constrained_layout.use": True,
}
ABOVE = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
BESIDE = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}


def watermark(figure: Figure, source: str) -> Figure:
    """Mark a figure that shows procedural data; figures of real data are left as they are."""
    if source == "synthetic":
        style = {"ha": "right", "va": "bottom", "fontsize": 7, "color": GREY}
        figure.text(
            0.995, 0.002, "synthetic faces - not a reproduction of the published number", **style
        )
        room = 0.16 / figure.get_figheight()  # inches, a line of this size
        figure.set_layout_engine("constrained", rect=(0, room, 1, 1 - room))
    return figure


def plot_history(
    history: pd.DataFrame, column: str, *, label: str = "", ax: Axes | None = None
) -> Axes:
    """One line per variant over the epochs, the mean over folds and seeds with its range.

    ``history`` has the columns epoch, variant and ``column``; ValueError for more variants than a
    panel shows apart, see `curves.plot_curves`.
    """
    ax = ax or plt.subplots(figsize=(4.6, 3.2))[1]
    styles = curve_styles(history["variant"])
    sns.lineplot(
        history,
        x="epoch",
        y=column,
        hue="variant",
        style="variant",
        errorbar=("pi", 100),
        **for_seaborn(styles),
        ax=ax,
    )
    ax.set(xlabel="epoch", ylabel=label or column)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(title="", ncols=2, **ABOVE)
    return ax


def plot_intervals(
    table: pd.DataFrame,
    *,
    chance: float | None = None,
    metric: str = "WAR",
    select: str = "last",
    ax: Axes | None = None,
) -> Axes:
    """Own values with their intervals beside the published ones.

    ``table`` has the columns row, published, ours, ci_low and ci_high, all in per cent; rows
    without an own value show the published one alone. ``select`` is the rule that ours were picked
    by, which has its colour and is named.
    """
    ax = ax or plt.subplots(figsize=(6.2, 0.42 * len(table) + 1.3))[1]
    place = np.arange(len(table))[::-1]
    if table["published"].notna().any():
        style = {"marker": "D", "s": 26, "color": GREY, "label": "published (real data)"}
        ax.scatter(table["published"], place, **style)
    own = table["ours"].notna().to_numpy()
    values = table.loc[own, "ours"]
    reach = np.vstack([values - table.loc[own, "ci_low"], table.loc[own, "ci_high"] - values])
    look = rule_style(select)
    said = {"capsize": 3, "label": f"ours, {rule_name(select)}, 95 % interval"}
    ax.errorbar(values, place[own], xerr=reach, fmt=look.marker, color=look.colour, **said)
    if chance is not None:
        ax.axvline(chance, color=GREY, linestyle=":", linewidth=1, label="chance")
    ax.set_yticks(place, table["row"])
    ax.set(xlabel=f"{metric} (%)", ylim=(-0.6, len(table) - 0.4))
    ax.legend(ncols=2, **ABOVE)
    return ax


def plot_embedding(
    points: np.ndarray, labels: Sequence[str], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Scatter of a two-dimensional embedding (N, 2), each class with its colour and marker."""
    ax = ax or plt.subplots(figsize=(4.9, 4.0))[1]
    labels = np.asarray(labels)
    for name, look in class_styles(sorted(set(labels))).items():
        x, y = points[labels == name].T
        ax.scatter(x, y, s=22, color=look.colour, marker=look.marker, label=name)
    ax.set(xticks=[], yticks=[], title=title)
    ax.legend(**BESIDE)
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

    ``maps`` (rows, columns, H, W) are laid over the frames. Each uses the whole range of colours,
    and the values that it runs over stand below it; one without a pattern is not drawn, which is
    said there. A frame whose map holds NaN is shown bare.
    """
    rows, columns = frames.shape[:2]
    high = 1.05 if maps is None else 1.2
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.05 * columns + 0.9, high * rows + 0.3), squeeze=False
    )
    for row, column in np.ndindex(rows, columns):
        ax, frame = axes[row, column], frames[row, column]
        if maps is None or np.isnan(maps[row, column]).any():
            show_image(ax, frame)
        else:
            _show_ranged(ax, frame, maps[row, column])
        if row == 0:
            ax.set_title(column_labels[column], fontsize=8)
    for axis, label in zip(axes[:, 0], row_labels, strict=True):
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    if maps is not None:
        bar = figure.colorbar(colour_scale(0, 1), ax=axes, shrink=0.7, ticks=[0, 0.5, 1])
        bar.ax.set_yticklabels(["lowest", "half way", "highest"])
        bar.set_label(f"{colour_label}, of each map")
    return figure


def _show_ranged(ax: Axes, frame: np.ndarray, weights: np.ndarray) -> None:
    """A frame with a map over it in the map's own range, which is written below."""
    low, high = float(weights.min()), float(weights.max())
    if is_even(weights):
        show_image(ax, frame)
        said = f"even, {weights.mean():.2f}"
    else:
        show_overlay(ax, frame, weights, (low, high))
        said = f"{low:.2f} to {high:.2f}"
    ax.set_xlabel(said, fontsize=7, labelpad=1)


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

    ``frames`` (T, H, W, 3) in 0..1 or uint8, ``maps`` (T, H, W). The colours span what the values
    of the clip run over, which the bar names; ``value_range``, what they could run over, is said
    beside.
    """
    low, high = float(maps.min()), float(maps.max())
    said = f"{colour_label}, {low:.2f} to {high:.2f}"
    if value_range is not None:
        said += f"\nof {value_range[0]:g} to {value_range[1]:g}"
    limits = (low, high if high > low else low + 1)  # an even map gets one colour
    steps = len(frames)
    figure, axes = plt.subplots(3, steps, figsize=(1.05 * steps + 1.1, 3.6), squeeze=False)
    for step in range(steps):
        show_image(axes[0, step], frames[step])
        axes[0, step].set_title(frame_labels[step], fontsize=8)
        colours = {"cmap": MAPS, "vmin": limits[0], "vmax": limits[1]}
        image = show_image(axes[1, step], maps[step], **colours)
        show_overlay(axes[2, step], frames[step], maps[step], limits)
    for axis, label in zip(axes[:, 0], ("frames", "maps", "overlay"), strict=True):
        axis.set_ylabel(label, fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.7, label=said)
    figure.suptitle(title, fontsize=10)
    return figure


def plot_frame_attention(
    frames: np.ndarray, weights: np.ndarray, frame_labels: Sequence[str], *, title: str = ""
) -> Figure:
    """Frames of a clip over the weights (T, T) that each of them, a row, gives to all of them.

    The bars between are the mean weight that a frame is given; the line is 1 / T, an even share.
    Colours run from the lowest to the highest weight; each cell holds its own.
    """
    steps = len(frames)
    figure = plt.figure(figsize=(1.0 * steps + 1.4, 0.5 * steps + 2.8))
    grid = figure.add_gridspec(3, steps, height_ratios=(1, 0.8, 0.5 * steps))
    for step in range(steps):
        ax = figure.add_subplot(grid[0, step])
        show_image(ax, frames[step])
        ax.set_title(frame_labels[step], fontsize=8)
    bars = figure.add_subplot(grid[1, :])
    bars.bar(range(steps), weights.mean(0), color=CURVE_COLOURS[0], width=0.6)
    bars.axhline(1 / steps, color=GREY, linestyle=":", linewidth=1)
    bars.set(xlim=(-0.5, steps - 0.5), xticks=[], ylabel="mean weight")
    ax = figure.add_subplot(grid[2, :])
    labels = {"xticklabels": frame_labels, "yticklabels": frame_labels}
    low, high = float(weights.min()), float(weights.max())
    sns.heatmap(
        weights, vmin=low, vmax=high, cmap=MAPS, ax=ax, cbar_kws={"label": "weight"}, **labels
    )
    shade = plt.get_cmap(MAPS)
    for (row, column), value in np.ndenumerate(weights):
        ink = text_on(shade((value - low) / ((high - low) or 1)))
        where = {"ha": "center", "va": "center", "fontsize": 8, "color": ink}
        ax.text(column + 0.5, row + 0.5, f"{value:.2f}", **where)
    ax.set(xlabel="frame that is read", ylabel="frame that reads")
    ax.tick_params(axis="y", rotation=0)
    figure.suptitle(title, fontsize=10)
    return figure


def plot_times(times: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Milliseconds of models side by side: columns model, phase, ms, low and high (quartiles)."""
    ax = ax or plt.subplots(figsize=(5.4, 2.8))[1]
    phases, models = times["phase"].unique(), times["model"].unique()
    height = 0.8 / len(models)
    for index, (model, look) in enumerate(curve_styles(models).items()):
        rows = times[times["model"] == model].set_index("phase").loc[phases]
        place = np.arange(len(phases))[::-1] + (0.5 * (len(models) - 1) - index) * height
        reach = np.vstack([rows["ms"] - rows["low"], rows["high"] - rows["ms"]])
        style = {
            "color": look.colour,
            "label": model,
            "capsize": 2,
            "hatch": ("", "///")[index % 2],
        }
        ax.barh(place, rows["ms"], height, xerr=reach, edgecolor="white", **style)
    ax.set_yticks(np.arange(len(phases))[::-1], phases)
    ax.set(xlabel="ms for one frame, median and quartiles")
    ax.legend(ncols=2, **ABOVE)
    return ax
