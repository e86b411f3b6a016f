"""An error that its reader can mend: a box that says what to do, and no traceback.

IPython asks an exception for its own traceback (`_render_traceback_`). The cell still fails: *Run
All* stops there, and papermill ends with the name of the error and an exit code that is not zero.
"""

from __future__ import annotations

import html
import os

from IPython.display import display

SESSION = "JPY_SESSION_NAME"  # Jupyter's server sets it in kernels that somebody opened
BOX = "background:#fdecea;color:#5f1412;border:2px solid #8a1c1c;border-radius:6px;padding:1em"


class RefusedError(ValueError):
    """What a notebook cannot do as it was asked; the message names the value and the way out."""

    _shown = False

    def _render_traceback_(self) -> list[str]:
        """Show the message as a box, and return the lines that stand for a traceback.

        Where nobody looks on, they are all that papermill prints, and hold the message.
        """
        if not self._shown:  # the kernel asks twice: for the page, and for its reply
            display({"text/html": box(self), "text/plain": str(self)}, raw=True)
            self._shown = True
        said = "the box above says what to change" if os.environ.get(SESSION) else str(self)
        return [f"{type(self).__name__}: {said}"]


def box(error: Exception) -> str:
    """The message of an error as HTML, an item for each of its lines that starts with a dash."""
    head, *lines = str(error).splitlines()
    items = "".join(f"<li>{html.escape(line[2:])}</li>" for line in lines if line[:2] == "- ")
    rest = "".join(f"<p>{html.escape(line)}</p>" for line in lines if line[:2] != "- ")
    listed = f"<ul>{items}</ul>" if items else ""
    ways = "Change the cell under <em>Parameters</em>, run it, then run this cell again."
    return (
        f'<div role="alert" style="{BOX}"><strong>{html.escape(head)}</strong>{listed}{rest}'
        f"<p>{ways}</p></div>"
    )
