"""What a plan says before anything runs."""

import dataclasses
import json

import pytest

from dferlib.protocols import load_protocol
from dferlib.training import runner
from dferlib.training.pace import Pace
from dferlib.training.runner import Plan, run_tasks
from dferlib.training.tasks import plan_tasks


@pytest.fixture
def planned(store, tmp_path):
    return plan_tasks(
        load_protocol("stcam"), "smoke", ["baseline", "stcam"], [1, 2], [0], store, tmp_path
    )


def test_folds_are_outermost(planned):
    rows = [(task.fold, task.variant) for task in planned]
    assert rows == [(1, "baseline"), (1, "stcam"), (2, "baseline"), (2, "stcam")]


def test_a_plan_counts_and_takes_the_time_from_runs_of_the_same_recipe(planned):
    (run,) = run_tasks(planned[:1], progress=False)
    path = planned[0].folder / "runs" / f"{run.record['run_id']}.json"
    path.write_text(json.dumps(run.record | {"seconds": 120.0}))
    planned[1].checkpoint.parent.mkdir(parents=True, exist_ok=True)
    planned[1].checkpoint.write_bytes(b"damaged")  # it starts again
    plan = Plan(planned)
    planned[1].checkpoint.unlink()
    assert [plan.count(state) for state in runner.STATES] == [1, 1, 2]
    assert plan.seconds[0] == 0
    assert plan.seconds[2] == 120  # baseline, in another fold
    text = "4 trainings: 1 finished, 1 resumable, 2 to do; 2 of them too small to be timed"
    assert str(plan) == text
    assert plan.table.loc["baseline", ["finished", "to do"]].tolist() == [1, 1]
    assert text in plan._repr_html_()


def test_a_plan_times_a_step_where_nothing_was_run(planned, monkeypatch):
    timed = []
    monkeypatch.setattr(runner, "SMALL", 0)
    monkeypatch.setattr(
        runner, "measure_pace", lambda work: timed.append(work) or Pace("contiguous", 2.0)
    )
    plan = Plan(planned)
    # 48 clips to train on, and 24 to test at a third of it
    assert plan.seconds == pytest.approx([112.0] * 4)
    assert len(timed) == 2  # once for each recipe
    assert str(plan) == "4 trainings: 0 finished, 0 resumable, 4 to do; about 7 min to go"
    longer = [dataclasses.replace(t, recipe=t.recipe.override(epochs=50)) for t in planned[:1]]
    assert str(Plan(longer)).endswith("about 1.6 h to go")
