"""Bringing jobs that need each other to an end on workers that come, go and fail.

A job whose worker dies is begun again on another one by Dask. One that fails is tried again, away
from the worker where it failed, unless the error would be the same everywhere. What needs a job
that failed is left out; everything else goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dferlib.sweep.errors import SweepError
from dferlib.training.train import TrainingError

if TYPE_CHECKING:
    from distributed import Client, Future

TRIES = 3
POLL_SECONDS = 0.5
# What is wrong with the order itself: a setting, the data, a training that diverges. Versions, too:
# a worker with other code does not change by being asked again.
HOPELESS = (ValueError, TypeError, LookupError, SweepError, TrainingError)


@dataclass(frozen=True)
class Job:
    """Something to be done on a worker: `do(*arguments)`, after the jobs that it `needs`."""

    name: str
    do: Callable[..., Any]
    arguments: tuple[Any, ...]
    title: str
    needs: frozenset[str] = frozenset()
    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a worker hands back: a value, or in words why there is none, and where that was."""

    value: Any
    worker: str
    error: str = ""
    hopeless: bool = False


@dataclass(frozen=True)
class Failure:
    """A job that did not come to its end: its title, the reason, and how often it was tried."""

    title: str
    reason: str
    tries: int

    def __str__(self) -> str:
        tried = "left out" if not self.tries else f"failed at try {self.tries}"
        return f"{self.title}: {tried}: {self.reason}"


def attempt(do: Callable[..., Any], *arguments: Any) -> Outcome:
    """Do a job; runs on a worker, and raises nothing that a job raises."""
    from distributed import get_worker

    worker = get_worker().address
    try:
        return Outcome(do(*arguments), worker)
    except Exception as error:  # of whatever kind: it is told, and the job tried again or given up
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Outcome(None, worker, words, isinstance(error, HOPELESS))


