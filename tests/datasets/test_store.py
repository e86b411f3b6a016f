"""The frame store: what goes in comes out, once, and nothing half-written is ever left."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from toy_source import build, toy_source

from dferlib.datasets import (
    DatasetError,
    StoreError,
    building,
    cache_folder,
    load_store,
    open_store,
)
from dferlib.datasets import store as store_module
from dferlib.datasets.building import _jobs
from dferlib.datasets.standins.plans import plan_standin

ROOT = Path(__file__).parents[2]
TESTS = Path(__file__).parents[1]


def run_python(code, **options):
    """Start Python with the package and the tests' helpers on its path."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}"}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True, **options
    )


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir() if path.suffix != ".lock")


def test_store_returns_what_went_in(tmp_path):
    store = build(tmp_path, workers=1)
    assert list(store.manifest["clip_id"]) == [f"clip{row}" for row in range(30)]
    for row in (0, 7, 29):
        assert store.clip(row).shape == (11 + row % 5, 16, 16, 3)
        assert (store.clip(row) == row).all()
    assert store.frames.dtype == np.uint8
    assert not store.frames.flags.writeable
    assert store.truth["aus"].dtype == np.float16
    assert np.array_equal(store.truth["aus"][:, 0], store.frames[:, 0, 0, 0])
    assert store.notes == {"clip3": "odd"}
    assert (store.dataset, store.source, store.size) == ("oulu", "synthetic", 16)
    assert store.classes == ("anger", "fear")
    assert names(tmp_path / "stores") == [store.path.name]


