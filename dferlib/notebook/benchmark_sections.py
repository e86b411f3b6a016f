"""The sections of the benchmark's notebook: tables, figures and the sentence that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from pandas.api.types import is_numeric_dtype

from dferlib.analysis import cost
from dferlib.analysis.corruptions import GRADES
from dferlib.evidence import benchmark as tables
from dferlib.evidence.layout import lay_out
from dferlib.evidence.ranking import cliques
from dferlib.figures import benchmark as figures
from dferlib.figures.evidence import plot_critical_difference
from dferlib.figures.plots import watermark
from dferlib.models import create_model
from dferlib.notebook.display import display_figure, finish
from dferlib.protocols.benchmark import PAPER, ROWS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

LABELS = {row: label for row, (label, _) in ROWS.items()}
REPEATS = 10  # timed forward passes


class Sections:
    """What the notebook shows; `Benchmark` brings the attributes."""

    def data(self) -> None:
        """Clips, subjects and classes of the datasets at hand, and how many are trained on."""
        found = []
        for name, store in self.stores.items():
            clips, task = store.manifest, self._first_seed(name)[0]
            found.append(
                {
                    "dataset": name,
                    "source": store.source,
                    "clips": len(clips),
                    "subjects": clips["subject"].nunique(),
                    "classes": len(store.classes),
                    "trained on": len(task.split.train),
                    "tested on": len(task.split.test),
                }
            )
        _show(pd.DataFrame(found), "The datasets of this run")

    def protocol(self) -> None:
        """The settings that all rows share, and what the preset is for."""
        recipe = self.rows[0].recipe
        names = ("sampler", "num_frames", "input_size", "crop", "flip", "init", "optimizer", "lr")
        names += ("schedule", "weight_decay", "loss", "label_smoothing", "epochs", "batch_size")
        rows = [(name, str(getattr(recipe, name))) for name in names]
        display(Markdown(f"Preset **{self.preset}**: {PAPER.presets[self.preset].purpose}."))
        table = pd.DataFrame(rows, columns=["setting", "all rows"])
        _show(table, "Settings that all rows share")

    def accuracy(self) -> None:
        """Accuracy of all rows on all datasets, and the command of each cell that is missing."""
        table = self.scores()
        if len(table):
            self.show(
                figures.plot_accuracy(table, LABELS),
                alt="Accuracy of each row with its interval, a panel for each dataset.",
                caption="95 % intervals over subjects; dotted: the share of the commonest class; "
                "hollow: not above it.",
                name="accuracy",
            )
            _show(table.drop(columns="row"), "Accuracy and UAR in per cent")
        if len(missing := tables.missing_table(self.evidence, self.preset, self.options)):
            _show(missing, "Not run yet")

    def scores(self) -> pd.DataFrame:
        """The table of `accuracy_table` of what is stored."""
        return tables.accuracy_table(self.evidence)

    def ranks(self) -> None:
        """The critical-difference diagram over datasets, or why there is none."""
        ranking, said = tables.ranking_of(self.scores())
        if said:
            display(Markdown(said))
        if ranking is None:
            return
        marks = (ranking.ranks, ranking.critical_difference, cliques(ranking))
        self.show(
            plot_critical_difference(*marks).figure,
            alt="Mean ranks of the rows on a line, with bars over those that do not differ.",
            caption=f"Mean ranks over {ranking.blocks} datasets; Friedman p = "
            f"{ranking.friedman_p:.3f}. Rows under one bar cannot be told apart.",
            name="ranks",
        )

    def prices(self) -> None:
        """Accuracy against multiply-accumulates and latency, at the size that was trained."""
        scores = self.scores().groupby("row", sort=False)
        means, chance = scores["war"].mean(), scores["at_chance"].any()
        found = []
        for row, label in LABELS.items():
            model, shape = self._model(row)
            spent = cost.count_cost(model, shape)
            taken = cost.latency(model, shape, repeats=REPEATS)
            entry = {"row": row, "label": label, "parameters": spent.parameters}
            entry |= {"macs": spent.macs, "ms": taken.median, "war": means.get(row, np.nan)}
            found.append(entry | {"at_chance": bool(chance.get(row, False))})
        table = pd.DataFrame(found)
        priced = table.drop(columns="row").assign(macs=lambda t: t["macs"] / 1e6)
        caption = "What a row costs at the size that was trained, and its mean accuracy"
        _show(priced, caption, macs="MACs (M)")
        if len(kept := table.dropna()):
            self.show(
                figures.plot_price(kept, LABELS),
                alt="Mean accuracy of each row over its MACs, and over its latency.",
                caption="Upper left is better; hollow: at chance on a dataset.",
                name="price",
            )

    def _model(self, row: str) -> tuple[nn.Module, tuple[int, ...]]:
        """A row's network without values, and the clip that it reads."""
        name, store = next(iter(self.stores.items()))
        recipe = PAPER.resolve(self.preset, name, row)
        with torch.device("meta"):
            model = create_model(recipe.model, len(store.classes), **recipe.model_options())
        return model, (3, recipe.num_frames, recipe.input_size, recipe.input_size)

    def curves(self) -> None:
        """Learning curves over the share of the training subjects."""
        table = tables.curve_table(self.evidence, self.curves_stored)
        scores = self.scores()
        self._missing(scores[scores["dataset"].isin(self.extra.curves)], table)
        if table.empty:
            return
        self.show(
            figures.plot_curves(table, LABELS),
            alt="Accuracy of each row over the share of the training subjects.",
            caption="First seed; parts of the subjects are passed over more often.",
            name="curves",
        )
        wide = table.pivot(index=["dataset", "row"], columns="share", values="war")
        wide = wide.rename(columns=lambda share: f"{share:g} %").reset_index()
        _show(wide, "Accuracy in per cent by the share of the training subjects")

    def transfer(self) -> None:
        """Accuracy on datasets that a model was not trained on, over the classes both have."""
        table = tables.transfer_table(self.evidence, self.tests(tables.TRANSFER))
        self._missing(self.scores(), table)
        if table.empty:
            return
        self.show(
            figures.plot_transfer(table, LABELS),
            alt="A grid for each row: accuracy by dataset trained on and dataset tested on.",
            caption="Trained on the dataset at the left, tested on the one below.",
            name="transfer",
        )
        lost = table.groupby(["trained_on", "tested_on"])["gap"].mean()
        worst = lost.idxmax()
        text = f"On average {lost.mean():.1f} points are lost to a model that was trained there; "
        text += f"most, {lost.max():.1f}, from {worst[0]} to {worst[1]}."
        if np.isfinite(lost.max()) and self.preset != "smoke":
            display(Markdown(text))
        _show(table, "Accuracy in per cent on datasets that a row was not trained on")

    def grades(self) -> None:
        """One frame of the first dataset under every corruption and grade."""
        name, spoilt = next(iter(self.spoilt.items()))
        middle = spoilt.pixels.shape[1] - 1
        clean = spoilt.pixels[0, middle].numpy()
        pictures = {
            kind: np.stack([clean, *(spoilt.sets[kind, g][0, middle].numpy() for g in GRADES)])
            for kind in spoilt.names
        }
        self.show(
            figures.plot_grades(pictures),
            alt="The last frame of a clip under each corruption, grades 0 to 5 from left to right.",
            caption=f"A test clip of {name}; lost and shuffled frames show in its last frame "
            "only where it is one of them.",
            name="grades",
        )

    def corruptions(self) -> None:
        """Accuracy under each corruption, and which row keeps most of its own."""
        table = tables.corruption_table(self.tests(tables.CORRUPTIONS))
        self._missing(self.scores(), table)
        if table.empty:
            return
        self.show(
            figures.plot_corruptions(table, LABELS),
            alt="Accuracy of each row over the grade of each corruption.",
            caption="Mean over the datasets that were tested; grade 0 is the clean clip.",
            name="corruptions",
        )
        spoilt = table[table["grade"] > 0].groupby(["row", "corruption"], sort=False)["war"].mean()
        wide = spoilt.unstack().assign(
            clean=table[table["grade"] == 0].groupby("row")["war"].mean()
        )
        clean = wide["clean"].where(wide["clean"] > 0)  # of nothing no share is kept
        wide["kept (%)"] = 100 * wide.drop(columns="clean").mean(1) / clean
        kept = wide["kept (%)"].where(wide["clean"] > 0).dropna()
        if len(kept) and self.preset != "smoke":
            said = f"Over all corruptions **{LABELS[kept.idxmax()]}** keeps most of its clean "
            display(Markdown(f"{said}accuracy, {kept.max():.0f} %."))
        caption = "Accuracy in per cent under each corruption, mean over its grades"
        _show(wide.rename(index=LABELS).reset_index(), caption)

    def _missing(self, scores: pd.DataFrame, table: pd.DataFrame) -> None:
        """Show which tests of trained rows are not there, and the commands that make them."""
        missing = tables.missing_tests(scores, table, self.preset, self.options)
        if len(missing):
            _show(missing, "Trained, and not tested yet")

    def show(self, figure: Figure, *, alt: str, name: str, caption: str) -> None:
        """Show a figure with its watermark, and keep it beside the datasets' folders."""
        root = next(iter(self.folders.values())).parent
        folder = root / f"figures-{self.source}-{self.preset}"
        display_figure(watermark(figure, self.source), alt, caption, folder=folder, name=name)

    def finish(self) -> None:
        """Mark that the notebook came to its end, and on which datasets; its last cell."""
        settings = next(iter(self.settings.values())).model_copy(update={"source": self.source})
        finish(settings, datasets=list(self.evidence))


def _show(table: pd.DataFrame, caption: str, **names: str) -> None:
    """Lay out a table with one decimal, its first column naming the rows; `names` rename some."""
    table = table.rename(columns=names)
    prose = [name for name, kind in table.dtypes.items() if not is_numeric_dtype(kind)]
    shown = lay_out(table, caption, named=table.columns[0], prose=prose)
    display(shown.format(precision=1, na_rep=""))
