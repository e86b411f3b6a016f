"""Interactive views: a choice per argument above a figure function.

A widget only ever repeats a static figure that stands before it in the notebook, so a headless run
loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display


def choose(plot: Callable, **choices: Sequence) -> ipywidgets.VBox:
    """Dropdowns, one per keyword, that redraw ``plot(**chosen)``.

    ``plot`` returns Axes or a Figure.

    Each value of ``choices`` lists what may be chosen for the argument of that name.
    """
    menus = {
        name: ipywidgets.Dropdown(options=list(options), description=name.replace("_", " "))
        for name, options in choices.items()
    }

    def draw(**chosen) -> None:
        drawn = plot(**chosen)
        figure = drawn if isinstance(drawn, plt.Figure) else drawn.figure
        display(figure)
        plt.close(figure)

    output = ipywidgets.interactive_output(draw, menus)
    return ipywidgets.VBox([ipywidgets.HBox(list(menus.values())), output])
