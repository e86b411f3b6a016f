"""Handed-in reproductions beside the published numbers, marked as such."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from dferlib.evidence.damage import DamagedFileError
from dferlib.evidence.handed_in.checking import WRONG, as_predictions, check
from dferlib.evidence.handed_in.schema import MARK, WAY_OUT, HandedIn, Row, read_handed_in
from dferlib.evidence.layout import Table, as_printed, lay_out, with_interval
from dferlib.evidence.scoring import metric_name
from dferlib.evidence.verdict import judge
from dferlib.protocols import Paper
from dferlib.protocols.stages import AS_PAPER

FOLDER = "handed-in"
NONE_YET = (
    "Nothing was handed in of these real data yet; `results/handed-in/README.md` says what to run."
)
SHOWN = f"{MARK} [95 %]"
COLUMNS = ["dataset", "row", "table", "metric", "published", SHOWN, "n", "epoch", "verdict"]
COLUMNS += ["by", "when", "preset", "differs"]


def read_all(results: Path) -> dict[Path, HandedIn]:
    """Read every file of `results/handed-in`; DamagedFileError for one that is none."""
    return {path: read_handed_in(path) for path in sorted((results / FOLDER).glob("*.json"))}


def handed_in_rows(paper: Paper, results: Path, dataset: str = "") -> pd.DataFrame:
    """Return what was handed in of a paper, a line per row, table and metric that prints a value.

    Values are in per cent. `verdict` is by the criterion of the protocol, with the reason where it
    cannot be tested; `differs` names what is not as in the protocol or a whole copy. `dataset`
    keeps that one alone. DamagedFileError for a file that contradicts itself.
    """
    files = read_all(results)
    rows = []
    for path, handed in files.items():
        if handed.paper != paper.slug or dataset not in ("", handed.dataset):
            continue
        found = check(handed, [other for name, other in files.items() if name != path])
        wrong = found[found["verdict"] == WRONG]
        if len(wrong):
            first = wrong.iloc[0]
            raise DamagedFileError(path, f"contradicts itself: {first['text']}", WAY_OUT)
        differs = "; ".join(found.loc[found["verdict"] == "differs", "text"])
        for row in handed.rows:
            rows += _lines(paper, handed, row, differs)
    return pd.DataFrame(rows, columns=COLUMNS)


def show_handed_in(rows: pd.DataFrame) -> Table:
    """Lay out `handed_in_rows`: published beside what others measured on the real data."""
    shown = rows.assign(published=as_printed(rows["published"], 2))
    caption = f"Published, and {MARK} by others, on real data, in per cent"
    prose = ("dataset", "metric", "epoch", "verdict", "by", "when", "preset", "differs")
    return lay_out(shown, caption, named="row", prose=prose)


def _lines(paper: Paper, handed: HandedIn, row: Row, differs: str) -> Iterator[dict]:
    """A line for each printed value of the row; one without a value where none is printed."""
    recipe = paper.resolve(handed.preset, handed.dataset, row.variant)
    score = next((s for s in row.scores if s.select == recipe.select), row.scores[0])
    verdict = _verdict(paper, handed, row, score.select)
    unprinted = [("", "WAR", paper.variants[row.variant].label, float("nan"))]
    common = {"dataset": handed.dataset, "n": sum(handed.manifest.tested), "epoch": score.select}
    common |= {"by": handed.by, "when": handed.when, "preset": handed.preset, "differs": differs}
    for table, metric, label, published in _printed(paper, handed.dataset, row) or unprinted:
        found = score.war if metric == "WAR" else score.uar
        line = common | {"row": label, "table": table, "metric": metric, "published": published}
        shown = with_interval(100 * found.value, 100 * found.low, 100 * found.high)
        yield line | {SHOWN: shown, "verdict": verdict if metric == "WAR" else ""}


def _printed(paper: Paper, dataset: str, row: Row) -> list[tuple]:
    """(table, metric, label, value) of what is printed of a row, a value of several tables once."""
    labels, found = paper.variants[row.variant].rows, {}
    for cell in paper.reported(dataset=dataset):
        metric = metric_name(cell.metric)
        own = labels.get(cell.table) == cell.row and cell.value is not None and cell.unit == "%"
        if own and metric in ("WAR", "UAR"):
            found.setdefault((metric, cell.value), (cell.table, metric, cell.row, cell.value))
    return list(found.values())


def _verdict(paper: Paper, handed: HandedIn, row: Row, select: str) -> str:
    """The verdict that the holder's notebook would give, from counts alone."""
    today = paper.resolve(handed.preset, handed.dataset, row.variant)
    asked = SimpleNamespace(
        dataset=handed.dataset,
        preset=handed.preset,
        folds=tuple(sorted(fold for group in handed.folds for fold in group.folds)),
        seeds=tuple({part.seed for part in row.counts}),
        transfer=AS_PAPER if row.settings.get("transfer") == today.transfer else "another",
    )
    predictions = as_predictions(handed, row)
    try:
        judged = judge(paper, predictions, asked, "real", select, variant=row.variant)
    except ValueError:  # nothing is printed of it, or the paper contradicts it
        return "no criterion"
    return judged["verdict"].iloc[0]
