"""A small CNN on the peak frame alone, trained like a paper's model: what a sequence has to beat.

    python -m dferlib.training.single_frame ckplus ROOT

looks over a dataset and trains that CNN on it, with the folds, epochs and schedule of a paper's
preset, so that a user knows what single frames of her copy tell before any model of the paper runs.
It is trained twice: from random weights, and from weights of the same kind as the paper's models.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Literal

import pandas as pd

from dferlib.datasets import DatasetError, check_store
from dferlib.datasets.batches import THERE_AND_BACK
from dferlib.evidence.runs import Run, results_folder
from dferlib.names import OWN_CLIPS
from dferlib.protocols import load_protocol
from dferlib.protocols.recipe import Deviation, Recipe, recipe_dataclass
from dferlib.training.runner import run_tasks
from dferlib.training.stores import open_recipe_store
from dferlib.training.tasks import Task, plan_tasks
from dferlib.training.weights import WeightsError

NAME = "peak-cnn"


@recipe_dataclass
class PeakRecipe(Recipe):
    """The settings of a paper, for the single-frame CNN: one frame, cross-entropy, same schedule.

    `official` is whether the dataset's own split counts, as in the paper's recipe; `factors` are
    those of a paper with a schedule of its own, one for each epoch and one more.
    """

    slug: ClassVar[str] = "peak_cnn"
    model: ClassVar[str] = "peak_cnn"
    model_fields: ClassVar[tuple[str, ...]] = ("width",)

    num_frames: int = 1
    sampler: str = "neutral_to_peak"
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0
    official: bool = True
    factors: tuple[float, ...] = ()
    crop: Literal["five", "random", "none"] = "five"

    @property
    def official_split(self) -> bool:
        """Whether the split that a dataset prescribes is used, where there is one."""
        return self.official

    def deviations(self) -> list[Deviation]:
        """Nothing: it is of no paper that it could differ from."""
        return []

    @property
    def lr_factor(self) -> Callable[[int], float] | None:
        """The rival's own schedule of the learning rate; None where it has steps."""
        return (lambda epoch: self.factors[epoch]) if self.factors else None

    def key(self) -> dict[str, Any]:
        """Return the settings that define a trained model; no factors go without saying."""
        return {k: v for k, v in super().key().items() if k != "factors" or v}


def peak_tasks(tasks: Iterable[Task]) -> list[Task]:
    """The same trainings of the single-frame CNN: one for every fold and seed of these tasks.

    The frame is the peak that the recipe names; of a dataset without annotated peaks it is the
    last or the middle one, as in the recipe. Their results go beside those of the paper. Before
    them comes the tasks' stage, of this CNN.
    """
    found = {}
    for task in tasks:
        found.setdefault((task.seed, task.fold), _with_peak(task))
    return list(found.values())


def _with_peak(task: Task) -> Task:
    own = {"num_frames", "sampler", "loss", "label_smoothing", "variant", "pretrain"}
    rival = task.recipe
    same = {item.name: getattr(rival, item.name) for item in fields(Recipe) if item.name not in own}
    if rival.schedule == "steps":
        del same["warmup"]  # a paper's own schedule may count it in epochs
        if getattr(rival, "lr_factor", None) is not None:
            same["factors"] = tuple(rival.lr_factor(epoch) for epoch in range(rival.epochs + 1))
    if same["peak"] == "last" and rival.dataset in THERE_AND_BACK:
        same["peak"] = "annotated"  # what is last there is neutral again
    before = _with_peak(task.before) if isinstance(task.before, Task) else None
    same["transfer"] = rival.transfer if before else ""  # a checkpoint is of another network
    recipe = PeakRecipe(**same, variant=NAME, official=rival.official_split)
    folder = task.folder.parents[1] / PeakRecipe.slug / task.folder.name
    return replace(task, recipe=recipe, variant=NAME, folder=folder, before=before)


def run_peak_cnn(tasks: Iterable[Task], init: str = "") -> list[Run]:
    """Train the single-frame CNN for these tasks, or read its finished runs.

    It starts as the tasks do, or from other initial weights where `init` names them.
    """
    planned = peak_tasks(tasks)
    return run_tasks([task.with_init(init) for task in planned] if init else planned)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status, 2 if the data or a name is not right."""
    parsed = _parser().parse_args(arguments)
    try:
        sys.stdout.write(f"{_report(parsed)}\n")
    except (DatasetError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _report(parsed: argparse.Namespace) -> str:
    paper, dataset, preset = load_protocol(parsed.paper), parsed.dataset, parsed.preset
    variant, root = next(iter(paper.variants)), parsed.root or None
    recipe = paper.resolve(preset, dataset, variant)
    store = open_recipe_store(recipe, "real" if root else "synthetic", root)
    folds = {"preset": recipe.folds, "all": tuple(range(1, recipe.num_folds + 1))}[parsed.folds]
    folder = results_folder(paper.slug, dataset, store.source, preset, parsed.results_dir)
    tasks = plan_tasks(paper, preset, [variant], folds, (0,), store, folder, parsed.device)
    scores, left_out = _score_starts(tasks, recipe.select)
    shown = pd.concat(scores, names=["starts from"]).to_string(float_format="{:.1f}".format)
    report = check_store(store, data_root=root, num_folds=tasks[0].recipe.num_folds)
    title = f"A CNN on the peak frame alone, {store.source} data, preset {preset}, per cent"
    return "\n".join([f"{report}\n", f"{title}:", shown, *left_out])


def _score_starts(tasks: list[Task], select: str) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Scores by kind of initial weights, and why a kind is left out."""
    own, classes = tasks[0].recipe.init, tasks[0].store.classes
    starts = {"random weights": "random", f"{own} weights": ""}  # "": as the paper's models
    scores, left_out = {}, []
    for start, init in starts.items():
        try:
            scores[start] = score_runs(run_peak_cnn(tasks, init), classes, select)
        except WeightsError as error:  # torchvision has none of this CNN
            left_out.append(f"{start}: not run, {error}")
    return scores, left_out


def score_runs(runs: Iterable[Run], classes: tuple[str, ...], select: str) -> pd.DataFrame:
    """WAR and UAR of runs in per cent, pooled over folds, with 95 % intervals over subjects.

    Index metric; columns value, low, high and n, the number of test clips.
    """
    from dferlib.evidence import scoring, tables  # a third of the start of a worker, which has none

    scored = scoring.score_metrics(tables.tidy(runs), classes, ("WAR", "UAR"), select)
    table = scored.droplevel("variant")
    table[["value", "low", "high"]] *= 100
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dferlib.training.single_frame", description=__doc__
    )
    parser.add_argument("dataset", help=f"one of the paper's, or {OWN_CLIPS}: your own clips")
    parser.add_argument("root", nargs="?", default="", help="its folder; none: the stand-in")
    parser.add_argument("--paper", default="stcam", help="whose folds and schedule are used")
    parser.add_argument("--preset", default="quick")
    choices = {"default": "preset", "choices": ("preset", "all")}
    parser.add_argument("--folds", **choices, help="those that the preset runs, or all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results-dir", default="")
    return parser


if __name__ == "__main__":
    sys.exit(main())
