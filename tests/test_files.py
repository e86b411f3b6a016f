"""Places that the package knows: the checkout it comes from, and the cache."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dferlib import files
from dferlib.evidence.runs import results_folder

ROOT = Path(__file__).resolve().parents[1]


def test_the_checkout_is_found():
    assert files.project_root() == ROOT


def test_real_data_never_goes_into_the_public_results():
    folder = results_folder("stcam", "oulu", "real", "quick")
    assert folder == ROOT / "results-private" / "stcam" / "oulu-real-quick"
    with pytest.raises(ValueError, match="which git tracks"):
        results_folder("stcam", "oulu", "real", "quick", ROOT / "results")


def test_one_rule_for_folders_of_results(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # as JupyterLab does: its notebooks' folder
    asked = ("stcam", "oulu", "synthetic")
    assert results_folder(*asked, "quick", "out/x").parents[1] == ROOT / "out" / "x"
    assert results_folder(*asked, "quick", tmp_path).parents[1] == tmp_path
    assert results_folder(*asked, "quick").parents[1] == ROOT / "results"
    for source in ("real", "synthetic"):
        folder = results_folder("stcam", "oulu", source, "smoke")
        assert folder.parents[1] == ROOT / "out" / "results"


@pytest.mark.parametrize("checkout", [True, False])
def test_a_copy_finds_its_own_checkout_or_none(tmp_path, checkout):
    copy = tmp_path / "copy"
    (copy / "dferlib").mkdir(parents=True)
    for name in ("__init__.py", "files.py"):
        shutil.copy(ROOT / "dferlib" / name, copy / "dferlib" / name)
    if checkout:
        (copy / "pyproject.toml").touch()
    code = "from dferlib.files import project_root; print(project_root())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(copy.resolve() if checkout else None)
