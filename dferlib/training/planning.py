"""What a paper's notebook trains: planned here, whoever trains it.

    request = Request(load_protocol("stt"), "quick", source="synthetic")
    everything = request.open(request.recipe("afew"))
    rows = request.plan(own_clips(request.paper, everything), ["stt", "lstm"], [1])

The notebook, the sweep and a training in several processes find the same run ids because they ask
here. Only what a single cell of a notebook trains beside is not in `trained_for`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from dferlib.datasets import choose_classes
from dferlib.datasets.store import FrameStore
from dferlib.evidence.runs import results_folder
from dferlib.protocols.paper import Paper
from dferlib.protocols.recipe import Recipe
from dferlib.protocols.stages import AS_PAPER, Choice, read_choice
from dferlib.training.single_frame import peak_tasks
from dferlib.training.stages import with_stages
from dferlib.training.stores import open_recipe_store
from dferlib.training.tasks import Task, plan_tasks

# papers whose notebook also trains its own row from random weights
FROM_RANDOM = ("stcam", "stt", "hacn")


@dataclass(frozen=True)
class Request:
    """What is asked of all trainings of a paper, as the parameters of its notebook name it.

    `open_store` may be one that fills no store, for a plan alone.
    """

    paper: Paper
    preset: str
    seeds: tuple[int, ...] = (0,)
    device: str = "cpu"
    init: str = AS_PAPER
    transfer: str = AS_PAPER
    source: str = "auto"
    data_root: Path | None = None
    results_dir: str = ""
    open_store: Callable[..., FrameStore] = open_recipe_store

    def recipe(self, dataset: str) -> Recipe:
        """The paper's own recipe on a dataset, which says of the store what all rows read."""
        return self.paper.resolve(self.preset, dataset, self.paper.slug)

    def open(self, recipe: Recipe) -> FrameStore:
        """The store of a recipe with all classes of its dataset; the errors of `open_store`."""
        return self.open_store(recipe, self.source, self.data_root)

    def plan(self, store: FrameStore, variants: Iterable[str], folds: Iterable[int]) -> list[Task]:
        """The trainings of rows and folds on any store of a dataset, with the stage before each.

        DatasetError where the data of a stage are not at hand.
        """
        folder = self._folder(store)
        asked = (self.preset, variants, folds, self.seeds, store, folder, self.device)
        planned = plan_tasks(self.paper, *asked)
        if self.init != AS_PAPER:
            planned = [replace(t, recipe=t.recipe.override(init=self.init)) for t in planned]

        def open_stage(recipe: Recipe, choice: Choice) -> tuple[FrameStore, Path]:
            source = choice.source or store.source
            root = choice.root or (self.data_root if source == "real" else None)
            first = own_clips(self.paper, self.open_store(recipe, source, root))
            return first, self._folder(first)

        return with_stages(planned, self.paper, read_choice(self.transfer), open_stage)

    def place_of(self, store: FrameStore, dataset: str) -> tuple[str, Path | None]:
        """Source and folder of the data of a training: those of the rows, or of their stage."""
        choice = read_choice(self.transfer) or Choice()
        root = choice.root if dataset == choice.dataset else None
        return store.source, root or (self.data_root if store.source == "real" else None)

    def _folder(self, store: FrameStore) -> Path:
        where = (store.dataset, store.source, self.preset, self.results_dir)
        return results_folder(self.paper.slug, *where)


def own_clips(paper: Paper, store: FrameStore) -> FrameStore:
    """The clips of a store that are of the paper's classes, where the paper has its own set."""
    if paper.own_classes and store.dataset in paper.classes:
        return choose_classes(store, paper.classes[store.dataset])
    return store


def main_row(paper: Paper, variants: Sequence[str]) -> str:
    """The row that figures are about: the paper's own, or the last one that is run."""
    return paper.slug if paper.slug in variants else variants[-1]


def from_random(rows: Iterable[Task], variant: str) -> list[Task]:
    """The trainings of a row again from random weights, but those that start from such ones."""
    begun = [row for row in rows if row.variant == variant and row.recipe.init != "random"]
    return [row.with_init("random") for row in begun]


class Planned(NamedTuple):
    """A training, the row that it is trained for, and whether it is a stage before another."""

    task: Task
    row: Task
    stage: bool = False


def trained_for(paper: Paper, rows: Sequence[Task]) -> Iterator[Planned]:
    """All that the notebook trains for these rows, stages first; some of it may come twice.

    The rows; on real data the single-frame CNN for each fold and seed; the paper's own row from
    random weights, where its notebook has that section.
    """
    for row in rows:
        yield from _stages_first(row, row)
    firsts: dict[tuple[int, int], Task] = {}
    for row in rows:
        if row.store.source == "real":
            firsts.setdefault((row.seed, row.fold), row)
    for row in firsts.values():
        for peak in peak_tasks([row]):
            yield from _stages_first(peak, row)
    if rows and paper.slug in FROM_RANDOM:
        variant = main_row(paper, [row.variant for row in rows])
        for row in rows:
            yield from (Planned(task, row) for task in from_random([row], variant))


def _stages_first(task: Task, row: Task, stage: bool = False) -> Iterator[Planned]:
    if isinstance(task.before, Task):
        yield from _stages_first(task.before, row, True)
    yield Planned(task, row, stage)
