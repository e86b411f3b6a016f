"""The numbers of a notebook: tables beside the paper's, tests, verdict, costs, summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from dferlib.analysis import cost
from dferlib.evidence import layout, scoring, sentences, summary, tables, verdict
from dferlib.evidence.audit import report
from dferlib.evidence.folds_table import caption_folds, folds_table
from dferlib.evidence.handed_in import shown
from dferlib.files import project_root
from dferlib.models import create_model
from dferlib.notebook.comparisons import Comparisons
from dferlib.training import planning

if TYPE_CHECKING:
    from torch import nn


class Results(Comparisons):
    """Sections that show numbers. Each shows what it says, and returns nothing."""

    # ---------------------------------------------------------------- tables

    def cells(self, table: int, *, dataset: str | None = None, metric: str | None = None):
        """The cells of one of the paper's tables beside ours, for reading on; a DataFrame.

        See `tables.published_beside_ours`. Where a run tests not all classes, the status of its
        rows names them and gives UAR without them.
        """
        asked = {"dataset": dataset, "metric": metric, "select": self.rule}
        cells = tables.published_beside_ours(
            self.paper, table, self.evidence, **asked, options=self.options
        )
        of = {v.rows[table]: slug for slug, v in self.paper.variants.items() if table in v.rows}
        return self._named(cells, of, self.evidence)

    def cells_of(
        self, printed: Iterable[tuple], evidence: Mapping[str, pd.DataFrame] | None = None
    ) -> pd.DataFrame:
        """Any printed cells, each with the variant that it belongs to, beside ours.

        `evidence` maps datasets to predictions, by default those of the tables.
        """
        printed, evidence = list(printed), self.evidence if evidence is None else evidence
        where = {"select": self.rule, "options": self.options}
        cells = tables.cells_beside_ours(self.paper, printed, evidence, **where)
        return self._named(cells, {cell.row: variant for cell, variant in printed}, evidence)

    def _named(
        self, cells: pd.DataFrame, variants: Mapping[str, str], evidence: Mapping[str, pd.DataFrame]
    ) -> pd.DataFrame:
        parts = []
        for name, part in cells.groupby("dataset", sort=False):
            if name in evidence:
                found = evidence[name]
                here = name == self.settings.dataset
                classes = self.classes if here else tables.classes_of(self.paper, name, found)
                found = found[found["select"] == self.rule]
                part = sentences.name_untested(part, found, classes, variants)
            parts.append(part)
        return pd.concat(parts) if parts else cells

    def table(self, *numbers: int, wide: bool = False, read: bool = False, **asked) -> None:
        """Show tables of the paper with our values; `asked` as for `cells`.

        `wide` puts the metrics of a row side by side, with intervals; `read` says in a sentence
        which row is highest. What could not be compared is said below.
        """
        for number in numbers:
            self.show_cells(self.cells(number, **asked), wide=wide, read=read)

    def show_cells(self, cells: pd.DataFrame, *, wide: bool = False, read: bool = False) -> None:
        """Show a table that `cells` or `cells_of` gave, the first with what holds for all."""
        self._explain_once()
        if wide:
            display(layout.show_wide(cells, self.store.source))
        else:
            display(layout.show(cells, self.store.source))
        notes = [
            f"{name}: {self.notes[name]}." for name in self.notes if name in set(cells["dataset"])
        ]
        if notes:
            display(Markdown("\n\n".join(notes)))
        if read:
            self.say(self.read(cells))

    def read(self, cells: pd.DataFrame) -> str:
        """Say of a table which row of this dataset is highest, in a sentence."""
        return tables.read_table(cells[cells["dataset"] == self.settings.dataset])

    def _explain_once(self) -> None:
        """Say before the first table which epoch all are about, and which classes are rare."""
        if not self.explained:
            asked = (self.predictions, self.classes, self.rule)
            display(Markdown(scoring.explain_tables(*asked)))
            self.explained = True

    def datasets(self) -> None:
        """Table 1: the paper's counts beside those of the store."""
        at_hand = {self.settings.dataset: self.everything.manifest}
        table = tables.describe_datasets(self.paper, at_hand, self.options)
        caption = "The paper's counts, and those of the clips at hand"
        display(layout.lay_out(table, caption, named="dataset", prose=("source", "status")))

    # ---------------------------------------------------------------- own numbers

    def scores(self, predictions: pd.DataFrame | None = None, rows: Sequence[str] = ()) -> None:
        """WAR and UAR of rows with intervals, by default of all; nothing published."""
        predictions = self.predictions if predictions is None else predictions
        if rows:
            predictions = predictions[predictions["variant"].isin(rows)]
        scored = scoring.score_variants(predictions, self.classes, self.rule)
        shown = pd.DataFrame({"row": [self.label_of(name) for name in scored.index]})
        for name in ("war", "uar"):
            ends = scored[[name, f"{name}_low", f"{name}_high"]].to_numpy()
            shown[f"{name.upper()} [95 %]"] = [layout.with_interval(*row) for row in ends]
        counts = scored[["n", "folds", "seeds", "fold_mean", "fold_sd"]].reset_index(drop=True)
        shown = pd.concat([shown, counts], axis=1)
        caption = f"Per cent, {self.store.source} faces, pooled over folds and seeds"
        style = layout.lay_out(shown, caption, named="row")
        means = {"fold_mean": "{:.2f}", "fold_sd": "{:.2f}"}
        display(
            style.format(means, na_rep="").relabel_index(
                [*shown.columns[:-2], "mean over folds", "s.d. of folds"], axis=1
            )
        )
        if said := sentences.say_untested(predictions, self.classes, self.rule):
            display(Markdown(said))

    def folds(self) -> None:
        """WAR and UAR of every row in each fold, their mean, and how far folds and seeds differ."""
        asked = (self.predictions, self.classes, self.rule)
        table = folds_table(*asked, self.row_labels)
        shown = layout.lay_out(table, "WAR and UAR in per cent, by fold")
        display(shown.format(precision=2, na_rep=""))
        self.say(caption_folds(*asked))

    def gaps(self) -> None:
        """What each selection rule gives, and what peeking at the test fold would add."""
        table = scoring.selection_gaps(self.predictions, self.classes).rename(index=self.row_labels)
        caption = "WAR in per cent under each rule that picks the epoch"
        display(layout.lay_out(table, caption).format("{:.2f}"))

    def claim(self, text: str, row: str, *others: str, metric: str = "WAR") -> None:
        """Put one of the paper's claims - that `row` is above `others` - beside this run's result.

        Says so where the result is against it.
        """
        asked = (row, others, self.rule, metric)
        found = sentences.compare_rows(self.predictions, self.classes, *asked, self.row_labels)
        found = found or f"Not compared: these rows were not run; {self.command(variant=row)}"
        self.say(f"**Claim:** {text}\n\n**Here** ({self.store.source}): {found}")

    def judge_claim(self, text: str, holds: bool, found: str) -> None:
        """Put any claim of the paper beside what this run found, and whether that agrees."""
        word = "As claimed" if holds else "Against the claim"
        self.say(f"**Claim:** {text}\n\n**Here** ({self.store.source}): {word}. {found}")

    def from_random(self) -> None:
        """The paper's own model from random weights beside the run's start, likewise trained."""
        fresh = planning.from_random(self.tasks, self.variant)
        if not fresh:
            display(Markdown("This run starts from random weights: there is nothing to compare."))
            return
        own = self.predictions[self.predictions["variant"] == self.variant]
        self.scores(pd.concat([own, self.predictions_of(fresh)]))

    def above_chance(self) -> None:
        """Whether intervals leave out chance and the share of the commonest class."""
        scored = scoring.score_variants(self.predictions, self.classes, self.rule)
        table = scored[["war", "war_low", "war_high", "n"]]
        truth = self.predictions.drop_duplicates("clip_id")["y_true"]
        largest = 100 * truth.value_counts(normalize=True).max()
        table = table.assign(
            **{
                "above chance": np.where(table["war_low"] > self.chance, "yes", "no"),
                "above the commonest class": np.where(table["war_low"] > largest, "yes", "no"),
            }
        )
        names = {"war": "WAR (%)", "war_low": "95 % low", "war_high": "95 % high"}
        table = table.rename(columns=names, index=self.row_labels)
        yes = ("above chance", "above the commonest class")
        shown = layout.lay_out(table, "Accuracy beside guessing", prose=yes)
        display(shown.format(precision=2))
        said = f"the commonest class makes up {largest:.1f} % of the test clips"
        display(Markdown(f"Chance is {self.chance:.1f} %; {said}."))

    # ---------------------------------------------------------------- costs

    def row_costs(
        self,
        rows: Sequence[str] = (),
        *,
        per_frame: bool = False,
        added: bool = False,
        parts: Mapping[str, Callable[[nn.Module], int]] | None = None,
    ) -> None:
        """Parameters and MACs of rows at the paper's full size, one clip or one frame.

        `parts` counts parameters of parts of a model; `added` says what a row has beyond the first.
        """
        table = []
        for name in rows or self.paper.variants:
            recipe = self.paper.resolve("paper", self.settings.dataset, name)
            model = self.full_size(name)
            shape = (3, recipe.num_frames, recipe.input_size, recipe.input_size)
            spent = cost.count_cost(model, shape)
            row = {"row": self.paper.variants[name].label, "parameters": spent.parameters}
            row |= {what: count(model) for what, count in (parts or {}).items()}
            frames = recipe.num_frames if per_frame else 1
            table.append(
                row | {"GMACs a frame" if per_frame else "GMACs": spent.macs / frames / 1e9}
            )
        table = pd.DataFrame(table)
        if added:
            table["parameters added"] = table["parameters"] - table["parameters"].iloc[0]
        formats = {
            name: "{:,}" if table[name].dtype.kind == "i" else "{:.2f}"
            for name in table.columns[1:]
        }
        caption = "Parameters and multiply-accumulates at the paper's full size"
        display(layout.lay_out(table, caption, named="row").format(formats))

    def at_preset(self, variant: str) -> nn.Module:
        """A row's model at the size of this preset, untrained, on this run's device."""
        recipe = self.paper.resolve(self.settings.preset, self.settings.dataset, variant)
        model = create_model(recipe.model, len(self.classes), **recipe.model_options())
        return model.to(self.settings.device)

    # ---------------------------------------------------------------- at the end

    def differs(self) -> None:
        """What differs from the paper, with reasons, and what was assumed where it is silent."""
        asked = (self.settings.preset, self.settings.dataset, self.paper.slug)
        found = verdict.deviations(self.paper, *asked).astype({"paper": str, "here": str})
        prose = ("paper", "here", "why")
        display(layout.lay_out(found, "What differs from the paper", named="setting", prose=prose))
        assumed = pd.DataFrame(self.paper.assumed.items(), columns=["setting", "assumed, and why"])
        caption = "What the paper leaves open"
        display(layout.lay_out(assumed, caption, named="setting", prose=assumed.columns))

    def audit(self) -> None:
        """What of the paper's printed numbers cannot be, or does not fit: counted, then listed."""
        found = report.audit_papers(self.paper.slug)
        display(Markdown(sentences.read_audit(found)))
        display(report.show_flagged(found))

    def verdict(self, reference: str) -> None:
        """Whether the published number is reproduced, by the criterion fixed before any run.

        Below it a verdict on each row that was run and is printed beside `reference`, and which of
        the published differences could be significant at all.
        """
        asked = (self.settings, self.store.source, self.rule)
        display(
            layout.lay_out(
                verdict.judge(self.paper, self.predictions, *asked),
                "The published number",
                named="criterion",
                prose=("verdict",),
            )
        )
        if not self.printed_here:
            return
        found = (self.paper, self.predictions, self.classes)
        judged = verdict.judge_tables(*found, *asked, reference)
        if judged.empty:
            said = f"No verdict on rows: `{reference}` and another row of a table on"
            display(Markdown(f"{said} {self.settings.dataset} are needed."))
        else:
            label = self.label_of(reference)
            display(verdict.show_judged(judged, label))
        self.published_claims()

    def handed_in(self) -> None:
        """What holders of this dataset's licence measured and handed in, beside the published."""
        where = (self.paper, (project_root() or Path()) / "results", self.settings.dataset)
        found = shown.handed_in_rows(*where) if self.printed_here else pd.DataFrame()
        display(shown.show_handed_in(found) if len(found) else Markdown(shown.NONE_YET))

    def save(self, numbers: Sequence[int]) -> None:
        """Put this run's rows of these tables into the summary, if it is all of its preset."""
        if self.part:
            said = f"The summary stays as it is: only a part was run ({'; '.join(self.part)})."
            display(Markdown(said))
            return
        run_of = {"dataset": self.settings.dataset, "source": self.store.source}
        run_of |= {"preset": self.settings.preset, "select": self.rule}
        path = self.folder.parents[1] / "summary.csv"
        display(summary.update_summary(path, self.paper, self.evidence, numbers, **run_of))
