"""Sliders over a picture or a text that is drawn anew at every move.

As everywhere, a static figure made by the same function stands before the widget, so that a page
without a kernel loses nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import ipywidgets
import numpy as np
from PIL import Image


def sliders(
    draw: Callable[..., np.ndarray | str],
    values: Mapping[str, tuple[float, float, float]],
    *,
    step: float = 0.1,
    size: int = 256,
) -> ipywidgets.HBox:
    """A slider for each name -> (lowest, highest, first) beside what `draw(name=value, ...)` gives.

    An array (H, W, 3) is shown as a picture of `size` pixels, a text as HTML. A slider has the
    focus by the Tab key and moves by the arrow keys.
    """
    layout, style = ipywidgets.Layout(width="420px"), {"description_width": "210px"}
    controls = {
        name: ipywidgets.FloatSlider(
            value=first, min=low, max=high, step=step, description=name, layout=layout, style=style
        )
        for name, (low, high, first) in values.items()
    }

    def content() -> np.ndarray | str:
        return draw(**{name: control.value for name, control in controls.items()})

    first = content()
    text = isinstance(first, str)
    shown = ipywidgets.HTML() if text else ipywidgets.Image(format="png", width=size, height=size)

    def update(_=None) -> None:
        found = content()
        shown.value = found if text else _png(found)

    update()
    for control in controls.values():
        control.observe(update, names="value")
    return ipywidgets.HBox([ipywidgets.VBox(list(controls.values())), shown])


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=1)
    return buffer.getvalue()
