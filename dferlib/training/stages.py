"""The stage before a paper's own training, planned: a training like any other.

    tasks = with_stages(tasks, paper, read_choice("paper"), open_stage)

Every row gets a stage of its own network (STT §4.4: all rows of Table 4 get the same transfer). Its
id is that of the same row, fold and seed in a run on the stage's dataset wherever its recipe is the
same, so that it is trained once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from dferlib.datasets.store import FrameStore
from dferlib.device import choose_precision
from dferlib.protocols.paper import Extent, Paper
from dferlib.protocols.recipe import Recipe
from dferlib.protocols.stages import Choice, Stage
from dferlib.training.tasks import Task, fit_extent

# opens the store of a stage's recipe, and says where its runs go
Open = Callable[[Recipe, Choice], tuple[FrameStore, Path]]


def with_stages(
    tasks: Iterable[Task], paper: Paper, choice: Choice | None, open_stage: Open
) -> list[Task]:
    """Return the same trainings with the stage before each that is asked for.

    None asks for what the paper and its preset have for the dataset, an empty `Choice` for none.
    `open_stage` raises what `open_store` does, DatasetError where the data is not at hand.
    """
    opened: dict[tuple, tuple[FrameStore, Path]] = {}
    planned: dict[str, Task] = {}
    found = []
    for task in tasks:
        wanted = choice if choice is not None else _usual(task, paper)
        recipe = task.recipe.override(transfer=wanted.transfer)
        before: Task | Path | None = wanted.checkpoint
        if wanted.dataset:
            if recipe.variant not in planned:
                planned[recipe.variant] = _plan(task, recipe, paper, wanted, open_stage, opened)
            before = planned[recipe.variant]
        found.append(replace(task, recipe=recipe, before=before))
    return found


def stages_of(tasks: Iterable[Task]) -> list[Task]:
    """Return the stages that have to be there before these trainings, each once, in order.

    Those of finished trainings are needed no more.
    """
    found: dict[str, Task] = {}
    for task in tasks:
        if isinstance(task.before, Task) and task.state != "finished":
            found |= {stage.id: stage for stage in (*stages_of([task.before]), task.before)}
    return list(found.values())


def _usual(task: Task, paper: Paper) -> Choice:
    """The stage that the paper and its preset have for this row and dataset."""
    recipe = task.recipe
    return Choice(paper.resolve(recipe.preset, recipe.dataset, recipe.variant).transfer)


def _plan(
    task: Task,
    recipe: Recipe,
    paper: Paper,
    wanted: Choice,
    open_stage: Open,
    opened: dict[tuple, tuple[FrameStore, Path]],
) -> Task:
    """Plan the stage before a training of this recipe; stores are opened once."""
    stage = paper.stage_of(recipe.dataset) or Stage("", "")
    first = paper.resolve_stage(recipe)
    crops = (first.dataset, first.store_size, first.fraction, first.faces)
    if crops not in opened:
        opened[crops] = open_stage(first, wanted)
    store, folder = opened[crops]
    extent, _ = fit_extent(paper, (stage.fold,), store)
    fitted = paper.resolve_stage(recipe, extent)
    fitted = fitted.override(precision=choose_precision(fitted.precision, task.device))
    named = f"{recipe.variant}, before {recipe.dataset}"
    if _is_a_row(fitted, recipe, paper, extent):
        named = recipe.variant
    return Task(fitted, named, stage.fold, stage.seed, store, folder, task.device)


def _is_a_row(fitted: Recipe, recipe: Recipe, paper: Paper, extent: Extent) -> bool:
    """Whether the stage is what the preset runs on its dataset in any case."""
    dataset, preset = fitted.dataset, fitted.preset
    if dataset not in paper.classes or recipe.variant not in paper.variants_of(preset, dataset):
        return False
    own = paper.resolve(preset, dataset, recipe.variant, extent)
    own = own.override(precision=fitted.precision, init=fitted.init)
    return own.key() == fitted.key()
