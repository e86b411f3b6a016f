"""Make, check and ask for handed-in files: see the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from dferlib.evidence.damage import DamagedFileError
from dferlib.evidence.handed_in.checking import check, is_sound
from dferlib.evidence.handed_in.packing import UnfitRunsError, pack, write_packed
from dferlib.evidence.handed_in.page import write_page
from dferlib.evidence.handed_in.schema import read_handed_in
from dferlib.evidence.overview import results_root


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0, 1 for a file that contradicts itself, 2 for what cannot be read or made."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except ValidationError as error:  # of what was typed: who, or when
        first = error.errors(include_url=False, include_input=False)[0]
        sys.stderr.write(f"{'.'.join(map(str, first['loc']))}: {first['msg']}\n")
    except (DamagedFileError, UnfitRunsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dferlib.evidence.handed_in")
    commands = parser.add_subparsers(required=True)
    packing = commands.add_parser("pack", help="make a file that may be shown of runs on real data")
    packing.add_argument("folder", type=Path, help="such as results-private/stcam/oulu-real-paper")
    packing.add_argument("out", type=Path, help="the file to write")
    packing.add_argument("--by", default="anonymous", help="who hands it in, as it is shown")
    packing.add_argument("--rows", nargs="+", default=(), help="by default all that were run")
    packing.set_defaults(run=_pack)
    checking = commands.add_parser("check", help="check such a file")
    checking.add_argument("file", type=Path)
    checking.add_argument("beside", nargs="*", type=Path, help="other files, of the same list")
    checking.set_defaults(run=_check)
    paging = commands.add_parser("page", help="write results/handed-in/README.md")
    paging.set_defaults(run=_page)
    return parser


def _pack(options: argparse.Namespace) -> int:
    handed = pack(options.folder, by=options.by, rows=options.rows)
    write_packed(handed, options.out)
    sys.stdout.write(f"{options.out}: read it before you show it; nothing else leaves with it\n")
    return _report(handed)


def _check(options: argparse.Namespace) -> int:
    return _report(read_handed_in(options.file), map(read_handed_in, options.beside))


def _report(handed, others=()) -> int:
    found = check(handed, others)
    for row in found.itertuples(index=False):
        sys.stdout.write(f"{row.verdict}: {row.check}: {row.text}\n")
    return 0 if is_sound(found) else 1


def _page(options: argparse.Namespace) -> int:
    sys.stdout.write(f"{write_page(results_root())}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
