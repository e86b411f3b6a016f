"""Frames and what is laid over them, so that the face below can still be seen."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.image import AxesImage

from dferlib.figures.palette import MAPS

DENSEST = 0.6  # opacity where a map is highest; it falls to 0 where the map is lowest
EVEN = 0.01  # a map whose values spread less than this share of its highest has no pattern


def show_image(ax: Axes, image: np.ndarray, **options) -> AxesImage:
    """Draw an image without ticks or frame; its own pixels, not smoothed ones."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax.imshow(image, interpolation="none", **options)


def show_overlay(
    ax: Axes, frame: np.ndarray, weights: np.ndarray, limits: tuple[float, float]
) -> None:
    """Draw a frame (H, W, 3) and a map (H, W) over it: the more weight, the denser its colour.

    Colours span `limits`; a line runs round the places in the upper half of them.
    """
    low, high = limits
    show_image(ax, frame)
    share = np.clip((weights - low) / ((high - low) or 1), 0, 1)
    colours = plt.get_cmap(MAPS)(share)
    colours[..., 3] = DENSEST * share
    show_image(ax, colours)
    if share.min() < 0.5 < share.max():
        edge = [patheffects.withStroke(linewidth=2, foreground="black")]
        ax.contour(share, [0.5], colors="white", linewidths=0.9).set(path_effects=edge)


def is_even(weights: np.ndarray) -> bool:
    """Tell whether a map has no pattern that could be shown."""
    return float(np.ptp(weights)) <= EVEN * float(np.abs(weights).max())


def colour_scale(low: float, high: float) -> ScalarMappable:
    """What a colour bar beside overlays is drawn from."""
    return ScalarMappable(plt.Normalize(low, high), MAPS)
