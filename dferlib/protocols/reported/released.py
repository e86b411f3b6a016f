"""What released code does: the authors', or that which a paper follows or cites.

`released_code.csv` holds facts that were read from public repositories, in words of this project:
no line of theirs. Columns `paper,whose,repository,commit,file,topic,fact,setting`; commit and file
are empty where only the repository is known. `whose` is authors, followed (the paper says that it
follows this work's protocol) or cited; `setting` names what the fact settles here: a setting of the
recipe, a point of `Paper.assumed`, or one of `Paper.always_differs`.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

WHOSE = ("authors", "followed", "cited")


class Released(NamedTuple):
    """One fact of released code; `repository` is empty where none was found."""

    paper: str
    whose: str
    repository: str
    commit: str
    file: str
    topic: str
    fact: str
    setting: str

    @property
    def source(self) -> str:
        """Repository, file and the first digits of the commit, as far as they are known."""
        commit = f"@{self.commit[:7]}" if self.commit else ""
        return " ".join(filter(None, (f"{self.repository}{commit}", self.file)))


def released_code(paper: str) -> list[Released]:
    """Return what released code does that concerns a paper (its slug), in the order of the file."""
    return [fact for fact in _read() if fact.paper == paper]


@cache
def _read() -> tuple[Released, ...]:
    path = Path(__file__).with_name("released_code.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(Released(**row) for row in csv.DictReader(file))
