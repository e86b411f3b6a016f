"""Block diagrams of networks, drawn from the shapes that were traced through them.

`plot_schematic` draws what a table says; the tables of the papers' figures are in `schematics`.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from dferlib.figures.palette import PLAIN, SHADED

KINDS = ("box", "own", "data", "operator", "joint", "frame", "cells")
_COLOURS = {"box": PLAIN, "own": SHADED, "operator": "white"}
_LINE = {"color": "0.2", "linewidth": 1.1}


def plot_schematic(blocks: pd.DataFrame, *, title: str = "", scale: float = 0.62) -> Figure:
    """Draw boxes, operators and arrows as a table says, one panel below the other.

    A row is a block: ``name``; ``text``; ``kind``, one of `KINDS`; its centre ``x``, ``y`` and its
    ``width`` and ``height``, in units of ``scale`` inches; ``after``, the names, separated by
    spaces, of the blocks from which arrows come; ``shape``, written below it; ``panel``, the title
    of its panel. "own" boxes stand out; "data" is text without a box; an "operator" is a circle; a
    "joint" is a bend, where lines turn; a "frame" surrounds others and has its text on top;
    "cells" is a row of cells whose ``values`` (0 to 1) are their shades. ValueError for an unknown
    kind or a name in ``after`` that its panel does not have.
    """
    unknown = set(blocks["kind"]) - set(KINDS)
    if unknown:
        raise ValueError(f"kind is {sorted(unknown)}; valid: {', '.join(KINDS)}")
    panels = list(blocks.groupby("panel", sort=False))
    limits = [_limits(panel) for _, panel in panels]
    width = max(right - left for left, right, _, _ in limits)
    heights = [top - bottom for _, _, bottom, top in limits]
    figure, axes = plt.subplots(
        len(panels),
        figsize=(scale * width, scale * (sum(heights) + 0.5 * len(panels) + 0.5)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for ax, (name, panel), (left, _, bottom, top) in zip(axes[:, 0], panels, limits, strict=True):
        ax.set(xlim=(left, left + width), ylim=(bottom, top), aspect="equal", anchor="W")
        ax.axis("off")
        ax.set_title(name, fontsize=9, loc="left")
        _draw(ax, panel)
    figure.suptitle(title)
    return figure


def _limits(panel: pd.DataFrame) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a panel, with room for shapes and the texts of frames."""
    halves = panel["width"] / 2, panel["height"] / 2
    low, high = panel["y"] - halves[1], panel["y"] + halves[1]
    return (
        (panel["x"] - halves[0]).min() - 0.3,
        (panel["x"] + halves[0]).max() + 0.3,
        low.min() - 0.6,
        high.max() + 0.5,
    )


def _draw(ax: Axes, panel: pd.DataFrame) -> None:
    places = {block.name: block for block in panel.set_index("name", drop=False).itertuples(False)}
    for block in places.values():
        for source in block.after.split():
            if source not in places:
                raise ValueError(f"{block.name!r} comes after {source!r}, which its panel has not")
            _connect(ax, places[source], block)
        _PAINT.get(block.kind, _paint_box)(ax, block)
        if block.shape:
            below = block.y - block.height / 2 - 0.08
            ax.text(
                block.x, below, block.shape, ha="center", va="top", fontsize=6.5, family="monospace"
            )


def _connect(ax: Axes, source, target) -> None:
    """An arrow from edge to edge; into a joint a line without a head."""
    start = _edge(source, np.array([target.x, target.y]))
    end = _edge(target, np.array([source.x, source.y]))
    if target.kind == "joint":
        ax.plot(*zip(start, end, strict=True), **_LINE)
    else:
        draw_arrow(ax, tuple(start), tuple(end))


def _edge(block, towards: np.ndarray) -> np.ndarray:
    """Where the line from the middle of a block to a point leaves the block."""
    centre = np.array([block.x, block.y])
    step = towards - centre
    if block.kind == "joint" or not step.any():
        return centre
    if block.kind == "operator":
        return centre + step / np.hypot(*step) * block.height / 2
    reach = np.array([block.width, block.height]) / 2 + 0.04
    with np.errstate(divide="ignore"):
        return centre + step * min(1, (reach / np.abs(step)).min())


def _paint_box(ax: Axes, block) -> None:
    corner = (block.x - block.width / 2, block.y)
    draw_box(ax, corner, block.width, block.height, block.text, _COLOURS[block.kind])


def _paint_data(ax: Axes, block) -> None:
    ax.text(block.x, block.y, block.text, ha="center", va="center", fontsize=8)


def _paint_operator(ax: Axes, block) -> None:
    ax.add_patch(plt.Circle((block.x, block.y), block.height / 2, fc="white", ec="0.2", lw=1.0))
    ax.text(block.x, block.y, block.text, ha="center", va="center", fontsize=9)


