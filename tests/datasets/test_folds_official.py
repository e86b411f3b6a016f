"""Folds that a dataset prescribes: five of DFEW, the two lists of AFEW."""

import numpy as np
import pandas as pd
import pytest

from dferlib.datasets import DatasetError
from dferlib.datasets.folds import official_folds, split_fold, subject_folds


def manifest_of(splits, labels=None, subjects=None):
    count = len(splits)
    clips = [f"c{number:04d}" for number in range(count)]
    return pd.DataFrame(
        {
            "subject": clips if subjects is None else subjects,
            "label": ["fear"] * count if labels is None else labels,
            "split": splits,
        }
    )


def parts_of(split):
    return [part.tolist() for part in (split.train, split.val, split.test)]


def test_five_folds_of_dfew():
    rng = np.random.default_rng(0)
    splits = rng.permutation(np.repeat(list("12345"), [60, 60, 59, 58, 57]))
    manifest = manifest_of(splits, rng.choice(["fear", "anger"], len(splits), p=[0.1, 0.9]))
    assert official_folds(manifest) == 5
    tested = []
    for fold in range(1, 6):
        split = split_fold(manifest, fold)  # as many folds as there are, whatever the default
        assert (splits[split.test] == str(fold)).all()
        together = np.concatenate([split.train, split.val, split.test])
        assert sorted(together) == list(range(len(splits)))
        assert 23 <= len(split.val) <= 24
        shares = [(manifest["label"].iloc[part] == "fear").mean() for part in (split.val, together)]
        assert abs(shares[0] - shares[1]) < 0.05
        tested += split.test.tolist()
    assert sorted(tested) == list(range(len(splits)))
    with pytest.raises(DatasetError, match="fold is 6, allowed are 1 to 5"):
        split_fold(manifest, 6)


def test_one_fold_of_afew_by_hand():
    # in the order of classes, then of ids: a b c d e f g h i j | k l m n o; the fifth and 15th
    labels = ["anger"] * 10 + ["fear"] * 5 + ["anger", "fear"]
    manifest = manifest_of(["train"] * 15 + ["val"] * 2, labels)
    split = split_fold(manifest, 1, num_folds=10)
    assert split.val.tolist() == [4, 14]
    assert split.test.tolist() == [15, 16]
    assert split.train.tolist() == [n for n in range(15) if n not in (4, 14)]
    with pytest.raises(DatasetError, match="fold is 2, allowed are 1 to 1"):
        split_fold(manifest, 2)


def test_the_validation_part_does_not_depend_on_the_order_of_rows():
    labels = np.random.default_rng(0).choice(["fear", "anger", "disgust"], 200)
    manifest = manifest_of(["train"] * 150 + ["val"] * 50, labels)
    shuffled = manifest.sample(frac=1, random_state=0)
    for one, other in zip(
        (split_fold(manifest, 1).val, split_fold(manifest, 1).train),
        (split_fold(shuffled, 1).val, split_fold(shuffled, 1).train),
        strict=True,
    ):
        assert set(manifest["subject"].iloc[one]) == set(shuffled["subject"].iloc[other])


def test_known_subjects_stay_together():
    subjects = [f"S{number % 14:02d}" for number in range(70)] + ["T1"] * 5
    manifest = manifest_of(["train"] * 70 + ["val"] * 5, subjects=subjects)
    split = split_fold(manifest, 1)
    assert {subjects[row] for row in split.val} == {"S04"}
    assert len(split.val) == 5
    assert len(split.train) == 65


def test_a_subject_of_the_test_part_is_not_trained_on():
    manifest = manifest_of(["1"] * 4 + ["2"] * 6, subjects=list("aabb") + list("aacdee"))
    split = split_fold(manifest, 1)
    assert split.test.tolist() == [0, 1, 2, 3]
    assert parts_of(split)[:2] == [[6, 7], [8, 9]]


def test_missing_official_splits_are_named():
    with pytest.raises(DatasetError, match="no clips of the official split val, only of train"):
        split_fold(manifest_of(["train"] * 5), 1)
    with pytest.raises(DatasetError, match=r"official split 1, 3, only of 2, 4"):
        official_folds(manifest_of(["2", "4"]))
    with pytest.raises(DatasetError, match="1 subject or clip cannot be split"):
        split_fold(manifest_of(["train", "val"]), 1)


@pytest.mark.parametrize("splits", [[""] * 30, ["still"] * 10 + ["clip"] * 20])
def test_other_splits_mean_folds_of_subjects(splits):
    manifest = manifest_of(splits)
    assert official_folds(manifest) == 0
    test = split_fold(manifest, 3, num_folds=10).test
    assert test.tolist() == np.flatnonzero(subject_folds(manifest) == 3).tolist()
    assert official_folds(manifest.drop(columns="split")) == 0


def test_the_stand_ins_have_the_official_folds():
    from dferlib.datasets.standins.plans import plan_standin

    afew = plan_standin("afew").manifest
    split = split_fold(afew, 1)
    assert (len(split.train), len(split.val), len(split.test)) == (696, 77, 383)
    assert afew["label"].iloc[split.val].nunique() == 7
    dfew = plan_standin("dfew").manifest
    sizes = [len(split_fold(dfew, fold).test) for fold in range(1, 6)]
    assert sizes == [2341, 2341, 2340, 2339, 2336]
