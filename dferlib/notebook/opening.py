"""What a notebook works on: its parameters, the data, the trainings, and where figures go.

Everything that asks the training room for something stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

from dferlib.datasets import DatasetError, check_store
from dferlib.datasets.batches import ClipLoader, denormalise
from dferlib.datasets.store import FrameStore
from dferlib.device import busy_notice, set_threads
from dferlib.evidence import costs, layout, sentences, tables, verdict
from dferlib.figures import plots
from dferlib.models import create_model
from dferlib.notebook.display import Banner, banner, display_figure, finish
from dferlib.notebook.parameters import ParameterError, check_parameters
from dferlib.notebook.request import request_of
from dferlib.notebook.resuming import say_resumes
from dferlib.notebook.widgets import tell_of_bars
from dferlib.protocols import Recipe, load_protocol
from dferlib.protocols.stages import AS_PAPER, read_choice
from dferlib.training import planning, predict, runner, single_frame
from dferlib.training.planning import Request
from dferlib.training.tasks import Task, fit_extent

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn


def open_or_refuse(request: Request, recipe: Recipe) -> FrameStore:
    """Open the frame store of a recipe; ParameterError, which is shown as a box, without data."""
    try:
        return request.open(recipe)
    except DatasetError as error:
        raise ParameterError(f"the data cannot be read as asked: {error}") from error


class Opened:
    """A paper's notebook with its parameters checked, its store open and its trainings planned.

    Attributes: `paper`; `settings`, the checked parameters; `recipe`, the settings of one training
    of the paper's own model; `everything`, the frame store, and `store`, the same with the paper's
    classes; `classes`; `folder` of the runs; `rule`, the selection rule of all tables; `variant`,
    the row that figures are about: the paper's own or the last that is run; `tasks`. After `train`:
    `runs`, their `predictions`, and `evidence`, the predictions on every dataset.
    """

    def __init__(
        self,
        slug: str,
        namespace: Mapping[str, Any],
        *,
        extras: Mapping[str, str] | None = None,
        pictures: Mapping[str, Any] | None = None,
    ) -> None:
        set_threads()
        tell_of_bars()
        paper = load_protocol(slug)
        settings = check_parameters(slug, namespace, datasets=paper.datasets, extras=extras)
        request = request_of(settings, paper)
        self.everything = open_or_refuse(request, request.recipe(settings.dataset))
        self.store = planning.own_clips(paper, self.everything)
        # few clips: more passes in an epoch; of your own with few subjects: fewer folds
        self.extent, folds = fit_extent(paper, settings.folds, self.store)
        self.paper, self.settings = paper, settings.model_copy(update={"folds": folds})
        recipe = paper.resolve(settings.preset, settings.dataset, slug, self.extent)
        choice = read_choice(settings.transfer)
        asked = {} if choice is None else {"transfer": choice.transfer}
        self.recipe = recipe.override(**asked)
        self.classes = self.store.classes
        self.folder = settings.folder(self.store.source)
        self.rule = self.recipe.select
        self.variant = planning.main_row(paper, settings.variants)
        self.part = verdict.part_of(self.settings, self.recipe)
        self.tasks = self.plan_tasks(self.store, settings.variants, folds)
        self.simple: pd.DataFrame | None = None  # predictions of the single-frame CNN
        self.explained = False  # what holds for all tables was said
        self._pictures = dict(pictures or {})
        self._refuse_init(settings.init)
        if choice and choice.checkpoint:
            self._refuse_init(str(choice.checkpoint))
        plt.rcParams.update(plots.STYLE)
        pd.set_option("display.max_colwidth", None)

    def __getattr__(self, name: str) -> Any:
        """Say what has to come first, for what only trainings leave behind."""
        if name in ("runs", "predictions", "evidence", "notes"):
            raise AttributeError(f"there are no {name} before study.train()")
        return object.__getattribute__(self, name)  # raises what was raised

    # ---------------------------------------------------------------- what is at hand

    @property
    def printed_here(self) -> bool:
        """Whether the paper reports on this dataset; one's own clips are in no table."""
        return self.settings.dataset in self.paper.datasets

    @property
    def chance(self) -> float:
        """Accuracy of guessing, in per cent."""
        return 100 / len(self.classes)

    @property
    def options(self) -> str:
        """What a command needs to make a number that may stand beside those of this run."""
        named = {"preset": self.settings.preset, "source": self.store.source}
        asked = {name: getattr(self.settings, name) for name in ("init", "transfer")}
        named |= {name: value for name, value in asked.items() if value != AS_PAPER}
        return " ".join(f"-p {name} {value}" for name, value in named.items())

    def command(self, dataset: str = "", variant: str = "") -> str:
        """The command that runs this notebook on another dataset, or another row, likewise."""
        dataset = dataset or self.settings.dataset
        return tables.command(self.paper, dataset, variant, self.options)

    def folder_on(self, dataset: str) -> Path:
        """Where runs like these on another dataset of the paper lie, if there are any."""
        return self.settings.model_copy(update={"dataset": dataset}).folder(self.store.source)

    # ---------------------------------------------------------------- trainings

    def plan_tasks(
        self, store: FrameStore, variants: Sequence[str], folds: Sequence[int]
    ) -> list[Task]:
        """The trainings of these rows and folds on any store of a dataset of the paper.

        With the stage before each. ParameterError where the data of that is not at hand.
        """
        try:
            return request_of(self.settings, self.paper).plan(store, variants, folds)
        except DatasetError as error:
            raise ParameterError(
                f"the stage before this training cannot be run: {error}\nName its data with "
                "-p transfer DATASET=FOLDER, its stand-in with DATASET=synthetic, a file of "
                "weights, or leave it out with none"
            ) from error

    def _refuse_init(self, init: str) -> None:
        """Raise ParameterError now, and not after hours, where a row cannot start as asked."""
        if init in ("paper", "random", "synthetic"):
            return
        found = {}
        for task in {task.variant: task for task in self.tasks}.values():
            if problem := task.init_problem(init):
                found[task.variant] = problem
        if found:
            kept = [name for name in self.settings.variants if name not in found]
            way = f"; -p variants {','.join(kept)} leaves them out" if kept else ""
            listed = "".join(f"\n- {name}: {problem}" for name, problem in found.items())
            raise ParameterError(f"init is {init!r}, which does not fit{way}{listed}")

    def first_task(self, variant: str = "") -> Task | None:
        """The first training of a row, by default of `variant`; None where it is not run."""
        variant = variant or self.variant
        return next((task for task in self.tasks if task.variant == variant), None)

    def predictions_of(self, tasks: Sequence[Task]) -> pd.DataFrame:
        """Run trainings and return their predictions, under the names of their rows."""
        return tables.tidy(runner.run_tasks(tasks))

    def full_size(self, variant: str = "") -> nn.Module:
        """A row's model as the paper has it, without values: for shapes and costs."""
        recipe = self.paper.resolve("paper", self.settings.dataset, variant or self.variant)
        with torch.device("meta"):
            return create_model(recipe.model, len(self.classes), **recipe.model_options())

    # ---------------------------------------------------------------- one model, looked into

    @cached_property
    def loader(self) -> ClipLoader:
        """The loader of pictures: of `variant`, with the settings that pictures are given."""
        task = self.first_task()
        if self._pictures:
            task = task.with_settings("pictures", **self._pictures)
        return task.loader("cpu")

    @cached_property
    def labels(self) -> np.ndarray:
        """Class index of every clip of the manifest."""
        return self.loader.labels(np.arange(len(self.store.manifest)))

    @cached_property
    def model(self) -> nn.Module:
        """The trained model of `variant`, first fold and seed, on the CPU."""
        return self.first_task().trained().cpu()

    @cached_property
    def test(self) -> np.ndarray:
        """Manifest rows of the clips that `model` is tested on."""
        return self.first_task().split.test

    @cached_property
    def clips(self) -> Tensor:
        """The test clips as `model` reads them, (N, 3, T, H, W)."""
        return self.loader.gather(self.test)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Class probabilities (N, K) of the test clips by `model`."""
        precision = self.first_task().recipe.precision
        return predict.predict(self.model, self.loader, self.test, precision)

    def images(self, clips: Tensor) -> np.ndarray:
        """Clips (N, 3, T, H, W) as pictures (N, T, H, W, 3) in 0 to 1."""
        return denormalise(clips, self.recipe.normalise).permute(0, 2, 3, 4, 1).cpu().numpy()

    def label_of(self, row: str) -> str:
        """A row as the paper's tables call it; what was changed on it stands behind a comma."""
        variant, comma, changed = row.partition(", ")
        known = self.paper.variants.get(variant)
        return f"{known.label if known else variant}{comma}{changed}"

    def title_of(self, clip: int) -> str:
        """Name, class and prediction of a test clip, by its place among them."""
        name, label = self.store.manifest[["clip_id", "label"]].iloc[self.test[clip]]
        taken = self.classes[self.probabilities[clip].argmax()]
        name = name.replace("$", r"\$")  # a name is no formula, which two of them would begin
        return f"{name}, true {label}, predicted {taken}"

    # ---------------------------------------------------------------- what stands in all notebooks

    def say(self, text: str) -> None:
        """Show a sentence that reads numbers; not after a smoke run, whose numbers mean nothing."""
        if self.settings.preset != "smoke":
            display(Markdown(text))

    def banner(self) -> Banner:
        """Say where pixels come from, what is run, and what of the preset is left out."""
        said = f"Only a part of the preset, figures go to figures-partial: {'; '.join(self.part)}"
        said = " ".join(part for part in (said if self.part else "", busy_notice()) if part)
        return banner(self.settings, self.store.source, self.recipe, said)

    def data(self):
        """What was found in the data before anything is trained, on one screen."""
        return check_store(
            self.everything,
            data_root=self.settings.data_root,
            num_folds=self.recipe.num_folds,
            use_official=self.recipe.official_split,
        )

    def plan(self) -> runner.Plan:
        """How many trainings are there, to resume and to do, and how long that will take."""
        return runner.Plan(self.tasks)

    def train(self) -> None:
        """Train what is not finished yet, and show what was paid once, whatever is run later.

        Says first how to go on where this stops.
        """
        say_resumes(self.tasks)
        self.runs = runner.run_tasks(self.tasks)
        self.predictions = tables.tidy(self.runs)
        self.evidence = self._gather()
        paid = costs.cold_costs(self.store, self.runs)
        shown = layout.lay_out(paid, "Paid once", named="what", prose=("detail",))
        display(shown.format(precision=1, na_rep=""))

    def _gather(self) -> dict[str, pd.DataFrame]:
        """This run's predictions, and of other datasets the rows that are on equal folds."""
        where = (self.store.source, self.settings.preset, self.settings.results_dir)
        found = tables.load_evidence(self.paper, *where, self.settings.init)
        evidence, self.notes = {}, {}
        for name, predictions in found.items():
            if name != self.settings.dataset:
                folds = self.paper.resolve(self.settings.preset, name, self.paper.slug).folds
                kept, said = sentences.even_folds(predictions, folds, self.settings.seeds)
                evidence |= {name: kept} if len(kept) else {}
                self.notes |= {name: said} if said else {}
        return evidence | {self.settings.dataset: self.predictions}

    def single_frame(self) -> None:
        """On real data, train a CNN that sees nothing but the peak frame, and score it."""
        if self.store.source != "real":
            return display(Markdown("Left out: the faces are synthetic."))
        self.simple = tables.tidy(single_frame.run_peak_cnn(self.tasks))
        return self.scores(self.simple)

    def show(self, figure: Figure, *, alt: str, name: str, caption: str = "", source="") -> None:
        """Show a figure with its watermark, and keep it; `alt` says what there is to see.

        `source` is where its pixels come from, where that is not the store; "none" for a figure
        without any.
        """
        folder = self.folder / ("figures-partial" if self.part else "figures")
        marked = plots.watermark(figure, source or self.store.source)
        display_figure(marked, alt, caption, folder=folder, name=name)

    def finish(self) -> None:
        """Mark that the notebook came to its end, and which runs it shows; its last cell."""
        settings = self.settings.model_copy(update={"source": self.store.source})
        finish(settings, runs=tables.digest_runs(self.evidence))
