"""Published-versus-ours tables, remade from predictions and published numbers alone.

``Evidence`` maps a dataset to the predictions of the finished runs on it; a dataset nobody has run
is absent, and its cells say so together with the command that fills them. All values are in per
cent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dferlib.evidence.checks import check_one_set
from dferlib.evidence.runs import IDENTITY, Run, load_runs, results_folder
from dferlib.evidence.scoring import RECALL, metric_name, score_metrics
from dferlib.files import digest
from dferlib.names import OWN_CLIPS
from dferlib.protocols import Paper, Reported
from dferlib.protocols.paper import Extent

Evidence = Mapping[str, pd.DataFrame]

NOT_RUN, PUBLISHED_ONLY = "not run", "published only"
TABLE_COLUMNS = ["dataset", "row", "metric", "unit", "published", "ours", "ci_low", "ci_high"]
TABLE_COLUMNS += ["uar", "n", "status"]


def tidy(runs: Iterable[Run]) -> pd.DataFrame:
    """Stack the predictions of runs; every row names its variant, seed and the rest of its run."""
    tables = []
    for run in runs:
        identity = {name: run.record[name] for name in IDENTITY if name != "fold"}
        tables.append(run.predictions.assign(**identity))
    return pd.concat(tables, ignore_index=True)


def load_evidence(
    paper: Paper,
    source: str,
    preset: str,
    results_dir: str | Path = "",
    init: str = "paper",
) -> dict[str, pd.DataFrame]:
    """Predictions of every dataset of the paper that has finished runs at this source and preset.

    Only runs with the settings that the preset has today count, from `init` where that is asked
    for: what an older version of a preset left is no neighbour of what this one makes. Rows with
    settings of their own, which say so in their name, stay unless their clips are others. Where a
    variant, fold and seed was run more than once (the code changed in between), the newest counts.
    PredictionsError where runs of one dataset differ in their classes or their manifest.
    """
    evidence = {}
    for dataset in paper.datasets:
        runs = load_runs(results_folder(paper.slug, dataset, source, preset, results_dir))
        if not len(runs):
            continue
        records = runs.records
        made = records["provenance"].map(lambda entry: entry["time_utc"])
        current = [
            _is_current(paper, preset, dataset, variant, settings, init)
            for variant, settings in zip(records["variant"], records["protocol"], strict=True)
        ]
        newest = records.assign(made=made)[current].sort_values("made")
        newest = newest.drop_duplicates(["variant", "fold", "seed"], keep="last")
        whole = newest[~newest["variant"].str.contains(", ")]
        check_one_set(whole.to_dict("records"), f"runs of {paper.slug} on {dataset} ({preset})")
        if len(whole):
            newest = newest[newest["manifest_hash"] == whole["manifest_hash"].iloc[0]]
        found = runs.predictions[runs.predictions["run_id"].isin(newest["run_id"])]
        if len(found):
            evidence[dataset] = found
    return evidence


def digest_runs(evidence: Evidence) -> dict[str, str]:
    """Return for each dataset a hash of the runs of the paper's rows that are in the evidence.

    An executed notebook keeps it, so that one that shows other runs than are stored is found. Rows
    with settings of their own, whose name has a comma, do not count.
    """
    return {
        name: digest(sorted(set(rows["run_id"][~rows["variant"].str.contains(", ")])))
        for name, rows in evidence.items()
    }


def _is_current(
    paper: Paper, preset: str, dataset: str, variant: str, settings: Mapping[str, Any], init: str
) -> bool:
    """Whether a stored run has the settings that its row has today at this preset."""
    if variant not in paper.variants:
        return True
    extent = Extent(settings.get("clips", 0))
    today = paper.resolve(preset, dataset, variant, extent)
    changed = {"precision": settings["precision"]}  # the device's
    changed |= {} if init == "paper" else {"init": init}
    try:
        return today.override(**changed).key() == paper.restore(settings).key()
    except ValueError:  # a setting that is there no more
        return False


def command(paper: Paper, dataset: str, variant: str = "", options: str = "") -> str:
    """The command that runs the paper's notebook on a dataset, or one more row of it.

    `options` are the further ones of the run beside which the row is to stand, such as
    "-p preset quick -p source synthetic".
    """
    text = f"papermill notebooks/{paper.slug}.ipynb out.ipynb -p dataset {dataset}"
    text += f" {options}" if options else ""
    text += " -p data_root FOLDER" if dataset == OWN_CLIPS else ""
    return f"{text} -p variants {variant}" if variant else text


def published_beside_ours(
    paper: Paper,
    table: int,
    evidence: Evidence,
    *,
    dataset: str | None = None,
    select: str = "last",
    metric: str | None = None,
    options: str = "",
) -> pd.DataFrame:
    """The cells of one of the paper's tables with our value, its 95 % interval, n and status.

    One row per row of the table and metric, in the order of the paper; ``metric`` ("WAR", "UAR",
    "F1" or "recall <class>", see ``scoring``) keeps that one alone. Cells that predictions cannot
    fill, such as parameters, are left out. Values of ours are in the unit of the published cell,
    ``uar`` is in per cent. Status is ``run``; ``published only`` for other people's methods, with
    the reason where the authors' own cannot be run; or ``not run`` with the command, which holds
    ``options`` (see ``command``). One's own clips in ``evidence`` follow, with nothing published.
    Raises ValueError for a metric that the table does not have.
    """
    variant_of = {v.rows[table]: slug for slug, v in paper.variants.items() if table in v.rows}
    printed = () if dataset and dataset not in paper.datasets else paper.reported(table, dataset)
    cells = [*printed, *own_cells(paper, table, evidence, dataset)]
    cells = [(cell, variant_of.get(cell.row)) for cell in cells if metric_name(cell.metric)]
    names = tuple(dict.fromkeys(metric_name(cell.metric) for cell, _ in cells))
    if metric is not None and metric not in names:
        raise ValueError(f"metric is {metric!r}; Table {table} has: {', '.join(names) or 'none'}")
    chosen = [pair for pair in cells if metric in (None, metric_name(pair[0].metric))]
    return cells_beside_ours(paper, chosen, evidence, select=select, options=options)


def cells_beside_ours(
    paper: Paper,
    cells: Iterable[tuple[Reported, str | None]],
    evidence: Evidence,
    *,
    select: str = "last",
    options: str = "",
) -> pd.DataFrame:
    """Any published cells, those of a figure for instance, with the variant that each belongs to.

    The variant is a name in the predictions, or None where nothing of ours belongs to a cell.
    Returns the table that ``published_beside_ours`` does.
    """
    cells = list(cells)
    scored: dict[str, pd.DataFrame] = {}
    rows = []
    for cell, variant in cells:
        if cell.dataset in evidence and cell.dataset not in scored:
            classes = classes_of(paper, cell.dataset, evidence[cell.dataset])
            names = [metric_name(c.metric) for c, _ in cells if c.dataset == cell.dataset]
            wanted = dict.fromkeys((*names, "UAR"))
            scored[cell.dataset] = score_metrics(evidence[cell.dataset], classes, wanted, select)
        name = metric_name(cell.metric)
        row = {"dataset": cell.dataset, "row": cell.row, "metric": name, "unit": cell.unit}
        reason = paper.not_run.get(cell.row, "")
        status = f"{PUBLISHED_ONLY}, cannot be run: {reason}" if reason else PUBLISHED_ONLY
        row |= {"published": cell.value, "status": status}
        if variant is not None:
            row |= _own(paper, variant, name, cell, scored.get(cell.dataset), options)
        rows.append(row)
    result = pd.DataFrame(rows, columns=TABLE_COLUMNS)
    numbers = ["published", "ours", "ci_low", "ci_high", "uar"]
    result[numbers] = result[numbers].astype(float)
    return result.astype({"n": "Int64"})


def _own(
    paper: Paper,
    variant: str,
    name: str,
    cell: Reported,
    scored: pd.DataFrame | None,
    options: str,
) -> dict:
    """What a row that can be run has to show, or how to run it."""
    if scored is None:
        return {"status": f"{NOT_RUN}: {command(paper, cell.dataset, options=options)}"}
    if (variant, name) not in scored.index:
        row = variant if variant in paper.variants else ""
        return {"status": f"{NOT_RUN}: {command(paper, cell.dataset, row, options)}"}
    own, scale = scored.loc[(variant, name)], 100 if cell.unit == "%" else 1
    values = {"ours": own["value"], "ci_low": own["low"], "ci_high": own["high"]}
    values = {key: scale * value for key, value in values.items()}
    uar = 100 * scored.loc[(variant, "UAR"), "value"]
    return {**values, "uar": uar, "n": int(own["n"]), "status": "run"}


def widen(table: pd.DataFrame, *, intervals: bool = False) -> pd.DataFrame:
    """A table of ``published_beside_ours`` as the paper prints it: a row per row, metrics across.

    Index (dataset, row); columns (metric, published) and (metric, ours), with ``intervals`` also
    (metric, 95 % low) and (metric, 95 % high), then ("", n) and ("", status).
    """
    names = {"published": "published", "ours": "ours"}
    names |= {"ci_low": "95 % low", "ci_high": "95 % high"} if intervals else {}
    key = ["dataset", "row"]
    order = pd.MultiIndex.from_frame(table[key].drop_duplicates())
    metrics_there = list(dict.fromkeys(table["metric"]))
    wide = table.rename(columns=names).pivot(index=key, columns="metric", values=[*names.values()])
    wide = wide.swaplevel(axis=1).reindex(order)
    wide = wide[[(metric, name) for metric in metrics_there for name in names.values()]]
    rows = table.groupby(key, sort=False).agg(n=("n", "max"), status=("status", "first"))
    wide[("", "n")], wide[("", "status")] = rows["n"], rows["status"]
    return wide


def describe_datasets(
    paper: Paper, manifests: Mapping[str, pd.DataFrame], options: str = ""
) -> pd.DataFrame:
    """Table 1: subjects and sequences as published and as counted in the manifests at hand.

    The commands for datasets that are not at hand hold `options`; see `command`.
    """
    rows = []
    for dataset in dict.fromkeys((*paper.datasets, *manifests)):
        cells = paper.reported(1, dataset) if dataset in paper.datasets else ()
        published = {cell.metric: cell.value for cell in cells}
        row = {"dataset": dataset, **{f"{k} (published)": v for k, v in published.items()}}
        if dataset in manifests:
            clips = manifests[dataset]
            row["source"] = ", ".join(sorted(clips["source"].unique()))
            row |= {"subjects": clips["subject"].nunique(), "sequences": len(clips)}
            row |= {"frames": int(clips["n_frames"].sum()), "status": "at hand"}
        else:
            row["status"] = f"{NOT_RUN}: {command(paper, dataset, options=options)}"
        rows.append(row)
    table = pd.DataFrame(rows)
    counts = [name for name in ("subjects", "sequences", "frames") if name in table]
    table = table.astype(dict.fromkeys(counts, "Int64"))
    return table[[*table.columns.drop("status"), "status"]]


def read_table(table: pd.DataFrame) -> str:
    """Say in a sentence or two what a table of ``published_beside_ours`` shows: of its WAR, or of
    its first metric where it has none.
    """
    names = list(dict.fromkeys(table["metric"]))
    metric = "WAR" if "WAR" in names else next(iter(names), "")
    own = table[table["ours"].notna() & (table["metric"] == metric)]
    if own.empty:
        return "Nothing of this table was run yet."
    best = own.loc[own["ours"].idxmax()]
    overlap = own[(own["ci_high"] >= best["ci_low"]) & (own["row"] != best["row"])]
    text = (
        f"Highest {metric} here: **{best['row']}** on {best['dataset']} with {best['ours']:.2f} "
        f"[{best['ci_low']:.2f}, {best['ci_high']:.2f}], n = {best['n']}."
    )
    if len(own) > 1:
        text += f" The intervals of {len(overlap)} of the other {len(own) - 1} rows overlap with it"
        text += "; the paired tests under *Statistics* look closer." if len(overlap) else "."
    return text


def own_cells(
    paper: Paper, table: int, evidence: Mapping[str, pd.DataFrame], dataset: str | None = None
) -> list[Reported]:
    """Cells without a value for the datasets in the evidence that the paper does not have.

    One for each row of the table that can be run and each metric; no recall of single classes, as
    one's own clips may have others. `dataset` keeps that one alone.
    """
    measured = dict.fromkeys((cell.metric, cell.unit) for cell in paper.reported(table))
    return [
        Reported(table, name, variant.rows[table], metric, None, unit)
        for name in evidence
        if name not in paper.datasets and dataset in (None, name)
        for variant in paper.variants.values()
        if table in variant.rows
        for metric, unit in measured
        if not metric.startswith(RECALL)
    ]


def classes_of(paper: Paper, dataset: str, predictions: pd.DataFrame) -> tuple[str, ...]:
    """Class names of a dataset of the paper; of one's own clips, their numbers as text."""
    count = sum(name.startswith("p_") for name in predictions)
    return paper.classes.get(dataset) or tuple(map(str, range(count)))


def published_confusion(paper: Paper, dataset: str, classes: tuple[str, ...]) -> np.ndarray:
    """The published confusion matrix of a dataset; all NaN for one that the paper does not have."""
    if dataset in paper.datasets:
        return paper.reported_confusion(dataset)[1]
    return np.full((len(classes), len(classes)), np.nan)
