"""Many trainings: a plan of what is there and what it will take, and bringing them to an end."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from functools import cached_property

import pandas as pd
import torch
from tqdm.auto import tqdm

from dferlib.evidence.damage import read_record
from dferlib.evidence.runs import Run
from dferlib.files import plain
from dferlib.training.checkpoint import read_checkpoint
from dferlib.training.pace import SMALL, measure_pace
from dferlib.training.stages import stages_of
from dferlib.training.tasks import Task

STATES = ("finished", "resumable", "to do")
# of a record, to take its time for that of others
_KINDS = {"protocol": dict, "variant": str, "device": dict, "seconds": (int, float)}
TESTING = 1 / 3  # of a training step: the forward pass alone, per clip


class Plan:
    """What tasks will take, before any of them runs: as it was when the plan was made.

    Shows how many are finished, to resume and to do, and an estimate of the time: from the seconds
    of finished runs of the same recipe in the folder, on the same kind of device, else from a timed
    step. The stages before them are in it, each once; pre-training and the building of stores are
    not.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        asked = tuple(tasks)
        self.stages = tuple(stages_of(asked))
        self.tasks = (*self.stages, *asked)
        self.states = (*map(state_of_stage, self.stages), *(task.state for task in asked))

    def count(self, state: str) -> int:
        """Number of tasks in a state: "finished", "resumable" or "to do"."""
        return self.states.count(state)

    @cached_property
    def seconds(self) -> tuple[float, ...]:
        """Estimated seconds still to go for every task; NaN for one too small to be timed."""
        epochs, left = {}, []
        for task, state in zip(self.tasks, self.states, strict=True):
            if state == "finished":
                left.append(0.0)
                continue
            if task.recipe not in epochs:
                epochs[task.recipe] = _measured(task) or _timed(task)
            left.append(epochs[task.recipe] * (task.recipe.epochs - _epochs_done(task, state)))
        return tuple(left)

    @property
    def table(self) -> pd.DataFrame:
        """One row per variant: trainings in each state, and the minutes still to go."""
        first = [f"{stage.variant} on {stage.store.dataset}" for stage in self.stages]
        asked = [task.variant for task in self.tasks[len(first) :]]
        rows = pd.DataFrame({"variant": [*first, *asked]})
        for state in STATES:
            rows[state] = [int(state == found) for found in self.states]
        rows["minutes"] = [seconds / 60 for seconds in self.seconds]
        return rows.groupby("variant", sort=False).sum()

    def __str__(self) -> str:
        counts = ", ".join(f"{self.count(state)} {state}" for state in STATES)
        line = f"{len(self.tasks)} trainings: {counts}"
        known = [seconds for seconds in self.seconds if seconds == seconds]  # no NaN
        if len(known) < len(self.tasks):
            return f"{line}; {len(self.tasks) - len(known)} of them too small to be timed"
        return f"{line}; about {_duration(sum(known))} to go" if sum(known) else line

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>{self.table.round(1).to_html()}"


def run_tasks(tasks: Iterable[Task], progress: bool = True) -> list[Run]:
    """Bring all tasks to an end, with one progress bar over their epochs and the time left.

    The stages before them come first; returned are the runs of the tasks alone.
    """
    tasks, runs = list(tasks), []
    stages = stages_of(tasks)
    total = sum(task.recipe.epochs for task in (*stages, *tasks))
    bar = tqdm(total=total, desc="training", unit="epoch", disable=not progress, mininterval=2)
    with bar:
        for stage in stages:
            bar.set_postfix_str(f"{stage.variant} on {stage.store.dataset}", refresh=False)
            before = bar.n
            stage.as_init(lambda _: bar.update())
            bar.update(before + stage.recipe.epochs - bar.n)
        for task in tasks:
            bar.set_postfix_str(f"{task.variant} fold {task.fold} seed {task.seed}", refresh=False)
            before = bar.n
            runs.append(task.run(lambda _: bar.update()))
            bar.update(before + task.recipe.epochs - bar.n)  # what was read, not trained
    return runs


def state_of_stage(stage: Task) -> str:
    """How far a stage is: what counts is what it leaves behind, which a finished run may lack."""
    if stage.has_weights:
        return "finished"
    return "resumable" if stage.checkpoint.is_file() else "to do"


def _measured(task: Task) -> float | None:
    """Median seconds of an epoch in the runs of this recipe in the folder; None without any."""
    found = []
    for path in sorted((task.folder / "runs").glob("*.json")):
        record = read_record(path, _KINDS, f"Delete {path}: the run is then made anew")
        if _is_same(record, task):
            found.append(record["seconds"] / task.recipe.epochs)
    return statistics.median(found) if found else None


def _is_same(record: dict, task: Task) -> bool:
    key, stored = plain(task.recipe.key()), record["protocol"]
    same = record["variant"] == task.variant and all(stored.get(k) == v for k, v in key.items())
    return same and record["device"].get("type") == torch.device(task.device).type


def _timed(task: Task) -> float:
    """Seconds of an epoch from a timed step; NaN for what is too small to be timed."""
    if task.clips_seen * task.work.values < SMALL:
        return float("nan")
    split, trained = task.split, task.clips_seen / task.recipe.epochs
    clips = trained + TESTING * (len(split.val) + len(split.test))
    return clips * measure_pace(task.work).seconds


def _epochs_done(task: Task, state: str) -> int:
    content = read_checkpoint(task.checkpoint) if state == "resumable" else None
    return len(content["history"]) if content else 0


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
