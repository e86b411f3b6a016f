"""Tables of the benchmark, from stored predictions alone: accuracy, ranks, curves, stress.

Values are in per cent. A row is `at chance` on a dataset where the interval of its accuracy does
not lie above the share of the commonest class of the test clips; such a row is shown and not
ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dferlib.evidence.intervals import subject_interval
from dferlib.evidence.metrics import choose
from dferlib.evidence.ranking import FEWEST_BLOCKS, FEWEST_MODELS, Ranking, rank_models
from dferlib.evidence.runs import load_runs, results_folder
from dferlib.evidence.tables import Evidence
from dferlib.protocols import Paper
from dferlib.protocols.benchmark import CLASSES, PAPER, ROWS

CORRUPTIONS, TRANSFER = "corruptions", "transfer"  # folders below that of a dataset
CLEAN = "clean"
NOTEBOOK = "notebooks/90_benchmark.ipynb"
ACCURACY = ["dataset", "row", "label", "war", "low", "high", "uar", "n", "seeds", "chance"]
ACCURACY += ["at_chance"]
CURVE = ["dataset", "row", "share", "war", "low", "high", "n"]
MOVED = ["row", "trained_on", "tested_on", "classes", "war", "low", "high", "own", "gap", "n"]
SPOILT = ["dataset", "row", "corruption", "grade", "war", "low", "high", "n"]


def label_of(row: str) -> str:
    """The name of a row in tables and figures."""
    return ROWS[row][0]


def command(preset: str, dataset: str, row: str = "", options: str = "") -> str:
    """Return what to type to fill a cell: this notebook on one dataset, for one row or all."""
    text = f"papermill {NOTEBOOK} out.ipynb -p preset {preset} -p dataset {dataset}"
    text += f" -p variants {row}" if row else ""
    return f"{text} {options}" if options else text


def score(rows: pd.DataFrame, classes: Sequence[str], metric: str = "war") -> dict[str, Any]:
    """WAR (or UAR) of predictions in per cent, its interval over subjects, and clips tested.

    Keys are the metric's name, low, high and n. One subject has no interval: NaN at both ends.
    """
    last = choose(rows, "last")
    n = last["clip_id"].nunique()
    if last["subject"].nunique() < 2:
        right = (last["y_true"] == last["y_pred"]).mean()
        return {metric: 100 * right, "low": np.nan, "high": np.nan, "n": n}
    found = subject_interval(rows, classes, metric)
    value, low, high = (100 * x for x in (found.value, found.low, found.high))
    return {metric: value, "low": low, "high": high, "n": n}


def accuracy_table(evidence: Evidence) -> pd.DataFrame:
    """One row for each dataset and row of the benchmark that was run; see the module.

    Columns dataset, row, label, war, low, high (95 % over subjects), uar, n (clips), seeds, chance
    (share of the commonest class) and at_chance.
    """
    found = []
    for dataset, predictions in evidence.items():
        classes = classes_of(predictions, dataset)
        for row in ROWS:
            rows = predictions[predictions["variant"] == row]
            if rows.empty:
                continue
            entry = {"dataset": dataset, "row": row, "label": label_of(row)}
            entry |= score(rows, classes)
            entry["uar"] = score(rows, classes, "uar")["uar"]
            entry["seeds"] = rows["seed"].nunique()
            clips = choose(rows, "last").drop_duplicates("clip_id")
            entry["chance"] = 100 * clips["y_true"].value_counts(normalize=True).max()
            entry["at_chance"] = not entry["low"] > entry["chance"]
            found.append(entry)
    return pd.DataFrame(found, columns=ACCURACY)


def missing_table(evidence: Evidence, preset: str, options: str = "") -> pd.DataFrame:
    """Cells of all rows and datasets that nobody has run, each with its command.

    A dataset of which no row was run is one cell. Columns dataset, row, command.
    """
    found = []
    for dataset in CLASSES:
        there = set(evidence[dataset]["variant"]) if dataset in evidence else set()
        missing = [row for row in ROWS if row not in there]
        if len(missing) == len(ROWS):
            found.append((dataset, "all", command(preset, dataset, "", options)))
        else:
            found += [(dataset, row, command(preset, dataset, row, options)) for row in missing]
    return pd.DataFrame(found, columns=["dataset", "row", "command"])


def missing_tests(scores: pd.DataFrame, table: pd.DataFrame, preset: str, options: str = ""):
    """Cells that a table of tests lacks of the rows that are trained, each with its command.

    `scores` is that of `accuracy_table`, `table` that of `transfer_table`, `corruption_table` or
    `curve_table`. Columns dataset (two of them for a transfer), row, command.
    """
    trained = [(row, list(part["dataset"])) for row, part in scores.groupby("row", sort=False)]
    if "trained_on" in table:
        there = set(zip(table["row"], table["trained_on"], table["tested_on"], strict=True))
        pairs = [(row, pair) for row, names in trained for pair in combinations(names, 2)]
        cells = [
            (",".join(pair), row)
            for row, pair in pairs
            if not {(row, *pair), (row, *pair[::-1])} <= there
        ]
    else:
        there = set(zip(table["dataset"], table["row"], strict=True))
        cells = [
            (name, row) for row, names in trained for name in names if (name, row) not in there
        ]
    found = [(*cell, command(preset, *cell, options)) for cell in cells]
    return pd.DataFrame(found, columns=["dataset", "row", "command"])


def ranking_of(table: pd.DataFrame) -> tuple[Ranking | None, str]:
    """Rank rows over datasets by accuracy, and say what is left out or why there is no rank.

    A row that is at chance somewhere is left out, and so is a dataset that lacks a row which others
    have. `table` is that of `accuracy_table`.
    """
    chance = dict.fromkeys(table.loc[table["at_chance"].astype(bool), "label"])
    kept = table[~table["label"].isin(chance)]
    scores = kept.pivot(index="dataset", columns="label", values="war")
    whole = scores.dropna()
    said = [f"At chance on a dataset and not ranked: {', '.join(chance)}."] if chance else []
    if len(whole) < len(scores):
        left = ", ".join(scores.index.difference(whole.index))
        said.append(f"Left out, because not all rows were run there: {left}.")
    if whole.shape[0] < FEWEST_BLOCKS or whole.shape[1] < FEWEST_MODELS:
        said.append(
            f"No ranking: {whole.shape[1]} rows are above chance on {whole.shape[0]} complete "
            f"datasets; it needs at least {FEWEST_MODELS} rows on {FEWEST_BLOCKS} datasets."
        )
        return None, " ".join(said)
    return rank_models(whole[[x for x in dict.fromkeys(table["label"]) if x in whole]]), " ".join(
        said
    )


def stored_runs(kind: str, source: str, preset: str, results_dir: str | Path, ids: set[str]):
    """Stored tests of one kind (CORRUPTIONS or TRANSFER) of the models with these run ids.

    Yields (record, predictions); what an earlier model left behind is passed over.
    """
    for dataset in CLASSES:
        folder = results_folder(PAPER.slug, dataset, source, preset, results_dir) / kind
        runs = load_runs(folder)
        for record in runs.records.to_dict("records"):
            if record.get("of") in ids:
                yield record, runs.predictions[runs.predictions["run_id"] == record["run_id"]]


def classes_of(predictions: pd.DataFrame, dataset: str) -> tuple[str, ...]:
    """Class names of a dataset; of one's own clips, their numbers as text."""
    count = sum(name.startswith("p_") for name in predictions)
    return CLASSES.get(dataset) or tuple(map(str, range(count)))


