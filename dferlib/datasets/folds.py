"""Subject-independent folds, built by rule: no list of a gated dataset is needed or shipped.

The rule is "subject ID ascending, step n" (STCAM §4.1 and most work on CK+, Oulu-CASIA and MMI):
with the subjects sorted by their id, fold k of n tests subjects k, k + n, k + 2n, ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dferlib.datasets.manifest import DatasetError

MIN_FOLDS = 3  # one to test, one to validate, one at least to train on


@dataclass(frozen=True, eq=False)
class Split:
    """Manifest row numbers of the three parts of a fold; no subject is in two of them."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def subject_folds(manifest: pd.DataFrame, num_folds: int = 10) -> pd.Series:
    """Number the clips' folds from 1 to `num_folds`; the result has the index of the manifest.

    DatasetError if there are fewer subjects than folds, or fewer than three folds.
    """
    subjects = np.unique(manifest["subject"].to_numpy(dtype=str))
    if num_folds < MIN_FOLDS:
        raise DatasetError(f"num_folds is {num_folds}; train, validation and test need {MIN_FOLDS}")
    if len(subjects) < num_folds:
        raise DatasetError(
            f"{len(subjects)} subjects cannot fill {num_folds} folds; "
            "ask for fewer folds or a larger fraction"
        )
    fold = {subject: index % num_folds + 1 for index, subject in enumerate(subjects)}
    return manifest["subject"].map(fold).astype("int64").rename("fold")


def split_fold(manifest: pd.DataFrame, fold: int, num_folds: int = 10) -> Split:
    """Split the clips for a fold (from 1): test, validation (the next fold, cyclic) and the rest.

    The validation part costs the training part one fold, and is what makes a checkpoint selection
    that does not look at the test subjects possible. DatasetError for a fold that does not exist.
    """
    if not 1 <= fold <= num_folds:
        raise DatasetError(f"fold is {fold!r}, allowed are 1 to {num_folds}")
    folds = subject_folds(manifest, num_folds).to_numpy()
    test, val = folds == fold, folds == fold % num_folds + 1
    return Split(*(np.flatnonzero(part) for part in (~test & ~val, val, test)))
