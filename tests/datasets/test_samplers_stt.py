"""The two samplers of STT against cases worked out by hand, and the loader between two frames."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from toy import make_store

from dferlib.datasets import DatasetError
from dferlib.datasets.batches import ClipLoader, denormalise
from dferlib.datasets.samplers import dynamic_sampling, time_interpolation


@pytest.mark.parametrize(
    ("n_frames", "frames"),
    [
        # two segments of four places, 0-3 and 4-7: middles 2 and 6
        (9, [2, 3, 6, 7]),
        # places 0-8: middles 9/4 = 2.25 and 27/4 = 6.75, rounded down
        (10, [2, 3, 6, 7]),
        # places 0-2: 3/4 and 9/4
        (4, [0, 1, 2, 3]),
        # as many places as segments, or fewer: the first pair
        (3, [0, 1, 0, 1]),
        (2, [0, 1, 0, 1]),
        (1, [0, 0, 0, 0]),
    ],
)
def test_dynamic_sampling_by_hand(n_frames, frames):
    assert dynamic_sampling([n_frames], [-1], num_frames=4).tolist() == [frames]


def test_dynamic_sampling_of_sixteen_frames_by_hand():
    # eight segments of 9/8 places: 9/16 27/16 45/16 63/16 81/16 99/16 117/16 135/16
    ten = [0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 7, 8, 8, 9]
    long = [start + step for start in range(5, 80, 10) for step in (0, 1)]
    short = [0, 1] * 8
    got = dynamic_sampling([10, 81, 9], [-1, 3, 0])
    assert got.tolist() == [ten, long, short]
    assert got.dtype == np.int64


def test_drawn_pairs_start_anywhere_in_their_segment():
    drawn = dynamic_sampling(np.full(4000, 9), np.full(4000, -1), 4, np.random.default_rng(0))
    starts = drawn[:, ::2]
    assert (drawn[:, 1::2] == starts + 1).all()
    for segment, places in enumerate((range(4), range(4, 8))):
        assert set(starts[:, segment]) == set(places)
        share = np.bincount(starts[:, segment] - places[0]) / 4000
        assert np.abs(share - 0.25).max() < 0.03


def test_drawn_pairs_of_short_clips_are_sorted_and_use_all_of_it():
    rng = np.random.default_rng(0)
    # four frames have three places to start, for eight segments
    drawn = dynamic_sampling(np.full(500, 4), np.full(500, -1), 16, rng)
    starts = drawn[:, ::2]
    assert set(starts.ravel()) == {0, 1, 2}
    assert (np.diff(starts, axis=1) >= 0).all()
    assert (drawn[:, 1::2] == starts + 1).all()
    assert dynamic_sampling([1], [-1], 16, rng).tolist() == [[0] * 16]


@given(
    clips=hnp.arrays(np.int64, st.integers(1, 20), elements=st.integers(1, 900)),
    pairs=st.integers(1, 10),
    seed=st.integers(0, 2**32 - 1),
)
def test_pairs_stay_in_order_and_in_the_clip(clips, pairs, seed):
    apex = np.full(len(clips), -1)
    drawn = dynamic_sampling(clips, apex, 2 * pairs, np.random.default_rng(seed))
    for frames in (drawn, dynamic_sampling(clips, apex, 2 * pairs)):
        assert frames.shape == (len(clips), 2 * pairs)
        assert (frames >= 0).all()
        assert (frames < clips[:, None]).all()
        steps = frames[:, 1::2] - frames[:, ::2]
        assert (steps == np.minimum(1, clips - 1)[:, None]).all()
        assert (np.diff(frames[:, ::2], axis=1) >= 0).all()
    again = dynamic_sampling(clips, apex, 2 * pairs, np.random.default_rng(seed))
    assert (drawn == again).all()


@pytest.mark.parametrize(
    ("n_frames", "positions"),
    [
        (5, [0, 1, 2, 3, 4]),
        (9, [0, 2, 4, 6, 8]),
        (4, [0, 0.75, 1.5, 2.25, 3]),
        (2, [0, 0.25, 0.5, 0.75, 1]),
        (1, [0, 0, 0, 0, 0]),
    ],
)
def test_time_interpolation_by_hand(n_frames, positions):
    got = time_interpolation([n_frames], [-1], num_frames=5)
    assert got.tolist() == [positions]
    assert got.dtype == np.float64
    drawn = time_interpolation([n_frames], [0], num_frames=5, rng=np.random.default_rng(0))
    assert drawn.tolist() == [positions]


def test_time_interpolation_reaches_both_ends_and_takes_any_number():
    got = time_interpolation([847, 12], [-1, -1])
    assert got.shape == (2, 16)
    assert got[:, [0, -1]].tolist() == [[0, 846], [0, 11]]
    assert time_interpolation([8], [-1], num_frames=1).tolist() == [[3.5]]


@pytest.mark.parametrize("sample", [dynamic_sampling, time_interpolation])
def test_samplers_of_stt_refuse(sample):
    with pytest.raises(DatasetError, match="clip 1 has 0 frames"):
        sample([5, 0], [-1, -1])
    with pytest.raises(DatasetError, match="num_frames is 0"):
        sample([5], [-1], 0)


def test_pairs_need_an_even_number():
    with pytest.raises(DatasetError, match="num_frames is 7; pairs"):
        dynamic_sampling([5], [-1], 7)


def test_the_loader_mixes_the_neighbours_of_a_position():
    store = make_store(subjects=2, length=4)
    loader = ClipLoader(store, "time_interpolation", 7, 36, 4, torch.device("cpu"))
    clips = np.array([3, 0])
    got = denormalise(loader.gather(clips)).mul(255)
    for row, clip in enumerate(clips):
        frames = store.clip(clip).astype(float)
        # positions 0, 0.5, 1, ... 3
        for time in range(7):
            want = (frames[time // 2] + frames[(time + 1) // 2]) / 2
            assert np.abs(got[row, :, time].permute(1, 2, 0).numpy() - want).max() < 1e-3


def test_interpolated_frames_are_cut_and_mirrored_as_one():
    store = make_store(subjects=2, length=5)
    loader = ClipLoader(store, "time_interpolation", 5, 32, 4, torch.device("cpu"))
    draw = loader.draw(seed=1, epoch=0)
    assert draw.frames.dtype == np.float64
    whole = replace(draw, frames=draw.frames.astype(np.int64))
    clips = np.arange(12)
    # five positions in five frames are whole numbers
    assert torch.equal(loader.gather(clips, draw), loader.gather(clips, whole))
