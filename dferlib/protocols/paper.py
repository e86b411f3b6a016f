"""What a paper is: title, classes, rows of its tables, presets, published numbers.

`Paper.resolve` makes of it the `Recipe` of one training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dferlib.names import OWN_CLIPS, unknown_name
from dferlib.protocols.recipe import UNSAID, Recipe
from dferlib.protocols.reported import Reported, load_cells
from dferlib.protocols.stages import CHECKPOINT, Stage

NO_DATASET = "-"  # of cells about the training, or about a network alone


class Extent(NamedTuple):
    """The data at hand: number of clips, and of folds where own clips have others than the paper.

    0: not counted, and the paper's.
    """

    clips: int = 0
    folds: int = 0


WHOLE = Extent()


class Count(NamedTuple):
    """Of how many clips a printed accuracy is a share.

    `whole` are the sizes of a whole copy where the printed value fits another n; `correct` is the
    number of right clips where another table, `source`, contradicts the accuracy.
    """

    n: int
    whole: tuple[int, ...] = ()
    correct: int = 0
    source: str = ""


class Criterion(NamedTuple):
    """When a result on real data counts as reproduced; `low` and `high` are fractions."""

    metric: str
    published: float
    correct: int
    n: int
    low: float
    high: float
    text: str
    whole: tuple[int, ...] = ()  # clips of a whole copy, where the printed value fits another n

    def holds(self, value: float) -> bool:
        """Tell whether a result (a fraction) lies inside the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Variant:
    """A row of the ablation tables: its name here, its label in each table, and what it changes."""

    slug: str
    label: str
    rows: Mapping[int, str]
    changes: Mapping[str, Any]


def row(slug: str, label: str, rows: Mapping[int, str], **changes: Any) -> Variant:
    """Write a row of the ablation tables in one line: {table: its label there}, and settings."""
    return Variant(slug, label, rows, changes)


