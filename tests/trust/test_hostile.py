"""Names stay text, parameters are not evaluated, weights do not run, parsers refuse by name."""

import ast
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.trust import fuzz
from dferlib.datasets.manifest import DatasetError, read_manifest
from dferlib.datasets.readers import folder
from dferlib.evidence.layout import Table, lay_out
from dferlib.notebook import display
from dferlib.notebook.execution import execute
from dferlib.notebook.opening import Opened
from dferlib.notebook.parameters import (
    ParameterError,
    check_parameters,
    declared_parameters,
)
from dferlib.training.runner import Plan
from dferlib.training.weights import WeightsError, read_plain, user_weights

PACKAGE = Path(__file__).resolve().parents[2] / "dferlib"
MARKUP = "<img src=x onerror=alert(1)>"


# ------------------------------------------------------------------ markup


def tables_of(name: str):
    """Tables of every kind, with the name in a cell, a header, an index and a caption's column."""
    frame = pd.DataFrame({"row": [name], name: [name], "value": [1.5]}, index=[name])
    yield lay_out(frame, "caption", named="row", prose=(name,))
    yield lay_out(frame, "caption")
    yield Table(frame)
    yield Table(frame).format(precision=2, na_rep="").hide(axis="index")
    yield Table(frame.set_index("row")).format(precision=1)
    yield Table(frame).format({"value": "{:.1f}"})


@pytest.mark.parametrize("kind", range(6))
def test_markup_in_a_name_stays_text_in_every_table(kind):
    shown = list(tables_of(MARKUP))[kind].to_html()
    assert "<img" not in shown
    assert "&lt;img" in shown
    assert "1.5" in shown


