"""The samplers of CEFLNet, HACN and ECNN-FSA against cases worked out by hand, and padded clips."""

from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn
from toy import make_store

from dferlib.datasets import DatasetError
from dferlib.datasets.batches import ClipLoader, denormalise
from dferlib.datasets.samplers import (
    one_per_segment,
    resampled_frames,
    span_starts,
    windowed_clips,
)
from dferlib.protocols import load_protocol, recipe_dataclass
from dferlib.protocols.stcam import StcamRecipe
from dferlib.training.predict import extract_features, predict
from dferlib.training.tasks import Task

CPU = torch.device("cpu")
clip_lengths = hnp.arrays(np.int64, st.integers(1, 12), elements=st.integers(1, 900))


# ------------------------------------------------------------------------------------- CEFLNet


@pytest.mark.parametrize(
    ("n_frames", "first", "last"),
    [
        # the window is 15 to 89; its clips start at 15, 25, .. 75, each gives 0 3 6 9 12
        (105, [15, 18, 21, 24, 27], [75, 78, 81, 84, 87]),
        # ten frames are cut off at both ends of 125, nine and ten of 124
        (125, [25, 28, 31, 34, 37], [85, 88, 91, 94, 97]),
        (124, [24, 27, 30, 33, 36], [84, 87, 90, 93, 96]),
        # 53 frames are stretched to twice the length: half the place, halves up
        (53, [8, 9, 11, 12, 14], [38, 39, 41, 42, 44]),
        # a quarter of the place: 3.75 4.5 5.25 6 6.75 and 18.75 19.5 20.25 21 21.75
        (27, [4, 5, 5, 6, 7], [19, 20, 20, 21, 22]),
        # 104 gaps against 8: a place's thirteenth, 1.15 1.38 1.62 1.85 2.08, 5.77 6 6.23 6.46 6.69
        (9, [1, 1, 2, 2, 2], [6, 6, 6, 6, 7]),
        (2, [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]),
        (1, [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ],
)
def test_windowed_clips_by_hand(n_frames, first, last):
    got = windowed_clips([n_frames], [-1])
    assert got.shape == (1, 35)
    assert got.dtype == np.int64
    assert (got[0, :5].tolist(), got[0, -5:].tolist()) == (first, last)


def test_all_seven_clips_overlap_by_five_frames():
    got = windowed_clips([105], [3]).reshape(7, 5)
    assert got[:, 0].tolist() == [15, 25, 35, 45, 55, 65, 75]
    assert (got - got[:, :1] == [0, 3, 6, 9, 12]).all()
    assert windowed_clips([105], [-1], 105).reshape(7, 15)[1].tolist() == list(range(25, 40))


@pytest.mark.parametrize(
    ("num_clips", "starts"),
    [
        (1, [30]),
        (2, [0, 60]),
        (3, [0, 30, 60]),
        (5, [0, 15, 30, 45, 60]),
        (6, [0, 12, 24, 36, 48, 60]),
        (7, [0, 10, 20, 30, 40, 50, 60]),
        # steps of 7.5: halves are rounded up
        (9, [0, 8, 15, 23, 30, 38, 45, 53, 60]),
    ],
)
def test_other_numbers_of_clips_are_evenly_spaced(num_clips, starts):
    assert span_starts(num_clips).tolist() == starts
    got = windowed_clips([105], [-1], 5 * num_clips, num_clips=num_clips)
    assert got[0, ::5].tolist() == [15 + start for start in starts]


@pytest.mark.parametrize(
    ("each", "inner"),
    [
        (1, [0]),
        (2, [0, 7]),
        (10, [0, 1, 3, 4, 6, 7, 9, 10, 12, 13]),
        (15, list(range(15))),
    ],
)
def test_other_numbers_of_frames_are_evenly_spaced(each, inner):
    got = windowed_clips([105], [-1], 7 * each)[0].reshape(7, each)
    assert (got - 10 * np.arange(7)[:, None] - 15 == inner).all()


def test_drawn_clips_start_in_the_first_30_frames_and_differ():
    rng = np.random.default_rng(0)
    drawn = windowed_clips(np.full(3000, 105), np.full(3000, -1), rng=rng).reshape(3000, 7, 5)
    # a clip lies in 15 frames and its start is the same for all seven
    offsets = drawn - 10 * np.arange(7)[None, :, None]
    assert (offsets.max((1, 2)) - offsets.min((1, 2)) < 15).all()
    assert (offsets.min(), offsets.max()) == (0, 29 + 14)
    assert (np.diff(drawn, axis=2) > 0).all()  # distinct, in order
    whole = windowed_clips(np.full(3000, 105), np.full(3000, -1), 105, rng)
    starts = np.bincount(whole[:, 0], minlength=30)
    assert len(starts) == 30
    assert np.abs(starts / 3000 - 1 / 30).max() < 0.012
    assert (np.diff(whole.reshape(3000, 7, 15), axis=2) == 1).all()


def test_every_frame_of_a_clip_is_drawn_as_often():
    rng = np.random.default_rng(1)
    drawn = windowed_clips(np.full(6000, 105), np.full(6000, -1), 35, rng).reshape(-1, 7, 5)
    gaps = np.diff(drawn, axis=2).ravel()
    # sorted five of fifteen: a gap of g leaves C(15 - g, 4) of the C(15, 5) choices
    assert abs((gaps == 1).mean() - 1001 / 3003) < 0.01
    assert abs((gaps == 2).mean() - 715 / 3003) < 0.01
    assert gaps.max() == 11


@given(clips=clip_lengths, num_clips=st.integers(1, 9), each=st.integers(1, 15), seed=st.integers())
def test_windows_equal_a_loop_over_places(clips, num_clips, each, seed):
    apex = np.full(len(clips), -1)
    got = windowed_clips(clips, apex, num_clips * each, num_clips=num_clips)
    for row, count in enumerate(clips):
        want = []
        for start in span_starts(num_clips):
            for place in range(each):
                place = 15 + start + place * 15 // each
                if count > 105:
                    want.append((count - 105) // 2 + place)
                else:
                    want.append(int(Fraction(int(place * (count - 1)), 104) + Fraction(1, 2)))
        assert got[row].tolist() == want
    rng = np.random.default_rng(abs(seed))
    drawn = windowed_clips(clips, apex, num_clips * each, rng, num_clips=num_clips)
    assert (drawn >= 0).all()
    assert (drawn < clips[:, None]).all()


def test_resampling_keeps_both_ends_or_the_middle():
    got = resampled_frames([9, 105, 106, 847], [[0, 104]] * 4)
    assert got.tolist() == [[0, 8], [0, 104], [0, 104], [371, 475]]


@pytest.mark.parametrize(
    ("num_frames", "num_clips", "message"),
    [
        (36, 7, "36 for 7 clips"),
        (112, 7, "1 to 15"),
        (5, 0, "num_clips is 0"),
        (0, 7, "num_frames is 0"),
    ],
)
def test_windowed_clips_refuse(num_frames, num_clips, message):
    with pytest.raises(DatasetError, match=message):
        windowed_clips([90], [-1], num_frames, num_clips=num_clips)


# --------------------------------------------------------------------------- HACN and ECNN-FSA


@pytest.mark.parametrize(
    ("n_frames", "num_frames", "frames"),
    [
        # parts 0-2 3-5 6-8 9-11 12-14
        (15, 5, [1, 4, 7, 10, 13]),
        # parts of two: the first of them
        (10, 5, [0, 2, 4, 6, 8]),
        # 0 | 1 | 2-3 | 4 | 5-6
        (7, 5, [0, 1, 2, 4, 5]),
        (5, 5, [0, 1, 2, 3, 4]),
        # fewer frames than parts: all, and the last again
        (4, 5, [0, 1, 2, 3, 3]),
        (2, 5, [0, 1, 1, 1, 1]),
        (1, 5, [0, 0, 0, 0, 0]),
        # 0-5 6-12 13-19, 0-2 3-5 6-9 10-12 13-15 16-19
        (20, 3, [2, 9, 16]),
        (20, 6, [1, 4, 7, 11, 14, 17]),
        # 0-1 2-3 4-5 6-7 8-10 11-12 13-14 15-16 17-19
        (20, 9, [0, 2, 4, 6, 9, 11, 13, 15, 18]),
        (8, 1, [3]),
    ],
)
def test_one_per_segment_by_hand(n_frames, num_frames, frames):
    got = one_per_segment([n_frames], [-1], num_frames)
    assert got.tolist() == [frames]
    assert got.dtype == np.int64


def test_any_frame_of_a_part_is_drawn():
    rng = np.random.default_rng(0)
    drawn = one_per_segment(np.full(4000, 7), np.full(4000, 2), 5, rng)
    parts = ([0], [1], [2, 3], [4], [5, 6])
    for column, part in enumerate(parts):
        share = np.bincount(drawn[:, column] - part[0]) / 4000
        assert len(share) == len(part)
        assert np.abs(share - 1 / len(part)).max() < 0.03
    assert one_per_segment([3], [-1], 5, rng).tolist() == [[0, 1, 2, 2, 2]]


@given(clips=clip_lengths, num_frames=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_each_frame_is_of_its_part(clips, num_frames, seed):
    apex = np.full(len(clips), -1)
    fixed = one_per_segment(clips, apex, num_frames)
    drawn = one_per_segment(clips, apex, num_frames, np.random.default_rng(seed))
    for row, count in enumerate(clips.tolist()):
        for part in range(num_frames):
            inside = range(part * count // num_frames, (part + 1) * count // num_frames)
            if count < num_frames:
                inside = [min(part, count - 1)]
            assert drawn[row, part] in inside
            assert fixed[row, part] == inside[(len(inside) - 1) // 2]


def test_whole_clips_end_in_padding():
    got = one_per_segment([3, 5, 1], [-1] * 3, 3, test_frames="all")
    assert got.tolist() == [[0, 1, 2, -1, -1], [0, 1, 2, 3, 4], [0, -1, -1, -1, -1]]
    drawn = one_per_segment([9], [-1], 3, np.random.default_rng(0), test_frames="all")
    assert drawn.shape == (1, 3)
    with pytest.raises(DatasetError, match="allowed are middle, all"):
        one_per_segment([9], [-1], test_frames="every")
    with pytest.raises(DatasetError, match="clip 1 has 0 frames"):
        one_per_segment([5, 0], [-1, -1])


# ---------------------------------------------------------------------------------- the loader


def uneven_store(lengths=(4, 9, 2, 7, 9, 3)):
    """A toy store of one subject whose clips have different numbers of frames."""
    store = make_store(subjects=1, length=9)
    store.manifest["n_frames"] = list(lengths)
    store.manifest["apex"] = store.manifest["n_frames"] - 1
    return store


def whole_clips(store, **options) -> ClipLoader:
    settings = {"num_frames": 3, "input_size": 32, "batch_size": 4, "device": CPU, **options}
    every = {"test_frames": "all"}
    return ClipLoader(store, "one_per_segment", sampler_options=every, **settings)


class Mean(nn.Module):
    """Mean grey of the frames before the padding, as features and as logits."""

    def forward_features(self, clip, lengths=None):
        time = torch.arange(clip.shape[2])
        mask = time < (lengths if lengths is not None else torch.tensor([clip.shape[2]]))[:, None]
        grey = clip.mean((1, 3, 4)) * mask
        return (grey.sum(1) / mask.sum(1))[:, None]

    def forward(self, clip, lengths=None):
        mean = self.forward_features(clip, lengths)
        return torch.cat([mean, -mean], 1)


def test_whole_clips_are_padded_to_the_longest_of_their_batch():
    store = uneven_store()
    batches = list(whole_clips(store).testing(np.arange(6)))
    # twelve frames at once: 4 alone (with 9 it would be 18), 9 alone, 2, ...
    assert [batch.lengths.tolist() for batch in batches] == [[4], [9], [2], [7], [9], [3]]
    larger = whole_clips(store, batch_size=6)
    batches = list(larger.testing(np.array([1, 0, 2, 5, 3])))
    assert [batch.lengths.tolist() for batch in batches] == [[9, 4], [2, 3], [7]]
    assert [batch.clip.shape[2] for batch in batches] == [9, 3, 7]
    pixels = denormalise(batches[1].clip).mul(255).round()
    frames = store.clip(2)[:, 2:34, 2:34]
    for time, frame in enumerate([0, 1, 1]):  # the last one again
        assert np.array_equal(pixels[0, :, time].permute(1, 2, 0).numpy(), frames[frame])


def test_predictions_and_features_do_not_see_the_padding():
    store = uneven_store()
    loader, clips = whole_clips(store, batch_size=30), np.array([5, 0, 3, 1])
    together = predict(Mean(), loader, clips)
    alone = np.concatenate([predict(Mean(), loader, clips[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    features = extract_features(Mean(), loader, clips)
    for row, clip in enumerate(clips):
        grey = store.clip(clip)[:, 2:34, 2:34].mean((0, 1, 2)) / 255
        want = ((grey - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).mean()
        assert features[row, 0] == pytest.approx(want, abs=1e-4)


def test_training_batches_of_segments_have_no_padding():
    loader = whole_clips(uneven_store())
    for batch in loader.training(np.arange(6), seed=0, epoch=0):
        assert batch.clip.shape[2] == 3
        assert batch.lengths is None


def test_the_loader_names_what_the_sampler_does_not_take():
    store = make_store(subjects=1, length=4)
    plain = {"num_frames": 35, "input_size": 32, "batch_size": 4, "device": CPU}
    clips = ClipLoader(store, "windowed_clips", sampler_options={"num_clips": 5}, **plain)
    assert clips.gather(np.array([0, 3])).shape == (2, 3, 35, 32, 32)
    with pytest.raises(ValueError, match=r"do not fit 'windowed_clips'.*clips_num"):
        ClipLoader(store, "windowed_clips", sampler_options={"clips_num": 5}, **plain)
    with pytest.raises(DatasetError, match="35 for 6 clips"):
        ClipLoader(store, "windowed_clips", sampler_options={"num_clips": 6}, **plain)


def test_a_recipe_names_its_sampler_and_the_options(tmp_path):
    @recipe_dataclass
    class Windowed(StcamRecipe):
        sampler_fields: ClassVar = ("num_clips",)
        sampler: str = "windowed_clips"
        num_clips: int = 7

    recipe = Windowed(num_frames=10, num_clips=5, store_size=36, input_size=32)
    store = make_store(subjects=1, length=105)
    loader = Task(recipe, "stcam", fold=1, seed=0, store=store, folder=tmp_path).loader()
    # five clips start every 15 frames, two frames each
    assert loader.draw().frames[0].tolist() == [15, 22, 30, 37, 45, 52, 60, 67, 75, 82]
    assert load_protocol("stcam").stated.sampler_options() == {}
