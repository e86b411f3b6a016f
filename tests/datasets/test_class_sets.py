"""Other classes on the same frames: contempt out, neutral in."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from dferlib.datasets import DATASETS, DatasetError, choose_classes
from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.folds import split_fold
from dferlib.datasets.standins.plans import plan_standin
from tests.toy import CLASSES, make_store
from tests.toy_source import build

WITH_NEUTRAL = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


def loader(store, **options):
    settings = {"num_frames": 5, "input_size": 32, "batch_size": 8, "device": "cpu"}
    return ClipLoader(store, "one_per_segment", **settings | options)


def test_a_store_that_has_the_classes_is_returned_as_it_is():
    store = make_store(3)
    assert choose_classes(store, CLASSES) is store
    turned = choose_classes(store, CLASSES[::-1])
    assert turned.classes == CLASSES[::-1]
    rows = np.arange(len(store.manifest))
    first, second = (np.array(s.classes)[loader(s).labels(rows)] for s in (store, turned))
    assert first.tolist() == second.tolist() == store.manifest["label"].tolist()


def test_clips_of_other_classes_are_left_out_and_the_rest_keeps_its_frames():
    store = make_store(3)
    view = choose_classes(store, ("fear", "anger"))
    assert set(view.manifest["label"]) == {"anger", "fear"}
    assert len(view.manifest) == 6
    assert view.frames is store.frames
    for row in range(6):
        same = store.manifest["clip_id"].tolist().index(view.manifest["clip_id"][row])
        assert np.array_equal(view.clip(row), store.clip(same))
    assert view.manifest_hash() != store.manifest_hash()


def test_neutral_is_the_start_of_each_subjects_longest_sequence():
    store = make_store(3, length=24)
    manifest = store.manifest.copy()
    manifest.loc[manifest["clip_id"] == "S01/fear", "n_frames"] = 23
    short = manifest["subject"] == "S02"
    manifest.loc[short, "n_frames"] = np.arange(4, 10)  # surprise has most, and no ten frames
    store = type(store)(**{**vars(store), "manifest": manifest})
    view = choose_classes(store, WITH_NEUTRAL)
    neutral = view.manifest[view.manifest["label"] == "neutral"]
    names = ["S00/anger#neutral", "S01/anger#neutral", "S02/surprise#neutral"]
    assert neutral["clip_id"].tolist() == names
    assert neutral["n_frames"].tolist() == [2, 2, 1]
    for row, name in zip(neutral.index, names, strict=True):
        source = manifest["clip_id"].tolist().index(name.removesuffix("#neutral"))
        start = store.clip(source)[: len(view.clip(row))]
        assert np.array_equal(view.clip(row), start)
    assert len(view.manifest) == 18 + 3


def test_a_neutral_clip_is_in_the_fold_of_its_subject():
    view = choose_classes(make_store(12, length=20), WITH_NEUTRAL)
    for fold in (1, 2, 5):
        split = split_fold(view.manifest, fold, 5)
        parts = [set(view.manifest["subject"].iloc[rows]) for rows in (split.train, split.test)]
        assert not parts[0] & parts[1]
        assert "neutral" in set(view.manifest["label"].iloc[split.test])


def test_a_loader_reads_neutral_clips_and_repeats_their_last_frame():
    view = choose_classes(make_store(3, length=20), WITH_NEUTRAL)
    row = int(np.flatnonzero(view.manifest["label"] == "neutral")[0])
    clip = loader(view).gather(np.array([row]))[0]
    assert not np.array_equal(clip[:, 0], clip[:, 1])
    for t in (2, 3, 4):
        assert np.array_equal(clip[:, 1], clip[:, t])


@pytest.mark.parametrize(
    ("classes", "message"),
    [(("anger", "joy"), "joy.*do not exist"), (("anger", "contempt"), "no clip .* contempt")],
)
def test_classes_that_are_not_there_are_refused(classes, message):
    with pytest.raises(DatasetError, match=message):
        choose_classes(make_store(3), classes)


def test_the_stand_in_of_ck_plus_has_309_sequences_and_106_neutral_clips():
    store = make_store(1)
    plan = plan_standin("ckplus")
    fields = {**vars(store), "manifest": plan.manifest, "classes": DATASETS["ckplus"]}
    view = choose_classes(type(store)(**fields), WITH_NEUTRAL)
    counts = view.manifest["label"].value_counts()
    assert counts.sum() - counts["neutral"] == 309
    assert counts["neutral"] == view.manifest["subject"].nunique() == 106
    assert "contempt" not in counts
    assert view.manifest["n_frames"][view.manifest["label"] == "neutral"].between(1, 6).all()


def test_a_view_can_be_sent_to_another_process(tmp_path):
    view = choose_classes(build(tmp_path, 1), ("anger", "neutral"))
    copy = pickle.loads(pickle.dumps(view))
    assert copy.manifest_hash() == view.manifest_hash()
    assert np.array_equal(copy.clip(0), view.clip(0))
