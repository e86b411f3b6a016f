"""Models against a reference on the same clips: how much, how sure, and what could have been seen.

The main test is the sign-flip over persons; the others stand beside it with what they assume. See
`clustered` and `power`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dferlib.evidence import clustered
from dferlib.evidence.metrics import choose
from dferlib.evidence.paired import Paired, pair_predictions
from dferlib.evidence.power import clips_needed, design_effect, detectable
from dferlib.evidence.stats import holm

COLUMNS = ["first", "second", "n", "units", "unit", "seeds", "war_first", "war_second"]
COLUMNS += ["war_difference", "war_low", "war_high", "p_war", "least_p", "p_obuchowski"]
COLUMNS += ["uar_difference", "uar_low", "uar_high", "p_uar", "discordance", "design_effect"]
COLUMNS += ["detectable", "clips_needed", "note", "p_folds"]


def compare_models(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    reference: str,
    select: str = "last",
    *,
    expected: float | None = None,
    num_folds: int = 0,
) -> pd.DataFrame:
    """Compare every variant with `reference`, clip by clip and person by person, as fractions.

    One row per variant, with the columns of `compare_pair` and p_war_holm, p_uar_holm, corrected
    over the table. Of several seeds all enter, averaged within a clip. `expected` is a difference
    of accuracies, the published one for instance, for which `clips_needed` is asked; without it,
    the difference seen. `num_folds` is into how many folds the clips were divided, for
    `compare_folds`. ValueError for an unknown reference.
    """
    names = list(dict.fromkeys(predictions["variant"]))
    if reference not in names:
        raise ValueError(f"reference is {reference!r}; there is: {', '.join(names)}")
    by_variant = dict(iter(predictions.groupby("variant", sort=False)))
    rows = []
    for name in names:
        if name != reference:
            pair = pair_predictions(by_variant[reference], by_variant[name], classes, select)
            row = {"first": reference, "second": name}
            two = by_variant[reference], by_variant[name]
            row["p_folds"] = compare_folds(*two, select, num_folds=num_folds)
            rows.append(row | compare_pair(pair, expected=expected))
    table = pd.DataFrame(rows, columns=COLUMNS)
    for metric in ("war", "uar"):
        table[f"p_{metric}_holm"] = holm(table[f"p_{metric}"])
    return table


def compare_folds(
    first: pd.DataFrame, second: pd.DataFrame, select: str = "last", *, num_folds: int = 0
) -> float:
    """Return the p of Nadeau and Bengio's t test of accuracies over folds, all seeds averaged.

    It asks whether other *training sets* would give the same sign, where the tests over persons
    keep the trained models. `num_folds` is into how many folds the clips were divided, by default
    as many as were run. NaN for fewer than two folds.
    """
    means = []
    for rows in (first, second):
        rows = choose(rows, select)
        right = rows["y_true"] == rows["y_pred"]
        means.append(right.groupby(rows["fold"]).mean() if "fold" in rows else pd.Series())
    differences = (means[1] - means[0]).dropna()
    folds = max(num_folds, len(differences))
    if len(differences) < 2:
        return float("nan")
    return clustered.fold_corrected_t(differences, 1 / (folds - 1))[1]


def compare_pair(pair: Paired, *, expected: float | None = None) -> dict:
    """Return everything about second minus first of one pair: see `COLUMNS`.

    p_war and p_uar are sign-flips over units; least_p is the smallest that so many units allow.
    Intervals are those of `clustered.mixed_difference`, for other persons and, where there are
    several, other seeds. UAR is NaN with a `note` where a class is too small. `detectable` and
    `clips_needed` are at 80 % power, clips counted at their design effect.
    """
    war, uar = (clustered.mixed_difference(pair, metric) for metric in ("war", "uar"))
    flip = clustered.sign_flip(pair.effects("war"))
    note = clustered.untestable(pair)
    row = {"n": len(pair.y_true), "units": pair.units, "unit": pair.kind}
    row |= {"seeds": min(pair.first.shape[1], pair.second.shape[1])}
    row |= {"war_first": pair.first.mean(), "war_second": pair.second.mean()}
    row |= {"war_difference": war.value, "war_low": war.low, "war_high": war.high}
    row |= {"p_war": flip.p, "least_p": flip.least_p}
    many = pair.units > 1
    row["p_obuchowski"] = clustered.obuchowski(pair.effects("war"))[1] if many else np.nan
    low, high = (np.nan, np.nan) if note else (uar.low, uar.high)
    row |= {"uar_difference": uar.value, "uar_low": low, "uar_high": high}
    row["p_uar"] = np.nan if note else clustered.sign_flip(pair.effects("uar")).p
    return row | what_could_be_seen(pair, expected) | {"note": note}


def what_could_be_seen(pair: Paired, expected: float | None = None) -> dict[str, float]:
    """Return discordance, design_effect, detectable difference and clips_needed of a pair.

    With several seeds the discordance is the mean over pairs of seeds. A design effect below 1 is
    taken for 1: few persons estimate it badly.
    """
    first, second = pair.first.mean(1), pair.second.mean(1)
    discordance = float((first * (1 - second) + second * (1 - first)).mean())
    effect = max(1.0, design_effect(pair))
    difference = abs(float(pair.steps().mean()) if expected is None else expected)
    needed = np.inf
    if difference:
        needed = clips_needed(difference, max(discordance, difference)) * effect
    seen = detectable(len(pair.y_true) / effect, discordance)
    row = {"discordance": discordance, "design_effect": effect, "detectable": seen}
    return row | {"clips_needed": float(np.ceil(needed))}
