"""Published-versus-ours tables, remade from predictions and published numbers alone.

``Evidence`` maps a dataset to the predictions of the finished runs on it; a dataset nobody has run
is absent, and its cells say so together with the command that fills them. All values are in per
cent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from pandas.io.formats.style import Styler

from dferlib import metrics, stats
from dferlib.protocols import Protocol
from dferlib.runs import (
    IDENTITY,
    Run,
    load_runs,
    project_root,
    results_folder,
    write_atomic,
    write_csv,
)

Evidence = Mapping[str, pd.DataFrame]

NOT_RUN = "not run"
TABLE_COLUMNS = ["dataset", "row", "published", "ours", "ci_low", "ci_high", "uar", "n", "status"]
SUMMARY_KEY = ["paper", "dataset", "source", "preset"]
SUMMARY_COLUMNS = ["paper", "table", "dataset", "row", "metric", "published", "ours", "ci_low"]
SUMMARY_COLUMNS += ["ci_high", "n", "select", "source", "preset", "status"]


def tidy(runs: Iterable[Run]) -> pd.DataFrame:
    """Stack the predictions of runs; every row names its variant, seed and the rest of its run."""
    tables = []
    for run in runs:
        identity = {name: run.record[name] for name in IDENTITY if name != "fold"}
        tables.append(run.predictions.assign(**identity))
    return pd.concat(tables, ignore_index=True)


def load_evidence(
    paper: Protocol, source: str, preset: str, results_dir: str | Path = ""
) -> dict[str, pd.DataFrame]:
    """Predictions of every dataset of the paper that has finished runs at this source and preset.

    Where a variant, fold and seed was run more than once (the code changed in between), the newest
    counts.
    """
    evidence = {}
    for dataset in paper.datasets:
        runs = load_runs(results_folder(paper.slug, dataset, source, preset, results_dir))
        if len(runs):
            made = runs.records["provenance"].map(lambda entry: entry["time_utc"])
            newest = runs.records.assign(made=made).sort_values("made")
            newest = newest.drop_duplicates(["variant", "fold", "seed"], keep="last")["run_id"]
            evidence[dataset] = runs.predictions[runs.predictions["run_id"].isin(newest)]
    return evidence


def command(paper: Protocol, dataset: str) -> str:
    """The command that runs the paper's notebook on a dataset."""
    return f"papermill notebooks/{paper.slug}.ipynb out.ipynb -p dataset {dataset}"


def score_variants(
    predictions: pd.DataFrame, classes: tuple[str, ...], select: str = "last"
) -> pd.DataFrame:
    """WAR and UAR of each variant, pooled over folds and seeds, with 95 % intervals over subjects.

    Index variant; columns war, war_low, war_high, uar, uar_low, uar_high, n, folds, fold_mean,
    fold_sd.
    """
    rows = {}
    for variant, part in predictions.groupby("variant", sort=False):
        pooled = metrics.score(part, classes, select)
        row = {"n": pooled["n"], "folds": pooled["folds"]}
        for name in ("war", "uar"):
            interval = stats.bootstrap_interval(part, classes, name, select=select)
            row |= {
                name: interval.value,
                f"{name}_low": interval.low,
                f"{name}_high": interval.high,
            }
        row |= {"fold_mean": pooled["war_fold_mean"], "fold_sd": pooled["war_fold_sd"]}
        rows[variant] = row
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("variant")
    shares = [name for name in table if name not in ("n", "folds")]
    table[shares] *= 100
    return table.astype({"n": int, "folds": int})


def published_beside_ours(
    paper: Protocol,
    table: int,
    evidence: Evidence,
    *,
    dataset: str | None = None,
    select: str = "last",
) -> pd.DataFrame:
    """One of the paper's accuracy tables, row by row, with our value, its interval, n and status.

    Status is ``run``; ``published only`` for other people's methods; or ``not run`` with the
    command.
    """
    variant_of = {v.rows[table]: slug for slug, v in paper.variants.items() if table in v.rows}
    rows = []
    for cell in paper.reported(table, dataset):
        row = {"dataset": cell.dataset, "row": cell.row, "published": cell.value}
        scores = _scores(paper, evidence, cell.dataset, select)
        variant = variant_of.get(cell.row)
        if variant is None:
            row["status"] = "published only"
        elif variant not in scores.index:
            row["status"] = f"{NOT_RUN}: {command(paper, cell.dataset)}"
        else:
            own = scores.loc[variant]
            row |= {"ours": own["war"], "ci_low": own["war_low"], "ci_high": own["war_high"]}
            row |= {"uar": own["uar"], "n": int(own["n"]), "status": "run"}
        rows.append(row)
    result = pd.DataFrame(rows, columns=TABLE_COLUMNS)
    numbers = ["published", "ours", "ci_low", "ci_high", "uar"]
    result[numbers] = result[numbers].astype(float)
    return result.astype({"n": "Int64"})


