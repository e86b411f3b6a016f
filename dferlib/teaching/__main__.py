"""Build the editions of the course.

python -m dferlib.teaching build                      both editions, to out/course
python -m dferlib.teaching build --solutions none     the students' without solutions
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dferlib.teaching.editions import SOLUTIONS, build, lessons_folder


def main(arguments: list[str] | None = None) -> int:
    """Write both editions and name them; 0, or 2 where there are no lessons."""
    parser = argparse.ArgumentParser(prog="python -m dferlib.teaching")
    commands = parser.add_subparsers(required=True)
    builder = commands.add_parser("build", help="write the students' and the teachers' edition")
    builder.add_argument("--source", type=Path, help="folder of lessons (default: the course)")
    builder.add_argument("--out", type=Path, default=Path("out/course"))
    builder.add_argument("--solutions", choices=SOLUTIONS, default=SOLUTIONS[0])
    chosen = parser.parse_args(arguments)
    try:
        written = build(chosen.source or lessons_folder(), chosen.out, chosen.solutions)
    except (FileNotFoundError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
