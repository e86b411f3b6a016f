"""What differs from the paper, and whether its number is reproduced."""

from __future__ import annotations

from typing import Protocol

import pandas as pd

from dferlib.evidence import metrics
from dferlib.protocols import Paper, Recipe, load_protocol


class Asked(Protocol):
    """What somebody asked to be run; the settings of a notebook are this."""

    dataset: str
    preset: str
    variants: tuple[str, ...]
    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    init: str


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
        f"init is {settings.init}": settings.init != "paper",
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
    count = rows["clip_id"].nunique()
    reasons = {
        "the faces are synthetic": source != "real",
        f"the preset is {settings.preset}": settings.preset != "paper",
        "not all folds were run": settings.folds != every,
        "several seeds were run": len(settings.seeds) > 1,
        f"{count} clips, not {criterion.n}": count not in (criterion.n, *criterion.whole),
    }
    against = [reason for reason, holds in reasons.items() if holds]
    if against:
        verdict = f"not tested: {'; '.join(against)}"
    else:
        value = metrics.score(rows, paper.classes[settings.dataset], select)[criterion.metric]
        verdict = "reproduced" if criterion.holds(value) else "not reproduced"
    return pd.DataFrame([{"criterion": criterion.text, "verdict": verdict}])
