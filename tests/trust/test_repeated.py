"""No randomness without a seed: nothing reads the generators that a whole process shares."""

import random
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from toy import make_store
from toy_source import build

from dferlib.datasets.batches import ClipLoader
from dferlib.evidence import clustered, intervals, stats
from dferlib.notebook.display import display_figure
from dferlib.protocols import load_protocol
from dferlib.training.runner import run_tasks
from dferlib.training.tasks import plan_tasks

SEEDING = ("seed", "getstate", "setstate", "get_state", "set_state")


class UnseededError(AssertionError):
    """Something drew from a generator that the whole process shares."""


def refuse(*arguments, **options):
    raise UnseededError("a shared generator was drawn from")


class Refusing:
    """Stands for numpy's shared generator, which scikit-learn takes where it is given no seed."""

    def __init__(self, real: np.random.RandomState) -> None:
        self.real = real

    def __getattr__(self, name: str):
        return getattr(self.real, name) if name in (*SEEDING, "_bit_generator") else refuse


@pytest.fixture
def shared_generators_refuse(monkeypatch):
    """Python's and numpy's shared generators raise; seeding them is allowed."""
    for module, owner in ((random, random._inst), (np.random, np.random.mtrand._rand)):
        for name in dir(module):
            bound = getattr(getattr(module, name), "__self__", None)
            if bound is owner and name not in SEEDING:
                monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(np.random.mtrand, "_rand", Refusing(np.random.mtrand._rand))


def train(folder: Path):
    recipe = {"epochs": 1, "milestones": (), "width": 0.1}
    asked = (load_protocol("stcam"), "smoke", ["stcam"], [1], [0], make_store(), folder)
    tasks = [replace(task, recipe=task.recipe.override(**recipe)) for task in plan_tasks(*asked)]
    (run,) = run_tasks(tasks, progress=False)
    return run.predictions, run.history.filter(regex="war|uar|loss")


def test_the_fixture_refuses_what_it_is_for(shared_generators_refuse):
    for draw in (random.random, random.shuffle, np.random.rand, np.random.permutation):
        with pytest.raises(UnseededError):
            draw()
    with pytest.raises(UnseededError):
        np.random.mtrand._rand.randint(3)
    random.seed(0)
    assert random.Random(0).random() > 0
    assert np.random.default_rng(0).random() > 0


def test_a_training_does_not_depend_on_the_shared_generators(tmp_path, shared_generators_refuse):
    found = []
    for number in (1, 2):
        torch.manual_seed(number)
        found.append(train(tmp_path / str(number)))
    (one, history), (other, again) = found
    assert one.equals(other)
    assert history.equals(again)


def test_stores_samples_and_tests_do_not_depend_on_them(tmp_path, shared_generators_refuse):
    store = make_store(subjects=4)
    recipe = load_protocol("hacn").resolve("smoke", "oulu", "hacn")
    found = []
    for number in (1, 2):
        torch.manual_seed(number)
        built = build(tmp_path / str(number), 1, clips=8)
        loader = ClipLoader(store, recipe.sampler, 3, 32, 4, torch.device("cpu"))
        drawn = loader.draw(seed=5, epoch=2)
        hits, sizes = np.eye(6)[:, :4], np.ones((6, 4))
        ends = intervals.interval(hits, sizes, "war", "bca", resamples=50)
        level = clustered.sign_flip(np.sqrt(np.arange(1.0, 30)) - 3, flips=99).p
        gap = stats.uar_difference([0, 1, 1], [0, 0, 1], [1, 1, 1], 2, resamples=50)
        found.append((np.asarray(built.frames).tobytes(), drawn.frames.tobytes(), ends, level, gap))
    assert found[0] == found[1]


def test_figures_have_the_same_bytes_whatever_came_before(tmp_path, shared_generators_refuse):
    kept = []
    for number in (1, 2):
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.plot([0, 1], label=f"line {number // 9}")
        ax.legend()
        folder = tmp_path / str(number)
        display_figure(figure, "a line", folder=folder, name="line")
        kept.append([(folder / f"line.{kind}").read_bytes() for kind in ("png", "svg")])
    assert kept[0] == kept[1]
