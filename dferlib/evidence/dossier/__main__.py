"""Write the pages: python -m dferlib.evidence.dossier [paper ...]."""

from __future__ import annotations

import argparse
import sys

from dferlib.evidence.dossier.page import write_pages
from dferlib.evidence.overview import results_root
from dferlib.protocols import list_protocols


def main(arguments: list[str] | None = None) -> int:
    """Write the pages of the papers that are named, by default of all; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m dferlib.evidence.dossier")
    parser.add_argument("papers", nargs="*", help="by default all", metavar="paper")
    parser.add_argument("--results", default="", help="results folder, by default the checkout's")
    options = parser.parse_args(arguments)
    for path in write_pages(options.papers or list_protocols(), results_root(options.results)):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
