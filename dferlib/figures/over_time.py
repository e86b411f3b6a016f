"""What changes while a film runs: class probabilities with their intervals, action units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from dferlib.figures.palette import GREY, class_styles
from dferlib.figures.plots import BESIDE

BAND = 0.2  # opacity of an interval


def plot_probabilities(
    seconds: np.ndarray,
    mean: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    entropy: np.ndarray,
    classes: Sequence[str],
    *,
    clear: float,
) -> Figure:
    """Probabilities (W, K) over the middles of windows (W,) with their intervals; entropy below.

    ``clear`` is the probability above which a class is named.
    """
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(8.2, 3.8), sharex=True, height_ratios=[3, 1]
    )
    for k, (name, look) in enumerate(class_styles(classes).items()):
        style = {"color": look.colour, "marker": look.marker, "linestyle": look.line}
        above.plot(seconds, mean[:, k], label=name, markersize=4, **style)
        above.fill_between(seconds, low[:, k], high[:, k], color=look.colour, alpha=BAND, lw=0)
    above.axhline(clear, color=GREY, linestyle=":", linewidth=1, label="named above")
    above.set(ylabel="probability", ylim=(0, 1))
    above.legend(**BESIDE)
    below.plot(seconds, entropy, color=GREY, marker=".")
    below.set(ylabel="entropy", ylim=(0, 1.05), xlabel="seconds, middle of the window")
    return figure


def plot_intensities(seconds: np.ndarray, units: Mapping[str, np.ndarray]) -> Figure:
    """Intensities (T,) from 0 to 1 of some action units over time, a row for each."""
    rows = len(units)
    figure, axes = plt.subplots(
        rows, 1, figsize=(8.2, 0.55 * rows + 0.9), sharex=True, sharey=True, squeeze=False
    )
    for ax, (name, values) in zip(axes[:, 0], units.items(), strict=True):
        ax.fill_between(seconds, values, color=GREY, lw=0)
        ax.set(yticks=[0, 1], ylim=(0, 1.15))
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    axes[-1, 0].set_xlabel("seconds")
    return figure
