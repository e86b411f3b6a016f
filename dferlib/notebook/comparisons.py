"""Rows held against each other: paired tests, ranks over datasets, what published claims allow."""

from __future__ import annotations

from functools import cached_property

import pandas as pd
from IPython.display import Markdown, display

from dferlib.evidence import claims, comparison_table, ranking, scoring, sentences, verdict
from dferlib.figures import evidence as evidence_figures
from dferlib.notebook.opening import Opened
from dferlib.training import single_frame


class Comparisons(Opened):
    """Sections that compare rows. Each shows what it says, and returns nothing."""

    @cached_property
    def row_labels(self) -> dict[str, str]:
        """Variant -> its name, as the paper has it."""
        return {slug: variant.label for slug, variant in self.paper.variants.items()}

    def tests(self, reference: str, predictions: pd.DataFrame | None = None) -> None:
        """Paired tests of every row against one, on the same clips, and ranks over datasets.

        Without `predictions` of their own, the differences are drawn, too, all rows are also held
        against the single-frame CNN, where it was trained, and ranked over the datasets.
        """
        if predictions is not None:
            self._tested(reference, predictions)
            return
        table = self._tested(reference, self.predictions)
        if table is not None:
            self._draw_differences(table, reference)
        if self.simple is not None:
            display(Markdown(f"Against `{single_frame.NAME}`:"))
            both = pd.concat([self.simple, self.predictions], ignore_index=True)
            self._tested(single_frame.NAME, both)
        self.ranks()

    def _tested(self, reference: str, predictions: pd.DataFrame) -> pd.DataFrame | None:
        rows = predictions["variant"].unique()
        if reference not in rows or len(rows) < 2:
            label = self.row_labels.get(reference, reference)
            display(Markdown(f"Not compared: this needs {label} and at least one other row."))
            return None
        asked = (predictions, self.classes, reference, self.rule)
        table = scoring.paired_tests(*asked, num_folds=self.recipe.num_folds)
        published = {}
        if self.printed_here:
            where = (self.paper, self.settings.dataset, reference)
            published = verdict.published_differences(*where)
        shown = comparison_table.describe_tests(table, published, self.row_labels)
        label = self.label_of(reference)
        display(comparison_table.show_tests(shown, label))
        self.say(sentences.read_tests(shown, table))
        return table

    def _draw_differences(self, table: pd.DataFrame, reference: str) -> None:
        named = table.assign(
            first=self.label_of(reference),
            second=[self.label_of(name) for name in table["second"]],
        )
        ax = evidence_figures.plot_differences(named)
        alt = (
            f"Accuracy of {len(table)} rows minus that of {named['first'].iloc[0]} with intervals, "
            "over the differences that are too small for these clips."
        )
        said = f"Every row against {named['first'].iloc[0]}, on the same clips."
        self.show(ax.figure, alt=alt, caption=said, name="differences")

    def ranks(self) -> None:
        """Mean ranks over the paper's datasets, as printed and as run, with what does not differ.

        Left out with a sentence where there are fewer than three models or datasets: with fewer no
        ranking can be told from chance.
        """
        printed = ranking.printed_scores(self.paper)
        there = {name: self.evidence[name] for name in self.paper.datasets if name in self.evidence}
        found = {"printed": printed, "run": ranking.own_scores(there, self.rule)}
        for what, scores in found.items():
            if not ranking.rankable(scores):
                models, blocks = scores.shape[1], scores.shape[0]
                display(
                    Markdown(
                        f"No ranking of the rows as {what}: there are {models} models on {blocks} "
                        f"datasets; a ranking needs at least {ranking.FEWEST_MODELS} models on "
                        f"{ranking.FEWEST_BLOCKS} datasets."
                    )
                )
                continue
            ranked = ranking.rank_models(scores.rename(columns=self.row_labels))
            ax = evidence_figures.plot_critical_difference(
                ranked.ranks, ranked.critical_difference, ranking.cliques(ranked)
            )
            alt = (
                f"Mean ranks of {scores.shape[1]} rows over {scores.shape[0]} datasets, as {what}."
            )
            source = "none" if what == "printed" else ""
            title = f"Mean ranks of the rows as {what}; bars join rows that cannot be told apart."
            self.show(ax.figure, alt=alt, caption=title, name=f"ranks_{what}", source=source)
            if what == "printed":
                display(Markdown(ranking.read_ranking(ranked)))
            else:
                self.say(ranking.read_ranking(ranked))

    def published_claims(self) -> None:
        """Which differences that the paper prints on this dataset could be significant at all."""
        dataset = self.settings.dataset
        table = claims.own_claims(self.paper, dataset)
        if table.empty:
            display(Markdown(f"The paper prints nothing of its own beside its model on {dataset}."))
            return
        ax = evidence_figures.plot_claims(table)
        alt = f"Range of p that printed accuracies on {dataset} allow, a bar for each of the rows."
        said = "p of McNemar's exact test, from the fewest to the most clips that rows differ in."
        self.show(ax.figure, alt=alt, caption=said, name="claims", source="none")
        display(Markdown(sentences.read_claims(self.paper, dataset)))
