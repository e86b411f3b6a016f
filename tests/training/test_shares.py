"""Trainings on parts of the subjects: nested, tested on the same clips, under another id."""

import numpy as np
from toy import make_store

from dferlib.protocols.benchmark import PAPER, ROWS
from dferlib.training.shares import kept_rows, share_tasks
from dferlib.training.tasks import plan_tasks


def test_smaller_shares_are_parts_of_larger_ones_and_tests_stay_whole(tmp_path):
    store = make_store()
    (task,) = plan_tasks(PAPER, "smoke", ["hacn"], [1], [0], store, tmp_path)
    tenth, third = share_tasks([task], (0.3, 0.1))
    assert (tenth.recipe.share, third.recipe.share) == (0.1, 0.3)
    assert (tenth.recipe.passes, third.recipe.passes) == (5, 2)
    assert set(tenth.split.train) < set(third.split.train) < set(task.split.train)
    subjects = store.manifest["subject"].to_numpy()
    assert len(set(subjects[third.split.train])) == 2  # of eight
    assert np.array_equal(third.split.test, task.split.test)
    assert len({task.id, third.id, tenth.id}) == 3
    assert third.variant == "hacn, 30 % of subjects"
    assert np.array_equal(kept_rows(store.manifest, task.split.train, 1.0), task.split.train)


def test_every_row_reads_the_same_frames(tmp_path):
    store = make_store()
    tasks = plan_tasks(PAPER, "smoke", list(ROWS), [1], [0], store, tmp_path)
    shared = [
        {k: v for k, v in task.recipe.key().items() if k not in ("network", "variant")}
        for task in tasks
    ]
    assert all(key == shared[0] for key in shared)
    clips = tasks[0].loader().gather(np.arange(2))
    for task in tasks:
        model = task.build().eval()
        assert model(clips).shape == (2, len(store.classes))
