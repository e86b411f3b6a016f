"""What can be done with a results folder: `verify`.

python -m dferlib.evidence verify results     everything stored against its checksums, and what it
                                              would take to make it again
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dferlib.evidence.verify import verify
from dferlib.files import project_root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command: 0 all is as it was written, 1 something is damaged, 2 there is no folder."""
    parser = argparse.ArgumentParser(prog="python -m dferlib.evidence", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    chosen = commands.add_parser("verify", help="hold what is stored against its checksums")
    folder = (project_root() or Path()) / "results"
    chosen.add_argument("folder", nargs="?", type=Path, default=folder, help="default: results")
    options = parser.parse_args(arguments)
    try:
        found = verify(options.folder)
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{found}\n")
    return 1 if found.damaged else 0


if __name__ == "__main__":
    sys.exit(main())
