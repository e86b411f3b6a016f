"""What comes of damage to stored files: named, repeated, harmless, or read as something else.

    python -m benchmarks trust-damage --cases 1000      # of each kind of file
    python -m benchmarks trust-damage --kinds store summary

Each case damages one file of a pair in one of four ways (a flipped bit, a cut, a block of zeros,
the files of both exchanged), reads it as the package does, and puts it back:

named      an error of the package names the file and says what to do: the run is refused
repeated   it is warned of, and the work that it held is done again
harmless   what was read is what was written: the damage lies where no value is
wrong      another value was read without a word
raw        an error of a library came out

The counts go to results/trust/damage.json.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))  # the toys that the tests are made of

WAYS = ("flip", "cut", "zero", "exchange")
BLOCK = 64  # bytes that are zeroed at once
AGAIN = "is read as not there"


@dataclass(frozen=True)
class Kind:
    """Stored files of a kind, twice: what is read of the first, and the files of both."""

    read: Callable[[], Any]
    files: tuple[tuple[Path, ...], tuple[Path, ...]]


def damage(rng: random.Random, kind: Kind) -> tuple[str, dict[Path, bytes]]:
    """Damage one file of a kind; returns the way, and what the files held before."""
    number = rng.randrange(len(kind.files[0]))
    path, other = (files[number] for files in kind.files)
    way = rng.choice(WAYS)
    before = path.read_bytes()
    kept, content = {path: before}, bytearray(before)
    place = rng.randrange(len(content))
    if way == "flip":
        content[place] ^= 1 << rng.randrange(8)
    elif way == "cut":
        del content[place:]
    elif way == "zero":
        content[place : place + BLOCK] = bytes(len(content[place : place + BLOCK]))
    else:
        kept[other] = other.read_bytes()
        content = bytearray(kept[other])
        other.write_bytes(before)
    path.write_bytes(content)
    return way, kept


def outcome(read: Callable[[], Any], whole: Any, place: Path) -> tuple[str, str]:
    """What comes of reading a damaged file, and the text of an error."""
    from dferlib.datasets.manifest import StoreError
    from dferlib.evidence.damage import DamagedFileError
    from dferlib.training.weights import WeightsError

    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = read()
    except (DamagedFileError, StoreError, WeightsError) as error:
        text = str(error)
        helps = str(place) in text and any(w in text for w in ("elete", "gain", "anew", "git"))
        return ("named" if helps else "raw"), text
    except Exception as error:
        return "raw", f"{type(error).__name__}: {error}"
    if found == AGAIN:
        return ("repeated" if said else "wrong"), ""
    return ("harmless" if found == whole else "wrong"), ""


def measure(kind: Kind, cases: int, place: Path, seed: int = 0) -> dict[str, Any]:
    """Count what comes of so many damages to a kind of files, by outcome and by way."""
    rng, whole = random.Random(seed), kind.read()
    counts, ways, bad = Counter(), {way: Counter() for way in WAYS}, []
    for case in range(cases):
        way, kept = damage(rng, kind)
        came, text = outcome(kind.read, whole, place)
        for path, content in kept.items():
            path.write_bytes(content)
        counts[came] += 1
        ways[way][came] += 1
        if came in ("wrong", "raw"):
            said = text.replace(str(place), "")
            bad.append({"case": case, "way": way, "file": next(iter(kept)).name, "said": said})
    assert kind.read() == whole
    names = ("named", "repeated", "harmless", "wrong", "raw")
    found = {"cases": cases, **{name: counts[name] for name in names}, "bad": bad[:20]}
    return found | {"by_way": {way: dict(sorted(ways[way].items())) for way in WAYS}}


def make_weights(place: Path) -> Kind:
    """Weights in the cache, with the record beside them."""
    import torch
    from torch import nn

    from dferlib.training.weights import load_weights, save_weights

    paths = [place / f"{name}.safetensors" for name in "ab"]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        save_weights(nn.Linear(8, 8), path, {"seconds": 1.5})
    files = tuple((path, path.with_suffix(".json")) for path in paths)

    def read() -> dict:
        return {name: value.tolist() for name, value in load_weights(paths[0]).items()}

    return Kind(read, files)


def make_checkpoint(place: Path) -> Kind:
    """The state of a training after an epoch."""
    import torch
    from torch import nn

    from dferlib.training.checkpoint import resume, save_checkpoint
    from dferlib.training.state import State

    def state() -> State:
        model = nn.Linear(8, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
        return State(model, optimizer, scheduler, nn.CrossEntropyLoss())

    paths = [place / f"{name}.resume" for name in "ab"]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        begun = state()
        begun.history.append({"epoch": 1, "train_loss": 0.1 + seed})
        save_checkpoint(begun, path)

    def read() -> Any:
        torch.manual_seed(7)
        fresh = state()
        resume(fresh, paths[0])
        weights = {name: value.tolist() for name, value in fresh.model.state_dict().items()}
        return {"weights": weights, "history": fresh.history} if fresh.history else AGAIN

    return Kind(read, tuple((path,) for path in paths))


def make_store(place: Path) -> Kind:
    """A frame store as it is read before a training."""
    from toy_source import build

    from dferlib.datasets.store import load_store

    one, other = (build(place / name, 1, clips=n).path for name, n in (("one", 12), ("two", 13)))
    names = sorted(file.name for file in one.iterdir())

    def read() -> tuple:
        store = load_store(one, verify=True)
        arrays = [store.frames.tobytes(), *(a.tobytes() for a in store.truth.values())]
        table = store.manifest.to_csv()
        return arrays, table, store.key, store.classes, dict(store.notes), store.seconds

    return Kind(read, tuple(tuple(folder / name for name in names) for folder in (one, other)))


def save_toy_runs(place: Path, count: int = 2, first: int = 1) -> list[tuple[Path, Path, str]]:
    """Save runs of random predictions from a fold on; record, predictions, run id of each."""
    import numpy as np
    import pandas as pd

    from dferlib.evidence import runs

    found = []
    for fold in range(first, first + count):
        values = np.random.default_rng(fold).dirichlet(np.ones(3), 20).astype(np.float32)
        table = pd.DataFrame({"clip_id": [f"{fold}-{i:03d}" for i in range(20)]})
        table["subject"], table["fold"], table["select"] = "01", fold, "last"
        table["y_true"], table["y_pred"] = np.arange(20) % 3, values.argmax(1)
        table = table.assign(**{f"p_{k}": values[:, k] for k in range(3)})
        record = dict.fromkeys(runs.REQUIRED, "toy") | {"fold": fold, "seed": 0}
        record |= {"run_id": runs.run_id("toy", fold, 0, "key"), "source": "synthetic"}
        record |= {"classes": list("abc"), "protocol": {"lr": 0.01}, "seconds": 12.5}
        record |= {"history": [{"epoch": e, "train_loss": 1 / e} for e in range(1, 9)]}
        record |= {"provenance": {"git_commit": None}}
        path = runs.save_run(place, record, table)
        found.append((path, place / "predictions" / f"{path.stem}.csv.gz", path.stem))
    return found


def make_record(place: Path, part: int = 0) -> Kind:
    """The record of a run (part 0), or its predictions (part 1)."""
    from dferlib.evidence.runs import load_run

    saved = save_toy_runs(place)

    def read() -> tuple:
        run = load_run(place, saved[0][2])
        return run.record, run.predictions.to_csv()

    return Kind(read, tuple((one[part],) for one in saved))


def make_predictions(place: Path) -> Kind:
    """The predictions of a run."""
    return make_record(place, part=1)


def make_summary(place: Path) -> Kind:
    """The summary, and the checksum beside it."""
    import pandas as pd

    from dferlib.evidence.checked_table import checksum_file, write_table
    from dferlib.evidence.summary import SUMMARY_COLUMNS, read_summary

    paths = [place / name / "summary.csv" for name in "ab"]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        rows = [[number + 0.125 * row] * len(SUMMARY_COLUMNS) for row in range(30)]
        write_table(path, pd.DataFrame(rows, columns=SUMMARY_COLUMNS))
    files = tuple((path, checksum_file(path)) for path in paths)
    return Kind(lambda: read_summary(paths[0]).to_csv(), files)


def make_notebook(place: Path) -> Kind:
    """An executed notebook, as `python -m dferlib.evidence verify` looks at it."""
    import json

    import nbformat

    from dferlib.evidence.damage import DamagedFileError
    from dferlib.evidence.verify import DAMAGED, look_at_notebook
    from dferlib.notebook.display import END_MARK
    from dferlib.notebook.engine import Record

    paths = []
    for slug, dataset in (("stcam", "oulu"), ("hacn", "mmi")):
        path = place / slug / f"{dataset}-synthetic-smoke" / "notebook.ipynb"
        (path.parent / "runs").mkdir(parents=True)
        mark = {END_MARK: {"slug": slug, "dataset": dataset, "preset": "smoke"}}
        output = nbformat.v4.new_output("display_data", {"text/plain": "83.33 %"}, metadata=mark)
        book = nbformat.v4.new_notebook(metadata={"papermill": {"duration": 2.5}})
        book.cells = [nbformat.v4.new_code_cell("finish()", outputs=[output])]
        record = Record(path, "n.ipynb", lambda line: None)
        record.node = book
        record.finish()
        paths.append(path)

    def read() -> dict:
        found = look_at_notebook(paths[0])
        if found.state == DAMAGED:
            raise DamagedFileError(found.path, found.said, "")
        return json.loads(paths[0].read_bytes())

    return Kind(read, tuple((path,) for path in paths))


KINDS = {
    "weights": make_weights,
    "checkpoint": make_checkpoint,
    "store": make_store,
    "predictions": make_predictions,
    "run record": make_record,
    "summary": make_summary,
    "notebook": make_notebook,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and keep; 1 if anything was read wrongly or ended raw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000, help="of each kind")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    folder = (project_root() or Path()) / "results" / "trust"
    parser.add_argument("--out", type=Path, default=folder / "damage.json")
    chosen = parser.parse_args(arguments)
    from dferlib.evidence import checked_table

    checked_table.LOOKS = 1  # nobody else writes here
    kinds: dict[str, Any] = {}
    for name in chosen.kinds:
        with tempfile.TemporaryDirectory() as place:
            kinds[name] = measure(KINDS[name](Path(place)), chosen.cases, Path(place))
        print(name, {k: v for k, v in kinds[name].items() if k != "by_way"}, flush=True)
        command = f"python -m benchmarks trust-damage --cases {chosen.cases}"
        record = {"command": command, "kinds": kinds, "provenance": provenance()}
        write_json(chosen.out, record)
    return int(any(found["wrong"] or found["raw"] for found in kinds.values()))


if __name__ == "__main__":
    raise SystemExit(main())
