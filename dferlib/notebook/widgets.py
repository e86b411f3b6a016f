"""Interactive views: a choice per argument above a view made of HTML.

A widget only ever repeats what stands before it in the notebook, so a headless run loses nothing.
Where no kernel answers, its first view stands in its place.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import ipywidgets
from IPython import get_ipython
from IPython.display import display

STILL = "Choices work where this notebook is open in Jupyter with a running kernel."


MOVED = "[a progress bar moved here while this cell ran]"


class Chooser(ipywidgets.VBox):
    """Menus above a view; a front end without widgets gets the first view as HTML."""

    def __init__(self, children: list, still: str, said: str) -> None:
        super().__init__(children)
        self._still, self._said = still, said

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/html": self._still, "text/plain": self._said}


def choose(
    view: Callable[..., str],
    choices: Mapping[str, Mapping[str, Any]],
    start: Mapping[str, Any] | None = None,
) -> Chooser:
    """Dropdowns, one per argument of ``view(**chosen)``, which returns HTML.

    `choices` maps an argument to its choices, each by the label that is listed. What is seen first
    is `start`, the values of the figure above, and else the first choice of each. A view that was
    made is kept. Raises ValueError where `start` names a value that is no choice.
    """
    start = dict(start or {})
    for name, value in start.items():
        if value not in choices[name].values():
            raise ValueError(f"{name} starts at {value!r}, which is not among its choices")
    first = {name: start.get(name, next(iter(named.values()))) for name, named in choices.items()}
    made = cache(lambda *values: view(**dict(zip(choices, values, strict=True))))
    menus = {
        name: ipywidgets.Dropdown(
            options=list(named.items()),
            value=first[name],
            description=name.replace("_", " "),
            style={"description_width": "initial"},
        )
        for name, named in choices.items()
    }
    shown = ipywidgets.HTML(made(*first.values()))

    def draw(_) -> None:
        shown.value = made(*(menu.value for menu in menus.values()))

    for menu in menus.values():
        menu.observe(draw, names="value")
    labels = {name: menu.label for name, menu in menus.items()}
    said = ", ".join(f"{name}: {label}" for name, label in labels.items())
    still = f"<p>{html.escape(said)}. {STILL}</p>{shown.value}"
    return Chooser([ipywidgets.HBox(list(menus.values())), shown], still, f"{said}. {STILL}")


def show(chooser: Chooser) -> None:
    """Display a widget with what stands for it where there are none."""
    display(chooser._repr_mimebundle_(), raw=True)


def tell_of_bars() -> None:
    """Let tqdm's bars say in a saved notebook that they were bars, and not how they began.

    Jupyter saves the text that a widget has when it appears: a bar at 0 %. Nothing is done outside
    of Jupyter.
    """
    shell = get_ipython()
    if shell is not None:
        bundles = shell.display_formatter.mimebundle_formatter
        bundles.for_type_by_name("tqdm.notebook", "TqdmHBox", _bar_bundle)


def _bar_bundle(bar: ipywidgets.Widget, **kwargs: Any) -> dict[str, Any]:
    found = bar._repr_mimebundle_(**kwargs)
    return {**found, "text/plain": MOVED}
