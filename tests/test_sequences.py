"""Time courses, nuisances and stand-ins of the procedural faces."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from dferlib.datasets.manifest import DATASETS, MANIFEST_COLUMNS, DatasetError
from dferlib.datasets.standins import MOST_FRAMES, STANDINS, STRANGERS, full_roster, plan_standin
from dferlib.synthface import AU_INDEX, EXPRESSIONS, sample_identities
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


# ------------------------------------------------------------------------ golden manifests


@pytest.mark.parametrize(
    ("name", "clips", "subjects", "classes"),
    [
        ("ckplus", 327, 118, "45 18 59 25 69 28 83"),
        ("oulu", 480, 80, "80 80 80 80 80 80"),
        ("mmi", 208, 30, "33 32 28 42 32 41"),
        ("bu4dfe", 606, 101, "101 101 101 101 101 101"),
        ("afew", 1156, 1156, "197 114 127 213 207 178 120"),
        ("dfew", 11697, 11697, "2445 1894 2669 2173 1469 145 902"),
        ("pretraining", 6080, 760, "760 760 760 760 760 760 760 760"),
    ],
)
def test_full_size_has_the_real_counts(name, clips, subjects, classes):
    plan = plan_standin(name)
    counts = plan.manifest["label"].value_counts()
    assert (len(plan.manifest), plan.manifest["subject"].nunique()) == (clips, subjects)
    assert [counts[label] for label in plan.classes] == [int(n) for n in classes.split()]
    assert tuple(plan.manifest.columns) == MANIFEST_COLUMNS
    assert set(plan.manifest["source"]) == {"synthetic"}
    assert plan.manifest["n_frames"].max() <= MOST_FRAMES


def test_class_order_is_the_datasets():
    assert {name: spec.classes for name, spec in STANDINS.items() if name in DATASETS} == DATASETS


def test_ckplus_subjects_are_as_the_real_ones():
    clips = plan_standin("ckplus").manifest
    per_subject = clips.groupby("subject").size().value_counts().to_dict()
    assert per_subject == {1: 21, 2: 22, 3: 47, 4: 20, 5: 7, 6: 1}
    assert not clips.duplicated(["subject", "label"]).any()
    numbers = clips["subject"].drop_duplicates().str[1:].astype(int)
    assert numbers.diff().max() > 1, "ids have to have gaps, as in the real set"
    six = clips[clips["label"] != "contempt"]
    assert (len(six), six["subject"].nunique()) == (309, 106)
    assert clips["n_frames"].between(10, 60).all()
    assert set(clips["fps"]) == {30.0}


def test_oulu_lengths_are_as_the_real_ones():
    lengths = plan_standin("oulu").manifest["n_frames"]
    assert (lengths.min(), lengths.max(), lengths.median()) == (9, 72, 21)
    assert lengths.sum() == 10_379


def test_wild_splits_are_the_official_ones():
    afew = plan_standin("afew").manifest
    val = afew[afew["split"] == "val"]["label"].value_counts()
    assert afew["split"].value_counts().to_dict() == {"train": 773, "val": 383}
    assert [val[label] for label in STANDINS["afew"].classes] == [64, 40, 46, 63, 63, 61, 46]
    dfew = plan_standin("dfew").manifest
    sizes = dfew["split"].value_counts().sort_index()
    assert sizes.to_dict() == {"1": 2341, "2": 2341, "3": 2340, "4": 2339, "5": 2336}
    ordered = dfew.groupby("label")["split"].apply(lambda s: s.astype(int).is_monotonic_increasing)
    assert ordered.all(), "within a class a fold is a block of ascending ids"


def test_bu4dfe_subjects():
    subjects = plan_standin("bu4dfe").manifest["subject"].unique()
    assert sum(name.startswith("F") for name in subjects) == 58
    assert (subjects[0], subjects[-1]) == ("F001", "M043")


# --------------------------------------------------------------------------------- fractions


@pytest.mark.parametrize("name", list(STANDINS))
def test_fraction_keeps_the_make_up(name):
    full, part = plan_standin(name).manifest, plan_standin(name, 0.4).manifest
    share_full, share = (m["label"].value_counts(normalize=True) for m in (full, part))
    assert (share - share_full).abs().max() < 0.02
    assert set(part["split"]) == set(full["split"])
    ends = part["offset"] + part["n_frames"]
    assert (part["offset"].to_numpy()[1:] == ends.to_numpy()[:-1]).all()
    whole = full.set_index("clip_id").loc[part["clip_id"]].reset_index()
    pd.testing.assert_frame_equal(
        whole.drop(columns="offset"), part.drop(columns="offset"), check_like=True
    )


@pytest.mark.parametrize("name", ["ckplus", "afew"])
def test_smaller_fractions_are_part_of_larger_ones(name):
    small, large = (set(plan_standin(name, f).manifest["clip_id"]) for f in (0.2, 0.5))
    assert small < large


def test_small_fraction_still_fills_ten_folds():
    assert plan_standin("oulu", 0.001).manifest["subject"].nunique() == 10
    assert len(plan_standin("afew", 0.001).manifest) == 14  # one of each class and split


@pytest.mark.parametrize("name", ["oulu", "afew"])
def test_a_clip_is_the_same_at_every_fraction(name):
    full, part = plan_standin(name), plan_standin(name, 0.05)
    row = int(np.argmin(part.manifest["n_frames"]))
    other = full.manifest["clip_id"].tolist().index(part.manifest["clip_id"][row])
    neighbour = (other + 1) % len(full.manifest)
    alone, truth = part.render_clips([row], SMALL)
    frames = [full.scene(other), full.scene(neighbour).take([0, 1])]
    together, more = film(frames, SMALL)
    assert alone.shape == (part.manifest["n_frames"][row], SMALL, SMALL, 3)
    np.testing.assert_array_equal(alone, together[: len(alone)])
    for key, values in truth.items():
        np.testing.assert_array_equal(values, more[key][: len(alone)])


def test_rendering_is_deterministic_and_differs_between_clips():
    plan = plan_standin("oulu")
    first, again, other = (film([plan.scene(row).take([0])], SMALL)[0] for row in (3, 3, 9))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 5


def test_truth_has_the_promised_form():
    plan = plan_standin("oulu")
    apex = int(plan.manifest["apex"][0])
    frames, truth = film([plan.scene(0).take([0, apex])], SMALL)
    assert (frames.dtype, frames.shape) == (np.uint8, (2, SMALL, SMALL, 3))
    assert (truth["aus"].dtype, truth["aus"].shape[0], truth["aus"].shape[2]) == (np.float16, 2, 2)
    assert (truth["landmarks"].dtype, truth["landmarks"].shape) == (np.float32, (2, 68, 2))
    assert (truth["mask"].dtype, truth["mask"].shape) == (np.uint8, (2, 16, 16))
    assert truth["mask"][1].max() > 30, "something moves at the apex"


# ----------------------------------------------------------------------------------- courses


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


# --------------------------------------------------------------------------------- nuisances


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


# -------------------------------------------------------------------------------- difficulty


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


def test_unknown_stand_ins_and_fractions_are_refused():
    with pytest.raises(
        DatasetError, match=r"no stand-in 'afwe'.*did you mean 'afew'.*ckplus, oulu"
    ):
        plan_standin("afwe")
    for fraction in (0, -0.1, 1.01, True):
        with pytest.raises(DatasetError, match="above 0 and up to 1"):
            plan_standin("oulu", fraction)
    with pytest.raises(DatasetError, match="unknown difficulty 'extreme'"):
        plan_standin("oulu", difficulty="extreme")


def test_fingerprint_is_json_and_knows_the_difficulty():
    prints = [plan_standin("oulu", 0.1, difficulty=d).fingerprint() for d in (None, "hard")]
    assert json.loads(json.dumps(prints[0])) == prints[0]
    assert prints[0] != prints[1]
    assert {"face_version", "sequence_version", "seed", "fraction"} <= set(prints[0])


# ------------------------------------------------------------------------------- pre-training


def test_nobody_of_the_pretraining_set_is_in_a_stand_in():
    seeds = [spec.seed for spec in STANDINS.values()]
    strangers = [seed + STRANGERS for seed in seeds]
    assert len({*seeds, *strangers}) == 2 * len(seeds)
    faces = {name: sample_identities(40, spec.seed) for name, spec in STANDINS.items()}
    traits = {name: torch.stack([f.face_width, f.eye_x, f.brow_y], 1) for name, f in faces.items()}
    learnt = traits.pop("pretraining")
    for name, others in traits.items():
        assert torch.cdist(learnt, others).min() > 1e-7, name


def test_pretraining_has_stills_and_short_clips_of_all_expressions():
    plan = plan_standin("pretraining", 0.1)
    clips = plan.manifest
    assert plan.classes == EXPRESSIONS
    assert clips.groupby("split")["n_frames"].agg(["min", "max"]).to_numpy().tolist() == [
        [7, 7],
        [1, 1],
    ]
    stills, moving = (set(clips[clips["split"] == s]["subject"]) for s in ("still", "clip"))
    assert stills.isdisjoint(moving)
    still = plan.scene(int(clips.index[clips["label"] == "happiness"][0])).plan
    assert still.aus[0, AU_INDEX[12]].max() > 0.25, "a still shows the peak"


def test_roster_gives_every_subject_one_face():
    for name in STANDINS:
        roster = full_roster(name)
        assert roster.groupby("subject")["face"].nunique().max() == 1
        assert roster["face"].nunique() == roster["subject"].nunique()