class Crew:
    """Jobs on their way; `run` brings them to an end.

    Attributes: `done`, results by name; `failed`, a Failure by name. `on_end` is called with each
    job that ends, and its Failure or None.
    """

    def __init__(
        self,
        client: Client,
        jobs: Iterable[Job],
        *,
        on_end: Callable[[Job, Failure | None], None] | None = None,
        tries: int = TRIES,
        patience: float = 300,
    ) -> None:
        self.client, self.tries, self.patience = client, tries, patience
        self.waiting = {job.name: job for job in jobs}
        self.running: dict[Future, Job] = {}
        self.done: dict[str, Any] = {}
        self.failed: dict[str, Failure] = {}
        self.count: dict[str, int] = {}
        self.avoid: dict[str, set[str]] = {}  # workers where a job failed
        self.on_end = on_end or (lambda job, failure: None)
        self.seen = time.monotonic()  # when there were workers last

    def run(self) -> None:
        """Bring all jobs to an end.

        SweepError where the scheduler goes away, or no worker is there for `patience` seconds. What
        runs is let go then, and when this is interrupted.
        """
        try:
            self._refuse_unfitting()
            while self.waiting or self.running:
                self._begin()
                self._watch()
                for future in [f for f in self.running if f.done()]:
                    self._end(future, self.running.pop(future))
        except BaseException:
            with suppress(Exception):  # the scheduler may be gone
                self.client.cancel(list(self.running), force=True)
            raise

    def _workers(self) -> dict[str, dict]:
        try:
            return self.client.scheduler_info(n_workers=-1)["workers"]
        except OSError as error:  # those of a closed connection are some
            raise SweepError(self._gone("the scheduler went away")) from error

    def _refuse_unfitting(self) -> None:
        """Raise SweepError where no worker has what a job asks for: it would wait for ever."""
        declared = [dict(facts["resources"]) for facts in self._workers().values()]
        for job in self.waiting.values():
            wanted = _asked(job, declared)
            if declared and not any(_fits(wanted, there) for there in declared):
                raise SweepError(
                    f"{job.title} needs {_said(wanted)}, and no worker has that; they have "
                    f"{'; '.join(sorted({_said(there) for there in declared}))}. Use fewer and "
                    "larger workers (--workers 1), or a smaller preset"
                )

    def _begin(self) -> None:
        """Hand over what needs nothing more, and leave out what will never begin."""
        for name, job in list(self.waiting.items()):
            if lost := sorted(job.needs & set(self.failed)):
                del self.waiting[name]
                reason = f"it needs what failed: {self.failed[lost[0]].title}"
                self._give_up(job, Failure(job.title, reason, 0))
            elif job.needs <= set(self.done):
                del self.waiting[name]
                self._submit(job)

    def _submit(self, job: Job) -> None:
        workers = self._workers()
        tried = self.count[job.name] = self.count.get(job.name, 0) + 1
        others = sorted(set(workers) - self.avoid.get(job.name, set()))
        declared = [dict(facts["resources"]) for facts in workers.values()]
        future = self.client.submit(
            attempt,
            job.do,
            *job.arguments,
            key=f"{job.name}-try{tried}",
            resources=_asked(job, declared),
            workers=others if tried > 1 and others else None,
            allow_other_workers=tried > 1 and bool(others),  # where those are gone
            pure=False,
        )
        self.running[future] = job

    def _watch(self) -> None:
        """Wait a moment; raise SweepError where there is nobody to wait for."""
        ended = time.monotonic() + POLL_SECONDS
        while time.monotonic() < ended and not any(f.done() for f in self.running):
            time.sleep(POLL_SECONDS / 10)
        if self.client.status != "running" or any(f.status == "lost" for f in self.running):
            raise SweepError(self._gone("the scheduler went away"))
        if self._workers():
            self.seen = time.monotonic()
        elif time.monotonic() - self.seen > self.patience:
            raise SweepError(self._gone(f"there was no worker for {self.patience:.0f} s"))

    def _gone(self, what: str) -> str:
        left = len(self.waiting) + len(self.running)
        return (
            f"{what}; {len(self.done)} jobs are done and stored, {left} are not. The same command "
            "goes on from there, unfinished trainings from their last epoch"
        )

    def _end(self, future: Future, job: Job) -> None:
        if future.status not in ("finished", "error"):  # lost, cancelled: of a scheduler's end
            self.running[future] = job
            raise SweepError(self._gone("the scheduler went away"))
        tries = self.count[job.name]
        if future.status == "error":  # its worker died, and those of the tries that Dask made
            self._give_up(job, Failure(job.title, reason_of(future.exception()), tries))
            return
        outcome: Outcome = future.result()
        if not outcome.error:
            self.done[job.name] = outcome.value
            self.on_end(job, None)
        elif tries < self.tries and not outcome.hopeless:
            self.avoid.setdefault(job.name, set()).add(outcome.worker)
            self.waiting[job.name] = job
        else:
            self._give_up(job, Failure(job.title, outcome.error, tries))

    def _give_up(self, job: Job, failure: Failure) -> None:
        self.failed[job.name] = failure
        self.on_end(job, failure)


def _asked(job: Job, declared: list[dict[str, float]]) -> dict[str, float]:
    """What a job asks for, of the kinds of resources that workers declare at all.

    A GPU is always asked for: without one declared there would be several trainings on it.
    """
    known = {name for there in declared for name in there} | {"GPU"}
    return {name: amount for name, amount in job.resources.items() if name in known}


def _fits(wanted: Mapping[str, float], there: Mapping[str, float]) -> bool:
    return all(there.get(name, 0) >= amount for name, amount in wanted.items())


def _said(resources: Mapping[str, float]) -> str:
    parts = [
        f"{amount / 1e9:.1f} GB of memory" if name == "MEMORY" else f"{amount:g} {name}"
        for name, amount in resources.items()
    ]
    return ", ".join(parts) or "nothing declared"


def reason_of(error: BaseException) -> str:
    """The error in one line; of a worker that died again and again, why that may be."""
    if type(error).__name__ == "KilledWorker":
        return (
            "its worker died every time, most likely for want of memory; use fewer workers "
            "(--workers 1)"
        )
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
