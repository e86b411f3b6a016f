"""What differs from the paper, what its rows differ by, and whether its numbers are reproduced."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import pandas as pd

from dferlib.evidence import metrics
from dferlib.evidence.layout import Table, as_printed, lay_out
from dferlib.evidence.row_verdict import judge_rows, printed_rows
from dferlib.protocols import Criterion, Paper, Recipe, load_protocol
from dferlib.protocols.stages import AS_PAPER

JUDGED = ["table", "row", "published", "published_difference", "ours", "difference", "p"]
JUDGED += ["verdict", "text"]


class Asked(Protocol):
    """What somebody asked to be run; the settings of a notebook are this."""

    dataset: str
    preset: str
    variants: tuple[str, ...]
    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    init: str
    transfer: str


def deviations(paper: Paper, preset: str, dataset: str, variant: str) -> pd.DataFrame:
    """What differs from the paper, with reasons: whatever the preset first, then the preset's.

    Rows of the paper's tables on this dataset that the preset leaves out are named last.
    """
    found = [*paper.always_differs, *paper.resolve(preset, dataset, variant).deviations()]
    left = [v for v in paper.printed_on(dataset) if v not in paper.variants_of(preset, dataset)]
    if left:
        reason = paper.presets[preset].variants[dataset][1]
        found.append(("rows not run", "-", ", ".join(left), reason))
    return pd.DataFrame(found, columns=["setting", "paper", "here", "why"])


def part_of(settings: Asked, recipe: Recipe) -> tuple[str, ...]:
    """Say in what a notebook runs less than its preset says; only the whole may replace results.

    More seeds than the preset's one are more evidence, and no part of it; another start than the
    protocol's is another experiment. `recipe` is that of any row.
    """
    asked = load_protocol(recipe.slug).variants_of(recipe.preset, recipe.dataset)
    missing = [name for name in asked if name not in settings.variants]
    further = [name for name in settings.variants if name not in asked]
    folds = ", ".join(map(str, recipe.folds))
    reasons = {
        f"rows left out: {', '.join(missing)}": bool(missing),
        f"rows added: {', '.join(further)}": bool(further),
        f"folds {', '.join(map(str, settings.folds))} instead of {folds}": (
            settings.folds != recipe.folds
        ),
        "seed 0 is not among the seeds": 0 not in settings.seeds,
        f"init is {settings.init}": settings.init != AS_PAPER,
        f"transfer is {settings.transfer}": settings.transfer != AS_PAPER,
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


def judge(
    paper: Paper,
    predictions: pd.DataFrame,
    settings: Asked,
    source: str,
    select: str,
    *,
    variant: str = "",
) -> pd.DataFrame:
    """Whether a variant is reproduced, by the criterion of its paper; by default the paper's
    own model.

    Tested only on real data, with the full protocol, all folds, one seed and as many clips as the
    paper counts, or as a whole copy holds; everything else is ``not tested``, with the reason.
    """
    if settings.dataset not in paper.datasets:
        verdict = "not tested: the paper does not report on these clips"
        return pd.DataFrame([{"criterion": "none", "verdict": verdict}])
    variant = variant or paper.slug
    criterion = paper.criterion(settings.dataset, variant)
    every = paper.resolve("paper", settings.dataset, variant).folds
    rows = predictions[predictions["variant"] == variant]
    against = _against(every, rows, settings, source, criterion)
    if against:
        verdict = f"not tested: {'; '.join(against)}"
    else:
        value = metrics.score(rows, paper.classes[settings.dataset], select)[criterion.metric]
        verdict = "reproduced" if criterion.holds(value) else "not reproduced"
    return pd.DataFrame([{"criterion": criterion.text, "verdict": verdict}])


def judge_tables(
    paper: Paper,
    predictions: pd.DataFrame,
    classes: Sequence[str],
    settings: Asked,
    source: str,
    select: str,
    reference: str,
) -> pd.DataFrame:
    """Return a verdict on every row that was run, of all tables that print it and `reference`.

    See `row_verdict.judge_rows`, of which this has the columns `JUDGED` and the table. A row that
    several tables print with one value is judged where it stands first. Empty where no table
    prints the reference on this dataset, or it was not run. The criterion of the protocol counts
    where `judge` would test it.
    """
    parts = []
    for table in sorted({cell.table for cell in paper.reported() if cell.table}):
        names = printed_rows(paper, table, settings.dataset)
        run = set(names) & set(predictions["variant"])
        if reference in run and len(run) > 1:
            asked = {"dataset": settings.dataset, "source": source, "select": select}
            criteria = _criteria(paper, names, predictions, settings, source)
            found = judge_rows(
                paper, table, predictions, classes, reference, **asked, criteria=criteria
            )
            parts.append(found.assign(table=table))
    if not parts:
        return pd.DataFrame(columns=JUDGED)
    judged = pd.concat(parts, ignore_index=True)
    return judged.drop_duplicates(["variant", "published"], ignore_index=True)[JUDGED]


def show_judged(judged: pd.DataFrame, reference: str) -> Table:
    """Lay out `judge_tables`; `reference` is the name of the row that the others are judged by."""
    names = {"published_difference": "published, difference", "difference": "ours, difference"}
    shown = judged.rename(columns=names)
    shown["published"] = as_printed(judged["published"], 2)
    style = lay_out(
        shown, f"Each row against {reference}, WAR", named="row", prose=("verdict", "text")
    )
    formats = dict.fromkeys(names.values(), "{:+.2f}") | {"ours": "{:.2f}", "p": "{:.3f}"}
    return style.format(formats, na_rep="")


def published_differences(paper: Paper, dataset: str, reference: str) -> dict[str, float]:
    """Return variant -> published WAR minus that of `reference`, in points.

    Both are taken from the first table that prints both on this dataset.
    """
    found: dict[str, float] = {}
    for table in sorted({cell.table for cell in paper.reported() if cell.table}):
        printed = printed_rows(paper, table, dataset)
        if reference in printed:
            own = printed[reference][1]
            gaps = {name: round(value - own, 2) for name, (_, value) in printed.items()}
            found = gaps | found
    return {name: gap for name, gap in found.items() if name != reference}


def _against(
    every: Sequence[int], rows: pd.DataFrame, settings: Asked, source: str, criterion: Criterion
) -> list[str]:
    """Why a criterion cannot be tested with these predictions of its variant; `every` fold."""
    count = rows["clip_id"].nunique()
    reasons = {
        "the faces are synthetic": source != "real",
        f"the preset is {settings.preset}": settings.preset != "paper",
        "not all folds were run": settings.folds != every,
        "several seeds were run": len(settings.seeds) > 1,
        f"transfer is {settings.transfer}": settings.transfer != AS_PAPER,
        f"{count} clips, not {criterion.n}": count not in (criterion.n, *criterion.whole),
    }
    return [reason for reason, holds in reasons.items() if holds]


def _criteria(
    paper: Paper, names: Sequence[str], predictions: pd.DataFrame, settings: Asked, source: str
) -> dict[str, Criterion]:
    """The criteria that these predictions can be tested by, of the rows that have one."""
    found = {}
    for name in names if source == "real" else ():
        with suppress(ValueError):  # no criterion: nothing printed, or contradicted by the paper
            criterion = paper.criterion(settings.dataset, name)
            rows = predictions[predictions["variant"] == name]
            every = paper.resolve("paper", settings.dataset, name).folds
            if not _against(every, rows, settings, source, criterion):
                found[name] = criterion
    return found