def curve_table(evidence: Evidence, curves: Evidence) -> pd.DataFrame:
    """Accuracy by share of the training subjects, of the seeds and folds that the parts have.

    `curves` holds the predictions with parts of the subjects, `share` (0 to 1) a column of them.
    Columns dataset, row, share (per cent), war, low, high, n.
    """
    found = []
    for dataset, parts in curves.items():
        whole = evidence[dataset].assign(share=1.0, row=evidence[dataset]["variant"])
        rows = pd.concat([parts, whole[whole["row"].isin(parts["row"])]])
        rows = rows[rows["seed"].isin(parts["seed"]) & rows["fold"].isin(parts["fold"])]
        for (row, share), part in rows.groupby(["row", "share"], sort=True):
            entry = {"dataset": dataset, "row": row, "share": 100 * share}
            found.append(entry | score(part, classes_of(part, dataset)))
    return pd.DataFrame(found, columns=CURVE)


def stored_curves(paper: Paper, evidence: Evidence, folders: Mapping[str, Path]) -> Evidence:
    """Stored predictions of trainings on parts of the subjects, with columns row and share.

    Of a dataset only runs whose settings are those of its whole rows today, but for share and
    passes. `folders` maps datasets to where their runs lie.
    """
    found = {}
    for dataset, folder in folders.items():
        runs = load_runs(folder)
        if not len(runs) or dataset not in evidence:
            continue
        current = set(evidence[dataset]["run_id"])
        records = {r["run_id"]: r for r in runs.records.to_dict("records")}
        whole = [r for name, r in records.items() if name in current and r["variant"] in ROWS]
        keys = {_curve_key(paper, record) for record in whole}
        parts = [
            runs.predictions[runs.predictions["run_id"] == name].assign(
                share=record["protocol"]["share"], row=record["variant"].split(", ")[0]
            )
            for name, record in records.items()
            if record["protocol"]["share"] < 1 and _curve_key(paper, record) in keys
        ]
        if parts:
            found[dataset] = pd.concat(parts, ignore_index=True)
    return found


