"""A page for each paper: as the command writes it, with a source for all that it says."""

from __future__ import annotations

import dataclasses

import pytest

from dferlib.evidence.dossier import markdown, published
from dferlib.evidence.dossier.page import dossier
from dferlib.files import project_root
from dferlib.protocols import list_protocols, load_protocol
from dferlib.protocols.reported import released

RESULTS = project_root() / "results"


@pytest.mark.parametrize("slug", list_protocols())
def test_the_page_is_what_the_command_writes(slug):
    stored = (RESULTS / "dossiers" / f"{slug}.md").read_text(encoding="utf-8")
    made = dossier(load_protocol(slug), RESULTS)
    assert stored == made, "run python -m dferlib.evidence.dossier"


@pytest.mark.parametrize("slug", list_protocols())
def test_every_setting_and_every_fact_of_released_code_has_its_source(slug):
    paper = load_protocol(slug)
    sources = published.setting_sources(paper)
    fields = {item.name for item in dataclasses.fields(paper.stated)}
    assert {"num_frames", "sampler", "input_size", "epochs"} <= {k for k, v in sources.items() if v}
    points = fields | set(paper.assumed) | {what for what, *_ in paper.always_differs}
    facts = released.released_code(slug)
    assert facts
    for fact in facts:
        assert fact.whose in released.WHOSE
        assert bool(fact.file) == bool(fact.commit)
        assert len(fact.commit) in (0, 40)
        assert fact.repository.count("/") == 1 or fact.fact.endswith("none found")
        assert fact.setting in points | {""}


def test_a_setting_stands_with_the_section_that_states_it():
    sources = published.setting_sources(load_protocol("stcam"))
    assert sources["reduction"] == "§4.2 Parameters settings"
    assert sources["hidden"] == "assumed"
    assert "| reduction | 16 | §4.2 Parameters settings |" in published.settings_table(
        load_protocol("stcam")
    )
    assert "hidden" not in published.settings_table(load_protocol("stcam"))
    assert published.setting_sources(load_protocol("stt"))["attention"] == "§3.3"


def test_a_cell_cannot_break_its_table():
    row = ["a|b\n<b>*x*", None, float("nan"), 12345, 0.5, True]
    assert markdown.table(["a"] * 6, [row]).splitlines()[2] == (
        r"| a\|b &lt;b&gt;\*x\* |  |  | 12,345 | 0.5 | True |"
    )
    assert markdown.table(["a"], [], "Nothing.") == "Nothing."