def _scores(paper: Protocol, evidence: Evidence, dataset: str, select: str) -> pd.DataFrame:
    if dataset not in evidence:
        return pd.DataFrame()
    return score_variants(evidence[dataset], paper.classes[dataset], select)


def show(table: pd.DataFrame, source: str) -> Styler:
    """Format a table of ``published_beside_ours`` for a notebook; the header says what ours are."""
    names = {"published": "published (real data)", "ours": f"ours ({source})"}
    names |= {"ci_low": "95 % low", "ci_high": "95 % high", "uar": f"UAR ({source})"}
    numbers = [names[name] for name in ("published", "ours", "ci_low", "ci_high", "uar")]
    style = table.rename(columns=names).style.format("{:.2f}", subset=numbers, na_rep="")
    return style.format("{}", subset=["n"], na_rep="").hide(axis="index")


def describe_datasets(paper: Protocol, manifests: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Table 1: subjects and sequences as published and as counted in the manifests at hand."""
    rows = []
    for dataset in paper.datasets:
        published = {cell.metric: cell.value for cell in paper.reported(1, dataset)}
        row = {"dataset": dataset, **{f"{k} (published)": v for k, v in published.items()}}
        if dataset in manifests:
            clips = manifests[dataset]
            row |= {"subjects": clips["subject"].nunique(), "sequences": len(clips)}
            row |= {"frames": int(clips["n_frames"].sum()), "status": "at hand"}
        else:
            row["status"] = f"{NOT_RUN}: {command(paper, dataset)}"
        rows.append(row)
    table = pd.DataFrame(rows)
    counts = [name for name in ("subjects", "sequences", "frames") if name in table]
    table = table.astype(dict.fromkeys(counts, "Int64"))
    return table[[*table.columns.drop("status"), "status"]]


def confusion_of(
    predictions: pd.DataFrame, classes: tuple[str, ...], variant: str, select: str = "last"
) -> np.ndarray:
    """Row-normalised confusion matrix of a variant, pooled over folds and seeds."""
    rows = metrics.choose(predictions[predictions["variant"] == variant], select)
    return metrics.confusion(rows["y_true"], rows["y_pred"], len(classes), normalise=True)


def roc_of(
    predictions: pd.DataFrame, classes: tuple[str, ...], variant: str, select: str = "last"
) -> pd.DataFrame:
    """ROC curves of a variant as a tidy table: curve, fpr, tpr, auc."""
    rows = metrics.choose(predictions[predictions["variant"] == variant], select)
    curves = metrics.roc(rows["y_true"], metrics.scores_of(rows, len(classes)), classes)
    tables = [
        pd.DataFrame({"curve": name, "fpr": curve.fpr, "tpr": curve.tpr, "auc": curve.auc})
        for name, curve in curves.items()
    ]
    return pd.concat(tables, ignore_index=True)


def selection_gaps(predictions: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """WAR of each variant under each selection rule, and what peeking at the test fold adds to the
    last epoch.
    """
    rules = [
        rule for rule in ("last", "best_val", "best_test") if rule in set(predictions["select"])
    ]
    table = pd.DataFrame(
        {rule: score_variants(predictions, classes, rule)["war"] for rule in rules}
    )
    if "best_test" in table:
        table["oracle gain"] = table["best_test"] - table["last"]
    return table.rename(columns={"best_test": "best_test (oracle)"})


def paired_tests(
    predictions: pd.DataFrame, classes: tuple[str, ...], reference: str, select: str = "last"
) -> pd.DataFrame:
    """Every variant against the reference on the same clips, Holm-corrected; see
    ``stats.compare_variants``.
    """
    by_variant = dict(iter(predictions.groupby("variant", sort=False)))
    table = stats.compare_variants(by_variant, classes, reference=reference, select=select)
    shares = ["war_first", "war_second", "war_difference", "uar_difference", "uar_low", "uar_high"]
    table[shares] *= 100
    return table


def deviations(paper: Protocol, preset: str, dataset: str, variant: str) -> pd.DataFrame:
    """What a preset changes against the paper, with reasons."""
    found = paper.resolve(preset, dataset, variant).deviations()
    return pd.DataFrame(found, columns=["setting", "paper", "here", "why"])


def cost_of_runs(runs: Iterable[Run]) -> pd.DataFrame:
    """What the runs took: per variant the mean seconds, the peak memory and the machine."""
    rows = [
        {
            "variant": run.record["variant"],
            "seconds": run.record["seconds"],
            "peak memory (MB)": run.record["peak_memory_mb"],
            "device": run.record["device"]["name"],
            "precision": run.record["protocol"]["precision"],
            "commit": (run.record["provenance"]["git_commit"] or "")[:10],
        }
        for run in runs
    ]
    groups = pd.DataFrame(rows).groupby(["variant", "device", "precision", "commit"], sort=False)
    table = groups.agg(**{"runs": ("seconds", "size"), "seconds per run": ("seconds", "mean")})
    table["peak memory (MB)"] = groups["peak memory (MB)"].max()
    return table.reset_index()


def update_summary(
    path: Path,
    paper: Protocol,
    evidence: Evidence,
    tables: Iterable[int],
    *,
    dataset: str,
    source: str,
    preset: str,
    select: str,
) -> pd.DataFrame:
    """Replace this paper's rows for one dataset, source and preset in results/summary.csv.

    Cells that a synthetic run fills keep the status ``synthetic, not a reproduction``. Returns the
    new rows.
    """
    key = dict(zip(SUMMARY_KEY, (paper.slug, dataset, source, preset), strict=True))
    cells = []
    for table in tables:
        rows = published_beside_ours(paper, table, evidence, dataset=dataset, select=select)
        cells.append(rows[rows["status"] != "published only"].assign(table=table))
    new = pd.concat(cells, ignore_index=True).assign(metric="WAR (%)", select=select, **key)
    if source == "synthetic":
        new["status"] = new["status"].replace("run", "synthetic, not a reproduction")
    new = new[SUMMARY_COLUMNS].round(2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(".summary.lock"), timeout=120):
        old = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=SUMMARY_COLUMNS)
        same = (old[SUMMARY_KEY] == pd.Series(key)).all(axis=1) if len(old) else []
        kept = old[~same] if len(old) else old
        merged = pd.concat([kept, new], ignore_index=True) if len(kept) else new
        write_csv(path, merged.sort_values([*SUMMARY_KEY, "table"], kind="stable"))
    return new


TABLE_MARKS = ("<!-- results: python -m dferlib.report -->", "<!-- end of results -->")


def markdown_table(summary: pd.DataFrame) -> str:
    """The ablation rows of a summary as a Markdown table, one line per dataset and row."""
    lines = ["| dataset | row | published (real data) | ours (synthetic faces) | n |"]
    lines += ["|---|---|---|---|---|"]
    first = summary.groupby(["paper", "dataset", "preset"])["table"].transform("min")
    for row in summary[(summary["table"] == first) & summary["ours"].notna()].itertuples():
        ours = f"{row.ours:.1f} [{row.ci_low:.1f}, {row.ci_high:.1f}]"
        cells = (row.dataset, row.row, f"{row.published:.2f}", ours, f"{row.n:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def update_readme(readme: Path, summary: Path) -> None:
    """Write the table of the summary between the two marks of the README."""
    before, rest = readme.read_text(encoding="utf-8").split(TABLE_MARKS[0])
    after = rest.split(TABLE_MARKS[1])[1]
    table = f"{TABLE_MARKS[0]}\n{markdown_table(pd.read_csv(summary))}\n{TABLE_MARKS[1]}"
    write_atomic(readme, lambda file: file.write((before + table + after).encode()))


if __name__ == "__main__":
    root = project_root()
    update_readme(root / "README.md", root / "results" / "summary.csv")
