"""Procedural stand-ins: counts of the real sets, fractions, rendering, the pre-training set."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from dferlib.datasets.manifest import DATASETS, MANIFEST_COLUMNS, WITHOUT_STANDIN, DatasetError
from dferlib.datasets.standins.plans import (
    MOST_FRAMES,
    STANDINS,
    STRANGERS,
    full_roster,
    plan_standin,
)
from dferlib.synthface import AU_INDEX, EXPRESSIONS, sample_identities
from dferlib.synthface.scene import film

SMALL = 32  # pixels


# ------------------------------------------------------------------------------- golden manifests


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
    shared = [name for name in DATASETS if name in STANDINS]
    assert shared == [name for name in DATASETS if name not in WITHOUT_STANDIN]
    assert all(STANDINS[name].classes == DATASETS[name] for name in shared)


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


# -------------------------------------------------------------------------------------- fractions


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


def test_small_fraction_still_fills_five_folds():
    assert plan_standin("oulu", 0.001).manifest["subject"].nunique() == 5
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


# --------------------------------------------------------------------------------- names and keys


def test_unknown_stand_ins_and_fractions_are_refused():
    with pytest.raises(
        DatasetError, match=r"unknown stand-in: 'afwe'.*did you mean 'afew'.*ckplus.*oulu"
    ):
        plan_standin("afwe")
    for fraction in (0, -0.1, 1.01, True):
        with pytest.raises(DatasetError, match="above 0 and up to 1"):
            plan_standin("oulu", fraction)
    with pytest.raises(DatasetError, match="unknown difficulty: 'extreme'"):
        plan_standin("oulu", difficulty="extreme")


def test_fingerprint_is_json_and_knows_the_difficulty():
    prints = [plan_standin("oulu", 0.1, difficulty=d).fingerprint() for d in (None, "hard")]
    assert json.loads(json.dumps(prints[0])) == prints[0]
    assert prints[0] != prints[1]
    assert {"face_version", "sequence_version", "seed", "fraction"} <= set(prints[0])


# ----------------------------------------------------------------------------------- pre-training


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
