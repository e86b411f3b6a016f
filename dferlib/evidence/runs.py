"""Runs on disk: identifiers, saving, and reading back.

A run is one training. It leaves two files in its results folder, and everything shown anywhere is a
function of them:

    results/<slug>/<dataset>-<source>-<preset>/
        predictions/<run_id>.csv.gz   one row per test clip and selection rule
        runs/<run_id>.json            the record: what was run, its history, where and how
        history.csv  metrics.csv      aggregates, remade from the run files after every run

A run counts as finished when its record exists, because the record is written after the predictions
and both appear in one step. The aggregates hold nothing of their own, so two processes writing to
one folder cannot corrupt it. This module imports no torch: tables and figures are remade on a
laptop from the results folder alone.
"""

import dataclasses
import gzip
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from platformdirs import user_data_path

from dferlib.evidence.damage import DamagedFileError, read_record
from dferlib.evidence.provenance import provenance
from dferlib.files import digest, project_root, seal, write_csv, write_json
from dferlib.names import SELECTION_RULES

PREDICTION_COLUMNS = ("clip_id", "subject", "fold", "select", "y_true", "y_pred")
IDENTITY = ("run_id", "paper", "dataset", "source", "preset", "variant", "fold", "seed")
REQUIRED = (*IDENTITY, "classes", "protocol", "manifest_hash", "fingerprint", "history")
# of a record that is read again: what its readers take for granted
_KINDS = dict.fromkeys(REQUIRED, str) | dict.fromkeys(("fold", "seed"), int)
_KINDS |= dict.fromkeys(("classes", "history", "metrics"), list) | {"protocol": dict}
METRIC_COLUMNS = (*IDENTITY, "select", "n", "war", "uar")
LOCK_NAME = ".lock"
LOCK_SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class Run:
    """One finished run: its record and its predictions."""

    record: dict[str, Any]
    predictions: pd.DataFrame

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch."""
        return pd.DataFrame(self.record["history"])


@dataclasses.dataclass(frozen=True)
class Runs:
    """All finished runs of a folder as tidy tables; every row names its run."""

    records: pd.DataFrame
    predictions: pd.DataFrame
    history: pd.DataFrame

    def __len__(self) -> int:
        return len(self.records)


def run_id(variant: str, fold: int, seed: int, key: Any) -> str:
    """Name a run, `stcam-f01-s0-<12 hex>`: readable, and unique by what defines its number.

    `key` is any JSON-like object. Characters that do not belong into file names
    become dashes.
    """
    readable = re.sub(r"[^a-z0-9.+_]+", "-", variant.lower()).strip("-.") or "run"
    return (
        f"{readable}-f{int(fold):02d}-s{int(seed)}-{digest([key, variant, int(fold), int(seed)])}"
    )


def results_root(source: str, preset: str = "", results_dir: str | Path = "") -> Path:
    """Choose the folder of all results: the one rule, for notebooks, commands and sweeps.

    1. `results_dir` where it is given; a relative one lies in the checkout (without a checkout in
       the working folder), wherever a notebook is opened.
    2. `out/results` for preset smoke, whose numbers mean nothing.
    3. `results-private` for real data, which git ignores: clip lists and labels are part of gated
       datasets.
    4. `results` otherwise.

    2 to 4 lie in the checkout, without one in the user's data folder. Nothing is created.
    """
    checkout = project_root()
    if str(results_dir):
        return ((checkout or Path()) / Path(results_dir).expanduser()).resolve()
    base = checkout or user_data_path("dferlib", appauthor=False)
    if preset == "smoke":
        return base / "out" / "results"
    return base / ("results-private" if source == "real" else "results")


def results_folder(
    slug: str, dataset: str, source: str, preset: str, results_dir: str | Path = ""
) -> Path:
    """Choose the folder of a set of runs, `<results_root>/<slug>/<dataset>-<source>-<preset>`.

    Nothing is created. Raises ValueError for an unknown source and for real data that would land
    in the checkout's public results.
    """
    if source not in ("real", "synthetic"):
        raise ValueError(f"source is {source!r}, allowed here are 'real' and 'synthetic'")
    root = results_root(source, preset, results_dir)
    folder = root / slug / f"{dataset}-{source}-{preset}"
    if source == "real":
        _refuse_public(folder)
    return folder


def _refuse_public(folder: Path) -> None:
    root = project_root()
    if root and folder.resolve().is_relative_to(root / "results"):
        raise ValueError(
            f"results_dir would put runs on real data into {root / 'results'}, which git tracks: "
            "clip lists and labels are part of the gated dataset. Leave results_dir empty "
            "(results-private is used then) or choose another folder"
        )


def save_run(folder: str | Path, record: Mapping[str, Any], predictions: pd.DataFrame) -> Path:
    """Keep a finished run and return the path of its record.

    Predictions are written first, then the record, then the folder's aggregates are remade.

    `record` holds at least the names in `REQUIRED`; `predictions` the columns `PREDICTION_COLUMNS`
    and one probability column p_0, p_1, ... per class. Accuracy and recall per selection rule are
    added to the record. Raises ValueError naming what is missing or wrong before anything is
    written, and OSError naming the path when writing fails.
    """
    folder = Path(folder)
    _check_record(record)
    classes = tuple(record["classes"])
    _check_predictions(predictions, len(classes))
    if record["source"] == "real":
        _refuse_public(folder)
    path, table = _run_paths(folder, record["run_id"])
    write_csv(table, predictions)
    checksum = hashlib.sha256(table.read_bytes()).hexdigest()
    metrics = metrics_of(predictions, len(classes))
    kept = {**record, "metrics": metrics, "predictions_sha256": checksum}
    write_json(path, seal(kept if "provenance" in record else {**kept, "provenance": provenance()}))
    remake_aggregates(folder)
    return path


def load_run(folder: str | Path, run_id: str) -> Run | None:
    """Read one run, or None if it is not finished.

    Raises ValueError naming the file if it is damaged.
    """
    path, table = _run_paths(Path(folder), run_id)
    if not path.exists():
        return None
    record = _read_record(path)
    if not table.exists():
        raise _damaged(table, "is missing though the run's record is there", path)
    data = table.read_bytes()
    if hashlib.sha256(data).hexdigest() != record.get("predictions_sha256"):
        raise _damaged(table, "does not have the checksum its record states", path)
    with gzip.open(io.BytesIO(data)) as file:
        predictions = pd.read_csv(
            file, dtype={"clip_id": str, "subject": str}, keep_default_na=False
        )
    return Run(record, predictions)


def load_runs(folder: str | Path) -> Runs:
    """Read all finished runs of a folder, in the order of their names.

    Without any, the tables are empty and have their columns.

    The predictions and the history carry the columns of `IDENTITY`. A damaged run raises ValueError
    naming the file.
    """
    folder = Path(folder)
    runs = [load_run(folder, path.stem) for path in sorted((folder / "runs").glob("*.json"))]
    runs = [run for run in runs if run is not None]
    if not runs:
        predictions = [*IDENTITY, *(name for name in PREDICTION_COLUMNS if name != "fold")]
        empty = (list(IDENTITY), predictions, [*IDENTITY, "epoch"])
        return Runs(*(pd.DataFrame(columns=columns) for columns in empty))
    records = pd.DataFrame(
        [{k: v for k, v in run.record.items() if k != "history"} for run in runs]
    )
    predictions = pd.concat([_named_rows(run.record, run.predictions) for run in runs])
    history = pd.concat([_named_rows(run.record, run.history) for run in runs])
    return Runs(records, predictions.reset_index(drop=True), history.reset_index(drop=True))


def remake_aggregates(folder: str | Path) -> None:
    """Write history.csv and metrics.csv of a folder anew from its run records, under a lock.

    Only one process at a time does this and every one reads all records, so the last to finish
    leaves them complete.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK_NAME, timeout=LOCK_SECONDS):
        records = [_read_record(path) for path in sorted((folder / "runs").glob("*.json"))]
        for name, table in aggregates(records).items():
            write_csv(folder / name, table)


