"""The section that scores a paper's maps: does the model look where and when the face moves?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from dferlib.analysis import map_verdict, scored
from dferlib.analysis.map_verdict import QUESTIONS
from dferlib.analysis.moving import what_moves
from dferlib.evidence.layout import lay_out
from dferlib.figures.explanations import plot_map_scores
from dferlib.notebook.opening import Opened

CLIPS = 24  # that are scored against what moves
DELETED_FRAMES, DELETED = 84, (6, 12)  # deletion passes each clip about seventy times
REDRAWN = 6  # clips whose maps are made again from redrawn weights
SMOKE = 6  # clips of a run that only tries every line


@dataclass(frozen=True)
class Explained:
    """What `Explanations.explanations` found: tidy tables, for reading on."""

    summary: pd.DataFrame
    judged: pd.DataFrame
    classes: pd.DataFrame
    changed: pd.DataFrame


class Explanations(Opened):
    """The section of a notebook that scores what the network shows of itself."""

    def explanations(self, *rows: str) -> None:
        """Score the maps of the model, and of other trained `rows`, and say what they are worth.

        Shows one figure, one table, one by class, and a verdict. Of real faces nobody knows what
        moves: there only deletion, insertion and the check by redrawn weights are left.
        """
        found = self.explain_rows(*rows)
        if found.summary.empty:
            display(Markdown("Maps are not scored: at least two test clips are needed."))
            return
        self.show(
            plot_map_scores(found.summary, found.changed),
            alt="Scores of each map of the model beside those of rivals that know nothing of the "
            "clip, with intervals, and how far maps change when weights are redrawn.",
            caption="Intervals are over persons; a small grey dot is a clip.",
            name="explanations",
        )
        display(self._shown(found.judged))
        if len(found.classes):
            display(self._by_class(found.classes))
        display(Markdown(self._counted(found)))
        self.say(map_verdict.read_maps(found.judged))

    def explain_rows(self, *rows: str) -> Explained:
        """Score the maps of `variant` and of other rows that this run has, on the same clips."""
        tasks = {self.variant: self.first_task()}
        tasks |= {name: self.first_task(name) for name in rows if self.first_task(name)}
        scores, changed = [], []
        for name, task in tasks.items():
            model = self.model if name == self.variant else task.trained().cpu()
            loader = self.loader if name == self.variant else task.loader("cpu")
            picked = self._picked()
            clips, moving = loader.gather(picked), what_moves(loader, picked)
            amount = self._amount(len(picked), clips.shape[2])
            found = scored.score_model(model, clips, moving, amount)
            people = self.store.manifest.iloc[picked]
            table = found.scores.assign(
                subject=people["subject"].to_numpy()[found.scores["clip"]],
                label=people["label"].to_numpy()[found.scores["clip"]],
            )
            before = "" if name == self.variant else f"{name}: "
            for part in (table, found.changed):
                grids = part["map"].map(found.grids)
                part["map"] = before + part["map"] + np.where(grids == "1x1", "", " " + grids)
            scores.append(table)
            changed.append(found.changed)
        table, redrawn = pd.concat(scores, ignore_index=True), pd.concat(changed, ignore_index=True)
        summary = map_verdict.summarise_maps(table)
        classes = map_verdict.by_class(table) if "where" in table else pd.DataFrame()
        return Explained(summary, map_verdict.judge_maps(summary, redrawn), classes, redrawn)

    def _picked(self) -> np.ndarray:
        """Test clips to explain: of as many persons as there are, then a second one of each."""
        subjects = self.store.manifest["subject"].iloc[self.test].reset_index(drop=True)
        shuffled = subjects.sample(frac=1, random_state=0)
        turns = shuffled.groupby(shuffled).cumcount().sort_values(kind="stable")
        count = SMOKE if self.settings.preset == "smoke" else CLIPS
        return self.test[turns.index.to_numpy()[:count]]

    def _amount(self, clips: int, frames: int) -> scored.Amount:
        if self.settings.preset == "smoke":
            return scored.Amount(deleted=min(clips, 3), redrawn=min(clips, 3))
        deleted = int(np.clip(DELETED_FRAMES // frames, *DELETED))
        return scored.Amount(deleted=min(clips, deleted), redrawn=min(clips, REDRAWN))

    @staticmethod
    def _shown(judged: pd.DataFrame):
        """One row per map and question, with intervals as text."""
        table = judged[["map", "question", "n"]].assign(score=_ends(judged, "value", "low", "high"))
        table["the truth"] = judged["truth"]
        table["nearest rival"] = judged["rival"]
        table["lead"] = _ends(judged, "lead", "lead_low", "lead_high", sign="+")
        table["verdict"], table["same when redrawn"] = judged["verdict"], judged["redrawn"]
        prose = ("question", "nearest rival", "verdict")
        shown = lay_out(table, "Every map beside its nearest rival", named="map", prose=prose)
        return shown.format(precision=2, na_rep="")

    @staticmethod
    def _by_class(classes: pd.DataFrame):
        """Leads over the strongest rival in where it moves, a column for each class."""
        wide = classes.pivot(index="map", columns="label", values="lead")
        counts = classes.groupby("label")["n"].max()
        wide.columns = [f"{name} (n = {counts[name]})" for name in wide.columns]
        wide.index.name = "map"
        caption = "Lead over the strongest rival in where the face moves, by class"
        return lay_out(wide, caption).format("{:+.2f}", na_rep="")

    def _counted(self, found: Explained) -> str:
        """Say how many clips of how many persons all of this rests on."""
        counts = found.summary.groupby("question")["n"].max()
        said = [f"{counts[name]} for {what}" for name, what in QUESTIONS.items() if name in counts]
        persons, clips = (
            found.summary["persons"].max(),
            found.changed.groupby("map")["clip"].nunique().max(),
        )
        return (
            f"Test clips of the first fold, at most {persons} persons: {', '.join(said)}; "
            f"{clips} with redrawn weights."
        )


def _ends(table: pd.DataFrame, value: str, low: str, high: str, sign: str = "") -> list[str]:
    """Write values with their intervals."""
    columns = zip(table[value], table[low], table[high], strict=True)
    return [f"{v:{sign}.2f} [{a:{sign}.2f}, {b:{sign}.2f}]" for v, a, b in columns]
