"""Published-versus-ours tables, remade from predictions and published numbers alone.

``Evidence`` maps a dataset to the predictions of the finished runs on it; a dataset nobody has run
is absent, and its cells say so together with the command that fills them. All values are in per
cent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from dferlib import metrics, stats
from dferlib.protocols import Protocol
from dferlib.runs import IDENTITY, Run, load_runs, results_folder

if TYPE_CHECKING:
    from dferlib.parameters import Settings

Evidence = Mapping[str, pd.DataFrame]

NOT_RUN = "not run"
TABLE_COLUMNS = ["dataset", "row", "published", "ours", "ci_low", "ci_high", "uar", "n", "status"]


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

    A resampled subject brings all its clips and seeds along. Index variant; columns war, war_low,
    war_high, uar, uar_low, uar_high, n (different clips), folds, seeds, fold_mean, fold_sd.
    """
    rows = {}
    for variant, part in predictions.groupby("variant", sort=False):
        pooled = metrics.score(part, classes, select)
        row = {"n": part["clip_id"].nunique(), "folds": pooled["folds"]}
        row["seeds"] = part["seed"].nunique()
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
    counts = ["n", "folds", "seeds"]
    shares = [name for name in table if name not in counts]
    table[shares] *= 100
    return table.astype(dict.fromkeys(counts, int))


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
            row["source"] = ", ".join(sorted(clips["source"].unique()))
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
    """Every variant against the reference on the same clips, Holm-corrected.

    Of several seeds the first counts: seeds of one clip are not independent clips. See
    ``stats.compare_variants``.
    """
    first = predictions[predictions["seed"] == predictions["seed"].min()]
    by_variant = dict(iter(first.groupby("variant", sort=False)))
    table = stats.compare_variants(by_variant, classes, reference=reference, select=select)
    shares = ["war_first", "war_second", "war_difference", "uar_difference", "uar_low", "uar_high"]
    table[shares] *= 100
    return table


def deviations(paper: Protocol, preset: str, dataset: str, variant: str) -> pd.DataFrame:
    """What differs from the paper, with reasons: whatever the preset first, then the preset's."""
    found = [*paper.always_differs, *paper.resolve(preset, dataset, variant).deviations()]
    return pd.DataFrame(found, columns=["setting", "paper", "here", "why"])


def is_whole(settings: Settings, plan: Protocol) -> bool:
    """Tell whether a notebook runs all that its preset says: only then it may replace results."""
    asked = (settings.variants, settings.folds, settings.seeds)
    return asked == (tuple(plan.variants), plan.folds, (0,))


def judge(
    paper: Protocol, predictions: pd.DataFrame, settings: Settings, source: str, select: str
) -> pd.DataFrame:
    """Whether the paper's own model is reproduced, by the criterion of its protocol file.

    Tested only on real data, with the full protocol, all folds, one seed and as many clips as the
    paper counts; everything else is ``not tested``, with the reason.
    """
    variant = paper.slug  # every paper calls its own model by its slug
    criterion = paper.override(dataset=settings.dataset, variant=variant).criterion()
    rows = predictions[predictions["variant"] == variant]
    reasons = {
        "the faces are synthetic": source != "real",
        f"the preset is {settings.preset}": settings.preset != "paper",
        "not all folds were run": settings.folds != paper.folds,
        "several seeds were run": len(settings.seeds) > 1,
        f"{rows['clip_id'].nunique()} clips, not {criterion.n}": rows["clip_id"].nunique()
        != criterion.n,
    }
    against = [reason for reason, holds in reasons.items() if holds]
    if against:
        verdict = f"not tested: {'; '.join(against)}"
    else:
        value = metrics.score(rows, paper.classes[settings.dataset], select)["war"]
        verdict = "reproduced" if criterion.holds(value) else "not reproduced"
    return pd.DataFrame([{"criterion": criterion.text, "verdict": verdict}])


def cold_costs(store, runs: Iterable[Run]) -> pd.DataFrame:
    """What is paid once, before any run: filling the frame store, and pre-training."""
    detail = "" if store.seconds else "built before seconds were kept"
    rows = [{"what": f"frame store of {store.dataset}", "seconds": store.seconds or np.nan}]
    rows[0]["detail"] = detail
    for initial in {run.record["init"].get("sha256"): run.record["init"] for run in runs}.values():
        if "seconds" in initial:
            held = {
                k: v["holdout_accuracy"]
                for k, v in initial.items()
                if isinstance(v, dict) and "holdout_accuracy" in v
            }
            detail = ", ".join(f"held-out {k} {v:.2f}" for k, v in held.items())
            rows.append({"what": "pre-training", "seconds": initial["seconds"], "detail": detail})
    return pd.DataFrame(rows)


def read_table(table: pd.DataFrame) -> str:
    """Say in a sentence or two what a table of ``published_beside_ours`` shows."""
    own = table[table["ours"].notna()]
    if own.empty:
        return "Nothing of this table was run yet."
    best = own.loc[own["ours"].idxmax()]
    overlap = own[(own["ci_high"] >= best["ci_low"]) & (own["row"] != best["row"])]
    text = (
        f"Highest here: **{best['row']}** on {best['dataset']} with {best['ours']:.1f} % "
        f"[{best['ci_low']:.1f}, {best['ci_high']:.1f}], n = {best['n']}."
    )
    if len(own) > 1:
        text += f" The intervals of {len(overlap)} of the other {len(own) - 1} rows overlap with it"
        text += "; this run does not separate them." if len(overlap) else "."
    return text


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
