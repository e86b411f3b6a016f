"""What a reader did wrong is a box with the way out; and what is coloured can be read."""

import re

import pytest
from bs4 import BeautifulSoup

from dferlib.evidence.provenance import provenance
from dferlib.figures.palette import contrast
from dferlib.notebook import display, refusal
from dferlib.notebook.parameters import PARAMETERS, ParameterError, check_parameters
from dferlib.notebook.refusal import box
from dferlib.notebook.source import show_source

VALUES = {name: value for name, (_, value) in PARAMETERS.items()} | {"device": "cpu"}


def refused(**changes) -> ParameterError:
    with pytest.raises(ParameterError) as caught:
        check_parameters("stcam", VALUES | changes, datasets=("oulu", "ckplus"))
    return caught.value


def test_a_refusal_is_a_box_that_lists_all_that_is_wrong(monkeypatch):
    shown = []
    monkeypatch.setattr(refusal, "display", lambda data, **_: shown.append(data))
    error = refused(dataset="<ulu>", preset="papre")
    monkeypatch.delenv(refusal.SESSION, raising=False)
    assert error._render_traceback_() == [f"ParameterError: {error}"]  # what papermill prints
    monkeypatch.setenv(refusal.SESSION, "a notebook that is open")
    assert error._render_traceback_() == ["ParameterError: the box above says what to change"]
    assert len(shown) == 1
    page = BeautifulSoup(shown[0]["text/html"], "html.parser").div
    assert page["role"] == "alert"
    assert [item.text.partition(":")[0] for item in page.find_all("li")] == [
        "unknown dataset",
        "unknown preset",
    ]
    assert "'<ulu>'" in page.text
    assert shown[0]["text/plain"] == str(error)


def test_coloured_text_in_html_has_enough_contrast():
    pages = [box(refused(preset="x"))]
    settings = check_parameters("stcam", VALUES, datasets=("oulu",))
    pages += [display.banner(settings, source)._repr_html_() for source in ("real", "synthetic")]
    found = [pair for page in pages for pair in re.findall(r"background:(#\w+);color:(#\w+)", page)]
    assert len(found) == 3
    for back, ink in found:
        assert contrast(ink, back) >= 4.5


def test_colours_of_code_have_enough_contrast():
    page = show_source(provenance)._repr_html_()
    rules = re.findall(r"\.output_html \.(\w+) \{ color: (#[0-9A-Fa-f]+)", page)
    assert len(rules) > 20
    (back,) = re.findall(r"\.output_html \{ background: (#[0-9A-Fa-f]+)", page)
    low = {name: colour for name, colour in rules if contrast(colour, back) < 4.5}
    assert set(low) <= {"w"}  # blanks have no letters