def test_parallel_build_is_identical_and_uses_other_processes(tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    log = tmp_path / "log"
    first = build(alone, workers=1)
    second = build(together, workers=2, log=log)
    assert first.path.name == second.path.name
    for name in ("frames.npy", "aus.npy", "manifest.csv", "store.json"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()
    makers = {line.split()[0] for line in log.read_text().splitlines()[1:]}
    assert str(os.getpid()) not in makers
    assert makers


def test_store_is_built_once(tmp_path, monkeypatch):
    log = tmp_path / "log"
    monkeypatch.setattr(store_module, "find_source", lambda *args: toy_source(log=log))
    with pytest.warns(UserWarning, match="clip3: odd"):
        first = open_store("oulu", size=16, cache_dir=tmp_path, workers=1, progress=False)
    made = log.read_text()
    again = open_store("oulu", size=16, cache_dir=tmp_path, verify=True)
    assert log.read_text() == made
    assert again.path == first.path
    assert again.key == first.key
    other = store_module.store_name(toy_source(clips=31), 16)
    assert len({other, store_module.store_name(toy_source(), 17), first.path.name}) == 3


def test_two_builders_of_one_store_build_it_once(tmp_path):
    log = tmp_path / "log"
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(build, tmp_path, 1, log=log, delay=0.02) for _ in range(2)]
        stores = [job.result() for job in jobs]
    assert stores[0].path == stores[1].path
    rows = [line.split()[1] for line in log.read_text().splitlines()]
    assert len(rows) == len(set(rows)) > 3


def test_two_processes_fill_one_store_together(tmp_path):
    # both have loaded everything before they begin, and both use workers
    code = (
        "import time\n"
        "from pathlib import Path\n"
        "from toy_source import build\n"
        f"place = Path({str(tmp_path)!r})\n"
        "(place / sys.argv[1]).touch()\n"
        "while len(list(place.glob('ready*'))) < 2: time.sleep(0.01)\n"
        "store = build(place, 2, clips=60, log=place / 'log', delay=0.02)\n"
        "assert all((store.clip(row) == row).all() for row in range(60))\n"
    )
    children = [run_python(f"import sys; sys.argv[1:] = ['ready{n}']\n{code}") for n in (1, 2)]
    for child in children:
        message = child.communicate()[1]
        assert child.returncode == 0, message
    made = [int(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(made) == len(set(made)) == len(_jobs(toy_source(clips=60)))
    (store,) = (path for path in (tmp_path / "stores").iterdir() if path.is_dir())
    assert load_store(store, verify=True).size == 16


@pytest.mark.parametrize("place", ["_write_job", "_log", "_finish", "_facts"])
def test_a_store_that_another_process_finishes_meanwhile_is_taken(tmp_path, monkeypatch, place):
    # as where a network's file system does not keep two processes from building at once
    clean = build(tmp_path / "clean", 1)
    (tmp_path / "here/stores").mkdir(parents=True)
    path = tmp_path / "here/stores" / clean.path.name
    real, calls = getattr(building, place), []

    def other_is_first(*arguments):
        calls.append(place)
        if len(calls) == (1 if place == "_finish" else 2):
            shutil.copytree(clean.path, path)
            shutil.rmtree(path.with_name(f"{path.name}.partial"))
        return real(*arguments)

    monkeypatch.setattr(building, place, other_is_first)
    store = build(tmp_path / "here", 1)
    assert np.array_equal(store.frames, clean.frames)
    assert names(tmp_path / "here/stores") == [path.name]


def test_a_damaged_store_of_another_process_is_not_taken(tmp_path, monkeypatch):
    clean = build(tmp_path / "clean", 1)
    with open(clean.path / "frames.npy", "r+b") as file:
        file.seek(1000)
        file.write(b"\x55")

    def other_is_first(what, partial, path, *rest):
        shutil.copytree(clean.path, path)
        shutil.rmtree(partial)
        raise FileNotFoundError(2, "No such file", str(partial))

    monkeypatch.setattr(building, "_finish", other_is_first)
    with pytest.raises(StoreError, match=r"frames\.npy does not have the checksum"):
        build(tmp_path / "here", 1)


@pytest.mark.skipif(os.name != "posix", reason="kills a process by signal")
def test_killed_build_is_resumed_and_leaves_no_process(tmp_path):
    log = tmp_path / "log"
    options = f"clips=60, log={str(log)!r}, delay=0.3"
    child = run_python(f"from toy_source import build; build({str(tmp_path)!r}, 2, {options})")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not log.exists() or log.read_text().count("\n") < 5):
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    lines = [line.split() for line in log.read_text().splitlines()]
    partial = next((tmp_path / "stores").glob("*.partial"))
    finished = [json.loads(line)["job"] for line in (partial / "journal.jsonl").open()]
    jobs = len(_jobs(toy_source(clips=60)))
    assert 2 <= len(finished) < jobs
    assert names(tmp_path / "stores") == [partial.name]
    wait_for_end({int(pid) for pid, _ in lines} - {child.pid})

    log.unlink()
    store = build(tmp_path, workers=1, clips=60, log=log)
    made = len(log.read_text().splitlines())
    assert made == jobs - len(finished)
    assert all((store.clip(row) == row).all() for row in range(60))
    assert load_store(store.path, verify=True).key == store.key
    assert names(tmp_path / "stores") == [store.path.name]


def wait_for_end(processes):
    """Fail if one of these processes still runs after some seconds."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and any(map(is_alive, processes)):
        time.sleep(0.1)
    assert not [process for process in processes if is_alive(process)]


def is_alive(process):
    status = Path(f"/proc/{process}/stat")
    if status.parent.parent.joinpath("self").exists():
        return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def test_resume_makes_damaged_jobs_anew(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("dferlib.datasets.building._finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path, workers=1)
    partial = next((tmp_path / "stores").glob("*.partial"))
    with open(partial / "frames.npy", "r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"\xff")
    with open(partial / "journal.jsonl", "a") as file:
        file.write('{"job": 1, "crc"')
    log = tmp_path / "log"
    store = build(tmp_path, workers=1, log=log)
    assert len(log.read_text().splitlines()) == 1
    assert (store.clip(29) == 29).all()


def interrupt(*args):
    raise KeyboardInterrupt


def test_failed_build_leaves_nothing_and_keeps_other_stores(tmp_path):
    kept = build(tmp_path, workers=1)
    with pytest.raises(ValueError, match="clip 40 is broken"):
        build(tmp_path, workers=1, clips=50, fail=40)
    with pytest.raises(ValueError, match="clip 40 is broken"):
        build(tmp_path, workers=2, clips=50, fail=40)
    assert names(tmp_path / "stores") == [kept.path.name]
    assert load_store(kept.path, verify=True).frames.shape == kept.frames.shape


@pytest.mark.skipif(os.name != "posix", reason="limits the file size as POSIX does")
@pytest.mark.parametrize("limit", [100_000, 300_000])
def test_full_disk_names_the_path_and_leaves_nothing(tmp_path, limit):
    kept = build(tmp_path, workers=1, clips=5)
    code = (
        "import resource; from toy_source import build\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        f"build({str(tmp_path)!r}, 1, clips=50)"
    )
    child = run_python(code)
    message = child.communicate(timeout=60)[1]
    assert child.returncode == 1
    assert "StoreError: cannot write the frame store" in message
    assert str(tmp_path / "stores") in message
    assert "DFER_CACHE" in message
    assert names(tmp_path / "stores") == [kept.path.name]
    assert load_store(kept.path, verify=True).key == kept.key


def test_full_disk_while_clips_are_written(tmp_path, monkeypatch):
    real = os.posix_fallocate if hasattr(os, "posix_fallocate") else None
    if real is None:
        pytest.skip("files are not reserved on this system")
    monkeypatch.setattr("dferlib.datasets.building._write_job", no_space)
    with pytest.raises(StoreError, match="No space left") as error:
        build(tmp_path, workers=1)
    assert str(tmp_path / "stores") in str(error.value)
    assert names(tmp_path / "stores") == []


def no_space(*args):
    raise OSError(28, "No space left on device")


def test_reserving_works_without_fallocate(tmp_path, monkeypatch):
    def unsupported(*args):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported, raising=False)
    store = build(tmp_path, workers=1)
    assert (store.clip(29) == 29).all()


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the frame store below") as error:
        build(tmp_path / "file" / "below", workers=1)
    assert "cache_dir" in str(error.value)
    assert str(tmp_path / "file") in str(error.value)


@pytest.mark.parametrize("name", ["frames.npy", "aus.npy", "store.json", "manifest.csv"])
def test_truncated_file_is_named(tmp_path, name):
    path = build(tmp_path, workers=1).path
    data = (path / name).read_bytes()
    (path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError, match=r"is damaged.*Delete that folder"):
        load_store(path)
    (path / name).unlink()
    with pytest.raises(StoreError, match=str(path)):
        load_store(path)


def test_flipped_bit_is_found_by_checksum(tmp_path):
    path = build(tmp_path, workers=1).path
    with open(path / "frames.npy", "r+b") as file:
        file.seek(1000)
        file.write(b"\x55")
    assert load_store(path).size == 16
    with pytest.raises(StoreError, match=r"frames\.npy does not have the checksum"):
        load_store(path, verify=True)


def test_pickled_store_is_small_and_opens_again(tmp_path):
    store = build(tmp_path, workers=1)
    data = pickle.dumps(store)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert np.array_equal(again.frames, store.frames)
    assert again.manifest_hash() == store.manifest_hash()


def test_manifest_hash_follows_the_data_and_not_the_place(tmp_path):
    here, there = build(tmp_path / "a", 1), build(tmp_path / "b", 1)
    assert here.manifest_hash() == there.manifest_hash()
    assert here.manifest_hash() != build(tmp_path, 1, clips=31).manifest_hash()


def test_stale_builds_are_removed(tmp_path):
    for age, name in ((8, "old.partial"), (6, "new.partial")):
        folder = tmp_path / "stores" / name
        folder.mkdir(parents=True)
        (folder / "journal.jsonl").write_text("")
        then = time.time() - age * 24 * 3600
        os.utime(folder / "journal.jsonl", (then, then))
    build(tmp_path, workers=1)
    assert "old.partial" not in names(tmp_path / "stores")
    assert "new.partial" in names(tmp_path / "stores")


def test_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("DFER_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("DFER_CACHE")
    assert cache_folder().name == "dferlib"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": "okulu"}, "did you mean 'oulu'"),
        ({"dataset": "CK+"}, "did you mean 'ckplus'"),
        ({"source": "reel"}, "'auto', 'real' and 'synthetic'"),
        ({"size": 4}, "from 16 to 1024"),
        ({"size": 64.0}, "whole number"),
        ({"fraction": 0}, "fraction is 0"),
        ({"fraction": 1.5}, "fraction is 1.5"),
        ({"sise": 64}, r"unknown options \['sise'\]"),
        ({"camera": "NI"}, "source='synthetic'"),
        ({"dataset": "pretraining", "source": "real"}, "procedural faces only"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(DatasetError, match=message):
        open_store(**{"dataset": "oulu", "source": "synthetic", **arguments})


def test_standin_store_holds_what_the_plan_renders(cache):
    store = open_store("pretraining", source="synthetic", size=16, fraction=1e-9, progress=False)
    plan = plan_standin("pretraining", fraction=1e-9)
    assert store.manifest["clip_id"].tolist() == plan.manifest["clip_id"].tolist()
    assert store.source == "synthetic"
    assert store.dataset == "pretraining"
    assert {1, 7} == set(store.manifest["n_frames"])
    row = len(store.manifest) - 1
    frames, truth = plan.render_clips([row], 16)
    assert np.array_equal(store.clip(row), frames)
    start = store.manifest["offset"].iloc[row]
    for name, values in truth.items():
        assert np.array_equal(store.truth[name][start:], values)
    assert len(store.frames) == len(store.truth["landmarks"]) == store.manifest["n_frames"].sum()
