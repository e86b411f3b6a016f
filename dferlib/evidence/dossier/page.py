"""A paper's page, put together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dferlib.evidence.dossier import measured, published
from dferlib.evidence.dossier.markdown import section, table
from dferlib.evidence.handed_in.shown import NONE_YET, handed_in_rows
from dferlib.files import write_atomic
from dferlib.protocols import Paper, load_protocol

FOLDER = "dossiers"
MADE = "<!-- made by python -m dferlib.evidence.dossier: change what it reads, not this page -->"


def dossier(paper: Paper, results: Path) -> str:
    """Return the page of a paper as Markdown, from its protocol and the results folder."""
    on_faces = (
        "Runs of `synthetic` are on procedural faces: they say whether rows differ in the "
        "published direction there, and reproduce no number."
    )
    parts = [
        f"{MADE}\n\n# {paper.title}",
        f"{paper.citation}. doi:{paper.doi}. Protocol: `dferlib/protocols/{paper.slug}.py`.",
        section(
            "What the paper says",
            published.datasets_table(paper),
            "Settings:",
            published.settings_table(paper),
            "Printed values:",
            published.cells_table(paper),
        ),
        section("What released code does", published.released_table(paper)),
        section("What the project does otherwise", measured.differences_table(paper)),
        section("What each difference is worth", on_faces, measured.worth_table(paper, results)),
        section("What the paper leaves open", published.open_table(paper)),
        section("What is contradictory", measured.contradictions_table(paper, results)),
        section("Verdicts", on_faces, measured.verdicts_table(paper, results)),
        section("Power", measured.power_table(paper, results)),
        section("Reproductions handed in", _handed_in(paper, results)),
    ]
    return "\n\n".join(parts) + "\n"


def write_pages(papers: Iterable[str], results: Path) -> list[Path]:
    """Write the pages of papers into `results/dossiers`; returns their paths."""
    written = []
    for slug in papers:
        data = dossier(load_protocol(slug), results).encode("utf-8")
        path = results / FOLDER / f"{slug}.md"
        written.append(write_atomic(path, lambda file, data=data: file.write(data)))
    return written


def _handed_in(paper: Paper, results: Path) -> str:
    rows = handed_in_rows(paper, results)
    shown = rows[["dataset", "row", "published", "handed in [95 %]", "n", "verdict", "by", "when"]]
    return table(list(shown), shown.itertuples(index=False), NONE_YET)
