"""The page of costs is what its command writes."""

from dataclasses import asdict

import pandas as pd
import pytest

from dferlib.analysis import full_cost
from dferlib.files import plain, project_root, write_json
from dferlib.protocols import list_protocols, load_protocol
from dferlib.sweep import cost_page

FOLDER = project_root() / "results" / "costs"


def test_the_stored_page_is_made_of_the_stored_tables():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert text == cost_page.page(**cost_page.read_tables(FOLDER))


def test_the_stored_counts_are_those_of_today():
    table = pd.read_csv(FOLDER / "protocols.csv").set_index(["paper", "dataset"])
    papers = {slug: load_protocol(slug) for slug in list_protocols()}
    assert set(table.index) == {(slug, name) for slug in papers for name in papers[slug].datasets}
    for (slug, dataset), row in table.iterrows():
        rows = papers[slug].variants_of("paper", dataset)
        folds = [len(papers[slug].resolve("paper", dataset, name).folds) for name in rows]
        assert (row["rows"], row["runs"]) == (len(rows), sum(folds))
    recipe = load_protocol("hacn").resolve("paper", "oulu", "hacn")
    assert table.loc[("hacn", "oulu"), "macs"] == full_cost.size_of(*cost_of(recipe)).macs


def cost_of(recipe):
    paper = load_protocol(recipe.slug)
    return full_cost.what_of(recipe, len(paper.classes[paper.datasets[0]]))


def test_what_runs_took_comes_from_their_records(tmp_path, monkeypatch):
    monkeypatch.setattr(full_cost, "size_of", lambda *what: full_cost.Size(10, 1000))
    recipe = load_protocol("hacn").resolve("quick", "oulu", "hacn")
    folder = tmp_path / "hacn" / "oulu-synthetic-quick" / "runs"
    folder.mkdir(parents=True)
    for number, seconds in enumerate((10.0, 30.0)):
        record = {
            "protocol": plain(asdict(recipe)),
            "classes": ["anger", "fear"],
            "seconds": seconds,
        }
        record |= {"sizes": {"train": 8, "val": 1, "test": 1}, "peak_memory_mb": 100 + number}
        record |= {"device": {"type": "cpu"}, "provenance": {"processor": "a chip"}}
        write_json(folder / f"{number}.json", record)
    (row,) = cost_page.measured(tmp_path).to_dict("records")
    assert (row["runs"], row["seconds"], row["memory"]) == (2, 20.0, 101)
    spent = full_cost.operations_of(recipe, 1000, 8, 2)
    assert row["gflops"] == pytest.approx((spent / 10 + spent / 30) / 2 / 1e9)
