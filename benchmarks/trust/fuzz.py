"""What every parser of foreign files makes of damaged ones: read, refused by name, or failed.

    python -m benchmarks fuzz                                  # 20,000 cases of each, resumable
    python -m benchmarks fuzz --cases 200 --readers "clip table" image

A case is a sound file with one to four damages (flipped bits, stretches cut out, repeated or
overwritten, words that parsers trip over), drawn from the reader's name and the case's number. It
is read in a child process with a limit on memory and on its own seconds of a core; one that hangs
or dies is a failure, and the next child goes on behind it.

read         it returned
named error  it raised what it says it raises, and the message names the file or its folder
nameless     the same without a name of the file
failed       anything else: another exception, a crash, a hang, too much memory

Keeps results/trust/fuzz.json after every child; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from benchmarks.trust.foreign import READERS, Reader
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json

CASES, CHILD_CASES = 20_000, 1_000
SECONDS, MEMORY = 20, 2**30  # of a core, for one case; bytes above what the imports take
KEPT = 20  # failures that are listed, one of each kind
RECORD = "fuzz.json"
OUTCOMES = ("read", "named error", "nameless error", "failed")


def damage(data: bytes, rng: np.random.Generator, words: tuple[bytes, ...]) -> bytes:
    """The bytes with one to four damages; sometimes none of the file is left."""
    content = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        start = int(rng.integers(0, len(content) + 1))
        span = slice(start, start + int(rng.integers(1, 1 + max(1, len(content) // 4))))
        kind = int(rng.integers(0, 6))
        if kind == 0 and content:
            content[min(start, len(content) - 1)] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del content[span]
        elif kind == 2:
            content[start:start] = content[span] * int(rng.integers(1, 20))
        elif kind == 3:
            content[span] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 4 and words:
            content[start:start] = words[int(rng.integers(0, len(words)))]
        elif kind == 5 and not rng.integers(0, 4):
            del content[start:]
    return bytes(content)


def make_case(name: str, reader: Reader, case: int) -> bytes:
    """The damaged file of a case, the same on every machine."""
    return damage(reader.sound(), np.random.default_rng([crc32(name.encode()), case]), reader.words)


def try_case(name: str, case: int, folder: Path) -> tuple[str, str]:
    """Read a damaged file in a folder; returns what came of it, and of a failure the words."""
    reader = READERS[name]
    path = folder / reader.name
    path.write_bytes(make_case(name, reader, case))
    try:
        reader.read(path)
    except reader.errors as error:
        named = reader.name in str(error) or str(folder) in str(error)
        return ("named error", "") if named else ("nameless error", f"{error}"[:160])
    except Exception as error:
        return "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    return "read", ""


def child(name: str, start: int, stop: int) -> None:
    """Try cases and print a line for each before and after it; run in a process of its own."""
    folder = Path(tempfile.mkdtemp())
    try:
        try_case(name, -1 % 2**32, folder)  # imports come before the limits
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, whatever it is in
        for case in range(start, stop):
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            print(json.dumps([case, *try_case(name, case, folder)]), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_child(name: str, start: int, stop: int) -> tuple[list[list], str]:
    """What a child says of its cases, and how it ended if it did not come to the last."""
    words = [sys.executable, "-m", "benchmarks.trust.fuzz", "--child", name, str(start), str(stop)]
    path = os.pathsep.join(filter(None, [str(project_root()), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    try:
        patience = 300 + SECONDS * 60
        done = subprocess.run(words, env=environment, capture_output=True, timeout=patience)
        output, ended = done.stdout, f"ended with {done.returncode}: {done.stderr.decode()[-300:]}"
    except subprocess.TimeoutExpired as error:
        output, ended = error.stdout or b"", "hung"
    lines = [json.loads(line) for line in output.decode().splitlines() if line.endswith("]")]
    return lines, "" if len(lines) == stop - start else ended


def go_on(name: str, row: dict[str, Any], cases: int) -> None:
    """Try the next cases of a reader and count what came of them."""
    start = row["cases"]
    stop = min(cases, start + CHILD_CASES)
    lines, ended = run_child(name, start, stop)
    if ended:
        lines.append([start + len(lines), "failed", ended])
    counts = Counter(row["outcomes"])
    for case, outcome, words in lines:
        counts[outcome] += 1
        kind = words.partition(":")[0]
        known = [failure["why"].partition(":")[0] for failure in row["failures"]]
        if outcome in OUTCOMES[2:] and len(known) < KEPT and known.count(kind) < 3:
            row["failures"].append({"case": case, "why": words})
    row["outcomes"] = {key: counts[key] for key in OUTCOMES}
    row["cases"] = start + len(lines)


def main(arguments: list[str] | None = None) -> int:
    """Try what is left to try and keep it; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=CASES, help="of each reader, in all")
    parser.add_argument("--readers", nargs="+", default=list(READERS), choices=list(READERS))
    parser.add_argument("--again", action="store_true", help="forget what is stored of these")
    parser.add_argument("--out", type=Path, help="default: results/trust in the project")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.child:
        child(chosen.child[0], *map(int, chosen.child[1:]))
        return 0
    path = (chosen.out or (project_root() or Path()) / "results" / "trust") / RECORD
    stored = json.loads(path.read_text(encoding="utf-8"))["readers"] if path.is_file() else {}
    for name in chosen.readers:
        empty = {"cases": 0, "outcomes": {}, "failures": []}
        row = stored[name] = empty if chosen.again else stored.get(name, empty)
        while row["cases"] < chosen.cases:
            go_on(name, row, chosen.cases)
            limits = {"seconds": SECONDS, "bytes": MEMORY}
            made = {"limits": limits, "readers": stored, "provenance": provenance()}
            write_json(path, made)
        print(name, row["cases"], row["outcomes"], *row["failures"], sep="\n  ")
    return int(any(stored[name]["outcomes"].get("failed") for name in chosen.readers))


if __name__ == "__main__":
    sys.exit(main())
