"""The benchmark's notebook: its parameters, its commands, and a run from top to bottom."""

import json
import shlex
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from dferlib.evidence import benchmark as tables
from dferlib.evidence.runs import load_runs
from dferlib.notebook.benchmark import check_all
from dferlib.notebook.execution import execute
from dferlib.notebook.parameters import ParameterError
from dferlib.protocols.benchmark import CLASSES, ROWS

NOTEBOOK = Path(__file__).parents[2] / tables.NOTEBOOK


def test_each_missing_cell_names_a_command_that_is_accepted():
    evidence = {"oulu": pd.DataFrame({"variant": ["stcam", "hacn"]})}
    missing = tables.missing_table(evidence, "quick", "-p source synthetic")
    cells = {(row.dataset, row.row) for row in missing.itertuples()}
    assert cells == {("oulu", row) for row in ROWS if row not in ("stcam", "hacn")} | {
        (name, "all") for name in CLASSES if name != "oulu"
    }
    for row in missing.itertuples():
        words = shlex.split(row.command)
        assert words[:3] == ["papermill", tables.NOTEBOOK, "out.ipynb"]
        assert words[3::3] == ["-p"] * (len(words[3:]) // 3)
        given = dict(zip(words[4::3], words[5::3], strict=True)) | {"device": "cpu"}
        (settings,) = check_all(given).values()
        assert (settings.dataset, settings.preset) == (row.dataset, "quick")
        assert settings.variants == (tuple(ROWS) if row.row == "all" else (row.row,))
        assert settings.seeds == (0, 1)


def test_tests_that_are_missing_of_trained_rows_name_both_datasets():
    trained = pd.DataFrame({"dataset": ["ckplus", "oulu", "oulu"], "row": ["stt", "stt", "hacn"]})
    moved = pd.DataFrame([("stt", "ckplus", "oulu")], columns=["row", "trained_on", "tested_on"])
    (cell,) = tables.missing_tests(trained, moved, "quick").itertuples()
    assert (cell.dataset, cell.row) == ("ckplus,oulu", "stt")
    assert cell.command.endswith("-p preset quick -p dataset ckplus,oulu -p variants stt")
    spoilt = pd.DataFrame({"dataset": ["oulu"], "row": ["stt"]})
    missing = tables.missing_tests(trained, spoilt, "quick")
    assert set(zip(missing["dataset"], missing["row"], strict=True)) == {
        ("ckplus", "stt"),
        ("oulu", "hacn"),
    }


def test_parameters_that_are_wrong_are_refused():
    with pytest.raises(ParameterError, match="oulu"):
        check_all({"dataset": "ckplus,oullu", "preset": "quick", "device": "cpu"})
    with pytest.raises(ParameterError, match="the benchmark compares on"):
        check_all({"dataset": "folder", "preset": "quick", "device": "cpu"})


@pytest.mark.notebook
def test_a_smoke_run_stores_all_it_shows(tmp_path):
    values = {"preset": "smoke", "source": "synthetic", "device": "cpu"}
    values |= {"results_dir": str(tmp_path / "results"), "variants": "peak-cnn,stt"}
    execute(NOTEBOOK, tmp_path / "out.ipynb", values, progress=False)
    text = json.dumps(nbformat.read(tmp_path / "out.ipynb", as_version=4))
    assert "SYNTHETIC DATA" in text
    assert "No ranking" in text
    assert "-p dataset dfew" in text  # not run, and how
    folders = {n: tmp_path / f"results/benchmark/{n}-synthetic-smoke" for n in ("ckplus", "oulu")}
    rows = {name: load_runs(folder).records for name, folder in folders.items()}
    parts = {f"{row}, 30 % of subjects" for row in ("peak-cnn", "stt")}
    assert set(rows["ckplus"]["variant"]) == {"peak-cnn", "stt"}
    assert set(rows["oulu"]["variant"]) == {"peak-cnn", "stt"} | parts
    for name, folder in folders.items():
        spoilt = load_runs(folder / tables.CORRUPTIONS)
        assert set(spoilt.records["of"]) <= set(rows[name]["run_id"])
        assert spoilt.predictions.groupby("run_id").size().tolist() == [4 * (7 * 5 + 1)] * 2
        moved = load_runs(folder / tables.TRANSFER).records
        other = "oulu" if name == "ckplus" else "ckplus"
        assert set(moved["trained_on"]) == {other}
        assert moved["classes"].map(len).tolist() == [6, 6]
    pictures = (tmp_path / "results/benchmark/figures-synthetic-smoke").glob("*.png")
    assert len(list(pictures)) == 6
