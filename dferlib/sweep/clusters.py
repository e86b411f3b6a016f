"""The workers of a sweep: processes of this machine, or those of a cluster.

Without anything named, a Dask LocalCluster is started: one process for every GPU, or for every core
where there is none (`share_out`), with the resources CPU (threads), MEMORY (bytes) and GPU. A
running scheduler is named by its address. Everything else is a file in TOML that names a class or
function of a Dask connector and its options; nothing of it is known here:

    class = "dask_jobqueue.SLURMCluster"        # pip install dask-jobqueue
    scale = 8                                   # workers
    [options]
    queue = "gpu"
    cores = 8
    processes = 1
    memory = "32GB"
    walltime = "12:00:00"
    worker_extra_args = ["--nthreads", "1", "--resources", "CPU=8,GPU=1,MEMORY=32e9"]
    job_extra_directives = ["--gres=gpu:1"]
    job_script_prologue = ["export DFER_CACHE=$SHARED/dfer-cache OMP_NUM_THREADS=8"]

    class = "distributed.SSHCluster"            # hosts that can be reached with a key
    [options]
    hosts = ["first", "first", "second"]        # the scheduler's host, then the workers'
    worker_options = { nthreads = 1, resources = { CPU = 8, MEMORY = 32e9 } }

    class = "dask_kubernetes.operator.KubeCluster"
    scale = 4
    [options]
    name = "dfer"
    image = "registry.example.org/dferlib:0.1.0"
    resources = { limits = { cpu = "8", memory = "32Gi" } }
    worker_command = ["dask-worker", "--nthreads", "1", "--resources", "CPU=8"]

All of them need this package at the same commit, and one file system with the cache (DFER_CACHE),
the results and the data at the same paths: workers are asked before anything runs. Whoever reaches
a scheduler can run code on its workers, so keep it inside a trusted network, or give its connector
Dask's TLS options.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import torch

from dferlib.files import project_root, write_atomic
from dferlib.sweep.errors import SweepError
from dferlib.sweep.work import VersionError, compare_versions, versions

if TYPE_CHECKING:
    from distributed import Client

MEMORY_SHARE = 0.9  # of the machine's memory that its workers get together
STORED_CHOICE = "results/speed/sweep.json"
# Frame stores are mapped into memory, which Dask would take for used: it must neither pause nor
# kill a worker for that. The MEMORY of a training is reserved instead.
SETTINGS = {
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.daemon": False,  # a store is filled by processes of the worker's own
    "distributed.admin.large-graph-warning-threshold": "1GB",
}


class Shares(NamedTuple):
    """How this machine is shared out: number of workers, and what each of them has."""

    workers: int
    threads: int
    memory: int
    gpus: int = 0

    @property
    def resources(self) -> dict[str, float]:
        """What a worker declares, and a training asks for."""
        named: dict[str, float] = {"CPU": self.threads, "MEMORY": self.memory}
        return named | ({"GPU": 1} if self.gpus else {})


def share_out(trainings: int, *, workers: int = 0, need: int = 0, device: str = "cpu") -> Shares:
    """Share this machine out: so many workers, by default one for every GPU or every core.

    Two workers of one thread bring more trainings to an end than one with two threads, as a small
    step does not fill two cores; where `STORED_CHOICE` holds a measurement that says otherwise, one
    worker gets all cores. There are no more workers than trainings, and than `need` bytes of memory
    for each allow.
    """
    cores = _cores()
    gpus = torch.cuda.device_count() if device.startswith("cuda") else 0
    memory = int(MEMORY_SHARE * psutil.virtual_memory().total)
    if workers <= 0:
        workers = gpus or (cores if many_workers_are_faster() else 1)
        workers = max(1, min(workers, trainings or 1, memory // need if need else workers))
    return Shares(workers, max(1, cores // workers), memory // workers, gpus)


def many_workers_are_faster() -> bool:
    """What was measured on two cores, `python -m benchmarks sweep`; true without a measurement."""
    root = project_root()
    path = root / STORED_CHOICE if root else None
    if path is None or not path.is_file():
        return True
    return json.loads(path.read_text(encoding="utf-8"))["better"] == "two workers, one thread each"


def _cores() -> int:
    """Physical cores that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(psutil.cpu_count(logical=False) or 1, allowed or 1))


