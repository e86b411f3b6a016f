"""Accuracy by group of persons, with intervals over persons, and what a group differs by.

    group_table(predictions, traits, classes)

Which group a person is in has to be known, not guessed: of procedural faces it is
(`datasets.standins.people`), of the real sets it is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student

from dferlib.evidence.intervals import estimate, subject_interval
from dferlib.evidence.metrics import choose
from dferlib.evidence.stats import counts_by, holm, units_of

COLUMNS = ("trait", "group", "subjects", "clips", "war", "low", "high")
COLUMNS += ("against_rest", "rest_low", "rest_high", "p_holm")


def group_table(
    predictions: pd.DataFrame,
    traits: pd.DataFrame,
    classes: Sequence[str],
    *,
    select: str = "last",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return a row per group: see `COLUMNS`; accuracies are fractions.

    `traits` has a row per subject: subject, and its group of each trait. Several models' answers to
    one clip count as one clip that is right in part. `against_rest` is the group's WAR minus that
    of all other persons, with a Welch interval over persons and a p that is corrected by Holm over
    the table; NaN for a group of one person, or of everybody. ValueError naming a subject without
    traits.
    """
    rows = choose(predictions, select)
    unknown = sorted(set(rows["subject"]) - set(traits["subject"]))
    if unknown:
        raise ValueError(
            f"nothing is known of subject {unknown[0]!r}, nor of {len(unknown) - 1} more"
        )
    found = []
    for trait in [name for name in traits if name != "subject"]:
        group = rows["subject"].map(traits.set_index("subject")[trait])
        for name in sorted(group.unique()):
            inside = rows[group == name]
            shown = subject_interval(inside, classes, select=select, level=level)
            apart = _welch(inside, rows[group != name], len(classes), level)
            people, clips = inside["subject"].nunique(), inside["clip_id"].nunique()
            found.append((trait, name, people, clips, shown.value, shown.low, shown.high, *apart))
    table = pd.DataFrame(found, columns=list(COLUMNS))
    return table.assign(p_holm=holm(table["p_holm"]))


def _welch(first: pd.DataFrame, second: pd.DataFrame, k: int, level: float):
    """First minus second with the ends of its interval and its p; NaN where one has no spread."""
    missing = (float("nan"),) * 4
    if min(part["subject"].nunique() for part in (first, second)) < 2:
        return missing
    (one, a, m), (other, b, n) = _variance(first, k), _variance(second, k)
    if a + b == 0:
        return one - other, *missing[1:]
    freedom = (a + b) ** 2 / (a**2 / (m - 1) + b**2 / (n - 1))  # Welch 1947
    half = student.ppf((1 + level) / 2, freedom) * np.sqrt(a + b)
    p = 2 * student.sf(abs(one - other) / np.sqrt(a + b), freedom)
    return one - other, one - other - half, one - other + half, float(p)


def _variance(rows: pd.DataFrame, k: int) -> tuple[float, float, int]:
    """WAR of some persons, its variance over persons to first order, and how many they are."""
    _, codes = units_of(rows)
    counts = counts_by(codes, rows["y_true"], rows["y_pred"], k)
    hits = np.diagonal(counts, axis1=1, axis2=2).astype(float)
    value, influence = estimate(hits, counts.sum(-1).astype(float), "war")
    units = len(counts)
    return float(value), float(units / (units - 1) * (influence**2).sum()), units
