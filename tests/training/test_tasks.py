"""Tasks: their ids, what is read and what is trained, and the model they end with."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import make_store

from dferlib.datasets.store import FrameStore
from dferlib.evidence.metrics import uar, war
from dferlib.files import project_root
from dferlib.protocols import load_protocol
from dferlib.training import tasks
from dferlib.training.fingerprint import behaviour_fingerprint
from dferlib.training.predict import predict
from dferlib.training.runner import run_tasks
from dferlib.training.tasks import Task, plan_tasks

RESULTS = project_root() / "results"
# of the pre-training that the stored runs started from, whose records do not hold it
STORED_INIT = "synthetic:28cb876cc54a"


def plan(store, folder, variants=("stcam",), preset="smoke", **changes) -> list[Task]:
    found = plan_tasks(load_protocol("stcam"), preset, variants, [1], [0], store, folder)
    return [replace(task, recipe=task.recipe.override(**changes)) for task in found]


def test_finished_runs_are_read_and_others_trained(store, tmp_path):
    two = plan(store, tmp_path, ["baseline", "stcam"], width=0.1)
    assert [task.state for task in two] == ["to do", "to do"]
    first = run_tasks(two, progress=False)
    assert [task.state for task in two] == ["finished", "finished"]
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*.json")}
    again = run_tasks(two, progress=False)
    assert made == {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*.json")}
    assert [run.record["run_id"] for run in first] == [run.record["run_id"] for run in again]
    record = first[0].record
    assert record["sizes"] == {"train": 48, "val": 12, "test": 12}
    assert (record["layout"], record["preset"]) == ("contiguous", "smoke")
    run_tasks(plan(store, tmp_path, ["baseline"], width=0.1, lr=0.002), progress=False)
    assert len(list(tmp_path.glob("runs/*.json"))) == 3


def test_the_trained_model_gives_the_stored_predictions(store, tmp_path):
    (task,) = plan(store, tmp_path)
    run = task.run()
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    for _ in range(2):  # from the cached weights, then trained again because they are gone
        values = predict(task.trained(), task.loader(), task.split.test)
        last = run.predictions[run.predictions["select"] == "last"]
        assert np.allclose(values, last.filter(regex="^p_").to_numpy(), atol=1e-5)
        task.weights.with_suffix(".json").unlink()
    assert made == {path: path.stat().st_mtime_ns for path in made}  # the stored run stays


def test_a_killed_task_is_resumable(store, tmp_path):
    (task,) = plan(store, tmp_path, width=0.15, epochs=2)

    def kill(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        task.run(kill)
    assert task.state == "resumable"
    epochs = []
    task.run(lambda row: epochs.append(row["epoch"]))
    assert epochs == [2]
    assert task.state == "finished"
    assert not task.checkpoint.exists()


def test_another_start_and_other_settings_are_other_rows(store, tmp_path):
    (task,) = plan(store, tmp_path, epochs=1, width=0.1)
    other = task.with_settings("slow", lr=0.0001)
    assert (other.variant, other.recipe.lr) == ("stcam, slow", 0.0001)
    assert other.id != task.id
    started = task.with_init(task.as_init(), "of its own end")
    assert started.variant == "stcam, init of its own end"
    assert started.recipe.init == f"run:stcam/{task.id}"
    assert started.run().record["init"]["loaded"] > 0
    assert task.init_problem("random") == ""
    assert "no weights for stcam" in task.init_problem("torchvision")


def test_the_fingerprint_follows_behaviour(store, tmp_path):
    rows = plan(store, tmp_path, ["baseline", "stcam", "stam+3dcam"])
    assert len({task.fingerprint for task in rows}) == 3
    assert rows[1].fingerprint == behaviour_fingerprint(rows[1].recipe, 6)


def test_the_fingerprint_sees_attention_behind_a_zero_scale(store, tmp_path, monkeypatch):
    (task,) = plan(store, tmp_path, ["nl-embedded"])
    before = behaviour_fingerprint(task.recipe, 6)
    monkeypatch.setattr(torch.Tensor, "softmax", lambda x, dim: torch.softmax(0.05 * x, dim))
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda q, k, v, **_: v.mean(-2, keepdim=True).expand(*q.shape[:-1], v.shape[-1]),
    )
    assert behaviour_fingerprint(task.recipe, 6) != before


def test_the_id_follows_the_initial_weights_and_not_the_layout(store, tmp_path, monkeypatch):
    (task,) = plan(store, tmp_path)
    before = task.id
    monkeypatch.setenv("DFER_LAYOUT", "channels_last")
    assert replace(task).id == before
    monkeypatch.setattr(tasks, "init_key", lambda init: "other")
    assert replace(task).id != before


def stored() -> list[Path]:
    """The folder of every paper and dataset that has stored runs, also of before."""
    return sorted(RESULTS.glob("**/*-synthetic-quick"))


@pytest.mark.parametrize("folder", stored(), ids=lambda path: "-".join(path.parts[-3:]))
def test_stored_runs_are_found_under_their_ids_and_give_their_numbers(folder, monkeypatch):
    paths = sorted(folder.glob("runs/*.json"))
    assert paths
    for path in paths:
        check_stored(path, monkeypatch)


def check_stored(path, monkeypatch):
    record = json.loads(path.read_text(encoding="utf-8"))
    recipe = load_protocol(record["paper"]).restore(record["protocol"])
    store = replace(make_store(), classes=tuple(record["classes"]), dataset=record["dataset"])
    monkeypatch.setattr(FrameStore, "manifest_hash", lambda _: record["manifest_hash"])
    key = STORED_INIT if recipe.init == "synthetic" else recipe.init
    monkeypatch.setattr(tasks, "init_key", lambda _: record.get("init_key", key))
    task = Task(recipe, record["variant"], record["fold"], record["seed"], store, path.parents[1])
    vars(task)["fingerprint"] = record["fingerprint"]  # of the model as it was
    assert task.id == record["run_id"]
    assert task.state == "finished"
    run = task.run()
    assert run.record == record
    for stored in record["metrics"]:
        rows = run.predictions[run.predictions["select"] == stored["select"]]
        assert len(rows) == stored["n"]
        assert war(rows["y_true"], rows["y_pred"]) == pytest.approx(stored["war"])
        found = uar(rows["y_true"], rows["y_pred"], len(record["classes"]))
        assert found == pytest.approx(stored["uar"])