def test_every_table_that_is_shown_is_one_that_escapes():
    """pandas' own style leaves markup in cells as it is; `layout.Table` does not."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == "style"), path
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("to_html"):
                named = {item.arg for item in node.keywords}
                assert "escape" not in named, path


def test_markup_stays_text_in_banner_and_plan(monkeypatch):
    settings = check_parameters("stcam", given(device="cpu"), datasets=["oulu"])
    settings = settings.model_copy(update={"init": MARKUP})
    shown = display.banner(settings, "real", left_out=MARKUP)._repr_html_()
    assert "<img" not in shown

    class Planned(Plan):
        table = pd.DataFrame({"minutes": [1.0]}, index=[MARKUP])

        def __str__(self) -> str:
            return "1 training"

    assert "<img" not in Planned([])._repr_html_()


def test_two_dollars_in_the_name_of_a_clip_begin_no_formula():
    import matplotlib.pyplot as plt
    import numpy as np

    study = Opened.__new__(Opened)
    study.store = type("Store", (), {})()
    study.store.manifest = pd.DataFrame({"clip_id": [r"a$\frac$b"], "label": ["fear"]})
    study.test, study.probabilities = np.array([0]), np.array([[0.2, 0.8]])
    study.classes = ("anger", "fear")
    figure, ax = plt.subplots(figsize=(1, 1))
    ax.set_title(study.title_of(0))
    figure.canvas.draw()  # raised that it could not be parsed
    plt.close(figure)


def test_a_class_folder_with_markup_is_refused_by_name(tmp_path):
    (tmp_path / MARKUP).mkdir()
    with pytest.raises(DatasetError, match="is no expression class"):
        folder.scan(tmp_path)


# ------------------------------------------------------------------ nothing is evaluated


def given(**changes) -> dict:
    from dferlib.notebook.parameters import PARAMETERS

    return {name: value for name, (_, value) in PARAMETERS.items()} | changes


@dataclass
class Trap:
    """Where code would leave a mark."""

    mark: Path

    @property
    def code(self) -> str:
        return f"__import__('pathlib').Path({str(self.mark)!r}).touch()"

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def trap(tmp_path) -> Trap:
    return Trap(tmp_path / "mark")


@pytest.mark.parametrize("name", ["dataset", "folds", "seeds", "variants", "init", "device"])
def test_a_parameter_is_never_evaluated(trap, name):
    for text in (trap.code, f"{{{trap.code}}}", f"$({trap.code})", f"1;{trap.code}"):
        with pytest.raises(ParameterError, match=name.removesuffix("s")):
            check_parameters("stcam", given(**{"device": "cpu", name: text}), datasets=["oulu"])
    assert not trap.mark.exists()


def test_a_parameters_cell_that_computes_declares_nothing(trap):
    for cell in (f"seeds = {trap.code}", f"seeds: {trap.code} = 3", f"seeds = '0'\n{trap.code}"):
        assert "seeds" not in declared_parameters(cell) or "touch" in str(declared_parameters(cell))
    assert not trap.mark.exists()


def test_a_pickle_in_any_wrapping_is_named_and_not_run(trap, tmp_path):
    import torch

    plain, wrapped = tmp_path / "plain.pth", tmp_path / "wrapped.pth"
    plain.write_bytes(pickle.dumps(trap))
    torch.save({"state_dict": {"a": torch.ones(2), "b": trap}}, wrapped)
    renamed = tmp_path / "renamed.safetensors"
    renamed.write_bytes(wrapped.read_bytes())
    for path in (plain, wrapped, renamed):
        with pytest.raises(WeightsError, match=path.name):
            read_plain(path)
        with pytest.raises(WeightsError, match=path.name):
            user_weights(torch.nn.Linear(2, 2), path)
    assert not trap.mark.exists()


# ------------------------------------------------------------------ paths that lead out


@pytest.mark.parametrize(
    "path",
    ["../out", "a/../../out", "/etc/passwd", "C:\\out", "..\\out", ".", "", "~/../../out\\..\\.."],
)
def test_a_path_of_a_table_never_leaves_its_folder(tmp_path, path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.png").write_bytes(b"secret")
    (root / "labels.csv").write_text(f"path,label\n{path},happy\n", encoding="utf-8")
    with pytest.raises(DatasetError):
        folder.scan(root).refuse_errors()


# ------------------------------------------------------------------ found by fuzzing


MANIFEST = (
    b"clip_id,subject,label,n_frames,offset,fps,apex,onset,split,dataset,source\n"
    b"a,S1,anger,%s,0,25,2,0,,oulu,real\n"
)


@pytest.mark.parametrize(
    "content",
    [
        b"\xec\x93",  # UnicodeDecodeError
        b"",  # EmptyDataError
        MANIFEST % b"9" * 40,  # ParserError
        MANIFEST % (b"9" * 40),  # OverflowError
        MANIFEST % b"real",  # ValueError
        MANIFEST % b"nan",  # a float that is no whole number
    ],
)
def test_a_damaged_manifest_is_one_kind_of_error(tmp_path, content):
    path = tmp_path / "manifest.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError):
        read_manifest(path)


@pytest.mark.parametrize("cell", ['{"cell_type": "code", "metadata": {}}', '{"source": "1"}', "{}"])
def test_a_notebook_with_half_a_cell_is_named(tmp_path, cell):
    path = tmp_path / "n.ipynb"
    path.write_text(f'{{"cells": [{cell}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}')
    with pytest.raises(ValueError, match=r"n\.ipynb is not a notebook"):
        execute(path, tmp_path / "out.ipynb", {"dataset": "oulu"}, progress=False)


def test_damages_are_the_same_everywhere_and_a_failing_reader_is_seen(tmp_path, monkeypatch):
    reader = fuzz.READERS["exclusions"]
    cases = [fuzz.make_case("exclusions", reader, case) for case in range(20)]
    assert cases == [fuzz.make_case("exclusions", reader, case) for case in range(20)]
    assert len(set(cases)) > 15
    assert {fuzz.try_case("exclusions", case, tmp_path)[0] for case in range(20)} <= {
        "read",
        "named error",
    }
    broken = reader._replace(read=lambda path: 1 / 0)
    monkeypatch.setitem(fuzz.READERS, "exclusions", broken)
    assert fuzz.try_case("exclusions", 1, tmp_path) == (
        "failed",
        "ZeroDivisionError: division by zero",
    )
    row = {"cases": 0, "outcomes": {}, "failures": []}
    lines = ([[0, "read", ""], [1, "failed", "ZeroDivisionError: x"]], "ended with -9: ")
    monkeypatch.setattr(fuzz, "run_child", lambda *asked: (list(lines[0]), lines[1]))
    fuzz.go_on("exclusions", row, 10)
    assert row["cases"] == 3  # the third killed its process; the next child begins behind it
    assert row["outcomes"] == dict(zip(fuzz.OUTCOMES, (1, 0, 0, 2), strict=True))
    assert [failure["case"] for failure in row["failures"]] == [1, 2]
