"""Whether time and memory grow as the data do: 10,000 and 100,000 clips, 2 to 11 classes.

    python -m benchmarks growth
    python -m benchmarks growth --clips 1000 --only "folds, official"

Each step is done at one size and at ten times it: seconds of a core, and the peak of what Python
and numpy hold, in a second pass. Ten clips a person, and one class that has one clip only. `power`
is the exponent of the growth, 1 for what is proportional; a step is `too steep` above `STEEP` where
it takes more than a second. Nothing is rendered or trained. Keeps results/trust/growth.json.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dferlib.datasets.folds import split_fold
from dferlib.datasets.manifest import DATASETS, make_manifest, read_manifest
from dferlib.datasets.readers.tables import columns_like_subjects, find_columns, read_csv
from dferlib.evidence import metrics, runs
from dferlib.evidence.checks import check_predictions
from dferlib.evidence.clustered import mixed_difference, sign_flip
from dferlib.evidence.folds_table import folds_table
from dferlib.evidence.intervals import subject_interval
from dferlib.evidence.paired import pair_predictions
from dferlib.evidence.provenance import provenance
from dferlib.evidence.stats import bootstrap_intervals, compare_variants
from dferlib.files import project_root, write_csv, write_json

CLIPS, TIMES = 10_000, 10
CLIPS_EACH = 10  # of a person
CLASSES = (2, 7, 11)
STEEP = 1.3  # sorting and caches cost a little more than their share
RECORD = "growth.json"


def make_manifest_of(clips: int) -> pd.DataFrame:
    """A manifest of so many clips, ten a person, in five official splits; one clip is fear."""
    names = DATASETS["oulu"]
    labels = [name for name in names if name != "fear"]
    rows = (
        {
            "clip_id": f"p{i // CLIPS_EACH:06d}/{i % CLIPS_EACH}",
            "subject": f"p{i // CLIPS_EACH:06d}",
            "label": labels[i % len(labels)] if i else "fear",
            "n_frames": 20,
            "split": str(i // CLIPS_EACH % 5 + 1),
        }
        for i in range(clips)
    )
    return make_manifest(rows, "oulu", "synthetic")


def make_predictions(clips: int, classes: int, seed: int = 0) -> pd.DataFrame:
    """Predictions of so many clips; the last class has one clip, about two of three are right."""
    rng = np.random.default_rng([seed, classes])
    true = np.random.default_rng(classes).integers(0, classes - 1, clips)
    true[0] = classes - 1
    wrong = rng.integers(0, classes, clips)
    pred = np.where(rng.random(clips) < 0.6, true, wrong)
    chance = rng.random((clips, classes)) / classes
    chance[np.arange(clips), pred] += 1
    chance /= chance.sum(1, keepdims=True)
    person = np.arange(clips) // CLIPS_EACH
    table = pd.DataFrame({"clip_id": [f"c{i}" for i in range(clips)]})
    table["subject"] = [f"p{i}" for i in person]
    table["fold"], table["select"] = person % 10 + 1, "last"
    table["y_true"], table["y_pred"] = true, pred
    return table.assign(**{f"p_{k}": chance[:, k] for k in range(classes)})


def dataset_steps(clips: int, folder: Path) -> dict[str, Callable[[], Any]]:
    """What is done with the clips of a dataset, by name."""
    manifest = make_manifest_of(clips)
    path, table = folder / "manifest.csv", folder / "labels.csv"
    write_csv(path, manifest)
    listed = pd.DataFrame({"path": manifest["clip_id"], "label": manifest["label"]})
    write_csv(table, listed.assign(person=manifest["subject"], room="A1"))

    def read_table() -> None:
        rows = read_csv(table)
        header, cells = rows[0][1], [texts for _, texts in rows[1:]]
        places = find_columns(header, ("path", "label"), table, {})
        columns_like_subjects(header, cells, list(places.values()), list(manifest["clip_id"]))

    return {
        "manifest, make": lambda: make_manifest_of(clips),
        "manifest, read": lambda: read_manifest(path),
        "table of clips": read_table,
        "folds, by subject": lambda: split_fold(manifest, 3, 10, use_official=False),
        "folds, official": lambda: split_fold(manifest, 3),
    }


def evidence_steps(clips: int, classes: int, folder: Path) -> dict[str, Callable[[], Any]]:
    """What is done with the predictions of so many clips of so many classes, by name."""
    one, other = (make_predictions(clips, classes, seed) for seed in (0, 1))
    names = tuple(f"class {k}" for k in range(classes))
    both = {"baseline": one, "stcam": other}
    tidy = pd.concat([rows.assign(variant=v, seed=0) for v, rows in both.items()])
    record = {name: "a" for name in runs.REQUIRED if name != "history"}
    record |= {"run_id": f"a-{classes}", "fold": 1, "seed": 0, "source": "synthetic"}
    record |= {"classes": list(names), "protocol": {}, "history": [{"epoch": 1}], "provenance": {}}
    place = folder / f"runs-{classes}"
    runs.save_run(place, record, one)
    pair = pair_predictions(one, other, names)
    truth, values = one["y_true"], metrics.scores_of(one, classes)
    metric = {"war": "war", "uar": "uar", "f1": "f1"}
    return {
        "run, save": lambda: runs.save_run(place, record, one),
        "run, load": lambda: runs.load_runs(place),
        "checks": lambda: check_predictions(tidy, classes),
        "metrics": lambda: metrics.score(one, names),
        "ROC": lambda: metrics.roc(truth, values, names),
        "interval of WAR": lambda: subject_interval(one, names),
        "interval of UAR": lambda: subject_interval(one, names, "uar"),
        "bootstrap": lambda: bootstrap_intervals(one, names, metric, resamples=200),
        "pair of models": lambda: pair_predictions(one, other, names),
        "sign flips": lambda: sign_flip(pair.effects("war"), flips=999),
        "mixed difference": lambda: mixed_difference(pair),
        "table of variants": lambda: compare_variants(both, names, resamples=200),
        "table of folds": lambda: folds_table(tidy, names, "last", {}),
    }


def measure(step: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of a core that a step takes, and the megabytes that it holds at most."""
    begun = time.process_time()
    step()
    seconds = time.process_time() - begun
    tracemalloc.start()
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / 2**20


