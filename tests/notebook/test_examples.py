"""Clips that stand for a dataset: with a face, whole, of one person, each of somebody else."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from toy import CLASSES, make_store

from dferlib.notebook.examples import choose_examples, flaws


@pytest.fixture
def store():
    """Six people, one clip of each class, calm pixels."""
    made = make_store(subjects=6, size=8, noise=2)
    return replace(made, frames=made.frames.copy())


def loader_of(store, steps: int = 5) -> SimpleNamespace:
    """Every other frame of a clip, as a loader brings them."""

    def gather(rows):
        clips = np.stack([store.clip(row)[::2][:steps] for row in rows]).astype(np.float32)
        return torch.from_numpy(clips).permute(0, 4, 1, 2, 3)

    return SimpleNamespace(gather=gather)


def chosen(store, rows=None):
    rows = np.arange(len(store.manifest)) if rows is None else rows
    found = choose_examples(store, loader_of(store), rows, CLASSES)
    return store.manifest.iloc[found]


def test_each_class_has_one_clip_of_another_person(store):
    clips = chosen(store)
    assert list(clips["label"]) == list(CLASSES)
    assert clips["subject"].is_unique
    without = np.flatnonzero(store.manifest["label"] != "fear")
    assert "fear" not in set(chosen(store, without)["label"])


@pytest.mark.parametrize("fault", ["no face", "borrowed box", "another person", "too short"])
def test_a_clip_that_is_no_example_is_passed_over(store, fault):
    clip = chosen(store).iloc[2]
    if fault == "another person":
        end = clip["offset"] + clip["n_frames"] - 1
        store.frames[end] = 255 - store.frames[end]
    elif fault == "too short":
        store.manifest.loc[clip.name, "n_frames"] = 9
        rows = np.array([clip.name])
        longer = np.zeros((1, 10, 2, 2, 3))
        assert flaws(store, rows, longer) == [2]
        return
    else:
        column = {"no face": "none", "borrowed box": "borrowed"}[fault]
        face = {"clip_id": clip["clip_id"], "none": 0, "borrowed": 0} | {column: 1}
        store = replace(store, faces=pd.DataFrame([face]))
    assert clip["clip_id"] not in set(chosen(store)["clip_id"])
