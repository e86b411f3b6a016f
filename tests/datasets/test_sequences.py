"""Time courses and nuisances of the procedural faces."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from dferlib.datasets.standins.plans import STANDINS, plan_standin
from dferlib.synthface import AU_INDEX
from dferlib.synthface.courses import SPANS, find_onset, follow_course, onset_and_apex
from dferlib.synthface.difficulty import PRESETS, Difficulty, find_difficulty
from dferlib.synthface.nuisance import (
    NOBODY,
    STRANGER,
    SUBJECT,
    add_noise,
    blur,
    compress,
    draw_background,
    occlude,
    plan_nuisances,
)
from dferlib.synthface.scene import film
from dferlib.synthface.streams import stream
from dferlib.synthface.timecourse import (
    in_the_wild,
    neutral_peak_neutral,
    neutral_to_peak,
    resting_aus,
)

CLEAN = PRESETS["clean"]
KEY, SUBJECT_KEY = ("test", 1), ("test", "somebody")
SMALL = 32  # pixels
SPOILT = Difficulty(irrelevant=1, occlusion=1, blur=1, noise=0.1, compression=1)


# ---------------------------------------------------------------------------------------- courses


@pytest.mark.parametrize("course", list(SPANS))
@pytest.mark.parametrize("n_frames", [7, 9, 21, 105])
def test_apex_is_the_one_highest_frame(course, n_frames):
    for number in range(20):
        weights, span = follow_course(course, n_frames, (*KEY, number))
        total = weights.sum(1)
        assert int(total.argmax()) == span.apex
        assert torch.allclose(weights[span.apex], torch.ones(len(weights[0])))
        assert (total.sort().values[-2:].diff() > 0).all()
        assert 0 <= find_onset(weights) <= span.apex
        known = onset_and_apex(course, "fear", n_frames, (*KEY, number))
        assert known == (find_onset(weights), span.apex)


@pytest.mark.parametrize("label", ["anger", "happiness", "surprise"])
def test_to_peak_starts_neutral_and_ends_at_the_apex(label):
    plan = neutral_to_peak(label, 21, CLEAN, KEY, SUBJECT_KEY)
    total = plan.aus.sum(dim=(1, 2))
    assert total[0] < 0.02 * total[-1]
    assert plan.apex == 20 == int(total.argmax())
    assert total[plan.onset] > total[max(0, plan.onset - 2)]
    assert (total.diff() > -1e-6).all()


def test_there_and_back_is_neutral_at_both_ends():
    for number in range(10):
        plan = neutral_peak_neutral("happiness", 60, CLEAN, (*KEY, number), SUBJECT_KEY)
        total = plan.aus.sum(dim=(1, 2))
        assert total[[0, -1]].max() < 0.02 * total.max()
        assert 0.29 <= plan.apex / 59 <= 0.71
        assert int(total.argmax()) == plan.apex


def test_action_units_do_not_move_in_step():
    plan = neutral_to_peak("surprise", 40, CLEAN, KEY, SUBJECT_KEY)
    brow, jaw = (plan.aus[:, AU_INDEX[au], 0] / plan.aus[-1, AU_INDEX[au], 0] for au in (1, 26))
    assert (brow - jaw).abs().max() > 0.05


@pytest.mark.parametrize("n_frames", [1, 4, 7, 30])
def test_eyes_are_open_at_the_apex(n_frames):
    closed, awake = AU_INDEX[43], replace(CLEAN, blink=1.0)
    blinks = 0
    for number in range(30):
        plan = neutral_to_peak("happiness", n_frames, awake, (*KEY, number), SUBJECT_KEY)
        assert plan.aus[plan.apex, closed].max() == 0
        blinks += bool(plan.aus[:, closed].max() == 1)
    assert (blinks > 0) == (n_frames > 5)


def test_neutral_clip_has_no_apex():
    plan = in_the_wild("neutral", 30, CLEAN, KEY, SUBJECT_KEY)
    assert (plan.onset, plan.apex) == (-1, -1)
    assert plan.aus.max() == 0
    afew = plan_standin("afew").manifest
    assert (afew[["apex", "onset"]].eq(-1).all(axis=1) == (afew["label"] == "neutral")).all()


def test_unknown_course_is_refused():
    with pytest.raises(ValueError, match=r"unknown course 'backwards'.*neutral_to_peak"):
        onset_and_apex("backwards", "fear", 10, KEY)


def test_manifest_knows_onset_and_apex_of_the_plan():
    plan = plan_standin("mmi", 0.1)
    for row in (0, 5, 11):
        clip = plan.scene(row).plan
        assert (clip.onset, clip.apex) == tuple(plan.manifest.loc[row, ["onset", "apex"]])


def test_resting_face_belongs_to_the_subject():
    same, again = resting_aus(0.5, SUBJECT_KEY), resting_aus(0.5, SUBJECT_KEY)
    assert torch.equal(same, again)
    assert not torch.equal(same, resting_aus(0.5, ("test", "another")))
    many = torch.stack([resting_aus(0.5, ("test", n)) for n in range(200)])
    assert many.max() <= 0.5
    assert 3 < (many[..., 0] > 0).sum(1).float().mean() < 5.5, "sparse: about .35 of twelve AUs"


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({"talking": 1.0}, "aus"),
        ({"distraction": 1.0}, "aus"),
        ({"blink": 1.0}, "aus"),
        ({"pose": 0.5}, "pose"),
        ({"jitter": 1.0}, "camera"),
    ],
)
def test_a_nuisance_changes_what_it_says_and_nothing_else(change, moves):
    plain = in_the_wild("fear", 40, CLEAN, KEY, SUBJECT_KEY)
    changed = in_the_wild("fear", 40, replace(CLEAN, **change), KEY, SUBJECT_KEY)
    assert not torch.equal(getattr(plain, moves), getattr(changed, moves))
    if moves != "aus":
        assert torch.equal(plain.aus, changed.aus)
    assert torch.equal(plain.light.key, changed.light.key)
    assert (plain.onset, plain.apex) == (changed.onset, changed.apex)


# -------------------------------------------------------------------------------------- nuisances


def test_irrelevant_frames_never_hide_the_apex():
    shown = set()
    for number in range(60):
        nuisances = plan_nuisances(20, 12, SPOILT, (*KEY, number), torch.ones(3))
        assert nuisances.shows[12] == SUBJECT
        away = (nuisances.shows != SUBJECT).sum()
        assert 1 <= away <= 6
        shown |= set(nuisances.shows.tolist())
    assert shown == {SUBJECT, STRANGER, NOBODY}


def test_irrelevant_frames_have_no_truth():
    plan = plan_standin("afew", 0.02, Difficulty(irrelevant=1))
    scene = plan.scene(0)
    away = (scene.nuisances.shows != SUBJECT).numpy()
    keep = [int(np.flatnonzero(away)[0]), int(np.flatnonzero(~away)[0])]
    _, truth = film([scene.take(keep)], SMALL)
    assert truth["aus"][0].max() == 0
    assert truth["mask"][0].max() == 0
    assert np.isnan(truth["landmarks"][0]).all()
    assert np.isfinite(truth["landmarks"][1]).all()


def test_blur_keeps_the_mean_and_spreads_a_point():
    image = torch.zeros(2, 1, 33, 33)
    image[:, :, 16, 16] = 1
    out = blur(image, torch.tensor([0.0, 2.0]))
    assert torch.allclose(out[0], image[0], atol=1e-6)
    place = torch.arange(33.0) - 16
    spread = (out[1, 0].sum(0) * place**2).sum()
    assert out[1].sum() == pytest.approx(1, abs=1e-4)
    assert spread == pytest.approx(4, rel=0.02)


def test_noise_has_its_strength_and_place():
    image = torch.full((2, 3, 64, 64), 0.5)
    out = add_noise(image, torch.tensor([0.0, 0.1]), torch.tensor([[0, 0], [250, 3]])) - image
    assert out[0].abs().max() == 0
    assert out[1].std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("size", [64, 36])
def test_compression_is_exact_at_zero_and_leaves_the_blocks_mean(size):
    image = torch.rand(2, 3, size, size, generator=stream("image"))
    out = compress(image, torch.tensor([0.0, 1.0]))
    assert torch.allclose(out[0], image[0], atol=1e-3)
    assert (out[1] - image[1]).abs().mean() > 0.02
    means = torch.nn.functional.avg_pool2d(out[1] - image[1], 8)[:, :4, :4]
    assert means.abs().max() < 0.01


def test_occluder_covers_its_place_only():
    image = torch.zeros(1, 3, 65, 65)
    shape = torch.tensor([[0.5, 0.0, 0.3, 0.3, 0.0, 1.0]])
    out = occlude(image, shape, torch.ones(1, 3))
    assert out[0, :, 32, 48].min() > 0.9
    assert out[0, :, :, :24].max() == 0
    assert torch.equal(occlude(image, shape * torch.tensor([1, 1, 1, 1, 1, 0.0]), None), image)


def test_background_is_one_picture_at_any_size():
    large, small = (draw_background(size, 1.0, KEY) for size in (96, 24))
    shrunk = torch.nn.functional.avg_pool2d(large, 4)
    assert (shrunk - small).abs().mean() < 0.03
    assert draw_background(24, 0.0, KEY).std() < 1e-6


# ------------------------------------------------------------------------------------- difficulty


def test_difficulty_refuses_what_it_does_not_know():
    with pytest.raises(ValidationError, match="blurr"):
        Difficulty(blurr=1)
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Difficulty(talking=1.5)
    with pytest.raises(ValidationError, match=r"intensity_low 0\.95 is above"):
        Difficulty(intensity_low=0.95)
    with pytest.raises(ValueError, match=r"did you mean 'middle'.*clean, easy"):
        find_difficulty("midle")
    assert find_difficulty("middle") == Difficulty()
    assert {spec.difficulty for spec in STANDINS.values()} <= set(PRESETS)
