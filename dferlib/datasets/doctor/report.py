"""What the check of a dataset found, as a text and as a page for notebooks."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
from PIL import Image

from dferlib.datasets.doctor.contact_sheet import contact_sheet
from dferlib.datasets.doctor.diagnosis import FEW, SHOWN, Finding, diagnose
from dferlib.datasets.doctor.facts import Facts
from dferlib.datasets.faces.report import FaceReport
from dferlib.datasets.manifest import plural
from dferlib.datasets.readers.access import ACCESS
from dferlib.datasets.readers.scan import UNKNOWN

SCREEN, COLUMNS = 40, 100  # rows and characters that are seen at once
VERDICTS = {
    "stop": "NOT READY: this cannot be used as it is",
    "look": "USABLE, but look at this first",
    "note": "READY",
}


@dataclass(frozen=True, eq=False)
class CheckReport(Facts):
    """What `check` found.

    `str()` is at most a screenful, the worst first; `full()` is all of it, a notebook shows a page,
    `sheet()` the worst crops.
    """

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong or odd, the worst first, and what to do."""
        return diagnose(self)

    @property
    def usable(self) -> bool:
        """Whether nothing stops a run on this data."""
        return all(finding.level != "stop" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """One line: ready, usable after a look, or not ready."""
        return VERDICTS[self.findings[0].level if self.findings else "note"]

    def sheet(self) -> Image.Image | None:
        """One picture of the worst crops; None if no crop was looked at."""
        if not len(self.worst):
            return None
        rows = self.worst.itertuples(index=False)
        texts = [f"{likeness:.2f} {clip}" for clip, likeness, _ in rows]
        return contact_sheet(self.crops, texts)

    def __str__(self) -> str:
        head = [self._title, *self._facts(), f"{self.verdict}."]
        told = [[_line(finding), []] for finding in self.findings]
        room = SCREEN - _rows([*head, *(line for line, _ in told)]) - len(told) - 2
        while told[1:] and room < 0:  # more findings than a screen holds: the worst of them
            room += _rows([told.pop()[0]]) + 1
        for finding, (_, where) in zip(self.findings, told, strict=False):
            for text in finding.where[:FEW]:
                line = f"    {text}"
                if (room := room - _rows([line])) < 0:
                    break
                where.append(line)
        more = len(self.findings) - len(told)
        tail = f"{plural(more, 'more finding')}, every name and the counts" if more else (
            "every name and the counts"
        )  # fmt: skip
        blocks = ["\n".join(head), *("\n".join([line, *where]) for line, where in told)]
        return "\n\n".join([*blocks, f"In the full report: {tail}."])

    def full(self) -> str:
        """All that was found as a text: findings with every name, counts, folds, twins."""
        blocks = [
            [self._title, *self._facts(), f"{self.verdict}."],
            *([_line(one), *(f"    {text}" for text in one.where)] for one in self.findings),
            [_text_of(self._shown_counts())],
            [_text_of(self.folds)] if len(self.folds) else [],
            [_text_of(self.twins)] if len(self.twins) else [],
        ]
        return "\n\n".join("\n".join(block) for block in blocks if block)

    def _repr_html_(self) -> str:
        facts = "".join(f"<li>{html.escape(fact)}</li>" for fact in self._facts())
        found = "".join(_html_of(finding) for finding in self.findings)
        tables = [
            ("What was counted", self._shown_counts()),
            ("Test clips of each fold", self.folds),
            ("Near-duplicate clips", self.twins.head(SHOWN)),
        ]
        folded = "".join(_folded(title, table) for title, table in tables if len(table))
        return (
            f"<h4>{html.escape(self._title)}</h4><ul>{facts}</ul>"
            f"<p><strong>{html.escape(self.verdict)}.</strong></p><ol>{found}</ol>{folded}"
            f"{self._html_sheet()}"
        )

    @property
    def _title(self) -> str:
        if self.source == "synthetic":
            return f"Procedural faces that stand in for {self.dataset}"
        return f"{self.dataset} in {self.root.name if self.root else '?'}"

    def _facts(self) -> Iterator[str]:
        """What was looked at, for somebody who has never seen the dataset."""
        if self.source == "real" and self.dataset in ACCESS:
            entry = ACCESS[self.dataset]
            yield f"{entry.title}: {entry.holds}"
        yield f"layout: {self.layout}"
        if len(self.manifest):
            clips = self.manifest.sort_values("n_frames", kind="stable")
            yield (
                f"{plural(len(clips), 'clip')} of {plural(clips['subject'].nunique(), 'subject')}; "
                f"frames: "
                f"{clips['n_frames'].iloc[0]} ({clips['clip_id'].iloc[0]}) to "
                f"{clips['n_frames'].iloc[-1]} ({clips['clip_id'].iloc[-1]}), "
                f"median {clips['n_frames'].median():.0f}"
            )
        if len(self.kinds):
            rows = self.kinds.itertuples(index=False)
            sizes = [f"{n} of {wide} x {high} {mode}" for wide, high, mode, n in rows]
            more = f" and {len(sizes) - 5} other kinds" if len(sizes) > 5 else ""
            yield f"pictures: {', '.join(sizes[:5])}{more}"
        if self.classes:
            order = ", ".join(f"{index} {name}" for index, name in enumerate(self.classes))
            yield f"class order: {order}"
        if len(self.faces):
            yield str(FaceReport(self.faces, len(self.manifest))).splitlines()[0]
        yield self.read

    def _shown_counts(self) -> pd.DataFrame:
        table = self.counts.astype(object).mask(self.counts == UNKNOWN, "-")
        differs = self.counts["what"].isin(self.differences["what"])
        return table.assign(**{"": differs.map({True: "differs", False: ""})})

    def _html_sheet(self) -> str:
        sheet = self.sheet()
        if sheet is None:
            return ""
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG")
        data = base64.b64encode(buffer.getvalue()).decode()
        text = (
            f"The {len(self.worst)} crops that look least like the others, the worst first, with "
            "the correlation with the median crop. Each should show one upright face."
        )
        return f"<p>{text}</p><img alt='{text}' src='data:image/png;base64,{data}'>"


def _line(finding: Finding) -> str:
    do = f"\n  -> {finding.do}" if finding.do else ""
    return f"[{finding.level}] {finding.what}{do}"


def _rows(lines: Iterable[str]) -> int:
    """Rows of a screen that lines of text fill."""
    return sum(-(-max(1, len(row)) // COLUMNS) for line in lines for row in line.splitlines())


def _wheres(finding: Finding) -> list[str]:
    left = len(finding.where) - SHOWN
    more = [f"    and {left} more"] if left > 0 else []
    return [*(f"    {text}" for text in finding.where[:SHOWN]), *more]


def _html_of(finding: Finding) -> str:
    do = f"<br>&rarr; {html.escape(finding.do)}" if finding.do else ""
    items = "".join(f"<li>{html.escape(text.strip())}</li>" for text in _wheres(finding))
    where = f"<details><summary>where</summary><ul>{items}</ul></details>" if items else ""
    return f"<li><em>{finding.level}</em>: {html.escape(finding.what)}{do}{where}</li>"


def _folded(title: str, table: pd.DataFrame) -> str:
    shown = table.to_html(index=False, border=0, float_format="{:.3f}".format)
    return f"<details><summary>{title}</summary>{shown}</details>"


def _text_of(table: pd.DataFrame) -> str:
    return table.to_string(index=False)
