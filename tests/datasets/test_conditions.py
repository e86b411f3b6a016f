"""One clip under three conditions: what stays, what changes, and the way to a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dferlib.datasets.batches import ClipLoader, to_clips
from dferlib.datasets.standins.plans import plan_standin
from dferlib.synthface.conditions import CONDITIONS, under_condition
from dferlib.synthface.nuisance import SUBJECT
from dferlib.synthface.scene import film
from tests.toy import make_store

SIZE = 48


@pytest.fixture(scope="module")
def scenes() -> dict:
    plan = plan_standin("afew", 0.02)  # the wild one: occluded, blurred, turned
    return {name: plan.scene_under(0, name).take([0, 20]) for name in CONDITIONS}


@pytest.fixture(scope="module")
def filmed(scenes) -> dict:
    return {name: film([scene], SIZE) for name, scene in scenes.items()}


def test_people_and_movement_stay(scenes):
    first = scenes["ideal"]
    for scene in scenes.values():
        assert torch.equal(scene.plan.aus, first.plan.aus)
        assert scene.people is first.people
        assert (scene.nuisances.shows == SUBJECT).all()
        assert not scene.nuisances.occluder.any()
        assert not scene.nuisances.blur.any()


def test_each_condition_changes_what_it_says(scenes, filmed):
    landmarks = {name: truth["landmarks"] for name, (_, truth) in filmed.items()}
    np.testing.assert_array_equal(landmarks["ideal"], landmarks["badly lit"])
    across = landmarks["deflected"][..., 0]
    assert 0.4 < (across.min() + across.max()) / 2 / SIZE < 0.6  # the cut follows
    nose, jaw = 30, (0, 16)  # of 68 landmarks

    def lean(name: str) -> np.ndarray:
        """How far the nose tip is from the middle of the face, in widths of the face."""
        points = landmarks[name][:, :, 0]
        left, right = points[:, jaw[0]], points[:, jaw[1]]
        return np.abs(points[:, nose] - (left + right) / 2) / np.abs(right - left)

    assert (lean("ideal") < 0.1).all()
    assert (lean("deflected") > 0.2).all()

    def halves(name: str) -> tuple[float, float]:
        middle = filmed[name][0][:, SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4].astype(float)
        return middle[:, :, : SIZE // 4].mean(), middle[:, :, SIZE // 4 :].mean()

    (left, right), (dark_left, dark_right) = halves("ideal"), halves("badly lit")
    assert abs(np.log(left / right)) < 0.4 < 0.8 < abs(np.log(dark_left / dark_right))
    assert min(dark_left, dark_right) < 0.6 * min(left, right)


def test_an_unknown_condition_is_refused():
    with pytest.raises(ValueError, match="'foggy'; valid: ideal, deflected, badly lit"):
        under_condition(plan_standin("afew", 0.02).scene(0), "foggy")


def test_frames_of_several_clips_come_in_the_order_asked_for():
    plan = plan_standin("ckplus", 0.1)
    chosen = np.array([[0, 3, 9], [1, 5, 5]])
    frames, masks = plan.render_condition([4, 2], chosen, "deflected", 24)
    assert frames.shape == (2, 3, 24, 24, 3)
    assert masks.shape == (2, 3, 16, 16)
    alone, _ = film([plan.scene_under(2, "deflected")], 24)
    np.testing.assert_array_equal(frames[1], alone[[1, 5, 5]])


def test_frames_in_no_store_are_prepared_as_those_of_a_test():
    store = make_store(subjects=2, size=24)
    loader = ClipLoader(store, "one_per_segment", 5, 20, 4, torch.device("cpu"), crop="none")
    rows = np.array([0, 3])
    frames = np.asarray(store.frames[loader.draw().frames[rows]])
    torch.testing.assert_close(to_clips(frames, 20), loader.gather(rows))
    with pytest.raises(ValueError, match="24 px, less than input_size 32"):
        to_clips(frames, 32)
