"""The section of what others handed in: a table, or what to run where nothing was."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from dferlib.evidence.handed_in import shown
from dferlib.notebook import results
from dferlib.protocols import load_protocol


@pytest.mark.parametrize("count", [0, 1])
def test_the_section_shows_files_or_what_to_run(count, monkeypatch):
    line = dict.fromkeys(shown.COLUMNS, "") | {"row": "STCAM", "published": 91.25, "by": "Jane Roe"}
    found = pd.DataFrame([line] * count, columns=shown.COLUMNS)
    asked, displayed = [], []
    monkeypatch.setattr(shown, "handed_in_rows", lambda *where: asked.append(where) or found)
    monkeypatch.setattr(results, "display", displayed.append)
    study = SimpleNamespace(paper=load_protocol("stcam"), printed_here=True)
    study.settings = SimpleNamespace(dataset="oulu")
    results.Results.handed_in(study)
    assert asked[0][2] == "oulu"
    (section,) = displayed
    text = section.to_html() if count else section.data
    assert ("Jane Roe" if count else "results/handed-in/README.md") in text
