"""A sweep from its plan to its report: jobs for workers, progress with the time left, failures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from dferlib.analysis.full_cost import training_bytes, what_of
from dferlib.files import cache_folder
from dferlib.sweep import work
from dferlib.sweep.clusters import Shares, check_workers, open_client
from dferlib.sweep.jobs import Crew, Failure, Job
from dferlib.sweep.planning import Item, SweepPlan
from dferlib.sweep.work import TOPIC, Means, log_path, on_worker
from dferlib.training.tasks import Task

if TYPE_CHECKING:
    from distributed import Client

PROCESS_BYTES = int(1e9)  # what a process with torch takes before it trains anything


@dataclass
class Report:
    """What a sweep came to: run ids that were trained, and failures by run id or name of a job."""

    trained: list[str] = field(default_factory=list)
    failed: dict[str, Failure] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{len(self.trained)} trained, {len(self.failed)} not"]
        for name, failure in self.failed.items():
            log = log_path(name)
            lines.append(f"- {failure}" + (f"\n  log: {log}" if log.is_file() else ""))
        return "\n".join(lines)


def training_memory(item: Item) -> int:
    """Bytes of memory that a training is taken to need: counted tensors, and a process."""
    recipe, classes = item.task.recipe, len(item.task.store.classes)
    return PROCESS_BYTES + training_bytes(*what_of(recipe, classes), recipe.batch_size)


def jobs_of(plan: SweepPlan, threads: int) -> list[Job]:
    """Jobs of a plan: each store and pre-training once, then the trainings that need them."""
    means, gpu = Means(threads), plan.left and plan.left[0].task.device.startswith("cuda")
    common: dict[str, float] = {"CPU": threads} | ({"GPU": 1} if gpu else {})
    jobs, stores, weights = [], {}, {}
    for path, item in plan.stores.items():
        name, title = f"store-{item.task.id}", f"frame store {path.name}"
        arguments = (work.fill_store, item.order, means)
        jobs.append(Job(name, on_worker, arguments, title, resources=common))
        stores[path] = name
    for key, item in plan.pretrainings.items():
        name, title = f"weights-{item.task.id}", f"pre-training of {item.task.recipe.model}"
        arguments = (work.pretrain, item.order, means)
        jobs.append(Job(name, on_worker, arguments, title, resources=common))
        weights[key] = name
    left = {item.task.id for item in plan.left}
    for item in plan.left:
        needs = {stores.get(item.store_path), weights.get(item.pretrained)} - {None}
        if isinstance(before := item.task.before, Task):
            needs |= {before.id} & left
        asked = common | {"MEMORY": training_memory(item)}
        arguments = (work.train, item.order, means)
        title = item.order.title
        jobs.append(Job(item.task.id, on_worker, arguments, title, frozenset(needs), asked))
    return jobs


class Progress:
    """One bar over the epochs of all trainings that are left, with the time left."""

    def __init__(self, plan: SweepPlan, show: bool) -> None:
        self.epochs = {item.task.id: item.task.recipe.epochs for item in plan.left}
        self.reached = dict.fromkeys(self.epochs, 0)
        self.lock = threading.Lock()  # epochs are told in another thread
        self.bar = tqdm(
            total=sum(self.epochs.values()), desc="sweep", unit="epoch", disable=not show
        )

    def hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take an epoch that a worker tells of; one that is trained again counts once."""
        row = event[1]
        self._reach(row["run_id"], row["epoch"])

    def end(self, job: Job, failure: Failure | None) -> None:
        """Take the end of a job."""
        if job.name in self.epochs:
            self._reach(job.name, self.epochs[job.name])
        if failure is not None:
            self.bar.write(str(failure))

    def _reach(self, run_id: str, epoch: int) -> None:
        with self.lock:
            new = epoch - self.reached.get(run_id, epoch)
            if new > 0:
                self.reached[run_id] = epoch
                self.bar.update(new)


def run_sweep(
    plan: SweepPlan,
    shares: Shares,
    *,
    scheduler: str = "",
    config: Path | None = None,
    tries: int = 3,
    patience: float = 300,
    progress: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Bring the trainings of a plan to their end on this machine or a cluster, and report.

    `say` takes the addresses of scheduler and dashboard. SweepError where the sweep as a whole
    cannot go on; a training that fails is in the report, and the others go on.
    """
    with open_client(shares, scheduler=scheduler, config=config) as client:
        roots = {item.task.folder.parents[1] for item in plan.left}
        declared = check_workers(client, [cache_folder().absolute(), *sorted(roots)], patience)
        cores = [int(there["CPU"]) for there in declared.values() if "CPU" in there]
        threads = min(cores) if cores else 1
        say(f"{len(declared)} workers of {threads} threads at {client.scheduler.address}")
        say(f"dashboard: {_dashboard(client)}")
        return _run(plan, client, threads, progress, tries, patience)


def _dashboard(client: Client) -> str:
    if client.scheduler_info(n_workers=0).get("services"):
        return client.dashboard_link
    return "none; `pip install bokeh` for one"


def _run(
    plan: SweepPlan, client: Client, threads: int, show: bool, tries: int, patience: float
) -> Report:
    heard = Progress(plan, show)
    client.subscribe_topic(TOPIC, heard.hear)
    crew = Crew(client, jobs_of(plan, threads), on_end=heard.end, tries=tries, patience=patience)
    try:
        crew.run()
    finally:
        heard.bar.close()
    trained = [item.task.id for item in plan.left if item.task.id in crew.done]
    return Report(trained, crew.failed)