def _paint_frame(ax: Axes, block) -> None:
    corner = (block.x - block.width / 2, block.y - block.height / 2)
    style = {"fc": "none", "ec": "0.45", "lw": 0.9, "ls": "--"}
    ax.add_patch(Rectangle(corner, block.width, block.height, **style))
    above = block.y + block.height / 2 + 0.08
    ax.text(corner[0], above, block.text, ha="left", va="bottom", fontsize=8, color="0.25")


def _paint_cells(ax: Axes, block) -> None:
    side = block.width / len(block.values)
    lower = block.y - block.height / 2
    for index, value in enumerate(block.values):
        corner = (block.x - block.width / 2 + index * side, lower)
        colour = plt.get_cmap("Blues")(0.1 + 0.8 * value)
        ax.add_patch(Rectangle(corner, side, block.height, fc=colour, ec="0.3", lw=0.6))
    if block.text:
        above = lower + block.height + 0.06
        ax.text(block.x, above, block.text, ha="center", va="bottom", fontsize=8)


def _paint_nothing(_ax: Axes, _block) -> None:
    """A joint is only its lines."""


_PAINT = {
    "data": _paint_data,
    "operator": _paint_operator,
    "frame": _paint_frame,
    "cells": _paint_cells,
    "joint": _paint_nothing,
}


def plot_stages(stages: pd.DataFrame, *, title: str = "") -> Figure:
    """Block diagram of a network with the real shape behind each block (columns name, shape,
    detail); blocks that have a detail stand out.
    """
    figure, ax = plt.subplots(figsize=(6.4, 0.52 * len(stages) + 0.4))
    ax.set(xlim=(0, 10), ylim=(-len(stages) + 0.4, 0.9))
    ax.axis("off")
    for index, stage in enumerate(stages.itertuples()):
        marked = bool(stage.detail)
        draw_box(ax, (0.2, -index), 3.4, 0.62, stage.name, SHADED if marked else PLAIN)
        ax.text(3.9, -index, stage.shape, va="center", fontsize=9, family="monospace")
        ax.text(6.6, -index, stage.detail, va="center", fontsize=8, color="0.3")
        if index:
            draw_arrow(ax, (1.9, -index + 0.69), (1.9, -index + 0.33))
    ax.set_title(title)
    return figure


