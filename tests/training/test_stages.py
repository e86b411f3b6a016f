"""A stage before a training: planned, run once, resumed, recorded, and given to every row."""

from dataclasses import replace

import pytest
from toy import make_store

from dferlib.datasets import DatasetError
from dferlib.protocols import load_protocol
from dferlib.protocols.stages import Choice
from dferlib.training import tasks as tasks_module
from dferlib.training.runner import Plan, run_tasks
from dferlib.training.single_frame import NAME, peak_tasks
from dferlib.training.stages import stages_of, with_stages
from dferlib.training.tasks import Task, plan_tasks

STCAM, STT = load_protocol("stcam"), load_protocol("stt")


@pytest.fixture
def opened():
    """Names of the datasets that a stage was opened for."""
    return []


@pytest.fixture
def quick_ids(monkeypatch):
    """Ids that no network has to be run for."""
    monkeypatch.setattr(tasks_module, "known_fingerprint", lambda recipe, *_: recipe.model)


@pytest.fixture
def plan(store, tmp_path, opened):
    """Plan rows on the toy store, as a dataset of a paper, with a stage on another toy store."""

    def open_stage(recipe, choice):
        opened.append((recipe.dataset, choice.source))
        if choice.source == "real":
            raise DatasetError(f"no {recipe.dataset}")
        other = replace(store, dataset=recipe.dataset, key="other", pixels="other")
        return other, tmp_path / f"{recipe.dataset}-synthetic-smoke"

    def run(paper, dataset, variants, choice, seeds=(0,)):
        own, folder = replace(store, dataset=dataset), tmp_path / f"{dataset}-synthetic-smoke"
        planned = plan_tasks(paper, "smoke", variants, [1], seeds, own, folder)
        return planned, with_stages(planned, paper, choice, open_stage)

    return run


def test_rows_of_stts_table_4_come_after_their_row_on_dfew(
    plan, opened, tmp_path, store, quick_ids
):
    rows = [slug for slug, variant in STT.variants.items() if 4 in variant.rows]
    bare, tasks = plan(STT, "afew", rows, None, seeds=(0, 1))
    assert opened == [("dfew", "")]  # once for all rows
    stages = stages_of(tasks)
    assert [stage.recipe.variant for stage in stages] == rows  # once for both seeds
    assert {(s.fold, s.seed, s.store.dataset) for s in stages} == {(1, 0, "dfew")}
    own = {s.variant: s for s in stages if s.variant in rows}
    run_there = set(STT.variants_of("smoke", "dfew")) & set(rows)
    assert own.keys() == run_there  # the notebook on DFEW trains these in any case
    assert {s.variant for s in stages} - own.keys() == {
        f"{row}, before afew" for row in rows if row not in run_there
    }
    dfew = replace(store, dataset="dfew", key="other", pixels="other")
    (same,) = plan_tasks(STT, "smoke", ["stt"], [1], [0], dfew, tmp_path)
    assert own["stt"].id == same.id
    assert [t.init for t in tasks if t.variant == "stt"] == [f"run:stt/{same.id}"] * 2
    assert not {t.id for t in tasks} & {t.id for t in bare}
    assert [t.without_stage().id for t in tasks] == [t.id for t in bare]  # as without any stage


def test_a_stage_is_trained_once_recorded_and_given_to_the_single_frame_cnn(plan, tmp_path):
    _, (task,) = plan(STCAM, "oulu", ["baseline"], Choice("mmi"))
    task = task.with_settings("narrow", width=0.1)
    stage = task.before
    assert stage.recipe.width == 0.1  # what changes the network changes it there, too
    before = Plan([task])
    assert before.states == ("to do", "to do")
    assert before.table.index[0] == f"{stage.variant} on mmi"

    def kill(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.as_init(kill)
    assert Plan([task]).states == ("resumable", "to do")
    (run,) = run_tasks([task], progress=False)
    assert stage.state == "finished"  # kept as a run like any other
    assert Plan([task]).states == ("finished",)
    assert run.record["protocol"]["transfer"] == "mmi"
    assert run.record["init"]["loaded"] > 0
    assert run.record["init_key"] == run.record["init"]["init"] == f"run:stcam/{stage.id}"
    said = {"transfer": "mmi", "run_id": stage.id, "dataset": "mmi", "source": "synthetic"}
    assert run.record["stage"] == {**said, "fold": 1, "seed": 0, "init_key": "random"}
    (simple,) = peak_tasks([task])
    assert (simple.before.variant, simple.before.store.dataset) == (NAME, "mmi")
    assert simple.init == f"run:peak_cnn/{simple.before.id}"
    assert task.with_init("random").before is None


def test_a_checkpoint_may_stand_for_the_stage_and_none_leaves_it_out(plan, tmp_path, quick_ids):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"some")
    (bare,), (task,) = plan(STCAM, "oulu", ["stcam"], Choice(checkpoint=path))
    assert task.recipe.transfer == "checkpoint"
    assert stages_of([task]) == []
    first = task.id
    path.write_bytes(b"others")
    assert replace(task).id != first  # the content counts
    assert peak_tasks([task])[0].init == "random"
    assert plan(STCAM, "oulu", ["stcam"], Choice())[1][0].id == bare.id
    assert plan(STCAM, "oulu", ["stcam"], None)[1][0].id == bare.id  # STCAM's preset has none
    with pytest.raises(DatasetError, match="no dfew"):
        plan(STT, "afew", ["stt"], Choice("dfew", "real"))
    lost = replace(task, before=None)
    with pytest.raises(ValueError, match="plan it with"):
        _ = lost.id


def test_a_stage_on_clips_of_no_paper_has_folds_of_its_own(plan):
    _, (task,) = plan(STCAM, "oulu", ["stcam"], Choice("afew", "synthetic"))
    assert isinstance(task.before, Task)
    assert (task.before.recipe.dataset, task.before.recipe.num_folds) == ("afew", 10)
    assert task.before.recipe.clips == len(make_store().manifest)
