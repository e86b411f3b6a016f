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
    """Dropdowns, one per keyword, that draw ``plot(**chosen)`` once a reader has chosen.

    ``plot`` returns Axes or a Figure. Each value of ``choices`` lists what may be chosen for the
    argument of that name. Nothing is drawn before: the static figure above shows the first choice.
    """
    menus = {
        name: ipywidgets.Dropdown(options=list(options), description=name.replace("_", " "))
        for name, options in choices.items()
    }
    output = ipywidgets.Output()

    def draw(_) -> None:
        output.clear_output(wait=True)
        with output:
            drawn = plot(**{name: menu.value for name, menu in menus.items()})
            figure = drawn if isinstance(drawn, plt.Figure) else drawn.figure
            display(figure)
            plt.close(figure)

    for menu in menus.values():
        menu.observe(draw, names="value")
    return ipywidgets.VBox([ipywidgets.HBox(list(menus.values())), output])
