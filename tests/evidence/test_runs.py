"""Runs on disk: what is written, what comes back, and what survives faults."""

import getpass
import gzip
import json
import multiprocessing
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, recall_score

from dferlib import files
from dferlib.evidence import provenance, runs

CLASSES = ("anger", "disgust", "fear")


def make_record(fold: int = 1, seed: int = 0, **changes) -> dict:
    key = {"paper": "stcam", "protocol": {"epochs": 2}, "manifest": "abc"}
    record = {
        "run_id": runs.run_id("stam", fold, seed, key),
        "paper": "stcam",
        "dataset": "oulu",
        "source": "synthetic",
        "preset": "smoke",
        "variant": "stam",
        "fold": fold,
        "seed": seed,
        "classes": CLASSES,
        "protocol": {"epochs": 2},
        "manifest_hash": "abc",
        "fingerprint": "f00",
        "history": [{"epoch": 1, "loss": 1.5}, {"epoch": 2, "loss": float("nan")}],
        "provenance": {"git_commit": None},
    }
    return {**record, **changes}


def make_predictions(fold: int = 1, n: int = 9, rules=("last", "best_val")) -> pd.DataFrame:
    rng = np.random.default_rng(fold)
    parts = []
    for rule in rules:
        p = rng.dirichlet(np.ones(3), n).astype(np.float32)
        part = pd.DataFrame({"clip_id": [f"{fold}-{i:03d}" for i in range(n)]})
        part["subject"] = [f"0{i % 4}" for i in range(n)]
        part["fold"], part["select"] = fold, rule
        part["y_true"], part["y_pred"] = np.arange(n) % 2, p.argmax(1)
        parts.append(part.assign(**{f"p_{k}": p[:, k] for k in range(3)}))
    return pd.concat(parts, ignore_index=True)


def test_a_run_comes_back_as_it_was_saved(tmp_path):
    predictions = make_predictions()
    record = make_record()
    path = runs.save_run(tmp_path, record, predictions)
    run = runs.load_run(tmp_path, record["run_id"])
    assert path == tmp_path / "runs" / f"{record['run_id']}.json"
    read = run.predictions.astype({f"p_{k}": np.float32 for k in range(3)})
    pd.testing.assert_frame_equal(read, predictions, check_dtype=False, check_exact=True)
    assert run.record["classes"] == list(CLASSES)
    assert run.history["epoch"].tolist() == [1, 2]
    assert np.isnan(run.history["loss"].iloc[1])
    assert read["subject"].iloc[1] == "01"


def test_an_unknown_run_is_none_and_an_empty_folder_gives_empty_tables(tmp_path):
    assert runs.load_run(tmp_path / "nothing", "stam-f01-s0-0123456789ab") is None
    empty = runs.load_runs(tmp_path / "nothing")
    assert len(empty) == 0
    assert {"run_id", "clip_id", "y_true"} <= set(empty.predictions.columns)
    assert not (tmp_path / "nothing").exists()


def test_load_runs_is_tidy_and_in_a_fixed_order(tmp_path):
    for fold in (3, 1, 2):
        runs.save_run(tmp_path, make_record(fold), make_predictions(fold))
    loaded = runs.load_runs(tmp_path)
    assert loaded.records["fold"].tolist() == [1, 2, 3]
    assert len(loaded.predictions) == 3 * 18
    assert loaded.predictions.groupby("run_id")["fold"].nunique().eq(1).all()
    assert list(loaded.predictions.columns).count("fold") == 1
    assert set(loaded.history["variant"]) == {"stam"}
    assert "history" not in loaded.records


def test_metrics_agree_with_scikit_learn_over_all_classes(tmp_path):
    predictions = make_predictions(n=40)  # class 2 has no true clips
    runs.save_run(tmp_path, make_record(), predictions)
    table = pd.read_csv(tmp_path / "metrics.csv").set_index("select")
    for rule, part in predictions.groupby("select"):
        recalls = recall_score(
            part["y_true"], part["y_pred"], labels=range(3), average=None, zero_division=0
        )
        assert table.loc[rule, "war"] == pytest.approx(
            accuracy_score(part["y_true"], part["y_pred"]), abs=1e-9
        )
        assert table.loc[rule, "uar"] == pytest.approx(recalls.mean(), abs=1e-9)


def test_same_predictions_give_the_same_bytes(tmp_path, monkeypatch):
    for name, now in (("a", 1_000_000_000), ("b", 1_700_000_000)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        files.write_csv(tmp_path / name / "table.csv.gz", make_predictions())
    first, second = ((tmp_path / name / "table.csv.gz").read_bytes() for name in "ab")
    assert first == second
    assert gzip.decompress(first).startswith(b"clip_id,subject,fold,select")


def test_run_id_is_readable_and_changes_with_everything_that_defines_the_number():
    key = {"protocol": {"epochs": 2, "rate": 0.1}, "manifest": "abc"}
    name = runs.run_id("3dcam+stam", 1, 0, key)
    assert name.startswith("3dcam+stam-f01-s0-")
    assert len(name.rsplit("-", 1)[1]) == 12
    assert name == runs.run_id("3dcam+stam", 1, 0, {"manifest": "abc", **key})
    others = {
        runs.run_id("stam", 1, 0, key),
        runs.run_id("3dcam+stam", 2, 0, key),
        runs.run_id("3dcam+stam", 1, 1, key),
        runs.run_id("3dcam+stam", 1, 0, {**key, "manifest": "abd"}),
    }
    assert name not in others
    assert len(others) == 4
    assert "/" not in runs.run_id("../Evil Name", 1, 0, key)


def test_digest_is_stable_and_refuses_what_has_no_plain_form():
    assert files.digest({"b": 1, "a": (1, 2)}) == files.digest({"a": [1, 2], "b": np.int64(1)})
    assert files.digest({"a": 1}) == "015abd7f5cc5"  # SHA-256 of {"a":1}
    with pytest.raises(TypeError, match="object"):
        files.digest({"a": object()})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"select": "best"}, "best_val"),
        ({"y_pred": 3}, "0 to 2"),
        ({"p_1": np.nan}, "not finite"),
        ({"clip_id": "same"}, "twice"),
        ({"extra": 1}, "columns"),
    ],
)
def test_wrong_predictions_are_refused_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        runs.save_run(tmp_path / "r", make_record(), make_predictions().assign(**changes))
    assert not (tmp_path / "r").exists()


