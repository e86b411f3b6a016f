"""A user's own clips beside a paper's tables: the rows that can be run, with nothing published."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dferlib.protocols import Protocol, Reported
from dferlib.scoring import RECALL


def own_cells(
    paper: Protocol, table: int, evidence: Mapping[str, pd.DataFrame], dataset: str | None = None
) -> list[Reported]:
    """Cells without a value for the datasets in the evidence that the paper does not have.

    One for each row of the table that can be run and each metric; no recall of single classes, as
    one's own clips may have others. `dataset` keeps that one alone.
    """
    measured = dict.fromkeys((cell.metric, cell.unit) for cell in paper.reported(table))
    return [
        Reported(table, name, variant.rows[table], metric, None, unit)
        for name in evidence
        if name not in paper.datasets and dataset in (None, name)
        for variant in paper.variants.values()
        if table in variant.rows
        for metric, unit in measured
        if not metric.startswith(RECALL)
    ]


def classes_of(paper: Protocol, dataset: str, predictions: pd.DataFrame) -> tuple[str, ...]:
    """Class names of a dataset of the paper; of one's own clips, their numbers as text."""
    count = sum(name.startswith("p_") for name in predictions)
    return paper.classes.get(dataset) or tuple(map(str, range(count)))


def published_confusion(paper: Protocol, dataset: str, classes: tuple[str, ...]) -> np.ndarray:
    """The published confusion matrix of a dataset; all NaN for one that the paper does not have."""
    if dataset in paper.datasets:
        return paper.reported_confusion(dataset)[1]
    return np.full((len(classes), len(classes)), np.nan)
