"""The benchmark's notebook as one object: several datasets at once, otherwise as a paper's `Study`.

    bench = open_benchmark(globals())
    bench.plan()
    bench.train()

`dataset` is a comma list, `all`, or `preset`: what the preset names; so is `seeds`. Sections are
methods; headings and prose stay in the notebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from dferlib.datasets.store import FrameStore
from dferlib.evidence import benchmark as tables
from dferlib.evidence.tables import load_evidence
from dferlib.figures import plots
from dferlib.names import OWN_CLIPS
from dferlib.notebook.benchmark_sections import Sections
from dferlib.notebook.display import Banner, banner
from dferlib.notebook.opening import open_or_refuse
from dferlib.notebook.parameters import Settings, check_parameters, refusal
from dferlib.notebook.request import request_of
from dferlib.notebook.resuming import say_resumes
from dferlib.notebook.stress import SpoiltClips, corrupted_run, transferred_run
from dferlib.notebook.widgets import tell_of_bars
from dferlib.protocols.benchmark import CLASSES, EXTRAS, PAPER, SLUG
from dferlib.training import runner
from dferlib.training.shares import share_tasks
from dferlib.training.tasks import Task

PRESET = "preset"  # a parameter that is left to the preset


class Benchmark(Sections):
    """The benchmark with its parameters checked, its stores open and its trainings planned.

    Attributes: `settings` and `stores` by dataset; `preset`; `extra`, what the preset adds; `rows`,
    the trainings of all rows, seeds outermost, and `parts`, those on parts of the subjects. After
    `train` and `test`, `evidence` holds the predictions on every dataset of which any are stored.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        tell_of_bars()
        self.settings = check_all(namespace)
        first = next(iter(self.settings.values()))
        self.preset, self.seeds = first.preset, first.seeds
        self.results_dir, self.init = first.results_dir, first.init
        self.extra = EXTRAS[self.preset]
        self.stores = {name: self._open(own) for name, own in self.settings.items()}
        self.source = self.stores[first.dataset].source
        self.folders = {n: s.folder(self.stores[n].source) for n, s in self.settings.items()}
        planned = [task for name in self.settings for task in self._plan(name)]
        order = {seed: place for place, seed in enumerate(self.seeds)}
        self.rows = sorted(planned, key=lambda task: order[task.seed])
        self.parts = [
            task
            for name, shares in self.extra.curves.items()
            if name in self.settings
            for task in share_tasks(self._first_seed(name), shares)
        ]
        self.spoilt: dict[str, SpoiltClips] = {}
        self._read()
        plt.rcParams.update(plots.STYLE)
        pd.set_option("display.max_colwidth", None)

    def _open(self, settings: Settings) -> FrameStore:
        recipe = PAPER.resolve(self.preset, settings.dataset, settings.variants[0])
        return open_or_refuse(request_of(settings, PAPER), recipe)

    def _plan(self, dataset: str) -> list[Task]:
        own = self.settings[dataset]
        return request_of(own, PAPER).plan(self.stores[dataset], own.variants, own.folds)

    def _first_seed(self, dataset: str) -> list[Task]:
        """The trainings of a dataset that are looked at closer: first seed, first fold."""
        own = self.settings[dataset]
        return [
            task
            for task in self.rows
            if (task.store.dataset, task.seed, task.fold) == (dataset, self.seeds[0], own.folds[0])
        ]

    @property
    def options(self) -> str:
        """What a command needs beyond preset, dataset and row to make a number like these."""
        named = {"source": self.source}
        named |= {} if self.init == "paper" else {"init": self.init}
        named |= {"results_dir": self.results_dir} if self.results_dir else {}
        return " ".join(f"-p {name} {value}" for name, value in named.items())

    def banner(self) -> Banner:
        """Say where pixels come from and that nothing here is a paper's number."""
        said = f"One protocol on {', '.join(self.settings)}: no number below is a paper's own."
        return banner(next(iter(self.settings.values())), self.source, self.rows[0].recipe, said)

    def plan(self) -> runner.Plan:
        """How many trainings are there, to resume and to do, and how long that will take."""
        return runner.Plan([*self.rows, *self.parts])

    def train(self) -> None:
        """Train what is not finished yet: all rows, then those on parts of the subjects."""
        say_resumes([*self.rows, *self.parts])
        runner.run_tasks([*self.rows, *self.parts])
        self._read()

    def test(self) -> None:
        """Test the models on spoilt clips and on the other datasets, where that is not stored.

        Spoilt clips are for the first seed and fold, other datasets for all seeds of that fold.
        """
        for name in self.settings:
            first = self._first_seed(name)
            self.spoilt[name] = SpoiltClips(first[0], self.extra.corrupted)
            for task in self.rows:
                if task.store.dataset == name and task.fold == self.settings[name].folds[0]:
                    self._test(task, task in first)

    def _test(self, task: Task, spoil: bool) -> None:
        here = task.store.dataset
        targets = [self._first_seed(name)[0] for name in self.settings if name != here]
        missing = [t for t in targets if transferred_run(task, None, t) is None]
        spoil = spoil and corrupted_run(task, None, self.spoilt[here]) is None
        if not missing and not spoil:
            return
        model = task.trained()
        for target in missing:
            transferred_run(task, model, target)
        if spoil:
            corrupted_run(task, model, self.spoilt[here])

    def _read(self) -> None:
        """Read what is stored of all datasets, whoever made it."""
        where = (self.source, self.preset, self.results_dir)
        self.evidence = load_evidence(PAPER, *where, self.init)
        self.ids = {name for rows in self.evidence.values() for name in rows["run_id"].unique()}
        self.curves_stored = tables.stored_curves(PAPER, self.evidence, self.folders)

    def tests(self, kind: str):
        """Stored tests of one kind, of the models in the evidence; see `stored_runs`."""
        where = (self.source, self.preset, self.results_dir)
        return tables.stored_runs(kind, *where, self.ids)


def open_benchmark(namespace: Mapping[str, Any]) -> Benchmark:
    """Check the parameters, open the stores and plan the trainings; nothing is trained.

    Raises ParameterError with all that is wrong before anything is computed.
    """
    return Benchmark(namespace)


def check_all(namespace: Mapping[str, Any]) -> dict[str, Settings]:
    """The checked parameters of each dataset that is asked for, in order.

    Raises ParameterError where a name or a value is wrong.
    """
    asked = str(namespace.get("dataset", PRESET)).strip()
    seeds = namespace.get("seeds", PRESET)
    first = {**namespace, "dataset": next(iter(CLASSES))}
    if seeds == PRESET:
        first["seeds"] = "0"
    known = PAPER.datasets
    preset = check_parameters(SLUG, first, datasets=known, paper=PAPER).preset
    if seeds == PRESET:
        seeds = ",".join(map(str, EXTRAS[preset].seeds))
    names = {PRESET: EXTRAS[preset].datasets, "all": known}.get(asked) or asked.split(",")
    if OWN_CLIPS in names:
        raise refusal([f"dataset is {OWN_CLIPS!r}; the benchmark compares on {', '.join(known)}"])
    values = {**namespace, "seeds": seeds}
    return {
        name.strip(): check_parameters(
            SLUG, {**values, "dataset": name.strip()}, datasets=known, paper=PAPER
        )
        for name in names
    }
