"""What may be said of numbers in words: computed from predictions, or not said at all.

A sentence here names its own exceptions - classes that no clip tested, rows on other folds - and
says where a result contradicts the paper, so that no prose has to be right by luck.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from dferlib.evidence import metrics, scoring
from dferlib.evidence.audit.findings import FLAGS, SOUND
from dferlib.evidence.claims import NEVER, own_claims
from dferlib.protocols import Paper

LEARNED = 0.9  # share of the loss of guessing below which a row has begun to learn


def even_folds(
    predictions: pd.DataFrame, folds: Collection[int], seeds: Collection[int]
) -> tuple[pd.DataFrame, str]:
    """Keep the rows of a table that were tested on the same folds and seeds, and say what goes.

    `folds` and `seeds` are those that are wanted. A variant that lacks one of them is left out, as
    its number would be about other clips than its neighbours'; runs of further folds and seeds are
    left out, too. Returns the predictions that stay, and a sentence that is empty if all do.
    """
    wanted = {(seed, fold) for seed in seeds for fold in folds}
    there = predictions[["variant", "seed", "fold"]].drop_duplicates()
    of = {
        name: set(zip(part["seed"], part["fold"], strict=True))
        for name, part in there.groupby("variant", sort=False)
    }
    short = {name: len(wanted & runs) for name, runs in of.items() if not wanted <= runs}
    pairs = pd.MultiIndex.from_frame(predictions[["seed", "fold"]])
    kept = predictions[pairs.isin(list(wanted)) & ~predictions["variant"].isin(list(short))]
    said = []
    if short:
        listed = ", ".join(f"{name} ({found})" for name, found in short.items())
        said.append(
            f"left out, with fewer than {len(wanted)} runs on the folds asked for: {listed}"
        )
    further = {name for name, runs in of.items() if name not in short and runs - wanted}
    if further:
        said.append(f"runs on further folds or seeds are not counted: {', '.join(sorted(further))}")
    return kept, "; ".join(said)


def untested_classes(
    predictions: pd.DataFrame, classes: Sequence[str], select: str
) -> tuple[str, ...]:
    """The classes that no test clip of these predictions has; UAR counts their recall as 0."""
    there = set(metrics.choose(predictions, select)["y_true"])
    return tuple(name for k, name in enumerate(classes) if k not in there)


def say_untested(predictions: pd.DataFrame, classes: Sequence[str], select: str) -> str:
    """Name the classes that no test clip has, wherever UAR is printed; empty where there is none.

    UAR over the classes that are tested stands beside, for each variant.
    """
    missing = untested_classes(predictions, classes, select)
    if not missing:
        return ""
    left = ", ".join(
        f"{name} {value:.2f}" for name, value in tested_uar(predictions, classes, select).items()
    )
    return (
        f"No test clip is {', '.join(missing)}, whose recall counts as 0 in UAR; over the "
        f"{len(classes) - len(missing)} classes tested it is {left}."
    )


def tested_uar(predictions: pd.DataFrame, classes: Sequence[str], select: str) -> pd.Series:
    """UAR in per cent of each variant, over the classes that its test clips have."""
    rows = metrics.choose(predictions, select)
    return rows.groupby("variant", sort=False)[["y_true", "y_pred"]].apply(
        lambda part: 100 * np.nanmean(metrics.per_class_recall(*part.to_numpy().T, len(classes)))
    )


def name_untested(
    table: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str], variants: Mapping
) -> pd.DataFrame:
    """Say at the number where UAR counts classes that a partial run never tests.

    `table` holds the rows of one dataset as `tables.published_beside_ours` gives them for
    `predictions`, of one selection rule; `variants` maps a row's label to its variant. The status
    of a row that was run then names the classes, and UAR over the others.
    """
    missing = untested_classes(predictions, classes, predictions["select"].iloc[0])
    if not missing:
        return table
    uar = tested_uar(predictions, classes, predictions["select"].iloc[0])
    left = len(classes) - len(missing)
    table = table.copy()
    for index, row in table[table["status"] == "run"].iterrows():
        value = uar.get(variants.get(row["row"]), np.nan)
        table.loc[index, "status"] = (
            f"run; no test clip is {', '.join(missing)}, whose recall counts as 0 in UAR; over the "
            f"{left} classes tested it is {value:.2f}"
        )
    return table


def learned_rows(
    history: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str], select: str
) -> str:
    """Say which variants have learned nothing yet, by two measures.

    Their training loss after the last epoch is above nine tenths of ln K, that of guessing; or
    their accuracy is not above the share of the commonest class of the test clips.
    """
    last = history[history["epoch"] == history["epoch"].max()]
    losses = last.groupby("variant", sort=False)["train_loss"].mean()
    guessing = float(np.log(len(classes)))
    slow = [
        f"**{name}** ({loss:.2f})" for name, loss in losses.items() if loss > LEARNED * guessing
    ]
    rows = metrics.choose(predictions, select)
    common = rows["y_true"].value_counts(normalize=True).max()
    right = (rows["y_true"] == rows["y_pred"]).groupby(rows["variant"], sort=False).mean()
    low = [f"**{name}** ({100 * value:.1f} %)" for name, value in right.items() if value <= common]
    said = []
    if slow:
        said.append(
            f"Rows that hardly learned in this time, by their training loss: {', '.join(slow)}; "
            f"guessing has {guessing:.2f}. Their accuracy says nothing about their structure."
        )
    if low:
        said.append(
            f"Not above the commonest class of the test clips ({100 * common:.1f} %): "
            f"{', '.join(low)}."
        )
    return " ".join(said) or (
        "Every row has left the training loss of guessing behind and is above the commonest class "
        f"of the test clips ({100 * common:.1f} %)."
    )


def compare_rows(
    predictions: pd.DataFrame,
    classes: tuple[str, ...],
    row: str,
    others: Sequence[str],
    select: str,
    metric: str = "WAR",
    labels: Mapping[str, str] | None = None,
) -> str:
    """Say whether a variant is above others on the same clips, which is what papers claim.

    Empty where the variant or all others were not run. Names the values in per cent, and the
    p-value of the sign-flip over persons, corrected by Holm over these pairs. A result against the
    claim begins with "Against the claim", one within the noise (p above .05) says so. Rows go by
    their `labels`.
    """
    named = dict(labels or {})
    there = set(predictions["variant"])
    others = [name for name in others if name in there]
    if row not in there or not others:
        return ""
    these = predictions[predictions["variant"].isin([row, *others])]
    scores = 100 * scoring.score_metrics(these, classes, (metric,), select)["value"]
    own = scores[row, metric]
    lost = [name for name in others if scores[name, metric] >= own]
    tests = scoring.paired_tests(these, classes, row, select).set_index("second")
    p = f"p_{metric.lower()}_holm"
    listed = ", ".join(
        f"{named.get(name, name)} {scores[name, metric]:.2f} (p = {tests.loc[name, p]:.2g})"
        for name in others
    )
    unsure = [name for name in others if not tests.loc[name, p] <= 0.05]
    if lost:
        head = f"Against the claim: not above {', '.join(named.get(k, k) for k in lost)}"
    elif unsure:
        told = ", ".join(named.get(k, k) for k in unsure)
        head = f"In the direction of the claim, not told apart from {told}"
    else:
        head = "As claimed"
    said = f"{head}. {metric} of {named.get(row, row)} is {own:.2f}, beside {listed}."
    missing = say_untested(these, classes, select) if metric == "UAR" else ""
    return f"{said} {missing}".strip()


def read_tests(shown: pd.DataFrame, tests: pd.DataFrame) -> str:
    """Say what a table of paired tests rests on, and which published differences it could show.

    `shown` is that of `comparison_table.describe_tests`, `tests` that of `scoring.paired_tests`.
    """
    least, most = shown["could be seen"].min(), shown["could be seen"].max()
    first = tests.iloc[0]
    who = "clip" if first.unit == "clips" else "person"
    said = [
        f"The main test flips the sign of each {who}'s sum of differences; with {first.units} "
        f"{first.unit} its p, before Holm, cannot be below {tests['least_p'].min():.2g}. "
        "Obuchowski's test has the same units, and an approximation that needs many of them. "
        "McNemar's counts clips as independent, which clips of one person are not: it is shown "
        "because papers use it."
    ]
    if tests["p_folds"].notna().any():
        said.append(
            "These keep the trained models; the test over folds (Nadeau and Bengio 2003) asks for "
            "other training sets, corrected for what folds share."
        )
    if np.isnan(least):
        said.append("With 80 % power these clips would have shown no difference at all.")
    else:
        said.append(
            f"With 80 % power these clips show differences of {least:.1f} points or more"
            + (f" (in other rows, of {most:.1f} or more)." if most - least >= 0.05 else ".")
        )
    there = shown.dropna(subset="clips for it")
    if len(there):
        enough = int((there["clips for it"] <= there["n"]).sum())
        said.append(
            f"Of {len(there)} published differences these clips suffice for {enough}; the last "
            "column gives the number that each one needs, at the discordance and clustering seen "
            "here."
        )
    notes = [note for note in tests["note"].unique() if note]
    return " ".join([*said, *(f"There is {note}." for note in notes)])


def read_claims(paper: Paper, dataset: str) -> str:
    """Say which published differences could be significant on the paper's own number of clips.

    Nothing but printed numbers is asked; empty where the paper prints none to ask.
    """
    table = own_claims(paper, dataset)
    if table.empty:
        return ""
    never = int((table["significant"] == NEVER).sum())
    return (
        f"Rows that the paper prints as its own on {dataset} beside its model: {len(table)}. "
        f"Whichever of its {table['n'].iloc[0]} clips they got wrong, {never} of them cannot "
        "differ from the model with p below .05 in McNemar's exact test."
    )


def read_audit(findings: pd.DataFrame) -> str:
    """Say how many checks of printed numbers were made, and how many do not fit."""
    counts = findings["verdict"].value_counts()
    cannot, differ = (int(counts.get(name, 0)) for name in FLAGS)
    return (
        f"{len(findings)} checks of printed numbers: {int(counts.get(SOUND, 0))} find nothing "
        f"wrong, {cannot} find what cannot be as it is printed, {differ} find two printed things "
        "that differ. The others say nothing, or are hints."
    )
