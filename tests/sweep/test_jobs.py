"""What goes wrong with workers and the scheduler, on workers that are threads of this process."""

import errno
import threading
import time
from types import SimpleNamespace

import pytest
from distributed import Client, LocalCluster, get_worker

from dferlib.sweep import clusters, work
from dferlib.sweep.clusters import Shares, check_workers, open_client
from dferlib.sweep.errors import SweepError
from dferlib.sweep.jobs import Crew, Job, reason_of
from dferlib.sweep.orders import Order
from dferlib.sweep.work import VersionError

ALONE = {"processes": False, "threads_per_worker": 1, "dashboard_address": ":0"}


@pytest.fixture(scope="module")
def client():
    """Two workers, named 0 and 1, with a thread each."""
    with (
        LocalCluster(
            n_workers=2, memory_limit=0, resources={"CPU": 1, "MEMORY": 8e9}, **ALONE
        ) as c,
        Client(c, set_as_default=False) as client,
    ):
        yield client


def job(name, do, *arguments, needs=(), **resources):
    return Job(name, do, arguments, f"the {name}", frozenset(needs), resources or {"CPU": 1})


def note(log, text):
    with log.open("a") as file:
        file.write(f"{text}\n")


def full_disk_on_one(log):
    """Fails where it is done first, as on a worker whose disk is full."""
    note(log, get_worker().address)
    if get_worker().address == log.read_text().split()[0]:
        raise OSError(errno.ENOSPC, "No space left on device", "/disk/run.json")
    return "written"


def add(one, two):
    return one + two


def test_jobs_wait_for_what_they_need_and_a_full_disk_is_gone_round(client, tmp_path):
    log, ended = tmp_path / "log", []
    jobs = [job("sum", add, 1, 2, needs=["first"]), job("first", full_disk_on_one, log)]
    crew = Crew(client, jobs, on_end=lambda job, failure: ended.append((job.name, failure)))
    crew.run()
    assert crew.done == {"first": "written", "sum": 3}
    assert ended == [("first", None), ("sum", None)]
    places = log.read_text().split()
    assert len(places) == len(set(places)) == 2, "the second try is on the other worker"


def wrong(log):
    note(log, "tried")
    raise ValueError("fold is 11, allowed are\n1 to 10")


def broken(log):
    note(log, "tried")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_fails_everywhere_is_reported_and_the_others_go_on(client, tmp_path):
    once, thrice = tmp_path / "once", tmp_path / "thrice"
    jobs = [
        job("store", wrong, once),
        job("run", add, 1, 1, needs=["store"]),
        job("disk", broken, thrice),
        job("other", add, 2, 2),
    ]
    crew = Crew(client, jobs)
    crew.run()
    assert crew.done == {"other": 4}
    assert len(once.read_text().split()) == 1, "a wrong setting is not tried again"
    assert len(thrice.read_text().split()) == 3
    said = {name: str(failure) for name, failure in crew.failed.items()}
    assert (
        said["store"] == "the store: failed at try 1: ValueError: fold is 11, allowed are 1 to 10"
    )
    assert said["run"] == "the run: left out: it needs what failed: the store"
    assert said["disk"].startswith("the disk: failed at try 3: OSError: [Errno 28]")


def test_what_no_worker_has_is_refused_at_once(client):
    with pytest.raises(SweepError, match=r"the big needs 1 CPU, 64.0 GB of memory, and no worker"):
        Crew(client, [job("big", add, 1, 2, CPU=1, MEMORY=64e9)]).run()
    with pytest.raises(SweepError, match="needs 1 GPU, and no worker has that"):
        Crew(client, [job("gpu", add, 1, 2, GPU=1)]).run()


def test_a_worker_with_another_version_is_refused(client, tmp_path, monkeypatch):
    assert len(check_workers(client, [tmp_path])) == 2
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(clusters, "versions", lambda: work.versions() | {"code": "of another day"})
    with pytest.raises(VersionError, match=r"has code .* instead of of another day: install the"):
        check_workers(client, [tmp_path])


def test_a_worker_that_sees_other_folders_is_refused(client, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "_leave_token", lambda folder: folder / "of another machine")
    with pytest.raises(VersionError, match=f"does not see {tmp_path} of the process that plans"):
        check_workers(client, [tmp_path])


def test_a_worker_without_its_run_in_the_plan_says_so(smoke, quick_ids, own_cache, tmp_path):
    (settings,) = smoke(tmp_path, folds="1")
    order = Order(settings, "baseline-f01-s0-of-other-code", "the baseline")
    said = r"f01-s0-of-other-code in the plan, and this worker knows baseline-f01-s0-[0-9a-f]{12}"
    with pytest.raises(VersionError, match=said):
        work.train(order, work.Means(1))
    text = work.log_path(order.run_id).read_text()
    assert "begins: the baseline" in text
    assert "VersionError" in text


def test_a_scheduler_that_goes_away_ends_the_sweep_with_a_clear_error():
    with (
        LocalCluster(n_workers=1, memory_limit=0, **ALONE) as cluster,
        Client(cluster.scheduler_address, set_as_default=False, timeout=2) as client,
    ):
        threading.Timer(0.5, cluster.close).start()
        with pytest.raises(SweepError, match="the scheduler went away; 0 jobs are done and stored"):
            Crew(client, [job("long", time.sleep, 3), job("more", time.sleep, 3)]).run()


def test_no_worker_at_all_and_workers_that_would_mix_trainings_are_refused(tmp_path):
    with (
        LocalCluster(n_workers=0, **ALONE) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        with pytest.raises(SweepError, match="no worker came within 0 s"):
            check_workers(client, [tmp_path], patience=0.1)
        with pytest.raises(SweepError, match="there was no worker for 0 s; 0 jobs are done"):
            Crew(client, [job("one", add, 1, 2)], patience=0.1).run()
    facts = {"a:1": {"nthreads": 2, "resources": {}}}
    double = SimpleNamespace(
        wait_for_workers=lambda n, timeout: None,
        scheduler_info=lambda n_workers: {"workers": facts},
    )
    with pytest.raises(SweepError, match="a:1 would do several trainings in one process"):
        check_workers(double, [tmp_path])


def test_a_cluster_is_configured_by_a_file(tmp_path):
    path = tmp_path / "cluster.toml"
    path.write_text(
        'class = "distributed.LocalCluster"\nscale = 1\n[options]\nprocesses = false\n'
        "n_workers = 0\nthreads_per_worker = 1\ndashboard_address = ':0'\nresources = { CPU = 3 }\n"
    )
    with open_client(Shares(1, 1, 0), config=path) as client:
        declared = check_workers(client, [tmp_path])
        assert list(declared.values()) == [{"CPU": 3}]
    path.write_text('class = "dask_nothing.Cluster"\n')
    with (
        pytest.raises(SweepError, match="cannot be had: ModuleNotFoundError"),
        open_client(Shares(1, 1, 0), config=path),
    ):
        pass


def test_a_worker_that_dies_every_time_is_reported():
    killed = type("KilledWorker", (Exception,), {})()
    assert "most likely for want of memory" in reason_of(killed)
