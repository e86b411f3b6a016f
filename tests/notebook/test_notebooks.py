"""The notebooks: their form, and that each runs from top to bottom at the smoke preset.

Iterates over the notebooks there are, so the next paper's is held to the same.
"""

import ast
import json
import os
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import torch

from dferlib.datasets.standins import trees
from dferlib.notebook.execution import execute
from dferlib.notebook.parameters import PARAMETERS
from dferlib.protocols import list_protocols, load_protocol

FOLDER = Path(__file__).parents[2] / "notebooks"
PAPERS = sorted(path.stem for path in FOLDER.glob("*.ipynb") if path.stem in list_protocols())
CASES = [(slug, name) for slug in PAPERS for name in load_protocol(slug).datasets]
SECTIONS = ("Parameters", "Setup", "Data", "Model", "Training", "What differs from the paper")
SECTIONS += ("Statistics", "Save", "Exercises")


def read(slug: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{slug}.ipynb", as_version=4)


def code_cells(book: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def headings(book: nbformat.NotebookNode) -> list[str]:
    text = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    return re.findall(r"^#+ (.*)$", text, re.M)


def run(slug: str, folder: Path, **parameters: str) -> nbformat.NotebookNode:
    values = {"preset": "smoke", "device": "cpu", "results_dir": str(folder / "results")}
    path = execute(
        FOLDER / f"{slug}.ipynb", folder / "out.ipynb", values | parameters, progress=False
    )
    return nbformat.read(path, as_version=4)


def images(book: nbformat.NotebookNode) -> list[str]:
    """The figures of a notebook, as HTML."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    pages = [output.get("data", {}).get("text/html", "") for output in outputs]
    return [page for page in pages if page.startswith("<figure")]


@pytest.mark.parametrize("slug", PAPERS)
def test_cells_are_thin(slug):
    for source in code_cells(read(slug)):
        assert len(source.splitlines()) <= 25, source
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, ast.ClassDef), source
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 10, source


@pytest.mark.parametrize("slug", PAPERS)
def test_notebooks_are_short_and_show_the_source_of_their_model(slug):
    book = read(slug)
    assert len(book.cells) <= 60
    assert len(code_cells(book)) <= 25
    assert any("show_source(" in source for source in code_cells(book))


@pytest.mark.parametrize("slug", PAPERS)
def test_parameters_are_the_same_everywhere(slug):
    (cell,) = [c for c in read(slug).cells if "parameters" in c.metadata.get("tags", [])]
    declared = {}
    for node in ast.parse(cell.source).body:
        assert isinstance(node, ast.AnnAssign), ast.unparse(node)
        declared[node.target.id] = (node.annotation.id, ast.literal_eval(node.value))
    for name, (kind, _) in PARAMETERS.items():
        assert declared[name][0] == kind.__name__
    assert all(line.count("=") == 1 for line in cell.source.splitlines())


@pytest.mark.parametrize("slug", PAPERS)
def test_sections_stand_in_order_and_every_table_has_a_heading(slug):
    titles = headings(read(slug))
    places = [next(i for i, t in enumerate(titles) if t.startswith(name)) for name in SECTIONS]
    assert places == sorted(places)
    text = " ".join(title for title in titles if "Table" in title)
    numbers = {int(number) for number in re.findall(r"\d+", text)}
    assert {cell.table for cell in load_protocol(slug).reported()} <= numbers


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_in_git_are_stripped(path):
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert "papermill" not in json.dumps(book.metadata)


def rows_to_run(slug: str, dataset: str) -> tuple[str, ...]:
    """All rows on the paper's first dataset; on the others, whose cells are the same, a pair."""
    rows = load_protocol(slug).variants_of("smoke", dataset)
    first = dataset == load_protocol(slug).datasets[0]
    return rows if first else tuple(row for row in rows if row in (rows[0], slug))


@pytest.mark.notebook
@pytest.mark.parametrize(("slug", "dataset"), CASES)
def test_a_smoke_run_leaves_tables_figures_and_runs(slug, dataset, tmp_path):
    rows = rows_to_run(slug, dataset)
    book = run(slug, tmp_path, dataset=dataset, source="synthetic", variants=",".join(rows))
    shown = images(book)
    assert len(shown) >= 8
    for figure in shown:
        assert len(re.search(r'<img alt="([^"]*)"', figure)[1]) > 20
    text = json.dumps(book)
    assert len(text) < 1_500_000
    assert "SYNTHETIC DATA" in text
    assert "its numbers mean nothing" in text
    assert "Easiest to tell" not in text
    assert "VBox(" not in text
    assert str(Path.home()) not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)  # any letters
    folder = tmp_path / "results" / slug / f"{dataset}-synthetic-smoke"
    whole = rows == load_protocol(slug).variants_of("smoke", dataset)
    figures = folder / ("figures" if whole else "figures-partial")
    assert len(list(figures.glob("*.png"))) == len(shown)
    metrics = pd.read_csv(folder / "metrics.csv")
    assert set(rows) <= set(metrics["variant"])
    assert set(metrics["select"]) == {"last", "best_val", "best_test"}
    stored = tmp_path / "results" / "summary.csv"
    assert stored.is_file() == whole  # a part of the rows does not stand for the paper
    if whole:
        own = pd.read_csv(stored).query("ours.notna()")
        assert set(own["status"]) == {"synthetic, not a reproduction"}
        assert own["published"].notna().all()


@pytest.mark.notebook
def test_a_second_run_trains_nothing(tmp_path):
    options = {"dataset": "oulu", "source": "synthetic", "variants": "baseline,stcam"}
    run("stcam", tmp_path, **options)
    records = list((tmp_path / "results").rglob("runs/*.json"))
    before = {path: path.stat().st_mtime_ns for path in records}
    run("stcam", tmp_path, **options)
    records = list((tmp_path / "results").rglob("runs/*.json"))
    assert before == {path: path.stat().st_mtime_ns for path in records}


@pytest.mark.notebook
@pytest.mark.parametrize(("dataset", "subjects"), [("oulu", 12), ("ckplus", 12), ("folder", 4)])
def test_a_tree_in_the_owners_layout_runs_as_real_data(dataset, subjects, tmp_path):
    getattr(trees, f"write_{dataset}")(tmp_path / "data", subjects=subjects)
    book = run(
        "stcam",
        tmp_path,
        dataset=dataset,
        source="real",
        data_root=str(tmp_path / "data"),
        variants="baseline,stcam",
    )
    text = json.dumps(book)
    assert "SYNTHETIC DATA" not in text
    assert "REAL DATA" in text
    for name in ("stcam", "peak_cnn"):
        assert (tmp_path / "results" / name / f"{dataset}-real-smoke" / "metrics.csv").is_file()
    assert "crops that look least like" in text


@pytest.mark.notebook
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_smoke_run_on_a_gpu(tmp_path):
    book = run("stcam", tmp_path, source="synthetic", variants="stcam", device="cuda")
    assert images(book)


def test_the_cache_of_the_tests_is_not_the_users():
    assert os.environ["DFER_CACHE"]
