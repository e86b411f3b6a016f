"""All checks over a table of printed numbers, and the one table over the five papers."""

from __future__ import annotations

import pandas as pd

from dferlib.evidence.audit import consistency, matrices, shares
from dferlib.evidence.audit.findings import FLAGS, as_table
from dferlib.evidence.audit.printed import printed_numbers, tidy_printed
from dferlib.evidence.layout import Table, lay_out

CHECKS = (
    shares.check_shares_of_clips,
    matrices.check_matrices,
    shares.check_recalls,
    consistency.check_recall_means,
    consistency.check_spreads,
    consistency.check_macs,
    consistency.check_claims,
    consistency.check_same_rows,
    consistency.check_means,
    consistency.check_listed_clips,
    consistency.check_across_papers,
)


def audit_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return every finding on a table of printed numbers, a row each: see `findings.Finding`.

    The table needs row, metric and value; see `printed.tidy_printed`, which also raises for what
    cannot be audited.
    """
    table = table if "share" in table else tidy_printed(table)
    return as_table([finding for check in CHECKS for finding in check(table)])


def audit_papers(paper: str | None = None) -> pd.DataFrame:
    """Return the findings on the five papers, or of one of them what concerns it."""
    found = audit_numbers(printed_numbers())
    return found if paper is None else concerning(found, paper)


def concerning(found: pd.DataFrame, paper: str) -> pd.DataFrame:
    """Return of findings on all papers those on one (its slug), alone or among several."""
    named = found["found"].str.contains(rf"\b{paper}\b") & (found["paper"] == "several")
    return found[(found["paper"] == paper) | named].reset_index(drop=True)


def flagged(findings: pd.DataFrame) -> pd.DataFrame:
    """Return the findings that contradict something printed, or show that two things differ."""
    return findings[findings["verdict"].isin(FLAGS)].reset_index(drop=True)


def show_flagged(findings: pd.DataFrame, *, papers: bool = False) -> Table:
    """Lay out what `flagged` keeps; with `papers` each line names its paper."""
    columns = ["paper"] if papers else []
    columns += ["table", "dataset", "row", "check", "printed", "found", "verdict", "text"]
    caption = "Printed numbers that contradict something printed, or another print of themselves"
    prose = ("paper", "dataset", "check", "verdict", "text")
    return lay_out(flagged(findings)[columns], caption, named="row", prose=prose)


def summarise(findings: pd.DataFrame) -> str:
    """Say in a sentence or two what an audit came to."""
    counts = findings["verdict"].value_counts()
    parts = [
        f"{counts[name]} {name}"
        for name in (*FLAGS, "sound", "says nothing", "hint")
        if name in counts
    ]
    return f"{len(findings)} checks: {', '.join(parts) or 'none applies'}."
