"""Names that every room uses, and what to say of one that is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

OWN_CLIPS = "folder"  # dataset of a user's own clips: no paper has it, every protocol runs on it

# which epoch's predictions count; best_test looks at the test fold: an oracle
SELECTION_RULES = ("last", "best_val", "best_test")


def unknown_name(what: str, name: object, known: Iterable[str]) -> str:
    """Word an error for a name that does not exist: the nearest one, and all valid ones."""
    known = sorted(known)
    hint = did_you_mean(name, known) or "."
    return f"unknown {what}: {name!r}{hint} Valid: {', '.join(known) or 'none'}"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the name that is nearest, or nothing if none is near."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