@contextmanager
def open_client(
    shares: Shares, *, scheduler: str = "", config: Path | None = None
) -> Iterator[Client]:
    """Connect to workers, starting them where no `scheduler` address is given, and let them go.

    SweepError where Dask is not installed, the scheduler does not answer, or the file of a cluster
    names what is not there.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise SweepError(
            "a sweep needs Dask distributed: install the extra, `pip install dferlib[sweep]`"
        ) from error
    with dask.config.set(SETTINGS):
        if scheduler:
            cluster, address = None, scheduler
        elif config is not None:
            cluster = address = _configured(config)
        else:
            cluster = address = LocalCluster(
                n_workers=shares.workers,
                threads_per_worker=1,  # trainings at a time in one process
                memory_limit=0,
                resources=shares.resources,
                dashboard_address="127.0.0.1:0" if _has_dashboard() else None,
                env={"OMP_NUM_THREADS": str(shares.threads)},
            )
        try:
            with _connect(Client, address) as client:
                yield client
        finally:
            if cluster is not None:
                with suppress(TimeoutError):
                    cluster.close(timeout=30)


def _has_dashboard() -> bool:
    with suppress(ImportError):
        importlib.import_module("bokeh")
        return True
    return False


def _connect(kind: type, address: Any) -> Client:
    try:
        return kind(address, timeout=30, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise SweepError(
            f"there is no scheduler at {address}: {error}. Start one with `dask scheduler` and "
            "workers with `dask worker ADDRESS --nthreads 1 --resources CPU=...`"
        ) from error


def _configured(path: Path) -> Any:
    """The cluster that a TOML file describes; see the module."""
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
        module, _, name = read["class"].rpartition(".")
        make: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (OSError, ValueError, KeyError, ImportError, AttributeError) as error:
        raise SweepError(
            f"the cluster of {path} cannot be had: {type(error).__name__} {error}. The file needs "
            'class = "MODULE.NAME" of an installed Dask connector, and [options]'
        ) from error
    try:
        cluster = make(**read.get("options", {}))
    except (TypeError, ValueError) as error:
        raise SweepError(f"options in {path} do not fit {read['class']}: {error}") from error
    if "adapt" in read:
        cluster.adapt(**read["adapt"])
    elif "scale" in read:
        cluster.scale(read["scale"])
    return cluster


def check_workers(client: Client, folders: list[Path], patience: float = 300) -> dict[str, dict]:
    """Wait for a worker, and return what each of them declares, by address.

    SweepError where none comes within `patience` seconds, where a worker does several things at a
    time, runs another version, or does not see the `folders` that have to be shared.
    """
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError as error:
        raise SweepError(f"no worker came within {patience:.0f} s; nothing was run") from error
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if several := [name for name, facts in workers.items() if facts["nthreads"] != 1]:
        raise SweepError(
            f"{', '.join(several)} would do several trainings in one process: start workers with "
            "--nthreads 1; what a training may use is CPU in --resources"
        )
    tokens = [_leave_token(folder) for folder in folders]
    try:
        said = client.run(_look, versions(), [str(token) for token in tokens])
    finally:
        for token in tokens:
            token.unlink(missing_ok=True)
    if wrong := {name: text for name, text in said.items() if text}:
        raise VersionError("\n".join(f"{name}: {text}" for name, text in wrong.items()))
    return {name: dict(facts["resources"]) for name, facts in workers.items()}


def _leave_token(folder: Path) -> Path:
    path = folder / f".sweep-{secrets.token_hex(8)}"
    return write_atomic(path, lambda file: file.write(b"seen"))


def _look(expected: Mapping[str, str], tokens: list[str]) -> str:
    """What is wrong with this worker, in words; runs there."""
    try:
        compare_versions(dict(expected))
    except VersionError as error:
        return str(error)
    unseen = [str(Path(token).parent) for token in tokens if not Path(token).is_file()]
    if unseen:
        return (
            f"does not see {', '.join(unseen)} of the process that plans: cache (DFER_CACHE) and "
            "results have to lie on a file system that all workers share, at the same path"
        )
    return ""
