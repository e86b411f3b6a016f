"""Choices above a view: where they start, what they list, that no view is made twice."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from bs4 import BeautifulSoup
from IPython.core.formatters import DisplayFormatter
from tqdm.notebook import TqdmHBox

from dferlib.figures.matrix_table import confusion_table
from dferlib.figures.palette import contrast
from dferlib.notebook import widgets

CHOICES = {"row": {"3D-CAM": "3dcam", "STCAM": "stcam"}, "epoch": {"last epoch": "last"}}


@pytest.fixture
def asked() -> list:
    return []


@pytest.fixture
def chooser(asked):
    def view(row, epoch):
        asked.append((row, epoch))
        return f"<b>{row}</b>"

    return widgets.choose(view, CHOICES, {"row": "stcam"})


def test_a_choice_starts_at_the_figure_above_and_lists_labels(chooser):
    menus, shown = chooser.children
    assert [menu.label for menu in menus.children] == ["STCAM", "last epoch"]
    assert shown.value == "<b>stcam</b>"
    assert [label for label, _ in menus.children[0].options] == ["3D-CAM", "STCAM"]


def test_a_view_that_was_made_is_kept(chooser, asked):
    menu = chooser.children[0].children[0]
    for value in ("3dcam", "stcam", "3dcam"):
        menu.value = value
        assert chooser.children[1].value == f"<b>{value}</b>"
    assert asked == [("stcam", "last"), ("3dcam", "last")]


def test_without_a_kernel_the_first_view_stands_in_its_place(chooser):
    bundle = chooser._repr_mimebundle_()
    assert "<b>stcam</b>" in bundle["text/html"]
    assert bundle["text/plain"].startswith("row: STCAM, epoch: last epoch")
    assert "VBox" not in bundle["text/plain"]


def test_a_start_that_is_no_choice_is_refused():
    with pytest.raises(ValueError, match="row starts at 'x'"):
        widgets.choose(lambda row: row, {"row": {"A": "a"}}, {"row": "x"})


def test_a_matrix_in_html_names_its_rows_and_can_be_read():
    matrix = np.array([[0.4, 0.6], [np.nan, 0.0]])
    page = BeautifulSoup(confusion_table(matrix, ["a<b", "c"], [5, 0], "T"), "html.parser")
    assert [th.text for th in page.find_all("th", scope="col")] == ["a<b", "c"]
    assert [th.text for th in page.find_all("th", scope="row")] == ["a<b (n = 5)", "c (n = 0)"]
    assert [td.text for td in page.tbody.find_all("td")] == ["0.400", "0.600", "", "0"]
    for cell in page.find_all("td", style=True):
        back, ink = re.findall(r"#[0-9a-f]{6}", cell["style"])
        assert contrast(ink, back) >= 4.5


def test_a_bar_says_in_a_saved_notebook_that_it_was_one(monkeypatch):
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    monkeypatch.setattr(widgets, "get_ipython", lambda: shell)
    widgets.tell_of_bars()
    bundle, _ = shell.display_formatter.format(TqdmHBox())
    assert bundle["text/plain"] == widgets.MOVED
    assert "application/vnd.jupyter.widget-view+json" in bundle
