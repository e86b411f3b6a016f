"""The worked example of the documentation: its files are found by name, and its cell trains."""

import re
from pathlib import Path

import pytest
import torch
from toy import make_store

from dferlib import datasets, models, protocols
from dferlib.models import create_model, list_models, list_options
from dferlib.protocols import list_protocols, load_protocol, reported

PAGE = Path(__file__).parents[2] / "docs" / "add_a_paper.md"
BLOCK = re.compile(r"^File `(.+?)`:\n\n```\w+\n(.*?)^```$", re.M | re.S)
SLUG = "peak_minus_neutral"
CELL = f"notebooks/{SLUG}.ipynb"


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    return dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))


@pytest.fixture
def example(blocks, tmp_path, monkeypatch) -> Path:
    """The example's files in a folder that the registries read in place of their own."""
    for name, text in blocks.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for package in (models, protocols):
        folder = tmp_path / package.__name__.replace(".", "/")
        monkeypatch.setattr(package, "_FOLDER", folder)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        monkeypatch.delitem(__import__("sys").modules, f"{package.__name__}.{SLUG}", raising=False)
    monkeypatch.setattr(reported, "__file__", str(tmp_path / "dferlib/protocols/reported/x.py"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_files_are_where_the_package_looks_for_them(blocks, example):
    assert set(blocks) == {
        f"dferlib/models/{SLUG}.py",
        f"dferlib/protocols/{SLUG}.py",
        f"dferlib/protocols/reported/{SLUG}.csv",
        CELL,
    }
    assert (list_models(), list_protocols()) == ((SLUG,), (SLUG,))
    assert list_options(SLUG) == {"width": 1.0, "difference": True}
    paper = load_protocol(SLUG)
    assert paper.printed_on("oulu") == tuple(paper.variants)
    for preset in paper.presets:
        changed = paper.resolve(preset, "oulu", SLUG).deviations()
        assert bool(changed) == (preset != "paper")
        assert not [item for item in changed if item.reason == "set by the caller"]


def test_the_network_sees_nothing_in_a_face_that_does_not_move(example):
    still = torch.rand(2, 3, 1, 32, 32).expand(-1, -1, 4, -1, -1)
    moving, alone = (create_model(SLUG, 6, width=0.25, difference=d).eval() for d in (True, False))
    assert moving.forward_features(still).abs().max() == 0
    assert alone.forward_features(still).abs().max() > 0
    assert moving(still).shape == (2, 6)


def test_the_cell_trains_both_rows_on_the_same_clips(blocks, example, monkeypatch):
    monkeypatch.setattr(datasets, "open_store", lambda *_, **__: make_store())
    names = {}
    exec(compile(blocks[CELL], CELL, "exec"), names)
    assert set(names["accuracy"]) == {"peak", SLUG}
    clips = [run.predictions.loc[run.predictions["select"] == "last"] for run in names["runs"]]
    assert clips[0]["clip_id"].tolist() == clips[1]["clip_id"].tolist()
    assert all(0 <= value <= 1 for value in names["accuracy"].values())
    assert len(list(example.glob(f"out/results/{SLUG}/oulu-synthetic-smoke/runs/*.json"))) == 2
