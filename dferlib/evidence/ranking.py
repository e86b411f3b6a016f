"""Several models over several datasets (or folds): ranks, and which of them differ.

Friedman's test asks whether any model differs; Nemenyi's critical difference and Wilcoxon's signed
ranks, corrected by Holm, say which (Demsar 2006). Datasets are the blocks: folds of one dataset
share training clips and are no independent blocks, so ranks over them only describe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, rankdata, studentized_range, wilcoxon

from dferlib.evidence.metrics import choose
from dferlib.evidence.row_verdict import printed_rows
from dferlib.evidence.stats import holm
from dferlib.protocols import Paper

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


def printed_scores(paper: Paper) -> pd.DataFrame:
    """Return the WAR in per cent that a paper prints: a dataset a line, a variant a column.

    Only datasets on which it prints its own model, and variants that it prints on all of these.
    """
    tables = sorted({cell.table for cell in paper.reported() if isinstance(cell.table, int)})
    rows: dict[str, dict[str, float]] = {}
    for dataset in paper.datasets:
        for table in tables:
            for name, (_, value) in printed_rows(paper, table, dataset).items():
                rows.setdefault(dataset, {}).setdefault(name, value)
    own = {name: found for name, found in rows.items() if paper.slug in found}
    return pd.DataFrame.from_dict(own, orient="index").dropna(axis=1)


def own_scores(evidence: Mapping[str, pd.DataFrame], select: str) -> pd.DataFrame:
    """Return the WAR in per cent of predictions: a dataset a line, a variant a column.

    `evidence` maps datasets to predictions; variants that were not run on all of them are left out.
    """
    rows = {}
    for name, predictions in evidence.items():
        there = choose(predictions, select)
        right = there["y_true"] == there["y_pred"]
        rows[name] = 100 * right.groupby(there["variant"], sort=False).mean()
    return pd.DataFrame(rows).T.dropna(axis=1)


def rankable(scores: pd.DataFrame) -> bool:
    """Tell whether there are enough models and blocks for `rank_models`."""
    return scores.shape[0] >= FEWEST_BLOCKS and scores.shape[1] >= FEWEST_MODELS


def read_ranking(ranking: Ranking) -> str:
    """Say in a sentence or two what a ranking shows, and what it could have shown."""
    first, apart = ranking.ranks.iloc[0], int(ranking.pairs["nemenyi"].sum())
    widest = len(ranking.ranks) - 1
    text = (
        f"{len(ranking.ranks)} models on {ranking.blocks} datasets: **{first['model']}** has the "
        f"best mean rank, {first['rank']:.2f}; Friedman's p that all are alike is "
        f"{ranking.friedman_p:.2g}. {apart} of {len(ranking.pairs)} pairs are further apart than "
        f"the critical difference of {ranking.critical_difference:.2f}"
    )
    if ranking.critical_difference >= widest:
        return f"{text}, and none can be: mean ranks differ by at most {widest}."
    return f"{text}."