def _curve_key(paper: Paper, record: Mapping[str, Any]) -> tuple:
    """What a training on a part has in common with the whole one."""
    key = paper.restore(record["protocol"]).override(share=1.0, passes=1).key()
    common = record["manifest_hash"], record["fingerprint"], record["seed"], record["fold"]
    return (repr(sorted(key.items())), *common)


def transfer_label(row: str, trained_on: str) -> str:
    """The variant of a test on another dataset."""
    return f"{row}, from {trained_on}"


def transfer_table(evidence: Evidence, tests) -> pd.DataFrame:
    """Accuracy on other datasets' test clips, beside that of the model that was trained there.

    `tests` are (record, predictions) of `stored_runs`. `own` is the accuracy of the row trained on
    the tested dataset, on the same clips, choosing among the same classes; `gap` is what is lost.
    Seeds are pooled. Columns row, trained_on, tested_on, classes (how many are shared), war, low,
    high, own, gap, n.
    """
    parts: dict[tuple, list[pd.DataFrame]] = {}
    for record, rows in tests:
        row = record["variant"].split(", ")[0]
        key = row, record["trained_on"], record["dataset"], tuple(record["classes"])
        parts.setdefault(key, []).append(rows)
    found = []
    for (row, source, target, classes), tables in parts.items():
        rows = pd.concat(tables, ignore_index=True)
        entry = {"row": row, "trained_on": source, "tested_on": target, "classes": len(classes)}
        entry |= score(rows, classes)
        entry["own"] = _own_share(evidence.get(target), target, row, classes, rows)
        entry["gap"] = entry["own"] - entry["war"]
        found.append(entry)
    return pd.DataFrame(found, columns=MOVED)


def _own_share(
    home: pd.DataFrame | None, dataset: str, row: str, classes: Sequence[str], rows: pd.DataFrame
) -> float:
    """Accuracy in per cent of the row trained at home, on the clips of `rows`; NaN without one."""
    if home is None:
        return float("nan")
    own = home[(home["variant"] == row) & home["clip_id"].isin(rows["clip_id"])]
    own = own[own["select"] == "last"]
    if own.empty:
        return float("nan")
    there = classes_of(home, dataset)
    places = [there.index(name) for name in classes]
    chosen = own[[f"p_{k}" for k in places]].to_numpy().argmax(1)
    return 100 * float((np.array(places)[chosen] == own["y_true"]).mean())


def spoilt_id(clip: str, corruption: str, grade: int) -> str:
    """The clip_id of a spoilt clip."""
    return f"{clip}@{corruption}-{grade}"


def corruption_table(tests) -> pd.DataFrame:
    """Accuracy under every corruption and grade; `tests` are (record, predictions), seeds pooled.

    Grade 0 of each corruption is the clean clip. Columns dataset, row, corruption, grade, war, low,
    high, n.
    """
    parts = []
    for record, rows in tests:
        names = rows["clip_id"].str.extract(r"^(?P<clip>.*)@(?P<corruption>[a-z]+)-(?P<grade>\d)$")
        row = record["variant"].split(", ")[0]
        parts.append(rows.assign(row=row, **names).astype({"grade": int}))
    if not parts:
        return pd.DataFrame(columns=SPOILT)
    stacked = pd.concat(parts, ignore_index=True).assign(clip_id=lambda t: t["clip"])
    keys = ["dataset", "row", "corruption", "grade"]
    found = []
    for key, rows in stacked.groupby(keys, sort=False):
        entry = dict(zip(keys, key, strict=True))
        found.append(entry | score(rows, classes_of(rows.dropna(axis=1), key[0])))
    table = pd.DataFrame(found, columns=SPOILT)
    clean = table[table["corruption"] == CLEAN]
    kinds = [name for name in table["corruption"].unique() if name != CLEAN]
    copies = [clean.assign(corruption=name) for name in kinds]
    return pd.concat([*copies, table[table["corruption"] != CLEAN]], ignore_index=True)
