"""Trainings on a part of the training subjects, for learning curves; the test part stays whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pandas as pd

from dferlib.datasets.folds import Split
from dferlib.files import digest
from dferlib.training.tasks import Task


@dataclass(frozen=True)
class ShareTask(Task):
    """A training whose recipe says in `share` what part of the training subjects it reads."""

    @cached_property
    def split(self) -> Split:
        """Manifest rows of the parts; of the training part those of the subjects kept."""
        whole = Task.split.func(self)
        kept = kept_rows(self.store.manifest, whole.train, self.recipe.share)
        return Split(kept, whole.val, whole.test)


def kept_rows(manifest: pd.DataFrame, rows: np.ndarray, share: float) -> np.ndarray:
    """Rows of a share of the subjects, one subject at least; small shares are parts of larger ones.

    The order in which subjects are taken hangs on their names alone, not on a seed. Where nobody
    knows the subjects every clip has its own.
    """
    subjects = manifest["subject"].to_numpy(dtype=str)[rows]
    ordered = sorted(set(subjects), key=lambda name: digest(["learning curve", name]))
    count = max(1, round(share * len(ordered)))
    return rows[np.isin(subjects, ordered[:count])]


def share_label(share: float) -> str:
    """What a variant's name says about its part of the subjects."""
    return f"{100 * share:g} % of subjects"


def share_tasks(tasks: Iterable[Task], shares: Iterable[float]) -> list[ShareTask]:
    """The same trainings on parts of the subjects, smallest first, all seeds of the tasks.

    Fewer clips are passed over more often in an epoch, up to half as many steps as the whole has:
    with as few steps as clips a curve would show how long is trained.
    """
    tasks, found = list(tasks), []
    for share in sorted(shares):
        for task in tasks:
            whole = ShareTask(**{f.name: getattr(task, f.name) for f in fields(Task)})
            changes = {"share": share, "passes": max(1, round(0.5 / share))}
            found.append(whole.with_settings(share_label(share), **changes))
    return found
