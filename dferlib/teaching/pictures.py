"""Pictures that several lessons show: faces in a row, each with its own words."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from dferlib.figures.overlays import show_image, show_overlay


def plot_faces(
    faces: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    columns: int = 6,
    maps: Sequence[np.ndarray] | None = None,
) -> Figure:
    """Faces (H, W, 3) in rows of `columns`, each below its title.

    `maps` (H, W) are laid over them, each in its own range of values.
    """
    rows = -(-len(faces) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.5 * columns, 1.8 * rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat[len(faces) :]:
        ax.axis("off")
    for number, (ax, face, title) in enumerate(zip(axes.flat, faces, titles, strict=False)):
        if maps is None:
            show_image(ax, face)
        else:
            show_overlay(ax, face, maps[number], (maps[number].min(), maps[number].max()))
        ax.set_title(title, fontsize=9)
    return figure
