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


PLUS, TIMES, SIGMOID, JOIN = "$+$", r"$\times$", r"$\sigma$", "C"  # JOIN: concatenation


def block(
    name: str,
    text: str,
    x: float,
    y: float = 0.0,
    kind: str = "box",
    *,
    after: str = "",
    shape: str = "",
    wide: float | None = None,
    tall: float | None = None,
    values: Sequence[float] = (),
    panel: str = "",
) -> dict[str, object]:
    """Return a row for `plot_schematic`; `wide` and `tall` default to the kind."""
    usual = {"operator": (0.6, 0.6), "joint": (0.0, 0.0), "data": (1.3, 0.7), "cells": (2.4, 0.5)}
    width, height = usual.get(kind, (2.0, 0.9))
    width, height = wide or width, tall or height
    row = {"name": name, "text": text, "kind": kind, "x": x, "y": y, "after": after}
    row |= {"shape": shape, "width": width, "height": height, "values": values, "panel": panel}
    return row


def table_of(*blocks: dict[str, object]) -> pd.DataFrame:
    """Put blocks together as a table for `plot_schematic`."""
    return pd.DataFrame(blocks)


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
    read, reduced = shapes["inception_out"], shapes["reduction_out"]
    one, two = {"panel": "(a) in 3D-Inception-ResNet"}, {"panel": "(b) in 3D-Reduction"}
    branches = "3D-Inception\n(branches, 1x1x1)"
    table = table_of(
        block("in", "input", 0, 0, "data", shape=shapes["inception_in"], **one),
        block("branches", branches, 3.4, 0, after="in", wide=3.2, **one),
        block("stcam", "STCAM", 6.8, 0, "own", after="branches", **one),
        block("up", "", 0, 1.3, "joint", after="in", **one),
        block("over", "", 9.0, 1.3, "joint", after="up", **one),
        block("shortcut", "shortcut", 4.5, 1.6, "data", tall=0.4, **one),
        block("sum", PLUS, 9.0, 0, "operator", after="stcam over", **one),
        block("out", "output", 11.2, 0, "data", after="sum", shape=read, **one),
        block("in", "input", 0, 0, "data", shape=shapes["reduction_in"], **two),
        block("join", "branches, stride 2,\nconcatenated", 3.4, 0, after="in", wide=3.2, **two),
        block("stcam", "STCAM", 6.8, 0, "own", after="join", **two),
        block("out", "output", 11.2, 0, "data", after="stcam", shape=reduced, **two),
    )
    return plot_schematic(table)


def plot_attention(shapes: dict[str, str], *, title: str = "") -> Figure:
    """Multi-head self-attention with its norm and residual, from left to right.

    ``shapes`` gives the texts under the keys input, heads, weights and output.
    """
    table = table_of(
        block("x", "$x$", 0, 0, "data", shape=shapes["input"], wide=0.7),
        block("norm", "LayerNorm", 2.4, 0, "own", after="x"),
        block("q", "$q = W_Q\\,x$", 5.2, 1.4, after="norm"),
        block("k", "$k = W_K\\,x$", 5.2, 0, after="norm"),
        block("v", "$v = W_V\\,x$", 5.2, -1.4, after="norm", shape=shapes["heads"]),
        block("product", "scaled dot\nproduct", 8.0, 0.7, "own", after="q k"),
        block("softmax", "SoftMax", 10.7, 0.7, "own", after="product", shape=shapes["weights"]),
        block("turn", "", 13.4, -1.4, "joint", after="v"),
        block("mean", "weighted\nsum", 13.4, 0.7, "own", after="softmax turn"),
        block("heads", "concatenate\nheads, $W_O$", 16.1, 0.7, "own", after="mean"),
        block("up", "", 0, 2.3, "joint", after="x"),
        block("over", "", 18.2, 2.3, "joint", after="up"),
        block("sum", PLUS, 18.2, 0.7, "operator", after="heads over"),
        block("out", "output", 20.0, 0.7, "data", after="sum", shape=shapes["output"]),
    )
    return plot_schematic(table, title=title)


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
