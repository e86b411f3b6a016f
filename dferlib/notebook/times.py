"""What a notebook took where it was run: read from what is stored, never typed in.

papermill leaves the seconds of every cell in an executed notebook; a run record holds those of its
training. Both lie in the folder of the results.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dferlib.evidence.runs import results_root

STORED = "notebook.ipynb"  # an executed notebook, beside the runs that it shows
MANY = 60  # seconds up to which seconds are said


@dataclass(frozen=True)
class MeasuredTimes:
    """Seconds of a stored notebook, by section, and those of its trainings.

    `total` is the time of the notebook as it was executed, with or without its trainings to do;
    `training` the sum over all trainings, `memory` the peak of a process in MB, `device` where they
    ran.
    """

    dataset: str
    preset: str
    sections: dict[str, float]
    total: float
    training: float
    memory: float
    device: str

    @property
    def line(self) -> str:
        """All in a sentence."""
        said = f"{self.dataset}, {self.preset}: {clock(self.total)} for the notebook"
        if self.training:
            said += f"; its trainings took {clock(self.training)} in sum, once ({self.device}"
            said += f", at most {self.memory / 1024:.1f} GB)" if self.memory else ")"
        return said


def clock(seconds: float) -> str:
    """Seconds as people say them: "46 s", "3 min", "2.5 h"."""
    if seconds < MANY:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def measured_times(slug: str, root: Path | None = None) -> list[MeasuredTimes]:
    """Read the times of all stored notebooks of a paper, by default from the results in git.

    A notebook without papermill's times, or that cannot be read, says nothing about time and is
    left out.
    """
    root = results_root("synthetic") if root is None else root
    found = [_read(path) for path in sorted(root.glob(f"{slug}/*-synthetic-*/{STORED}"))]
    return [times for times in found if times is not None]


def section_times(book: dict[str, Any]) -> dict[str, float]:
    """Seconds of an executed notebook by its sections, the headings of second rank."""
    sections: dict[str, float] = {}
    title = "Start"
    for cell in book["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            titles = [line[3:].strip() for line in source.splitlines() if line.startswith("## ")]
            title = titles[0] if titles else title
        elif seconds := (cell["metadata"].get("papermill") or {}).get("duration"):
            sections[title] = sections.get(title, 0) + seconds
    return sections


def show_times(times: Sequence[MeasuredTimes]) -> str:
    """A folded table of HTML, a section a row and a stored notebook a column; "" without any."""
    if not times:
        return ""
    heads = "".join(
        f'<th scope="col">{html.escape(f"{t.dataset}, {t.preset}")}</th>' for t in times
    )
    titles = dict.fromkeys(title for t in times for title in t.sections)
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{html.escape(title)}</th>'
        + "".join(f"<td>{_cell(t.sections.get(title))}</td>" for t in times)
        + "</tr>"
        for title in titles
    )
    said = "; ".join(html.escape(t.line) for t in times)
    caption = "Time of each section in the stored notebook"
    return (
        f"<details><summary>Measured times: {said}</summary><table><caption>{caption}</caption>"
        f'<thead><tr><th scope="col">section</th>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        "</details>"
    )


def _cell(seconds: float | None) -> str:
    return "" if seconds is None else clock(seconds)


def _read(path: Path) -> MeasuredTimes | None:
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
        sections = section_times(book)
        found = path.parent.glob("runs/*.json")
        records = [json.loads(record.read_text(encoding="utf-8")) for record in found]
        training = sum(record["seconds"] for record in records)
        memory = max((record.get("peak_memory_mb") or 0 for record in records), default=0)
        devices = sorted({record["device"]["name"] for record in records})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not sections:
        return None
    dataset, _, preset = path.parent.name.rsplit("-", 2)
    total = sum(sections.values())
    return MeasuredTimes(dataset, preset, sections, total, training, memory, ", ".join(devices))
