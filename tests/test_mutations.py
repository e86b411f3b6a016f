"""Damaged trees: every reader gives a named error or a counted skip, and writes to the cache only.

By default eight of the damaged trees of each dataset are read. DFER_MUTATIONS=1000 reads so many in
all, which takes about a quarter of an hour of a core.
"""

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mutations import TAKE_AWAY, damage, snapshot

from dferlib.datasets import list_datasets, load_manifest

ROOT, TESTS = Path(__file__).parent.parent, Path(__file__).parent
PER_DATASET = -(-int(os.environ.get("DFER_MUTATIONS", "72")) // len(list_datasets()))
PATIENCE = 300  # seconds of the clock, on a busy machine, until a reader counts as hanging
MOST_SECONDS = 30  # of a core, for one of manifest, check and store
MOST_MEMORY = 4 * 2**30  # of address space
MOST_PEAK = 1_500_000  # kB in use; an image of 50 million pixels is refused, one of 30 is not
SUBJECTS = {"ckplus": 4, "oulu": 1, "mmi": 1, "bu4dfe": 1}  # else two
COUNTS = ("clips", "labelled clips", "sequences")  # what the check calls the manifest's rows

# other systems refuse some of the names, and limits of memory
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes, links, odd names, limits")


class Reader:
    """A process that reads trees; a crash or a hang ends it and not the tests."""

    def __init__(self, folder: Path) -> None:
        paths = os.pathsep.join(map(str, (ROOT, TESTS)))
        environment = {**os.environ, "PYTHONPATH": paths, "HOME": str(folder)}
        self.log = (folder / "stderr").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-c", f"from mutations import serve; serve({MOST_MEMORY})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            cwd=folder,
            env=environment,
        )

    def read(self, *what) -> dict:
        """Results of `read_everything`; AssertionError if the process died or does not answer."""
        self.process.stdin.write(json.dumps([str(part) for part in what]).encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert ready, "the reader hangs"
        line = self.process.stdout.readline()
        assert line, f"the reader died with {self.process.wait(10)}"
        return json.loads(line)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.log.close()


def judge(answer: dict, clean: list[str], done: list[str]) -> None:
    """Fail unless all went well, or everything that did not has a name or is counted."""
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
        assert store[0] == len(manifest)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("dataset", list_datasets())
def test_damaged_trees(dataset, rendered_tree, tmp_path):
    tree = rendered_tree(dataset, subjects=SUBJECTS.get(dataset, 2))
    clean = load_manifest(dataset, tree)["clip_id"].tolist()
    home = tmp_path / "home"
    home.mkdir()
    number = list_datasets().index(dataset)
    reader, failures = Reader(home), []
    for case in range(PER_DATASET):
        rng = np.random.default_rng([number, case])
        place = tmp_path / f"case{case}"
        (place / "outside").mkdir(parents=True)
        (place / "outside/secret.png").write_text("not to be read")
        root = shutil.copytree(tree, place / "data", symlinks=True)
        done = damage(rng, root, case * len(list_datasets()) + number)
        before = snapshot(place, place / "cache")
        try:
            judge(reader.read(dataset, root, place / "cache"), clean, done)
            assert snapshot(place, place / "cache") == before, "written outside the cache"
            left = [path.name for path in place.glob("cache/*/*") if path.suffix == ".partial"]
            assert not left, f"half a store was left: {left}"
        except AssertionError as error:
            failures.append(f"case {case} {done}: {error}")
            if reader.process.poll() is not None or "hangs" in str(error):
                reader.end()
                reader = Reader(home)
        shutil.rmtree(place)
    reader.end()
    assert [path.name for path in home.iterdir()] == ["stderr"]
    assert not failures, f"{len(failures)} of {PER_DATASET}:\n" + "\n".join(failures)
