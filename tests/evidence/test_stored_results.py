"""What stands in `results/` is what the stored predictions give."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from dferlib.evidence import intervals, summary
from dferlib.evidence.tables import digest_runs, load_evidence
from dferlib.files import project_root
from dferlib.notebook.display import END_MARK
from dferlib.protocols import list_protocols, load_protocol

RESULTS = project_root() / "results"


@pytest.mark.parametrize("slug", list_protocols())
def test_the_summary_is_made_of_the_stored_predictions(slug, tmp_path):
    stored = pd.read_csv(RESULTS / "summary.csv")
    stored = stored[stored["paper"] == slug]
    if stored.empty:
        pytest.skip(f"no stored run of {slug} has today's settings of its preset")
    new = summary.remake_summary(tmp_path / "summary.csv", stored, RESULTS)
    order = [*summary.SUMMARY_KEY, "table", "row", "metric"]
    pairs = [t.sort_values(order, kind="stable").reset_index(drop=True) for t in (stored, new)]
    pd.testing.assert_frame_equal(*pairs, check_dtype=False, atol=0.011)


def test_a_summary_of_runs_that_are_gone_says_so(tmp_path):
    stored = pd.read_csv(RESULTS / "summary.csv")
    with pytest.raises(ValueError, match="run its notebook, or take the rows out"):
        summary.remake_summary(tmp_path / "summary.csv", stored, tmp_path)


NOTEBOOKS = sorted(RESULTS.glob("*/*-synthetic-*/notebook.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_an_executed_notebook_shows_the_runs_that_are_stored(path):
    """Of its own dataset and of every other one that it reads."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    marks = [o["metadata"][END_MARK] for o in outputs if END_MARK in o.get("metadata", {})]
    (mark,) = marks
    evidence = load_evidence(load_protocol(mark["slug"]), mark["source"], mark["preset"], RESULTS)
    stored = digest_runs(evidence)
    stale = [name for name, runs in mark["runs"].items() if stored.get(name) != runs]
    assert not stale, f"execute {path} again: other runs are stored now of {', '.join(stale)}"


def test_the_simulation_says_which_tests_and_intervals_hold():
    table = pd.read_csv(RESULTS / "evidence" / "coverage.csv")
    cells = table.groupby(["persons", "balanced", "correlation", "accuracy"]).ngroups
    assert cells == 24
    tests = table[table["kind"] == "test"].set_index("name")["value"]
    assert tests["sign flip"].max() <= 0.065  # 5 % and four errors of 4000 replicates
    assert tests["obuchowski"].max() <= 0.065
    clustered = table[(table["name"] == "mcnemar") & (table["correlation"] == 0.3)]
    assert clustered[clustered["persons"] == 80]["value"].min() > 0.15
    covers = table[table["name"] == "korn-graubard"].set_index("persons")["value"]
    assert covers.min() >= 0.93
    ends = {n: (f"{100 * c.min():.1f}", f"{100 * c.max():.1f}") for n, c in covers.groupby(level=0)}
    assert ends == intervals.COVERED  # what tables say of their intervals
    assert covers[80].max() < 0.98
    assert table[table["name"] == "percentile"]["value"].min() < 0.75
