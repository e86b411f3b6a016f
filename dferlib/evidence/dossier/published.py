"""What a paper says: its settings with their sections, its printed cells, its datasets."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import tokenize
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from dferlib.evidence.dossier.markdown import table
from dferlib.protocols import Paper, Reported
from dferlib.protocols.reported import load_cells
from dferlib.protocols.reported.released import released_code

_PLACE = re.compile(r"§|Table|Eq|Fig")  # how a comment begins that names a place in the paper


def setting_sources(paper: Paper) -> dict[str, str]:
    """Return setting -> where the paper states it, as the comment in the protocol's file says.

    Every field of a recipe carries its section, or the word `assumed`, in a comment on its line.
    """
    recipe = type(paper.stated)
    path = Path(inspect.getfile(import_module(recipe.__module__)))
    with path.open("rb") as file:
        tokens = list(tokenize.tokenize(file.readline))
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    parsed = ast.parse(path.read_text(encoding="utf-8"))
    name = recipe.__name__
    (body,) = (n.body for n in parsed.body if isinstance(n, ast.ClassDef) and n.name == name)
    found = {}
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines = range(node.lineno, node.end_lineno + 1)
            said = " ".join(comments[line] for line in lines if line in comments)
            found[node.target.id] = said
    return found


def settings_table(paper: Paper) -> str:
    """What the paper states of the training, each setting with its section."""
    sources = setting_sources(paper)
    stated = [name for name, source in sources.items() if _PLACE.match(source)]
    rows = [(name, getattr(paper.stated, name), sources[name]) for name in stated]
    rows += [
        (f"{name}, on {dataset}", value, "of this dataset alone")
        for dataset, changes in paper.own_settings.items()
        for name, value in changes.items()
        if name in stated
    ]
    for stage in paper.stages.values():
        changed = ", ".join(f"{name} {value}" for name, value in stage.settings.items())
        rows.append((f"stage before: {stage.data}", changed or "not said", stage.section))
    return table(("setting", "value", "where it stands"), rows)


def datasets_table(paper: Paper) -> str:
    """The datasets, their classes in order, of how many clips accuracies are, and the criterion."""
    rows = []
    for dataset, classes in paper.classes.items():
        count = paper.counts.get((dataset, paper.slug)) or paper.counts.get((dataset, ""))
        text = "none: no accuracy is printed, or it is contradicted"
        with suppress(ValueError):
            text = paper.criterion(dataset).text
        counted = "not known" if count is None else f"{count.n:,}"
        if count and count.whole:
            counted += f" (whole copy: {' or '.join(f'{n:,}' for n in count.whole)})"
        folds = paper.stated_for(dataset).num_folds
        rows.append((dataset, ", ".join(classes), counted, folds, text))
    return table(("dataset", "classes", "clips", "folds", "reproduced when"), rows)


def cells_table(paper: Paper) -> str:
    """The printed cells of rows that can be run here, and of the paper's figures and text."""
    own = {(number, label) for v in paper.variants.values() for number, label in v.rows.items()}
    grouped: dict[tuple, list[Reported]] = {}
    for cell in load_cells(paper.slug):
        if (cell.table, cell.row) in own or not isinstance(cell.table, int):
            grouped.setdefault((cell.table, cell.dataset, cell.row), []).append(cell)
    rows = [(_place(key[0]), key[1], key[2], _values(cells)) for key, cells in grouped.items()]
    others = {(c.table, c.row) for c in paper.reported() if (c.table, c.row) not in own}
    rest = (
        f"Another {len(others)} rows, most of them other people's methods, stand with these in "
        f"`dferlib/protocols/reported/{paper.slug}.csv`."
    )
    shown = table(("where", "dataset", "row", "printed"), rows)
    return f"{shown}\n\n{rest}"


def _place(number: int | str) -> str:
    return f"Table {number}" if isinstance(number, int) else number


def _values(cells: Iterable[Reported]) -> str:
    """The values of one row in one cell; recalls and confusions are counted."""
    said, counted = [], 0
    for cell in cells:
        if cell.metric.startswith(("recall ", "predicted ")):
            counted += 1
            continue
        unit = "" if cell.unit == "-" else f" {cell.unit}"
        value = "lost" if cell.value is None else f"{cell.value}{unit}"
        said.append(f"{cell.metric} {value}")
    said += [f"{counted} shares of single classes"] if counted else []
    return "; ".join(said)


def released_table(paper: Paper) -> str:
    """What released code does, with the repository, and what it settles here."""
    rows = [
        (fact.topic, fact.fact, fact.whose, fact.source or "-", _settled(paper, fact.setting))
        for fact in released_code(paper.slug)
    ]
    return table(("point", "there", "whose", "source", "here"), rows)


def _settled(paper: Paper, setting: str) -> str:
    """What a point is here: the value that the protocol takes for the paper's."""
    stated = {item.name for item in dataclasses.fields(paper.stated)}
    if setting in stated:
        return f"{setting} = {getattr(paper.stated, setting)}"
    different = {what: here for what, _, here, _ in paper.always_differs}
    return different.get(setting) or paper.assumed.get(setting, "")


def open_table(paper: Paper) -> str:
    """What the paper leaves open, and how it was settled."""
    rows = [(point, _taken(paper, point), why) for point, why in paper.assumed.items()]
    return table(("point", "value taken", "settled by"), rows)


def _taken(paper: Paper, point: str) -> str:
    """The value of a setting, and that of a dataset that has its own; empty for other points."""
    if point not in {item.name for item in dataclasses.fields(paper.stated)}:
        return ""
    own = {d: changes[point] for d, changes in paper.own_settings.items() if point in changes}
    said = [str(getattr(paper.stated, point)), *(f"{value} on {d}" for d, value in own.items())]
    return "; ".join(said)