def plot_placement(shapes: dict[str, str]) -> Figure:
    """STCAM in a 3D-Inception-ResNet structure (a) and in a 3D-Reduction one (b), as in Figure 6.

    ``shapes`` gives the shape texts for the keys inception_in, inception_out, reduction_in and
    reduction_out.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.9))
    for ax in (left, right):
        ax.set(xlim=(0, 6), ylim=(0, 6.3))
        ax.axis("off")
    left.set_title("(a) in 3D-Inception-ResNet")
    for height, text in ((4.1, "3D-Inception\n(branches, 1x1x1)"), (2.6, "STCAM")):
        draw_box(left, (2.6, height), 2.6, 0.8, text, SHADED if text == "STCAM" else PLAIN)
    left.text(2.4, 5.75, shapes["inception_in"], ha="center", family="monospace", fontsize=8)
    left.text(3.9, 0.1, shapes["inception_out"], ha="center", family="monospace", fontsize=8)
    for start, end in (
        ((3.9, 5.2), (3.9, 4.55)),
        ((3.9, 3.65), (3.9, 3.05)),
        ((3.9, 2.15), (3.9, 1.4)),
    ):
        draw_arrow(left, start, end)
    left.plot([3.9, 0.9, 0.9], [5.2, 5.2, 1.15], color="0.2", linewidth=1.1)
    left.text(0.75, 3.3, "shortcut", rotation=90, ha="right", va="center", fontsize=8)
    left.plot([2.4, 2.4], [5.6, 5.2], color="0.2", linewidth=1.1)
    draw_arrow(left, (0.9, 1.15), (3.6, 1.15))
    left.text(
        3.9,
        1.15,
        "+",
        ha="center",
        va="center",
        fontsize=13,
        bbox={"boxstyle": "circle", "fc": "w"},
    )
    draw_arrow(left, (3.9, 0.9), (3.9, 0.45))
    right.set_title("(b) in 3D-Reduction")
    for height, text in ((3.9, "branches, stride 2,\nconcatenated"), (2.2, "STCAM")):
        draw_box(right, (1.7, height), 2.6, 0.9, text, SHADED if text == "STCAM" else PLAIN)
    right.text(3.0, 5.75, shapes["reduction_in"], ha="center", family="monospace", fontsize=8)
    right.text(3.0, 0.1, shapes["reduction_out"], ha="center", family="monospace", fontsize=8)
    for start, end in (
        ((3.0, 5.6), (3.0, 4.4)),
        ((3.0, 3.4), (3.0, 2.7)),
        ((3.0, 1.7), (3.0, 0.45)),
    ):
        draw_arrow(right, start, end)
    return figure


def plot_attention(shapes: dict[str, str], *, title: str = "") -> Figure:
    """Multi-head self-attention with its norm and residual, from left to right.

    ``shapes`` gives the texts under the keys input, heads, weights and output.
    """
    figure, ax = plt.subplots(figsize=(10.5, 3.4))
    ax.set(xlim=(0, 15.6), ylim=(-2.4, 2.3), title=title)
    ax.axis("off")
    columns = {"LayerNorm": 1.7, "scaled dot\nproduct": 6.3, "SoftMax": 8.2}
    columns |= {"weighted\nsum": 10.1, "concatenate\nheads, $W_O$": 12.1}
    for name, left in columns.items():
        draw_box(ax, (left, 0), 1.5, 1.0, name, SHADED)
    for height, name in ((1.3, "$q = W_Q\\,x$"), (0, "$k = W_K\\,x$"), (-1.3, "$v = W_V\\,x$")):
        draw_box(ax, (4.0, height), 1.4, 0.8, name, PLAIN)
        draw_arrow(ax, (3.25, 0), (3.95, height))
    draw_arrow(ax, (0.7, 0), (1.65, 0))
    draw_arrow(ax, (5.45, 1.3), (6.4, 0.5))
    draw_arrow(ax, (5.45, 0), (6.25, 0))
    for start, end in ((7.85, 8.15), (9.75, 10.05), (11.65, 12.05), (13.65, 14.3)):
        draw_arrow(ax, (start, 0), (end, 0))
    ax.plot([5.45, 10.85], [-1.3, -1.3], color="0.2", linewidth=1.1)
    draw_arrow(ax, (10.85, -1.3), (10.85, -0.55))
    ax.plot([0.9, 0.9, 14.45], [0, 2.1, 2.1], color="0.2", linewidth=1.1)
    draw_arrow(ax, (14.45, 2.1), (14.45, 0.3))
    ax.text(14.45, 0, "+", ha="center", va="center", bbox={"boxstyle": "circle", "fc": "w"})
    places = {"input": (0.6, -0.5), "heads": (4.7, -2.1), "weights": (9.0, -0.9)}
    for key, (x, y) in (places | {"output": (14.45, -0.9)}).items():
        ax.text(x, y, shapes[key], ha="center", va="center", fontsize=7, family="monospace")
    return figure


def draw_box(
    ax: Axes, corner: tuple[float, float], width: float, height: float, text: str, colour: str
) -> None:
    """Draw a rounded box with a text; `corner` is the middle of its left side."""
    lower = (corner[0], corner[1] - height / 2)
    shape = FancyBboxPatch(
        lower, width, height, boxstyle="round,pad=0.03", fc=colour, ec="0.3", lw=0.8
    )
    ax.add_patch(shape)
    ax.text(corner[0] + width / 2, corner[1], text, ha="center", va="center", fontsize=8)


def draw_arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow from one point to another."""
    ax.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color="0.2", lw=1.1)
    )


def plot_fork(
    stem: tuple[str, str],
    paths: Sequence[Sequence[tuple[str, str]]],
    tail: Sequence[tuple[str, str]],
    *,
    title: str = "",
) -> Figure:
    """Block diagram of a network that forks after `stem` and joins before `tail`.

    Every block is (name, shape); the names of the paths' blocks stand out.
    """
    longest = max(map(len, paths))
    height = longest + len(tail) + 1
    figure, ax = plt.subplots(figsize=(3.5 * len(paths), 0.85 * height + 0.3))
    ax.set(xlim=(0, 10 * len(paths)), ylim=(-height + 0.4, 0.7))
    ax.axis("off")
    centre = 5 * len(paths)

    def block(x: float, row: int, content: tuple[str, str], colour: str) -> None:
        draw_box(ax, (x - 3.4, -row), 6.8, 0.6, "\n".join(content), colour)

    block(centre, 0, stem, PLAIN)
    for index, path in enumerate(paths):
        x = 10 * index + 5
        for row, content in enumerate(path, start=1):
            block(x, row, content, SHADED)
            draw_arrow(ax, (x if row > 1 else centre, 0.67 - row), (x, 0.33 - row))
        if len(path) < longest:
            ax.plot([x, x], [-len(path) - 0.33, -longest - 0.33], color="0.2", linewidth=1.1)
        draw_arrow(ax, (x, -longest - 0.33), (centre, -longest - 0.67))
    for row, content in enumerate(tail, start=longest + 1):
        block(centre, row, content, PLAIN)
        if row > longest + 1:
            draw_arrow(ax, (centre, 0.67 - row), (centre, 0.33 - row))
    ax.set_title(title)
    return figure
