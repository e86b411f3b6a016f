"""What a check has to say of a printed number."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

SOUND = "sound"
CONTRADICTION = "contradiction"  # cannot be what it says
INCONSISTENT = "inconsistent"  # two printed things differ; either may be right
SAYS_NOTHING = "says nothing"  # nearly any value would pass
HINT = "hint"  # not this paper's clips, or an explanation among several
FLAGS = (CONTRADICTION, INCONSISTENT)


class Finding(NamedTuple):
    """One check of one row: what is printed, what was found, and in words what that means.

    `chance` is how likely a random number would have passed (or, of an n found by search, how
    likely some n would have been found); NaN where that is no question.
    """

    paper: str
    table: str
    dataset: str
    row: str
    check: str
    printed: str
    found: str
    verdict: str
    text: str
    chance: float = float("nan")


def as_table(findings: list[Finding]) -> pd.DataFrame:
    """Return findings as a table, a column per field."""
    return pd.DataFrame(findings, columns=Finding._fields)
