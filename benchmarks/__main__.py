"""The one way into the benchmarks.

    python -m benchmarks list            what there is to measure, how long it takes, what it keeps
    python -m benchmarks speed --help    the options of a part
    python -m benchmarks speed stcam     measure a part

Every part is a script of its own and runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.parts import FOLDER, PARTS, overview
from dferlib.names import unknown_name


def main(words: list[str]) -> int:
    """Run the part that is named first with the words after it; returns its exit status."""
    if not words or words[0] in ("list", "help", "-h", "--help"):
        print(f"{__doc__.strip()}\n\n{overview()}")
        return 0
    name, *rest = words
    if name not in PARTS:
        sys.stderr.write(f"{unknown_name('part', name, PARTS)}\n")
        return 2
    path = os.pathsep.join(filter(None, [str(FOLDER.parent), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, str(PARTS[name].path), *rest]
    try:
        return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
