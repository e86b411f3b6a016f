"""Own numbers from predictions: every variant's metrics with intervals, matrices, curves and tests.

Nothing here knows a published number. Values are in per cent unless it says otherwise. Metrics go
by the names that papers print: "WAR" (also "accuracy"), "UAR", "F1" (macro) and "recall <class>".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from dferlib.evidence import comparison, intervals, metrics, stats
from dferlib.evidence.checks import check_predictions
from dferlib.names import SELECTION_RULES

_NAMES = {"accuracy": "WAR", "WAR": "WAR", "UAR": "UAR", "F1": "F1"}
_METRICS = {"WAR": stats.war_of, "UAR": stats.uar_of, "F1": stats.f1_of}
RECALL = "recall "
FEW_CLIPS = 5  # of a class, below which its recall says little
_RULES = {
    "last": "the last epoch, which no test clip chose",
    "best_val": "the best epoch on validation clips",
    "best_test": "the best epoch on the *test* clips, an oracle that flatters every row; what it "
    "adds is under *Statistics*",
}


def metric_name(printed: str) -> str | None:
    """The name used here for a metric as printed; None for what predictions do not tell."""
    return printed if printed.startswith(RECALL) else _NAMES.get(printed)


def metric_function(name: str, classes: Sequence[str]) -> stats.Metric:
    """The function of confusion counts (..., K, K) behind a metric's name.

    Raises ValueError for an unknown metric and for the recall of a class that is not there.
    """
    known = [*_METRICS, *(RECALL + label for label in classes)]
    if name not in known:
        raise ValueError(f"metric is {name!r}; valid: {', '.join(known)}")
    if name in _METRICS:
        return _METRICS[name]
    return stats.recall_of(list(classes).index(name.removeprefix(RECALL)))


def score_metrics(
    predictions: pd.DataFrame,
    classes: tuple[str, ...],
    names: Iterable[str],
    select: str = "last",
) -> pd.DataFrame:
    """Metrics of each variant, pooled over folds and seeds, with 95 % intervals, as *fractions*.

    Intervals are over subjects where they are known, over clips otherwise: see `metric_interval`.
    Index (variant, metric); columns value, low, high and n, the number of different clips (of the
    class, for a recall). PredictionsError for predictions that cannot be scored.
    """
    names = list(names)
    for name in names:
        metric_function(name, classes)  # an unknown one is refused before anything is computed
    rows = {}
    check_predictions(predictions, len(classes))
    for variant, part in predictions.groupby("variant", sort=False):
        chosen = metrics.choose(part, select)
        clips = chosen.drop_duplicates("clip_id")
        for name in names:
            n = len(clips)
            if name.startswith(RECALL):
                n = int((clips["y_true"] == classes.index(name.removeprefix(RECALL))).sum())
            found = metric_interval(chosen, classes, name)
            rows[variant, name] = (found.value, found.low, found.high, n)
    columns = ["value", "low", "high", "n"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).astype({"n": int})
    table.index = pd.MultiIndex.from_tuples(rows, names=["variant", "metric"])
    return table


def metric_interval(rows: pd.DataFrame, classes: tuple[str, ...], name: str) -> stats.Interval:
    """Return a metric of one model's rows of one selection rule with its 95 % interval.

    WAR, UAR and recalls have `intervals.subject_interval`, whose coverage was measured; a recall is
    the accuracy on the clips of its class, NaN without one. F1 is no share of clips: its interval
    is that of resampled subjects.
    """
    (select,) = set(rows["select"])
    if name == "F1":
        return stats.bootstrap_intervals(rows, classes, {name: "f1"}, select=select)[name]
    if name.startswith(RECALL):
        rows = rows[rows["y_true"] == classes.index(name.removeprefix(RECALL))]
        if rows.empty:
            nan = float("nan")
            return stats.Interval(nan, nan, nan, 0.95, "clips", 0)
        name = "WAR"
    return intervals.subject_interval(rows, classes, name.lower(), select=select)


def score_variants(
    predictions: pd.DataFrame, classes: tuple[str, ...], select: str = "last"
) -> pd.DataFrame:
    """WAR and UAR of each variant, pooled over folds and seeds, with 95 % intervals over subjects.

    A resampled subject brings all its clips and seeds along. Index variant; columns war, war_low,
    war_high, uar, uar_low, uar_high, n (different clips), folds, seeds, fold_mean, fold_sd.
    """
    scored = score_metrics(predictions, classes, ("WAR", "UAR"), select)
    rows = {}
    for variant, part in predictions.groupby("variant", sort=False):
        pooled = metrics.score(part, classes, select)
        row = {"n": part["clip_id"].nunique(), "folds": pooled["folds"]}
        row["seeds"] = part["seed"].nunique()
        for name in ("war", "uar"):
            value, low, high = scored.loc[(variant, name.upper()), ["value", "low", "high"]]
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        row |= {"fold_mean": pooled["war_fold_mean"], "fold_sd": pooled["war_fold_sd"]}
        rows[variant] = row
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("variant")
    counts = ["n", "folds", "seeds"]
    shares = [name for name in table if name not in counts]
    table[shares] *= 100
    return table.astype(dict.fromkeys(counts, int))


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
    rules = [rule for rule in SELECTION_RULES if rule in set(predictions["select"])]
    table = pd.DataFrame(
        {rule: score_variants(predictions, classes, rule)["war"] for rule in rules}
    )
    if "best_test" in table:
        table["oracle gain"] = table["best_test"] - table["last"]
    return table.rename(columns={"best_test": "best_test (oracle)"})


def paired_tests(
    predictions: pd.DataFrame,
    classes: tuple[str, ...],
    reference: str,
    select: str = "last",
    *,
    num_folds: int = 0,
) -> pd.DataFrame:
    """Every variant against the reference on the same clips, Holm-corrected; shares in per cent.

    First what holds where clips of a person go together, and what these clips could have shown (see
    ``comparison.compare_models``), with all seeds; then McNemar's test of the first seed, which
    counts clips as independent, and that over folds (``comparison.compare_folds``, which needs
    `num_folds`).
    """
    check_predictions(predictions, len(classes))
    table = comparison.compare_models(predictions, classes, reference, select, num_folds=num_folds)
    shares = [name for name in table if name.startswith(("war_", "uar_"))]
    table[[*shares, "discordance", "detectable"]] *= 100
    first = predictions[predictions["seed"] == predictions["seed"].min()]
    by_variant = dict(iter(first.groupby("variant", sort=False)))
    clips = stats.compare_variants(by_variant, classes, reference=reference, select=select)
    return table.assign(**clips[["only_first", "only_second", "p_mcnemar", "p_mcnemar_holm"]])


def explain_tables(predictions: pd.DataFrame, classes: tuple[str, ...], select: str) -> str:
    """Say before a run's tables which epoch they are about, and which classes have few clips."""
    rows = metrics.choose(predictions, select)
    unit, codes = stats.units_of(rows)
    units = int(codes.max()) + 1
    text = (
        f"*Ours* below is always `{select}`: {_RULES[select]}. Intervals of WAR, UAR and recalls "
        f"are exact binomial ones for as many clips as the {units} {unit} are worth (Korn and "
        f"Graubard 1998); they {intervals.covers(units)}. Those of F1 are percentiles of resampled "
        f"{unit}, whose coverage was not measured."
    )
    clips = rows.drop_duplicates("clip_id")
    counts = clips["y_true"].value_counts()
    few = [f"{classes[k]} ({n})" for k, n in counts.items() if n < FEW_CLIPS]
    if few:
        text += (
            f" So few clips of {', '.join(few)} are tested that their recall, and therefore the "
            "UAR, depends on single clips, which its interval does not show."
        )
    return text


def commonest_confusion(
    predictions: pd.DataFrame, classes: tuple[str, ...], variant: str, select: str
) -> str:
    """Say which error a variant makes most often, by the number of clips, in a sentence."""
    rows = metrics.choose(predictions[predictions["variant"] == variant], select)
    counts = metrics.confusion(rows["y_true"], rows["y_pred"], len(classes))
    wrong = np.where(np.eye(len(classes)), 0, counts)
    true, taken = np.unravel_index(wrong.argmax(), wrong.shape)
    if not wrong.any():
        return "No clip was confused."
    share = f"{int(wrong[true, taken])} of {int(counts[true].sum())} clips"
    return f"Commonest confusion: **{classes[true]}** taken for **{classes[taken]}**, {share}."
