"""What the summary notebook shows: tables of the results folder, and that it needs no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from dferlib.evidence import claims, layout, overview, ranking
from dferlib.files import project_root
from dferlib.protocols import list_protocols, load_protocol

ROOT = project_root()


def test_the_summary_notebook_runs_without_torch(tmp_path):
    cells = json.loads((ROOT / "notebooks" / "99_summary.ipynb").read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    code += ["import sys", "assert not {'torch', 'torchvision'} & set(sys.modules)"]
    script = tmp_path / "summary.py"
    script.write_text("\n".join(code), encoding="utf-8")
    where = {"cwd": ROOT, "env": os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}}
    ran = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, **where
    )
    assert ran.returncode == 0, ran.stderr


def test_stored_runs_name_the_papers_without_any():
    table = overview.stored_runs(ROOT / "results").set_index("paper")
    assert set(table.index) == set(list_protocols())
    hacn = table.loc[["hacn"]].iloc[0]
    assert (hacn["dataset"], hacn["clips"]) == ("ckplus", 69)


def test_what_is_missing_is_named_with_the_command_that_makes_it(tmp_path):
    assert len(overview.stored_runs(tmp_path)) == len(list_protocols())
    with pytest.raises(overview.MissingResultsError, match=r"dferlib\.evidence\.claims makes it"):
        overview.read_results(tmp_path, "evidence/claims.csv")
    with pytest.raises(overview.MissingResultsError, match="no results folder"):
        overview.results_root(tmp_path / "none")


def judged(verdict: str) -> pd.DataFrame:
    rows = pd.DataFrame({"row": ["base", "own"], "published": [90.0, 93.06], "ours": [72.0, 53.0]})
    rows = rows.assign(paper="hacn", dataset="ckplus", source="synthetic", preset="quick", table=3)
    return rows.assign(metric="WAR (%)", verdict=["reference", verdict])


def test_contradictions_are_sentences():
    (said,) = overview.contradictions(judged("contradicted"))
    assert said.startswith("**own** (hacn, ckplus) is published +3.06 points from base")
    assert "on procedural faces, it is -19.00" in said
    assert overview.contradictions(judged("cannot tell")) == [
        "None of 2 judged rows contradicts what is published."
    ]


def test_power_counts_every_pair_once():
    table = overview.read_results(ROOT / "results", "evidence/claims.csv")
    own = overview.main_claims(table)
    counted = overview.power_by_paper(own)
    answers = [claims.ALWAYS, claims.DEPENDS, claims.NEVER]
    assert (counted[answers].sum(axis=1) == counted["pairs"]).all()
    assert counted["pairs"].sum() == len(own)
    assert f"Of {len(own)} published differences" in overview.read_power(own)


def test_the_count_of_clips_stands_in_the_protocol():
    """ECNN-FSA's Table 5 has Neutral and no Contempt: not the 327 sequences of its text."""
    paper = load_protocol("ecnn_fsa")
    table = claims.published_claims([paper]).groupby("dataset")["n"].unique()
    assert list(table["ckplus"]) == [paper.criterion("ckplus").n] == [309 + 106]
    assert list(table["afew"]) == [383]


def test_numbers_are_shown_as_they_are_printed():
    assert list(layout.as_printed(pd.Series([47.65, 96.9, None]))) == ["47.65", "96.90", ""]
    assert list(layout.as_printed(pd.Series([0.2895, 0.3]))) == ["0.2895", "0.3000"]
    assert layout.with_interval(4.346, -3.1, 11.8, signed=True) == "+4.35 [-3.10,\xa0+11.80]"
    assert layout.with_interval(float("nan"), 0, 1) == ""
    assert layout.with_interval(1.0, float("nan"), 1) == "1.00"


def test_headers_say_what_they_head():
    table = pd.DataFrame({"row": ["a", "b"], "n": [1, 2], "said": ["x", "y"]})
    html = layout.lay_out(table, "What it is", named="row", prose=["said"]).to_html()
    assert html.count('scope="col"') == 3
    assert html.count('scope="row"') == 2
    assert "<caption>What it is</caption>" in html
    assert "text-align: left" in html


def test_printed_rows_are_ranked_over_datasets():
    scores = ranking.printed_scores(load_protocol("stcam"))
    assert set(scores.index) == {"oulu", "ckplus", "mmi"}
    assert ranking.rankable(scores)
    ranked = ranking.rank_models(scores)
    assert ranked.ranks["model"].iloc[0] == "stcam"
    assert "Friedman's p" in ranking.read_ranking(ranked)
    assert not ranking.rankable(ranking.printed_scores(load_protocol("stt")))