def aggregates(records: Sequence[Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """The tables history.csv and metrics.csv that these records give, by file name."""
    history = [_named_rows(r, pd.DataFrame(r["history"])) for r in records if r["history"]]
    metrics = [_named_rows(r, pd.DataFrame(r["metrics"])) for r in records]
    columns = {"history.csv": [*IDENTITY, "epoch"], "metrics.csv": list(METRIC_COLUMNS)}
    return {
        name: pd.concat(tables) if tables else pd.DataFrame(columns=columns[name])
        for name, tables in (("history.csv", history), ("metrics.csv", metrics))
    }


def _run_paths(folder: Path, run_id: str) -> tuple[Path, Path]:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+_-]*", run_id):
        raise ValueError(f"run_id is {run_id!r}: make one with run_id(variant, fold, seed, key)")
    return folder / "runs" / f"{run_id}.json", folder / "predictions" / f"{run_id}.csv.gz"


def _read_record(path: Path) -> dict[str, Any]:
    record = read_record(path, _KINDS, _way_out(path))
    if record["run_id"] != path.stem:
        raise _damaged(path, "is not the record of the run it is named after", path, "run_id")
    return record


def _damaged(path: Path, what: str, record: Path, key: str = "") -> DamagedFileError:
    return DamagedFileError(path, what, _way_out(record), key)


def _way_out(record: Path) -> str:
    return f"Delete {record} and start the notebook again: the run is then made anew"


def _named_rows(record: Mapping[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    # A clip's own fold is the run's fold, so the run's columns stand in front and nothing stands
    # twice.
    front = pd.DataFrame({name: [record[name]] * len(rows) for name in IDENTITY}, index=rows.index)
    return pd.concat([front, rows.drop(columns=[c for c in IDENTITY if c in rows])], axis=1)


def _check_record(record: Mapping[str, Any]) -> None:
    missing = [name for name in REQUIRED if name not in record]
    if missing:
        raise ValueError(f"the record lacks {', '.join(missing)}; it needs {', '.join(REQUIRED)}")
    if record["source"] not in ("real", "synthetic"):
        raise ValueError(f"source is {record['source']!r}, allowed are 'real' and 'synthetic'")


def _check_predictions(predictions: pd.DataFrame, num_classes: int) -> None:
    probabilities = [f"p_{index}" for index in range(num_classes)]
    wanted = [*PREDICTION_COLUMNS, *probabilities]
    if sorted(predictions.columns) != sorted(wanted):
        raise ValueError(f"predictions have columns {list(predictions.columns)}, not {wanted}")
    if predictions.empty:
        raise ValueError("predictions are empty: a run must predict at least one clip")
    unknown = sorted(set(predictions["select"]) - set(SELECTION_RULES))
    if unknown:
        raise ValueError(f"select is {unknown}, allowed are {list(SELECTION_RULES)}")
    for name in ("y_true", "y_pred"):
        bad = predictions.loc[~predictions[name].isin(range(num_classes)), name]
        if len(bad):
            raise ValueError(f"{name} is {bad.iloc[0]!r}, allowed are 0 to {num_classes - 1}")
    if not np.isfinite(predictions[probabilities].to_numpy(dtype=float)).all():
        raise ValueError(
            "predictions hold probabilities that are not finite: the training diverged"
        )
    double = predictions.duplicated(["clip_id", "select"])
    if double.any():
        raise ValueError(f"clip {predictions.loc[double, 'clip_id'].iloc[0]!r} is predicted twice")


def metrics_of(predictions: pd.DataFrame, num_classes: int) -> list[dict[str, Any]]:
    """Clips, WAR and UAR of a run's predictions, a row per selection rule."""
    from dferlib.evidence.metrics import uar, war

    rows = []
    for rule, part in predictions.groupby("select", sort=True):
        true, predicted = part["y_true"], part["y_pred"]
        scores = {"war": war(true, predicted), "uar": uar(true, predicted, num_classes)}
        rows.append({"select": rule, "n": len(part)} | scores)
    return rows