def growth_of(name: str, small: tuple[float, float], large: tuple[float, float]) -> dict[str, Any]:
    """A row of the record: seconds and megabytes at both sizes, exponents, and the verdict."""
    power = {
        what: round(math.log10(max(after, 1e-3) / max(before, 1e-3)) / math.log10(TIMES), 2)
        for what, before, after in zip(("seconds", "megabytes"), small, large, strict=True)
    }
    steep = (power["seconds"] > STEEP and large[0] > 1) or power["megabytes"] > STEEP
    sizes = {"seconds": [small[0], large[0]], "megabytes": [small[1], large[1]]}
    rounded = {what: [round(value, 3) for value in pair] for what, pair in sizes.items()}
    return {"step": name, **rounded, "power": power, "too_steep": bool(steep)}


def measure_all(clips: int, only: str = "") -> list[dict[str, Any]]:
    """Rows of all steps at `clips` and ten times as many; `only` is part of a step's name."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        makers = {"": lambda n, folder: dataset_steps(n, folder)}
        for k in CLASSES:
            makers[f", K = {k}"] = lambda n, folder, k=k: evidence_steps(n, k, folder)
        for suffix, make in makers.items():
            found: list[dict[str, tuple[float, float]]] = []
            for size in (clips, clips * TIMES):
                folder = Path(place) / str(size)
                folder.mkdir(exist_ok=True)
                steps = {name + suffix: step for name, step in make(size, folder).items()}
                found.append({n: measure(step) for n, step in steps.items() if only in n})
            small, large = found
            rows += [growth_of(name, small[name], large[name]) for name in small]
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep; 1 if a step grows too steeply."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=CLIPS, help="of the smaller size")
    parser.add_argument("--only", default="", help="part of the names of the steps to measure")
    parser.add_argument("--out", type=Path, help="default: results/trust in the project")
    chosen = parser.parse_args(arguments)
    rows = measure_all(chosen.clips, chosen.only)
    for row in rows:
        print(row["step"], row["seconds"], row["megabytes"], row["power"], row["too_steep"])
    sizes = [chosen.clips, chosen.clips * TIMES]
    if not chosen.only:
        record = {"clips": sizes, "clips_of_a_person": CLIPS_EACH, "steep": STEEP, "steps": rows}
        path = (chosen.out or (project_root() or Path()) / "results" / "trust") / RECORD
        write_json(path, {**record, "provenance": provenance()})
    return int(any(row["too_steep"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
