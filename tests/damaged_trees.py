"""Damaged trees shown to a reader in a process of its own, and what came of them.

A reader that crashes, computes for ever or waits for ever ends its process and not the tests. How
long it may take is counted in seconds of a core: on a busy machine one that hangs must not be taken
for one that has not had its turn.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mutations import TAKE_AWAY, damage, snapshot

from dferlib.datasets import list_datasets

ROOT, TESTS = Path(__file__).parent.parent, Path(__file__).parent
MOST_SECONDS = 30  # of a core, for one of manifest, check and store
MOST_MEMORY = 8 * 2**30  # of address space, of which torch alone, behind MTCNN, takes four
MOST_PEAK = 1_500_000  # kB in use; an image of 50 million pixels is refused, one of 30 is not
SUBJECTS = {"ckplus": 4, "oulu": 1, "mmi": 1, "bu4dfe": 1}  # else two
COUNTS = ("clips", "labelled clips", "sequences")  # what the check calls the manifest's rows
STEP = 0.5  # seconds between two looks at a process


class Patience(NamedTuple):
    """When a process that does not answer counts as hanging, in seconds.

    `busy` of a core; `asleep` on end without computing or wanting to; `clock` whatever it does.
    """

    busy: float = 4 * MOST_SECONDS
    asleep: float = 120
    clock: float = 2 * 3600


def core_seconds(process: int) -> float:
    """Seconds of a core that a process has had so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sleeps(process: int) -> bool:
    """Whether all threads of a process wait for something that is neither a core nor a disk."""
    states = []
    for stat in Path(f"/proc/{process}/task").glob("*/stat"):
        with suppress(OSError):  # a thread that has just ended
            states.append(stat.read_text().rsplit(")", 1)[1].split()[0])
    return set(states) == {"S"}


class Reader:
    """A process that reads trees as `mutations.serve` does, or runs other code that answers."""

    def __init__(self, folder: Path, code: str = "", patience: Patience | None = None) -> None:
        paths = os.pathsep.join(map(str, (ROOT, TESTS)))
        environment = {**os.environ, "PYTHONPATH": paths, "HOME": str(folder)}
        code = code or f"from mutations import serve; serve({MOST_MEMORY})"
        self.patience = patience or Patience()
        self.log = (folder / "stderr").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            cwd=folder,
            env=environment,
        )

    def read(self, *what) -> dict:
        """What the process answers; AssertionError if it died or hangs."""
        self.process.stdin.write(json.dumps([str(part) for part in what]).encode() + b"\n")
        self.process.stdin.flush()
        self._wait()
        line = self.process.stdout.readline()
        assert line, f"the reader died with {self.process.wait(10)}"
        return json.loads(line)

    def _wait(self) -> None:
        begun = awake = time.monotonic()
        first = last = core_seconds(self.process.pid)
        while not select.select([self.process.stdout], [], [], STEP)[0]:
            now, used = time.monotonic(), core_seconds(self.process.pid)
            if used > last or not sleeps(self.process.pid):
                last, awake = used, now
            busy, asleep, most = self.patience
            assert used - first <= busy, f"the reader hangs: busy for {used - first:.1f} s"
            assert now - awake <= asleep, f"the reader hangs: asleep for {now - awake:.1f} s"
            assert now - begun <= most, f"the reader hangs: no answer in {now - begun:.0f} s"

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.log.close()


def show(
    reader: Reader, dataset: str, case: int, tree: Path, place: Path, faces: str = ""
) -> tuple[list, dict]:
    """Damage a copy of a tree below `place` and let it be read; returns the damage, the answer.

    `faces` says how faces are found, where the reader's own way is not wanted.
    An answer that is missing has the reason under "failed", and so has a read that wrote anywhere
    but into the cache.
    """
    number = list_datasets().index(dataset)
    rng = np.random.default_rng([number, case])
    (place / "outside").mkdir(parents=True)
    (place / "outside/secret.png").write_text("not to be read")
    root = shutil.copytree(tree, place / "data", symlinks=True)
    done = damage(rng, root, case * len(list_datasets()) + number)
    before = snapshot(place, place / "cache")
    try:
        answer = reader.read(dataset, root, place / "cache", faces)
        assert snapshot(place, place / "cache") == before, "written outside the cache"
        left = [path.name for path in place.glob("cache/*/*") if path.suffix == ".partial"]
        assert not left, f"half a store was left: {left}"
    except AssertionError as error:
        answer = {"failed": str(error)}
    shutil.rmtree(place)
    return done, answer


def judge(answer: dict, clean: list[str], done: list[str]) -> None:
    """Fail unless all went well, or everything that did not has a name or is counted.

    `clean` are the clips of the tree before the damage, `done` names what was done to it.
    """
    assert "failed" not in answer, answer["failed"]
    for part in ("manifest", "check", "store"):
        result = answer[part]
        assert answer["peak_kb"] < MOST_PEAK, f"{answer['peak_kb']} kB of memory"
        assert result["seconds"] < MOST_SECONDS, f"{part} took {result['seconds']} s"
        if "error" in result:
            named = {"DatasetError", "StoreError"} & set(result["kinds"])
            assert named, f"{part}: {result['kinds'][0]}: {result['error'][:2000]}"
            assert len(result["error"]) > 20, result["error"]
            assert len(result["error"]) < 20_000
    manifest, check, store = (answer[part].get("ok") for part in ("manifest", "check", "store"))
    if manifest is None:
        assert store is None, "a store of what has no manifest"
        assert check is None or check["errors"], f"no error in the check: {answer['manifest']}"
    elif check is not None:
        lost = [name for name in clean if name not in manifest]
        told = check["problems"] or check["errors"] or TAKE_AWAY & set(done)
        assert not lost or told, f"lost without a word: {lost}"
        assert len(manifest) in [check["counts"].get(name) for name in COUNTS]
    if store is not None:
        assert store["clips"] == len(manifest)


def outcome(answer: dict, clean: dict) -> str:
    """What came of a tree that `judge` let pass: "named error", "counted" or "unaffected".

    A named error refuses the manifest or the store. Counted: the store is filled, with other clips
    than the `clean` tree's, or with findings or notes that this one does not have.
    """
    if any("error" in answer[part] for part in ("manifest", "store")):
        return "named error"
    told = [
        (
            sorted(found["manifest"]["ok"]),
            *(sorted(found["check"].get("ok", {}).get(name, ())) for name in ("errors", "told")),
            found["store"]["ok"]["notes"],
        )
        for found in (answer, clean)
    ]
    return "unaffected" if told[0] == told[1] else "counted"


def silent_differences(answer: dict, clean: dict) -> list[str]:
    """How the clips of an "unaffected" tree differ from the `clean` one's all the same, in words.

    Each is "labels" (label, subject or part), "peak", "order" of the frames, "missing frames",
    "more frames" or "pixels"; ", but counted" where the counts of a whole copy would tell.
    """
    there, here = (found["store"]["ok"]["content"] for found in (clean, answer))
    counts = [found["check"]["ok"]["counts"] for found in (clean, answer)]
    found = set()
    for name, old in there.items():
        new = here[name]
        if any(old[what] != new[what] for what in ("label", "subject", "split")):
            found.add("labels")
        if any(old[what] != new[what] for what in ("apex", "onset")):
            found.add("peak")
        before, after = old["frames"], new["frames"]
        if len(after) != len(before):
            found.add("missing frames" if len(after) < len(before) else "more frames")
        elif after != before:
            found.add("order" if sorted(after) == sorted(before) else "pixels")
    return sorted(what + ", but counted" * (counts[0] != counts[1]) for what in found)
