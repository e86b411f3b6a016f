"""Corruptions: grade 0 is the clip itself, worse grades are worse, clips stay as they are."""

import numpy as np
import pytest
import torch

from dferlib.analysis import corruptions
from dferlib.analysis.corruptions import GRADES, PIXELS, corrupt, turn_heads
from dferlib.datasets.standins.plans import plan_standin


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    """Four clips (4, 6, 40, 40, 3) of a bright spot that moves over a gradient."""
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    frames = []
    for start in range(4):
        for step in range(6):
            spot = (rows - 8 - 2 * start) ** 2 + (columns - 6 - 5 * step) ** 2
            frames.append(60 + 2 * rows + 120 * torch.exp(-spot / 4))
    pixels = torch.stack(frames).view(4, 6, 40, 40, 1).repeat(1, 1, 1, 1, 3)
    return (pixels * torch.tensor([1.0, 0.9, 0.7])).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("name", PIXELS)
def test_grades_rise_from_the_clip_itself_and_no_clip_is_changed(name, clips):
    kept = clips.clone()
    errors = []
    for grade in (0, *GRADES):
        spoilt = corrupt(clips, name, grade)
        assert spoilt.dtype == torch.uint8
        assert spoilt.shape == clips.shape
        assert torch.equal(spoilt, corrupt(clips, name, grade))  # chance is seeded
        errors.append((spoilt.float() - clips.float()).square().mean().item())
        spoilt.zero_()
    assert torch.equal(clips, kept)
    assert errors[0] == 0
    assert errors[1] > 0
    assert errors == sorted(errors)


def test_shuffled_clips_keep_their_frames_and_move_as_many_as_the_grade_says(clips):
    for grade in GRADES:
        shuffled = corrupt(clips, "shuffled", grade)
        for before, after in zip(clips.flatten(2), shuffled.flatten(2), strict=True):
            assert sorted(map(bytes, before.numpy())) == sorted(map(bytes, after.numpy()))
            assert int((before != after).any(1).sum()) == grade + 1


def test_dropped_frames_show_the_last_that_arrived(clips):
    for grade in GRADES:
        dropped = corrupt(clips, "dropped", grade)
        for before, after in zip(clips, dropped, strict=True):
            assert torch.equal(before[0], after[0])
            lost = [t for t in range(6) if not torch.equal(before[t], after[t])]
            assert len(lost) == grade
            assert all(torch.equal(after[t], after[t - 1]) for t in lost)


def test_the_square_has_the_side_that_the_grade_says(clips):
    inside = (corrupt(clips, "occlusion", 1) != clips).any(-1)
    side = corruptions.OCCLUSION[0] * 40
    assert torch.all(inside.sum((2, 3)) <= (side + 1) ** 2)
    assert torch.all(inside.sum((2, 3)) >= (side - 1) ** 2 - 8)  # grey pixels of the clip itself
    assert torch.equal(
        corrupt(clips, "light", 3)[0, 0, 0, 0], (clips[0, 0, 0, 0] * 0.4).round().to(torch.uint8)
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "pose"}, "corruption of pixels"),
        ({"name": "blurr"}, "'blur'"),
        ({"grade": 6}, "valid: 0 to 5"),
        ({"clips": torch.zeros(2, 6, 8, 8, 3)}, "uint8"),
    ],
)
def test_what_cannot_be_spoilt_is_named(clips, changes, said):
    with pytest.raises(ValueError, match=said):
        corrupt(**{"clips": clips, "name": "blur", "grade": 1} | changes)


def test_a_turned_head_starts_at_the_frames_of_the_store():
    plan = plan_standin("oulu", 0.1)
    frames = np.array([[0, 3], [1, 4]])
    own, _ = plan.render_clips([0, 1], 24)
    first = int(plan.manifest["n_frames"].iloc[0])
    still = turn_heads(plan, [0, 1], frames, 0, 24)
    assert still.shape == (2, 2, 24, 24, 3)
    assert np.array_equal(still[0], own[[0, 3]])
    assert np.array_equal(still[1], own[[first + 1, first + 4]])
    errors = [
        np.square(turn_heads(plan, [0, 1], frames, grade, 24).astype(float) - still).mean()
        for grade in (1, 3, 5)
    ]
    assert 0 < errors[0] < errors[1] < errors[2]
