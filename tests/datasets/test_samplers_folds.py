"""Samplers against cases worked out by hand, folds against the counts in the literature."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dferlib.datasets import DatasetError
from dferlib.datasets.folds import split_fold, subject_folds
from dferlib.datasets.samplers import neutral_to_peak


def manifest_of(subjects):
    return pd.DataFrame({"subject": subjects})


@pytest.mark.parametrize(
    ("n_frames", "apex", "frames"),
    [
        (7, -1, [0, 1, 2, 3, 4, 5, 6]),
        (13, -1, [0, 2, 4, 6, 8, 10, 12]),
        (20, 12, [0, 2, 4, 6, 8, 10, 12]),
        # steps of 10/6 = 1.67: 1.67, 3.33, 5, 6.67, 8.33
        (11, -1, [0, 2, 3, 5, 7, 8, 10]),
        # steps of 9/6 = 1.5: halves are rounded up
        (10, -1, [0, 2, 3, 5, 6, 8, 9]),
        (5, -1, [0, 1, 1, 2, 3, 3, 4]),
        (2, -1, [0, 0, 0, 1, 1, 1, 1]),
        (1, -1, [0, 0, 0, 0, 0, 0, 0]),
        (9, 0, [0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_neutral_to_peak_by_hand(n_frames, apex, frames):
    assert neutral_to_peak([n_frames], [apex]).tolist() == [frames]


def test_neutral_to_peak_is_vectorised_and_takes_any_number():
    together = neutral_to_peak([7, 13, 1], [-1, -1, 0], num_frames=3)
    assert together.tolist() == [[0, 3, 6], [0, 6, 12], [0, 0, 0]]
    assert together.dtype == np.int64
    assert neutral_to_peak([9, 4], [5, -1], num_frames=1).tolist() == [[5], [3]]
    assert neutral_to_peak([9], [-1], num_frames=2).tolist() == [[0, 8]]


def test_jitter_reaches_half_a_step_and_not_further():
    rng = np.random.default_rng(0)
    # steps of 4 frames: 0 4 8 12 16 20 24, so each inner frame moves by -2 to 2
    drawn = neutral_to_peak(np.full(2000, 25), np.full(2000, -1), rng=rng)
    moved = drawn - np.arange(0, 25, 4)
    assert (moved[:, [0, -1]] == 0).all()
    assert set(moved[:, 1:-1].ravel()) == {-2, -1, 0, 1, 2}
    share = np.bincount(moved[:, 1:-1].ravel() + 2) / (2000 * 5)
    assert np.abs(share - 0.2).max() < 0.02
    # steps of 11/6 = 1.83: half of one is less than a frame
    still = neutral_to_peak([12] * 50, [-1] * 50, rng=rng)
    assert (still == neutral_to_peak([12], [-1])).all()


@given(
    clips=hnp.arrays(np.int64, st.integers(1, 20), elements=st.integers(1, 900)),
    num_frames=st.integers(2, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_jittered_frames_stay_in_order_and_in_the_clip(clips, num_frames, seed):
    apex = np.where(clips % 3 == 0, -1, clips // 2)
    fixed = neutral_to_peak(clips, apex, num_frames)
    drawn = neutral_to_peak(clips, apex, num_frames, rng=np.random.default_rng(seed))
    last = np.where(apex < 0, clips - 1, apex)
    assert (np.diff(drawn, axis=1) >= 0).all()
    assert (drawn[:, 0] == 0).all()
    assert (drawn[:, -1] == last).all()
    assert (np.abs(drawn - fixed) <= last[:, None] / (num_frames - 1) / 2).all()
    again = neutral_to_peak(clips, apex, num_frames, rng=np.random.default_rng(seed))
    assert (drawn == again).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([5, 0], [-1, -1]), "clip 1 has 0 frames"),
        (([5], [5]), "apex at 5"),
        (([5], [-2]), "apex at -2"),
        (([5, 6], [1]), "must agree"),
        (([5], [1], 0), "num_frames is 0"),
    ],
)
def test_sampler_refuses(arguments, message):
    with pytest.raises(DatasetError, match=message):
        neutral_to_peak(*arguments)


def test_folds_have_the_sizes_of_ckplus():
    # 118 labelled subjects with gaps in their ids; as many clips each as the literature counts
    counts = np.repeat([1, 2, 3, 4, 5, 6], [21, 22, 47, 20, 7, 1])
    ids = [f"S{5 + 8 * index:03d}" for index in range(117)] + ["S999"]
    manifest = manifest_of(np.repeat(ids, np.random.default_rng(0).permutation(counts)))
    folds = subject_folds(manifest)
    assert len(manifest) == 327
    sizes = manifest.groupby(folds)["subject"].nunique()
    assert sizes.tolist() == [12] * 8 + [11] * 2
    assert folds[manifest["subject"] == "S005"].eq(1).all()
    assert folds[manifest["subject"] == "S013"].eq(2).all()
    assert folds[manifest["subject"] == "S085"].eq(1).all()  # the eleventh
    assert folds[manifest["subject"] == "S999"].eq(8).all()  # the 118th


def test_folds_have_the_sizes_of_oulu():
    ids = [f"P{number:03d}" for number in range(1, 81)]
    manifest = manifest_of(np.repeat(ids, 6))
    for fold in range(1, 11):
        split = split_fold(manifest, fold)
        assert [len(part) for part in (split.train, split.val, split.test)] == [384, 48, 48]
        tested = manifest["subject"].iloc[split.test].unique()
        assert tested.tolist() == ids[fold - 1 :: 10]


def test_folds_do_not_depend_on_the_order_of_rows():
    manifest = manifest_of([f"S{number:02d}" for number in range(30)])
    shuffled = manifest.sample(frac=1, random_state=0)
    assert subject_folds(shuffled).sort_index().equals(subject_folds(manifest))


def test_validation_part_is_the_next_fold():
    manifest = manifest_of([f"S{number:02d}" for number in range(30)])
    for fold, following in ((1, 2), (9, 10), (10, 1)):
        assert np.array_equal(split_fold(manifest, fold).val, split_fold(manifest, following).test)


@given(
    subjects=st.lists(st.integers(0, 40), min_size=3, max_size=200),
    num_folds=st.integers(3, 12),
)
def test_no_subject_is_in_two_parts(subjects, num_folds):
    manifest = manifest_of([f"S{number:03d}" for number in subjects])
    if len(set(subjects)) < num_folds:
        with pytest.raises(DatasetError, match="cannot fill"):
            subject_folds(manifest, num_folds)
        return
    tested = []
    for fold in range(1, num_folds + 1):
        split = split_fold(manifest, fold, num_folds)
        parts = [
            set(manifest["subject"].iloc[rows]) for rows in (split.train, split.val, split.test)
        ]
        assert all(parts)
        assert sum(map(len, parts)) == len(set.union(*parts)) == len(set(subjects))
        rows = np.concatenate([split.train, split.val, split.test])
        assert sorted(rows) == list(range(len(subjects)))
        tested += split.test.tolist()
    assert sorted(tested) == list(range(len(subjects)))


def test_folds_refuse():
    manifest = manifest_of([f"S{number:02d}" for number in range(30)])
    for fold in (0, 11):
        with pytest.raises(DatasetError, match="1 to 10"):
            split_fold(manifest, fold)
    with pytest.raises(DatasetError, match="need 3"):
        subject_folds(manifest, 2)
