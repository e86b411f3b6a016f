"""Several models over several datasets (or folds): ranks, and which of them differ.

Friedman's test asks whether any model differs; Nemenyi's critical difference and Wilcoxon's signed
ranks, corrected by Holm, say which (Demsar 2006). Datasets are the blocks: folds of one dataset
share training clips and are no independent blocks, so ranks over them only describe.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, rankdata, studentized_range, wilcoxon

from dferlib.evidence.stats import holm

FEWEST_BLOCKS, FEWEST_MODELS = 3, 3


@dataclass(frozen=True)
class Ranking:
    """Mean ranks (1 is best), Friedman's p, Nemenyi's critical difference, and pairs.

    `ranks` has columns model, rank, rising; `pairs` first, second, rank_difference, nemenyi (they
    differ by more than the critical difference), p_wilcoxon and p_wilcoxon_holm.
    """

    ranks: pd.DataFrame
    pairs: pd.DataFrame
    blocks: int
    friedman_p: float
    critical_difference: float


def rank_models(scores: pd.DataFrame, alpha: float = 0.05) -> Ranking:
    """Rank models (columns) over blocks (rows) by their scores, of which the highest is best.

    ValueError for fewer than three models or blocks, and for a missing score.
    """
    blocks, models = scores.shape
    if blocks < FEWEST_BLOCKS or models < FEWEST_MODELS:
        raise ValueError(
            f"{models} models on {blocks} blocks; {FEWEST_MODELS} on {FEWEST_BLOCKS} or more needed"
        )
    if scores.isna().any(axis=None):
        row, column = np.argwhere(scores.isna().to_numpy())[0]
        raise ValueError(
            f"no score of {scores.columns[column]!r} on {scores.index[row]!r}: rank what all have"
        )
    ranks = rankdata(-scores.to_numpy(), axis=1).mean(0)
    difference = critical_difference(models, blocks, alpha)
    pairs = []
    for i, j in combinations(range(models), 2):
        gaps = scores.iloc[:, i] - scores.iloc[:, j]
        p = 1.0 if (gaps == 0).all() else float(wilcoxon(gaps, zero_method="pratt").pvalue)
        apart = abs(ranks[i] - ranks[j])
        names = scores.columns[i], scores.columns[j]
        pairs.append((*names, apart, bool(apart > difference), p))
    columns = ["first", "second", "rank_difference", "nemenyi", "p_wilcoxon"]
    table = pd.DataFrame(pairs, columns=columns)
    table["p_wilcoxon_holm"] = holm(table["p_wilcoxon"])
    order = pd.DataFrame({"model": scores.columns, "rank": ranks}).sort_values(
        "rank", kind="stable"
    )
    p = float(friedmanchisquare(*scores.to_numpy().T).pvalue)
    return Ranking(order.reset_index(drop=True), table, blocks, p, difference)


def critical_difference(models: int, blocks: int, alpha: float = 0.05) -> float:
    """Return by how much two mean ranks have to differ (Nemenyi 1963)."""
    q = studentized_range.ppf(1 - alpha, models, np.inf) / 2**0.5
    return float(q * (models * (models + 1) / (6 * blocks)) ** 0.5)


def cliques(ranking: Ranking) -> list[tuple[float, float]]:
    """Return the ranks (from, to) of the largest groups that no critical difference divides."""
    ranks, found = list(ranking.ranks["rank"]), []
    for i, low in enumerate(ranks):
        j = max(k for k, rank in enumerate(ranks) if rank - low <= ranking.critical_difference)
        if j > i and (not found or ranks[j] > found[-1][1]):
            found.append((low, ranks[j]))
    return found
