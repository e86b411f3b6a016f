"""What a sweep trains is what the notebooks train: the same run ids, for all papers and data."""

import json
from dataclasses import replace
from functools import partial

import pytest

from dferlib.datasets.standins import plans
from dferlib.files import project_root
from dferlib.notebook import opening
from dferlib.notebook.opening import Opened
from dferlib.notebook.request import request_of
from dferlib.protocols import list_protocols, load_protocol
from dferlib.sweep import orders, work
from dferlib.sweep.everything import IN_CELLS
from dferlib.sweep.orders import planned_for
from dferlib.sweep.planning import SweepPlan, choose_settings
from dferlib.sweep.running import jobs_of
from dferlib.training.planning import FROM_RANDOM
from dferlib.training.single_frame import peak_tasks
from dferlib.training.stages import stages_of
from dferlib.training.stores import locate_recipe_store

PAIRS = [(slug, name) for slug in list_protocols() for name in load_protocol(slug).datasets]
pytestmark = pytest.mark.usefixtures("quick_ids", "quick_counts")
SMOKE = {"preset": "smoke", "source": "synthetic", "device": "cpu"}


def open_notebook(monkeypatch, slug, parameters, open_store=locate_recipe_store):
    """A paper's notebook, which fills no store."""
    asked = partial(request_of, open_store=open_store)
    monkeypatch.setattr(opening, "request_of", asked)
    return Opened(slug, parameters)


def names(tasks):
    return {(task.folder, task.id) for task in tasks}


@pytest.mark.parametrize(("slug", "dataset"), PAIRS)
def test_the_ids_are_those_of_the_notebook(slug, dataset, monkeypatch, tmp_path):
    given = {**SMOKE, "results_dir": str(tmp_path), "init": "synthetic", "folds": "1"}
    study = open_notebook(monkeypatch, slug, {**given, "dataset": dataset})
    (settings,) = choose_settings(slug, dataset, **given)
    planned = list(planned_for(settings))
    fresh = [task.with_init("random") for task in study.tasks if task.variant == slug]
    expected = [*study.tasks, *(fresh if slug in FROM_RANDOM else [])]
    assert names(one.task for one in planned if not one.stage) == names(expected)
    assert names(one.task for one in planned if one.stage) == names(stages_of(study.tasks))
    left = SweepPlan([settings]).left
    assert names(item.task for item in left) == names([*expected, *stages_of(study.tasks)])
    for item in (left[0], left[-1]):  # a stage where there is one; from random weights, likewise
        assert work.find_task(item.order).id == item.task.id


def test_a_stage_comes_before_what_starts_from_it(tmp_path):
    given = {**SMOKE, "results_dir": str(tmp_path), "variants": "stt", "seeds": "0,1"}
    both = choose_settings("stt", "afew,dfew", **given)
    plan = SweepPlan(both)
    stage, *others = plan.items
    assert (stage.task.recipe.dataset, stage.task.variant) == ("dfew", "stt"), "of one row of two"
    assert (stage.order.kept, stage.order.passed_on) == (True, True)
    jobs = {job.name: job for job in jobs_of(plan, threads=1)}
    for item in others:
        waits = stage.task.id in jobs[item.task.id].needs
        assert waits == (item.task.recipe.dataset == "afew" and "init" not in item.task.variant)
    assert f"store-{stage.task.id}" in jobs[stage.task.id].needs
    afew = [settings for settings in both if settings.dataset == "afew"]
    (alone,) = [item for item in SweepPlan(afew).items if item.order.passed_on]
    assert not alone.order.kept, "nobody asked for its run"


def test_on_real_data_the_single_frame_cnn_is_trained_too(monkeypatch, tmp_path):
    def as_real(*where):
        return replace(locate_recipe_store(where[0], "synthetic"), source="real")

    monkeypatch.setattr(orders, "locate_recipe_store", as_real)
    given = {**SMOKE, "source": "real", "results_dir": str(tmp_path), "seeds": "0,1"}
    given["data_root"] = str(tmp_path)
    study = open_notebook(monkeypatch, "hacn", {**given, "dataset": "oulu"}, as_real)
    (settings,) = choose_settings("hacn", "oulu", **given)
    found = names(item.task for item in SweepPlan([settings]).items)
    assert found - names(study.tasks) == names(peak_tasks(study.tasks))


def test_no_store_is_filled_for_a_plan(monkeypatch, tmp_path):
    monkeypatch.setattr(plans.StandInPlan, "render_clips", None)
    monkeypatch.setenv("DFER_CACHE", str(tmp_path / "cache"))
    (settings,) = choose_settings("ceflnet", "mmi", **SMOKE, results_dir=str(tmp_path))
    plan = SweepPlan([settings])
    assert "first: 1 frame stores to fill" in str(plan)
    assert not (tmp_path / "cache" / "stores").exists()


def test_what_notebooks_train_beside_is_said_and_known():
    folder, cells = project_root() / "notebooks", {}
    for slug in list_protocols():
        read = json.loads((folder / f"{slug}.ipynb").read_text(encoding="utf-8"))
        cells[slug] = "".join("".join(cell["source"]) for cell in read["cells"])
    assert {slug for slug in cells if "from_random()" in cells[slug]} == set(FROM_RANDOM)
    assert {slug for slug in cells if "predictions_of(" in cells[slug]} == set(IN_CELLS)