@dataclass(frozen=True)
class Preset:
    """A size of the experiment: name -> (value, reason), more for single datasets, more for rows.

    ``variants`` maps a dataset to (the rows that are run on it, reason) where not all are.
    ``clips`` is the size of the smallest data set for which the epochs were set: where there are
    fewer than two thirds of them, an epoch passes over them more than once; 0: it never does.
    """

    purpose: str
    changes: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    by_dataset: Mapping[str, Mapping[str, tuple[Any, str]]] = field(default_factory=dict)
    variants: Mapping[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    by_row: Mapping[str, Mapping[str, tuple[Any, str]]] = field(default_factory=dict)
    clips: int = 0

    def of(self, dataset: str, variant: str) -> dict[str, tuple[Any, str]]:
        """Return all changes for a row on a dataset."""
        own = self.by_dataset.get(dataset, {}), self.by_row.get(variant, {})
        return {**self.changes, **own[0], **own[1]}

    def passes(self, clips: int) -> int:
        """Return how often an epoch passes over the training clips of a data set of ``clips``.

        About as many are seen as of the data set that the preset was set for.
        """
        return max(1, round(self.clips / clips)) if clips else 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Paper:
    """The catalogue of a paper; `stated` is the recipe as the paper states it."""

    title: str
    citation: str
    doi: str
    stated: Recipe
    classes: Mapping[str, tuple[str, ...]]  # dataset -> class names, in order
    variants: Mapping[str, Variant]
    presets: Mapping[str, Preset]
    assumed: Mapping[str, str]  # setting or question -> why this value
    counts: Mapping[tuple[str, str], Count]  # (dataset, variant), or (dataset, "") for the others
    # dataset -> settings that the paper itself has for it, where they differ from `stated`
    own_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # its set of classes is taken where the dataset itself has another
    own_classes: bool = False
    # row label -> why it cannot be run, of rows that the authors ran or took for their baseline
    not_run: Mapping[str, str] = field(default_factory=dict)
    # setting `transfer` of what the paper states -> what it says of that stage
    stages: Mapping[str, Stage] = field(default_factory=dict)
    # what runs here whatever the preset: (what, in the paper, here, why)
    always_differs: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def slug(self) -> str:
        """Name of the paper here, and of its own row."""
        return self.stated.slug

    @property
    def model(self) -> str:
        """The paper's own network, a name for create_model."""
        return self.stated.model

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets of the paper that this package reads."""
        return tuple(self.classes)

    def variants_of(self, preset: str, dataset: str) -> tuple[str, ...]:
        """Return the variants that a preset runs on a dataset, which is what "all" means there."""
        chosen, _ = self.presets[preset].variants.get(dataset, (tuple(self.variants), ""))
        return chosen

    def printed_on(self, dataset: str) -> tuple[str, ...]:
        """Return the variants for which the paper prints a value on a dataset."""
        if dataset not in self.classes:
            return ()
        cells = {(cell.table, cell.row) for cell in self.reported(dataset=dataset)}
        return tuple(k for k, v in self.variants.items() if cells & set(v.rows.items()))

    def resolve(self, preset: str, dataset: str, variant: str, extent: Extent = WHOLE) -> Recipe:
        """Return the recipe of one training: this paper's, made smaller by a preset.

        Presets and variants are `self.presets` and `self.variants`, the dataset is one of the paper
        or `OWN_CLIPS`; ValueError for others.
        """
        for what, name, known in (
            ("preset", preset, self.presets),
            ("dataset", dataset, (*self.classes, OWN_CLIPS)),
            ("variant", variant, self.variants),
        ):
            self._check(what, name, known)
        request = {"preset": preset, "dataset": dataset, "variant": variant, "clips": extent.clips}
        if extent.folds:
            request |= {"num_folds": extent.folds, "folds": tuple(range(1, extent.folds + 1))}
        size = self.presets[preset]
        changes = {name: value for name, (value, _) in size.of(dataset, variant).items()}
        own = {**self.own_settings.get(dataset, {}), **changes, **self.variants[variant].changes}
        return self.stated.override(**{**request, **own, "passes": size.passes(extent.clips)})

    def stage_of(self, dataset: str) -> Stage | None:
        """Return what the paper says of the stage before its training on a dataset, or None."""
        return self.stages.get(self.stated_for(dataset).transfer)

    def resolve_stage(self, recipe: Recipe, extent: Extent = WHOLE) -> Recipe:
        """Return the recipe of the stage before a training: the same row on `recipe.transfer`.

        On a dataset of the paper it is the recipe of that row there, on any other that of one's own
        clips; what the paper states of the stage alone comes in where the preset says nothing, and
        of epochs the smaller number. Initial weights are those of the training after it. ValueError
        for the dataset that is trained on afterwards.
        """
        if recipe.transfer == recipe.dataset:
            raise ValueError(
                f"transfer is {recipe.transfer!r}, which is trained and tested on afterwards; "
                "take another dataset, or none"
            )
        known = recipe.transfer if recipe.transfer in self.classes else OWN_CLIPS
        found = self.resolve(recipe.preset, known, recipe.variant, extent)
        stage, preset = self.stage_of(recipe.dataset), self.presets[recipe.preset]
        settled = preset.of(known, recipe.variant)
        stated = dict(stage.settings) if stage else {}
        changes = {name: value for name, value in stated.items() if name not in settled}
        changes["epochs"] = min(found.epochs, stated.get("epochs", found.epochs))
        begun = {"init": recipe.init, "normalise": recipe.normalise, "pretrain": recipe.pretrain}
        return found.override(**changes, **begun, dataset=recipe.transfer, transfer="")

    def describe_stage(self, recipe: Recipe) -> str:
        """Say what the paper trains on first and what this recipe does; "" where neither does."""
        stage = self.stage_of(recipe.dataset)
        if stage is None and not recipe.transfer:
            return ""
        said = stage or Stage("nothing", "")
        paper = f"{said.data} ({said.section})" if stage else said.data
        trained = f"the same row on {recipe.transfer}, fold {said.fold}, seed {said.seed}"
        here = {"": "nothing", CHECKPOINT: "a checkpoint"}.get(recipe.transfer, trained)
        return f"stage before: {paper} in the paper, {here} here"

    def restore(self, settings: Mapping[str, Any]) -> Recipe:
        """Return the recipe that a run's record holds as plain values.

        What the record does not say has the value that it had before it was a setting.
        """
        plain = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        return self.stated.override(**UNSAID | plain)

    def stated_for(self, dataset: str, variant: str = "") -> Recipe:
        """Return the recipe that the paper states for a dataset and a row of its tables."""
        changes = self.variants[variant].changes if variant else {}
        return self.stated.override(**{**self.own_settings.get(dataset, {}), **changes})

    def reasons(self, recipe: Recipe) -> dict[str, tuple[Any, str]]:
        """Values that preset and data set of a recipe lead to, each with its reason."""
        if not recipe.preset:
            return {}
        preset, clips = self.presets[recipe.preset], recipe.clips
        few = f"{clips} clips; the epochs of {recipe.preset} were set for {preset.clips} or more"
        reasons = preset.of(recipe.dataset, recipe.variant)
        if recipe.dataset == OWN_CLIPS:
            fewer = "no more folds than these clips have subjects"
            own = {"num_folds": (recipe.num_folds, fewer), "folds": (recipe.folds, fewer)}
            reasons = own | reasons  # which folds are run is the preset's choice where it makes one
        return reasons | {"passes": (preset.passes(clips), few)}

    def reported(
        self, table: int | str | None = None, dataset: str | None = None
    ) -> list[Reported]:
        """Return the published cells of all tables, or those of one table, one dataset, or both.

        `table` may name a figure or section, too. Raises ValueError for a table or a dataset that
        the paper does not have.
        """
        cells = load_cells(self.slug)
        if table is not None and table not in {cell.table for cell in cells}:
            numbers = [cell.table for cell in cells if isinstance(cell.table, int)]
            raise ValueError(f"table is {table!r}; the paper has Tables 1 to {max(numbers)}")
        if dataset not in (None, NO_DATASET):
            self._check("dataset", dataset, self.classes)
        return [
            cell
            for cell in cells
            if (cell.table == table if table is not None else isinstance(cell.table, int))
            and dataset in (None, cell.dataset)
        ]

    def reported_confusion(self, dataset: str) -> tuple[tuple[str, ...], np.ndarray]:
        """Return the class names and the published confusion matrix (rows true, fractions).

        Cells that the text at hand lost or never had are NaN.
        """
        self._check("dataset", dataset, self.classes)
        classes = self.classes[dataset]
        matrix = np.full((len(classes), len(classes)), np.nan)
        for cell in load_cells(self.slug):
            if cell.dataset == dataset and cell.metric.startswith("predicted "):
                place = classes.index(cell.row), classes.index(cell.metric.split(" ", 1)[1])
                value = np.nan if cell.value is None else cell.value
                matrix[place] = value / (100 if cell.unit == "%" else 1)
        return classes, matrix

    def criterion(self, dataset: str, variant: str = "") -> Criterion:
        """Return when a row on a dataset counts as reproduced; fixed before any run.

        The accuracy on the real dataset, pooled over the folds, has to lie in the exact binomial
        95 % interval (Clopper-Pearson) of the published k of n, or of the nearest k where the
        printed value is none. By default of the paper's own row. Synthetic data reproduce nothing.
        Raises ValueError where the paper prints no accuracy of the row, or contradicts it.
        """
        from scipy.stats import binomtest

        printed = {slug: self._printed(dataset, slug) for slug in self.variants}
        judged = [k for k, cell in printed.items() if cell and self._count(dataset, k)]
        variant = variant or self.slug
        if variant not in judged:
            raise ValueError(
                unknown_name(f"printed accuracy on {dataset} of variant", variant, judged)
            )
        cell, count = printed[variant], self._count(dataset, variant)
        share = float(cell.value) / 100
        correct = count.correct or round(share * count.n)
        interval = binomtest(correct, count.n).proportion_ci(0.95, method="exact")
        text = (
            f"pooled {cell.metric} on the real {dataset} within {interval.low:.4f} to "
            f"{interval.high:.4f}, the 95 % interval of {_origin(cell, count, correct)}"
        )
        published = correct / count.n if count.correct else share
        numbers = (published, correct, count.n, interval.low, interval.high)
        return Criterion("war", *numbers, text, count.whole)

    def _printed(self, dataset: str, variant: str) -> Reported | None:
        """The first accuracy that the paper prints for a row on a dataset."""
        rows = self.variants[variant].rows
        for cell in self.reported(dataset=dataset):
            if cell.metric in ("accuracy", "WAR") and rows.get(cell.table) == cell.row:
                return cell
        return None

    def _count(self, dataset: str, variant: str) -> Count | None:
        return self.counts.get((dataset, variant)) or self.counts.get((dataset, ""))

    def _check(self, what: str, name: object, known: Mapping | tuple) -> None:
        if name not in known:
            raise ValueError(unknown_name(f"{what} of protocol {self.slug!r}", name, known))


def _origin(cell: Reported, count: Count, correct: int) -> str:
    """Say where the number of right clips comes from."""
    if count.source:
        return f"{correct} of {count.n} of {count.source}, not of {cell.value} %"
    if abs(100 * correct / count.n - cell.value) < 0.01:  # printed values are rounded or cut
        return f"the published {correct} of {count.n}"
    return f"{correct} of {count.n}, which is nearest to the published {cell.value} %"
