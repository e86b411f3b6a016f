"""Folds by rule: no list of a gated dataset is needed or shipped.

Which rule holds follows from the manifest's column `split`:

- "1", "2", ... n, as in DFEW: the official test parts. Fold k tests split k.
- "train" and "val", as in AFEW: one fold, which tests what the dataset calls its validation list.
- anything else, or where a protocol leaves the official parts aside: "subject ID ascending, step
  n" (STCAM §4.1 and most work on CK+, Oulu-CASIA and MMI). With the subjects sorted by their id,
  fold k of n tests subjects k, k + n, k + 2n, ...

Official splits leave nothing to choose a checkpoint by. Their validation part is every tenth
subject of the training part; where nobody knows the subjects - each clip has its own - every tenth
clip of the training part in the order of classes, so that the classes keep their shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dferlib.datasets.manifest import DatasetError, plural

MIN_FOLDS = 3  # one to test, one to validate, one at least to train on
VAL_STEP, VAL_FIRST = 10, 4  # of a training list: every tenth for validation, from the fifth


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
            f"{plural(len(subjects), 'subject')} cannot fill {num_folds} folds; "
            "ask for fewer folds or a larger fraction"
        )
    fold = {subject: index % num_folds + 1 for index, subject in enumerate(subjects)}
    return manifest["subject"].map(fold).astype("int64").rename("fold")


def fitting_folds(manifest: pd.DataFrame, num_folds: int) -> int:
    """Number of folds for clips of one's own: `num_folds`, or the number of subjects if smaller.

    DatasetError if there are fewer than three subjects: one to train on, to validate and to test.
    """
    subjects = manifest["subject"].nunique()
    if subjects < MIN_FOLDS:
        raise DatasetError(
            f"{plural(subjects, 'subject is', 'subjects are')} too few: training, "
            f"validation and test need {MIN_FOLDS} or more. "
            "Where labels.csv names no subjects every clip counts as a person of its own"
        )
    return min(num_folds, subjects)


def official_folds(manifest: pd.DataFrame) -> int:
    """Number of folds that the dataset itself prescribes; 0 if they are made from subjects.

    DatasetError if the clips of one or several of them are missing.
    """
    splits = set(_splits(manifest))
    if splits & {"train", "val"} and splits <= {"train", "val"}:
        missing = {"train", "val"} - splits
        count = 1
    elif splits and all(split.isdecimal() for split in splits):
        count = max(map(int, splits))
        missing = {str(fold) for fold in range(1, max(count, 2) + 1)} - splits
    else:
        return 0
    if missing:
        raise DatasetError(
            f"no clips of the official split {', '.join(sorted(missing))}, only of "
            f"{', '.join(sorted(splits))}; ask for a larger fraction or complete the dataset"
        )
    return count


def split_fold(
    manifest: pd.DataFrame,
    fold: int,
    num_folds: int = 10,
    *,
    use_official: bool = True,
    holdout: bool = True,
) -> Split:
    """Split the clips for a fold (from 1): test, validation and the rest; see the module.

    Of subject folds the validation part is the next fold, cyclic. It costs the training part some
    clips, and is what makes a checkpoint selection that does not look at the test clips possible.
    `num_folds` counts for subject folds; official ones have a number of their own, and without
    `use_official` they are left aside. Without `holdout` the validation part is empty and its clips
    are trained on, as where a paper keeps nothing out. DatasetError for a fold that does not exist.
    """
    split = _split(manifest, fold, num_folds, use_official)
    if holdout:
        return split
    return Split(np.union1d(split.train, split.val), split.val[:0], split.test)


def _split(manifest: pd.DataFrame, fold: int, num_folds: int, use_official: bool) -> Split:
    official = official_folds(manifest) if use_official else 0
    count = official or num_folds
    if not 1 <= fold <= count:
        raise DatasetError(f"fold is {fold!r}, allowed are 1 to {count}")
    if official:
        tested = str(fold) if official > 1 else "val"
        return _split_official(manifest, _splits(manifest) == tested)
    folds = subject_folds(manifest, num_folds).to_numpy()
    test, val = folds == fold, folds == fold % num_folds + 1
    return Split(*(np.flatnonzero(part) for part in (~test & ~val, val, test)))


def _splits(manifest: pd.DataFrame) -> np.ndarray:
    return manifest["split"].to_numpy(dtype=str) if "split" in manifest else np.empty(0, str)


def _split_official(manifest: pd.DataFrame, test: np.ndarray) -> Split:
    subjects = manifest["subject"].to_numpy(dtype=str)
    rest = np.flatnonzero(~test & ~np.isin(subjects, subjects[test]))
    unknown = len(np.unique(subjects)) == len(subjects)
    if unknown:
        labels = manifest["label"].to_numpy(dtype=str)
        ordered = subjects[rest][np.lexsort((subjects[rest], labels[rest]))]
    else:
        ordered = np.unique(subjects[rest])
    if len(ordered) < 2:
        raise DatasetError(
            f"{plural(len(ordered), 'subject or clip', 'subjects or clips')} cannot be split into "
            "training and validation; ask for a larger fraction"
        )
    val = np.isin(subjects[rest], ordered[min(VAL_FIRST, len(ordered) - 1) :: VAL_STEP])
    return Split(rest[~val], rest[val], np.flatnonzero(test))
