"""Source in a notebook: the classes that a section explains, as they stand in the package."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from IPython.display import Code

LONG = 30  # lines, above which the source is folded up


@dataclass(frozen=True)
class Source:
    """Source of classes or functions: highlighted HTML, long ones folded up, or plain text."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def show_source(*objects: type | Callable, long: int = LONG) -> Source:
    """The source of these classes or functions, one after the other, with the module of each.

    One of more than `long` lines is folded up under its name. What is shown is read from the file
    that is imported: what is read is what runs. ValueError without an object; TypeError for one
    that has no source.
    """
    if not objects:
        raise ValueError("show_source needs at least one class or function")
    pieces = [(_place(item), textwrap.dedent(inspect.getsource(item)).rstrip()) for item in objects]
    html = [_style()] + [_fold(name, text, len(text.splitlines()) > long) for name, text in pieces]
    return Source("\n".join(html), "\n\n\n".join(f"# {name}\n{text}" for name, text in pieces))


def _place(item: type | Callable) -> str:
    return f"{item.__module__}.{item.__qualname__}"


def _fold(name: str, text: str, folded: bool) -> str:
    state = "" if folded else " open"
    count = f"{len(text.splitlines())} lines"
    return (
        f"<details{state}><summary><code>{name}</code> ({count})</summary>"
        f"{_highlighted(text)}</details>"
    )


def _style() -> str:
    """The style sheet of the highlighting, once for all pieces, for nothing else on the page."""
    sheet = Code("pass", language="python")._repr_html_().partition("</style>")[0]
    return sheet.replace("pre {", "div.highlight pre {", 1) + "</style>"


def _highlighted(text: str) -> str:
    return Code(text, language="python")._repr_html_().partition("</style>")[2]
