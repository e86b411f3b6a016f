"""What a run says of a published row: one of five verdicts, by rules that no result has changed.

| verdict | when |
|---|---|
| reproduced | real data: the criterion of the protocol holds, and no direction contradicts |
| direction reproduced | on the same side of the reference as published, sign-flip p <= .05 |
| contradicted | on the other side of it, p <= .05; or real data outside the criterion |
| cannot tell | p > .05; with the clips that the published difference needs |
| real data only | stand-ins, and nothing but the value itself was published |

The reference is another row of the same table, mostly the paper's own baseline. On stand-ins a
direction says that the model does on procedural faces what it is said to do on real ones, and no
more; the text says so. p is corrected by Holm over the rows of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dferlib.evidence.comparison import compare_models
from dferlib.evidence.metrics import choose, war
from dferlib.evidence.power import ALPHA, clips_needed
from dferlib.evidence.scoring import metric_name
from dferlib.protocols import Criterion, Paper

REPRODUCED, DIRECTION, CONTRADICTED = "reproduced", "direction reproduced", "contradicted"
CANNOT_TELL, REAL_ONLY = "cannot tell", "real data only"
# the row that the others are held against, where it is not the paper's own model
REFERENCES = {"stcam": "baseline", "hacn": "control-1"}
COLUMNS = ["row", "variant", "published", "published_difference", "n", "ours", "difference"]
COLUMNS += ["low", "high", "p", "detectable", "clips_needed", "verdict", "text"]


def reference_of(paper: Paper) -> str:
    """Return the variant that a paper's rows are held against, in notebooks and summaries."""
    return REFERENCES.get(paper.slug, paper.slug)


def judge_rows(
    paper: Paper,
    table: int,
    predictions: pd.DataFrame,
    classes: Sequence[str],
    reference: str,
    *,
    dataset: str,
    source: str,
    select: str = "last",
    criteria: Mapping[str, Criterion] | None = None,
) -> pd.DataFrame:
    """Return a verdict on each row of a published table that was run, by its WAR in per cent.

    `predictions` are those of one dataset, `reference` is the variant that the others are compared
    with, `criteria` those of the protocol by variant, for real data that the full protocol ran on.
    Difference, interval and p are of ours minus the reference, for other persons and, where there
    are several, other seeds. ValueError where the reference was not run, or the table does not
    have it.
    """
    printed = printed_rows(paper, table, dataset)
    if reference not in printed:
        raise ValueError(
            f"Table {table} has no value of {reference!r} on {dataset}; it has: "
            f"{', '.join(printed) or 'none'}"
        )
    run = [name for name in dict.fromkeys(predictions["variant"]) if name in printed]
    there = predictions[predictions["variant"].isin(run)]
    tested = compare_models(there, classes, reference, select).set_index("second")
    rows = []
    for name in run:
        label, value = printed[name]
        chosen = choose(there[there["variant"] == name], select)
        row = {"row": label, "variant": name, "published": value}
        row |= {"n": chosen["clip_id"].nunique()}
        row |= {"ours": 100 * war(chosen["y_true"], chosen["y_pred"])}
        criterion = (criteria or {}).get(name) if source == "real" else None
        pair = tested.loc[name] if name != reference else None
        gap = round(value - printed[reference][1], 2) if pair is not None else np.nan
        rows.append(row | judge_row(pair, gap, row["ours"], source, criterion))
    return pd.DataFrame(rows, columns=COLUMNS)


def judge_row(
    pair: pd.Series | None,
    published_difference: float,
    ours: float,
    source: str,
    criterion: Criterion | None = None,
) -> dict:
    """Return the verdict on one row as data and text.

    `pair` is a row of `compare_models`, None for the reference itself; `published_difference` and
    `ours` are in per cent, NaN where nothing was published.
    """
    data = {"published_difference": published_difference}
    level = None if criterion is None else criterion.holds(ours / 100)
    if pair is None or np.isnan(published_difference) or published_difference == 0:
        return data | _by_level(level, criterion, published_difference)
    difference, p = 100 * pair["war_difference"], pair["p_war_holm"]
    needed = clips_for(published_difference / 100, pair["discordance"], pair["design_effect"])
    data |= {"difference": difference, "low": 100 * pair["war_low"]}
    data |= {"high": 100 * pair["war_high"], "p": p}
    data |= {"detectable": 100 * pair["detectable"], "clips_needed": needed}
    seen = f"{difference:+.1f} points where {published_difference:+.2f} are published, p = {p:.3f}"
    where = "" if source == "real" else ", on stand-ins"
    if p <= ALPHA and difference * published_difference < 0:
        return data | {"verdict": CONTRADICTED, "text": f"the other direction{where}: {seen}"}
    if level is False:
        return data | {"verdict": CONTRADICTED, "text": f"outside the {criterion.text}; {seen}"}
    if level:
        return data | {"verdict": REPRODUCED, "text": f"within the {criterion.text}; {seen}"}
    if p <= ALPHA:
        return data | {"verdict": DIRECTION, "text": f"the same direction{where}: {seen}"}
    text = f"{seen}; {needed:,.0f} clips would show what is published, {pair['n']} were tested"
    return data | {"verdict": CANNOT_TELL, "text": text + where}


def clips_for(difference: float, discordance: float, effect: float) -> float:
    """Return how many clips show a difference with 80 % power, at a discordance and design effect.

    All are fractions; a discordance below the difference is taken for the difference. NaN for a
    difference of 0 or NaN, which no number of clips shows.
    """
    gap = abs(difference)
    if np.isnan(gap) or gap == 0:
        return float("nan")
    return float(np.ceil(clips_needed(gap, max(discordance, gap)) * effect))


def _by_level(level: bool | None, criterion: Criterion | None, difference: float) -> dict:
    if level is None:
        what = "no difference is published" if difference == 0 else "only its value is published"
        return {"verdict": REAL_ONLY, "text": f"{what}, and no value of stand-ins can repeat it"}
    verdict = REPRODUCED if level else CONTRADICTED
    return {"verdict": verdict, "text": f"{'within' if level else 'outside'} the {criterion.text}"}


def printed_rows(paper: Paper, table: int, dataset: str) -> dict[str, tuple[str, float]]:
    """Return variant -> its row and its published WAR in per cent, of one of the paper's tables."""
    values = {
        cell.row: cell.value
        for cell in paper.reported(table, dataset)
        if metric_name(cell.metric) == "WAR" and cell.unit == "%" and cell.value is not None
    }
    return {
        slug: (variant.rows[table], float(values[variant.rows[table]]))
        for slug, variant in paper.variants.items()
        if variant.rows.get(table) in values
    }
