"""A page of an executed notebook: formulas are seen and nothing is asked of the network."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from dferlib.notebook.page import formula, write_page
from dferlib.notebook.times import clock, measured_times, section_times, show_times

TEX = r"M = \sigma\big(W_2\,\delta(W_1 F)\big) / \sqrt d"
LOADED = re.compile(
    r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import"""
)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    book = nbformat.v4.new_notebook()
    figure = '<figure><img alt="a line" src="data:image/png;base64,aGk="></figure>'
    shown = nbformat.v4.new_output("display_data", data={"text/html": figure, "text/plain": "x"})
    said = nbformat.v4.new_output("display_data", data={"text/markdown": "so $x_1 = 2$"})
    text = f"# T\n\n${TEX}$ and `a$b$`\n\n$$\\frac{{1}}{{2}}$$"
    book.cells = [nbformat.v4.new_markdown_cell(text)]
    book.cells.append(nbformat.v4.new_code_cell("1", outputs=[shown, said]))
    path = tmp_path_factory.mktemp("page") / "n.ipynb"
    nbformat.write(book, path)
    return write_page(path).read_text(encoding="utf-8")


def test_a_page_loads_nothing_from_elsewhere(page):
    assert not LOADED.search(re.sub(r"data:[\w/+;,=-]+", "", page))
    assert "<script" not in page


def test_formulas_are_drawn_with_their_tex_as_text(page):
    soup = BeautifulSoup(page, "html.parser")
    drawn = [img["alt"] for img in soup.find_all("img", class_="formula")]
    assert drawn == [TEX, r"\frac{1}{2}", "x_1 = 2"]
    assert "a$b$" in page  # code stays code
    assert soup.find("img", alt="a line")


def test_a_formula_that_cannot_be_drawn_stays_readable():
    assert formula(r"\unknown{x}") == r"<code>\unknown{x}</code>"


def test_every_formula_of_the_notebooks_is_drawn(notebook_formulas):
    assert len(notebook_formulas) > 50
    assert [tex for tex in notebook_formulas if formula(tex).startswith("<code>")] == []


@pytest.fixture
def notebook_formulas(request) -> set[str]:
    found = set()
    for path in (request.config.rootpath / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                pairs = re.findall(r"\$\$(.+?)\$\$|\$([^$]+?)\$", cell.source, re.DOTALL)
                found |= {block or inline for block, inline in pairs}
    return found


def test_times_are_those_of_the_stored_notebook():
    cells = [
        {"cell_type": "markdown", "source": ["## Data\n", "### More"], "metadata": {}},
        {"cell_type": "code", "source": [], "metadata": {"papermill": {"duration": 2.0}}},
        {"cell_type": "markdown", "source": ["### Still"], "metadata": {}},
        {"cell_type": "code", "source": [], "metadata": {"papermill": {"duration": 3.0}}},
        {"cell_type": "code", "source": [], "metadata": {}},
    ]
    assert section_times({"cells": cells}) == {"Data": 5.0}
    assert [clock(s) for s in (46.2, 150, 9000)] == ["46 s", "2 min", "2.5 h"]


def test_the_stored_notebook_of_hacn_says_what_it_took():
    times = measured_times("hacn")
    assert ("ckplus", "quick") in [(t.dataset, t.preset) for t in times]
    found = next(t for t in times if t.dataset == "ckplus")
    assert found.training > 600
    assert {"Setup", "Training", "Statistics"} <= set(found.sections)
    assert 'scope="row"' in show_times(times)
    assert measured_times("none") == []
    assert show_times([]) == ""