def test_a_record_that_lacks_something_is_refused(tmp_path):
    record = make_record()
    del record["manifest_hash"]
    with pytest.raises(ValueError, match="lacks manifest_hash"):
        runs.save_run(tmp_path, record, make_predictions())


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/b", "", ".hidden"])
def test_a_run_id_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="run_id is"):
        runs.load_run(tmp_path, name)


def test_damage_is_named_with_the_way_out(tmp_path):
    record = make_record()
    path = runs.save_run(tmp_path, record, make_predictions())
    table = tmp_path / "predictions" / f"{record['run_id']}.csv.gz"
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    with pytest.raises(ValueError, match=r"checksum.*Delete .* start the notebook again"):
        runs.load_run(tmp_path, record["run_id"])
    path.write_text(path.read_text()[:50])
    with pytest.raises(ValueError, match="not valid JSON"):
        runs.load_runs(tmp_path)


def test_real_runs_go_to_the_private_folder_only(tmp_path):
    private = runs.results_folder("stcam", "oulu", "real", "paper")
    assert private.parts[-3:] == ("results-private", "stcam", "oulu-real-paper")
    public = runs.results_folder("stcam", "oulu", "synthetic", "quick")
    assert public.parts[-3:] == ("results", "stcam", "oulu-synthetic-quick")
    with pytest.raises(ValueError, match="which git tracks"):
        runs.results_folder("stcam", "oulu", "real", "paper", public.parent.parent)
    with pytest.raises(ValueError, match="which git tracks"):
        runs.save_run(public, make_record(source="real"), make_predictions())
    with pytest.raises(ValueError, match="'auto'"):
        runs.results_folder("stcam", "oulu", "auto", "paper")
    chosen = runs.results_folder("stcam", "oulu", "real", "paper", tmp_path)
    assert chosen == tmp_path / "stcam" / "oulu-real-paper"


def test_provenance_names_versions_and_no_person_host_or_path():
    found = provenance.provenance()
    assert found["numpy"] == np.__version__
    assert found["python"] == platform.python_version()
    assert found["git_commit"] is None or len(found["git_commit"]) == 40
    assert "torch" in found
    text = json.dumps(found)
    assert str(Path.home()) not in text
    assert str(files.project_root()) not in text
    words = text.replace('"', " ").replace(",", " ").split()
    assert platform.node() not in words
    assert getpass.getuser() not in words


def test_a_failing_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "kept.json"
    files.write_json(path, {"a": 1})

    def half(file):
        file.write(b"half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        files.write_atomic(path, half)
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["kept.json"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file size limit to set")
def test_a_full_disk_names_the_path_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "kept.csv"
    path.write_text("old")
    code = (
        "import sys, resource, pandas as pd\n"
        "from dferlib import files\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    files.write_csv(sys.argv[1], pd.DataFrame({'a': range(9999)}))\n"
        "except OSError as error:\n"
        "    named = sys.argv[1] in str(error) and 'unchanged' in str(error)\n"
        "    sys.exit(0 if named else str(error))\n"
        "sys.exit('no error')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kept.csv"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    for write in (
        lambda: files.write_json(blocked / "x.json", {}),
        lambda: files.write_csv(blocked / "x.csv", pd.DataFrame()),
        lambda: runs.save_run(blocked, make_record(), make_predictions()),
    ):
        with pytest.raises(OSError, match=r"cannot write.*file"):
            write()

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(PermissionError, match=r"nothing was written.*new\.json"):
        files.write_json(tmp_path / "new.json", {})


def test_files_get_the_usual_permissions(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("x")
    atomic = files.write_json(tmp_path / "atomic", {})
    assert atomic.stat().st_mode == plain.stat().st_mode


def _save_some(folder: str, folds: list[int]) -> None:
    for fold in folds:
        runs.save_run(folder, make_record(fold), make_predictions(fold))


def test_two_processes_lose_no_run_and_no_row(tmp_path):
    context = multiprocessing.get_context("spawn" if os.name == "nt" else "fork")
    shares = [[1, 3, 5, 7], [2, 4, 6, 8]]
    workers = [context.Process(target=_save_some, args=(str(tmp_path), s)) for s in shares]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        for path in (tmp_path / "runs").glob("*.json"):
            json.loads(path.read_text())  # a reader never sees a part
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert sorted(pd.read_csv(tmp_path / "metrics.csv")["fold"].unique()) == list(range(1, 9))
    assert len(pd.read_csv(tmp_path / "history.csv")) == 16
    assert sorted(runs.load_runs(tmp_path).records["fold"]) == list(range(1, 9))
