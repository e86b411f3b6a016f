"""A sweep from its plan to its report, on two workers of which one is killed."""

import json
import os
import re
import signal
import threading
import time

import pytest

from dferlib.sweep import clusters, work
from dferlib.sweep.__main__ import main
from dferlib.sweep.clusters import Shares, share_out
from dferlib.sweep.planning import SweepPlan, choose_settings
from dferlib.sweep.running import run_sweep

TWO = Shares(workers=2, threads=1, memory=int(8e9))


def kill_the_first(plan):
    """Kill the worker that first says it begins a training, as the system would for memory."""
    logs = [work.log_path(item.task.id) for item in plan.left]
    while not (found := [log for log in logs if log.is_file()]):
        time.sleep(0.01)
    number = int(re.search(r"process (\d+)", found[0].read_text())[1])
    assert number != os.getpid()
    os.kill(number, signal.SIGKILL)


def test_two_workers_one_of_them_killed_give_the_bits_of_one(
    smoke, quick_counts, own_cache, tmp_path
):
    plan = SweepPlan([*smoke(tmp_path / "two"), *smoke(tmp_path / "two")], TWO.workers)
    assert [item.state for item in plan.items] == ["to do"] * 2, "the same training once only"
    assert "2 trainings: 0 finished, 0 resumable, 2 to do" in str(plan)
    assert "first: 0 frame stores to fill, 0 pre-trainings" in str(plan)
    killer = threading.Thread(target=kill_the_first, args=(plan,))
    killer.start()
    said = []
    report = run_sweep(plan, TWO, progress=False, say=said.append)
    killer.join()
    assert not report.failed
    assert sorted(report.trained) == sorted(item.task.id for item in plan.items)
    assert said[0].startswith("2 workers of 1 threads at tcp://127.0.0.1")
    assert said[1].startswith("dashboard: ")
    logs = {i.task.id: work.log_path(i.task.id).read_text() for i in plan.items}
    assert sum(text.count("begins: ") for text in logs.values()) > 2, "one began twice"
    assert all("epoch 1 of 1: " in text and "ends after" in text for text in logs.values())
    one = SweepPlan(smoke(tmp_path / "one"))
    for item in one.items:
        work.train(item.order, work.Means(threads=1))
    check_equal(one, plan)
    again = SweepPlan(smoke(tmp_path / "two"))
    assert (again.count("finished"), again.left) == (2, ())
    assert again.hours == again.disk == 0


def check_equal(one, two):
    """The same predictions, byte for byte, and the same history but for the seconds."""
    for left, right in zip(one.items, two.items, strict=True):
        assert left.task.id == right.task.id
        name = f"predictions/{left.task.id}.csv.gz"
        assert (left.task.folder / name).read_bytes() == (right.task.folder / name).read_bytes()
        rows = [
            json.loads((i.task.folder / f"runs/{i.task.id}.json").read_text())["history"]
            for i in (left, right)
        ]
        for row in [*rows[0], *rows[1]]:
            del row["seconds"]
        assert rows[0] == rows[1]


def test_what_is_planned_needs_no_store_and_counts_what_has_to_be_made(
    smoke, quick_ids, quick_counts, tmp_path
):
    (settings,) = smoke(tmp_path, preset="quick", seeds="0,1", variants="all", folds="1")
    plan = SweepPlan([settings.model_copy(update={"variants": ("baseline", "stcam")})], 2)
    assert len(plan.items) == len(plan.left) == 6, "stcam from random weights, too"
    assert len(plan.stores) == len(plan.pretrainings) == 1
    frames = int(plan.items[0].task.store.manifest["n_frames"].sum())
    assert plan.disk > frames * 72 * 72 * 3
    flops = sum(item.operations for item in plan.items)
    assert plan.gpu_hours == pytest.approx(flops / 40e12 / 3600)
    assert plan.hours == pytest.approx(sum(plan.seconds.values()) / 3600 / 2)
    item = plan.items[0]
    split, recipe = item.task.split, item.task.recipe
    tested = (len(split.val) + len(split.test)) * recipe.epochs
    assert item.operations == 2 * item.size.macs * (3 * item.task.clips_seen + tested)


def test_papers_and_datasets_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="unknown paper: 'stcm'; did you mean 'stcam'"):
        choose_settings("stcm")
    with pytest.raises(ValueError, match="unknown dataset: 'olu'; did you mean 'oulu'"):
        choose_settings("stcam", "olu")
    with pytest.raises(ValueError, match=r"unknown dataset: 'dfew'. Valid: ckplus, fol"):
        choose_settings("stcam", "dfew")
    pairs = [
        (s.slug, s.dataset) for s in choose_settings("stcam,hacn", "oulu,afew", preset="quick")
    ]
    assert pairs == [("stcam", "oulu"), ("hacn", "oulu"), ("hacn", "afew")]


def test_places_are_named_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    (settings,) = choose_settings("stcam", "oulu", preset="smoke", transfer="dfew=clips")
    assert settings.transfer == f"dfew={tmp_path / 'clips'}"
    (settings,) = choose_settings("stcam", "oulu", preset="smoke", transfer="mmi")
    assert settings.transfer == "mmi"


def test_the_command_line_prints_the_plan_and_stops_there(
    smoke, quick_ids, quick_counts, tmp_path, capsys
):
    given = ["--papers", "stcam", "--datasets", "oulu", "--preset", "smoke", "--variants", "stcam"]
    given += ["--source", "synthetic", "--results-dir", str(tmp_path / "results")]
    assert main([*given, "--plan"]) == 0
    text = capsys.readouterr().err
    assert "1 trainings: 0 finished, 0 resumable, 1 to do" in text
    assert "GPU hours at 40 TFLOP/s" in text
    assert main(["all", *given]) == 130, "nobody is there to ask"
    text = capsys.readouterr().err
    assert "then 1 notebooks are executed" in text
    assert "give --yes to begin, or --plan to stop here" in text
    assert not (tmp_path / "results").exists()
    assert main(["--papers", "nobody"]) == 2


def test_a_machine_is_shared_out(monkeypatch):
    monkeypatch.setattr(clusters, "_cores", lambda: 8)
    monkeypatch.setattr(clusters, "many_workers_are_faster", lambda: True)
    assert share_out(100)[:2] == (8, 1)
    assert share_out(3)[:2] == (3, 2)
    assert share_out(100, workers=2)[:2] == (2, 4)
    assert share_out(100, need=10**18)[:2] == (1, 8)
    monkeypatch.setattr(clusters.torch.cuda, "device_count", lambda: 4)
    gpus = share_out(100, device="cuda")
    assert (gpus.workers, gpus.threads, gpus.resources["GPU"]) == (4, 2, 1)
    monkeypatch.setattr(clusters, "many_workers_are_faster", lambda: False)
    assert share_out(100)[:2] == (1, 8)
