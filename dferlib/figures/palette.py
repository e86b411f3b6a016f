"""Colours, markers and lines: one for each class, dataset, rule and curve, in every figure.

A class looks the same in ROC curves, in t-SNE and over time, whichever paper, dataset or order it
comes in. Every colour has a contrast of at least 3:1 on white (WCAG 2.1, 1.4.11), and none says
anything alone: a marker, a dash pattern or a text goes with it. Texts have at least 4.5:1 (1.4.3),
on coloured cells, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_rgb


class Style(NamedTuple):
    """How a thing is drawn: colour, marker of its points, dashes of its line."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[int, ...]]


INK, GREY, FAINT = "0.15", "0.35", "0.85"  # text; second to it, published values; bands
MAPS, SHARES, DIFFERENCES = "plasma", "Blues", "RdBu_r"  # colour maps: weights, matrices, signed
SHADED = "#cfe0f3"  # a paper's own block in a diagram, where the others are PLAIN
PLAIN = "#eeeeee"

_LINES = ("-", (0, (5, 1)), (0, (1, 1)), (0, (4, 1, 1, 1)), (0, (8, 2)), (0, (2, 2)))
_LINES += ((0, (6, 1, 1, 1, 1, 1)), (0, (3, 3)))
_CLASSES = {
    "anger": ("#c1272d", "X"),
    "contempt": ("#6a51a3", "P"),
    "disgust": ("#00805a", "s"),
    "fear": ("#7a4a24", "v"),
    "happiness": ("#a87900", "o"),
    "neutral": ("#5c5c5c", "h"),
    "sadness": ("#0173b2", "D"),
    "surprise": ("#c2188b", "^"),
}
_DATASETS = {
    "ckplus": ("#0173b2", "o"),
    "oulu": ("#c05a00", "s"),
    "mmi": ("#00805a", "^"),
    "afew": ("#6a51a3", "D"),
    "dfew": ("#c1272d", "v"),
    "bu4dfe": ("#7a4a24", "P"),
}
_RULES = {"last": ("#0173b2", "o"), "best_val": ("#00805a", "s"), "best_test": ("#c1272d", "^")}
_CURVES = (
    ("#0173b2", "o"),
    ("#c05a00", "s"),
    ("#00805a", "^"),
    ("#6a51a3", "D"),
    ("#c2188b", "v"),
    ("#5c5c5c", "P"),
)
CURVE_COLOURS = tuple(colour for colour, _ in _CURVES)
MOST_LINES = len(_CURVES)  # of one panel; more become small multiples


def class_styles(names: Iterable[str]) -> dict[str, Style]:
    """The style of each class, by name; classes of one's own clips take what is free, in order."""
    return _styles(names, _CLASSES)


def dataset_styles(names: Iterable[str]) -> dict[str, Style]:
    """The style of each dataset, by its name in this package; unknown ones take what is free."""
    return _styles(names, _DATASETS)


def rule_style(select: str) -> Style:
    """The style of numbers under a rule that picks the epoch, one of `names.SELECTION_RULES`."""
    return Style(*_RULES[select], "-")


def curve_styles(names: Iterable[str]) -> dict[str, Style]:
    """Styles of up to `MOST_LINES` lines in one panel, in order; classes keep their own.

    ValueError for more: one panel would not show them apart.
    """
    names = list(dict.fromkeys(names))
    if len(names) > MOST_LINES:
        raise ValueError(f"{len(names)} lines in one panel; draw panels of up to {MOST_LINES} each")
    if set(names) & set(_CLASSES):
        return class_styles(names)
    return {
        name: Style(*look, line) for name, look, line in zip(names, _CURVES, _LINES, strict=False)
    }


def for_seaborn(styles: Mapping[str, Style]) -> dict[str, dict]:
    """Styles as seaborn's line plots take them: palette, markers and dashes, by name."""
    return {
        "palette": {name: look.colour for name, look in styles.items()},
        "markers": {name: look.marker for name, look in styles.items()},
        "dashes": {k: "" if look.line == "-" else look.line[1] for k, look in styles.items()},
    }


def _styles(names: Iterable[str], known: dict[str, tuple[str, str]]) -> dict[str, Style]:
    names = list(dict.fromkeys(names))
    places = {name: place for place, name in enumerate(known)}
    free = iter([k for k, name in enumerate(known) if name not in names] * (1 + len(names)))
    looks = list(known.values())
    found = {}
    for name in names:
        place = places[name] if name in places else next(free, 0)
        found[name] = Style(*looks[place], _LINES[place])
    return found


def contrast(first, second) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG 2.1 defines it."""
    low, high = sorted(_luminance(to_rgb(colour)) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def text_on(background) -> str:
    """Black or white, whichever has more contrast on a background: always 4.5:1 and more."""
    return max(("black", "white"), key=lambda colour: contrast(colour, background))


def _luminance(rgb: tuple[float, float, float]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.1)."""
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
