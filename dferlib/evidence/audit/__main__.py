"""Audit printed numbers: a CSV of one's own, or all five papers.

python -m dferlib.evidence.audit table.csv       a table with row, metric and value
python -m dferlib.evidence.audit                 the five papers
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dferlib.evidence.audit.printed import UnreadableTableError, read_printed
from dferlib.evidence.audit.report import audit_numbers, audit_papers, flagged, summarise
from dferlib.files import write_csv

SHOWN = ["paper", "table", "dataset", "row", "check", "printed", "found", "verdict", "text"]


def main(arguments: list[str] | None = None) -> int:
    """Write what is flagged (with --all everything) to standard output; 0, or 2 without a table."""
    parser = argparse.ArgumentParser(prog="python -m dferlib.evidence.audit")
    parser.add_argument("table", nargs="?", type=Path, help="CSV; without one, the five papers")
    parser.add_argument("--all", action="store_true", help="also what is sound")
    parser.add_argument("--out", type=Path, help="CSV to keep every finding in")
    options = parser.parse_args(arguments)
    try:
        found = audit_numbers(read_printed(options.table)) if options.table else audit_papers()
    except UnreadableTableError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.out:
        write_csv(options.out, found)
    shown = found if options.all else flagged(found)
    for row in shown[SHOWN].itertuples(index=False):
        place = ", ".join(
            part for part in (row.paper, row.dataset, row.row) if part not in ("", "-")
        )
        table = f" (Table {row.table})" if row.table and row.table not in ("text", "all") else ""
        sys.stdout.write(f"{row.verdict}: {place}{table}, {row.check}: {row.text}\n")
    sys.stdout.write(f"{summarise(found)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
