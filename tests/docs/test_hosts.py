"""The set-up cell for hosts with a torch: it asks for what they lack, and replaces nothing."""

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FLOORS = {Requirement(line).name: line for line in PROJECT["dependencies"]}
# As such hosts have them: torch with a build's name, one package below the package's floor, and
# OpenCV in its other flavour, which writes the same folder.
HOST = dict.fromkeys(FLOORS, "99.0") | {"torch": "99.0+cu126", "ipykernel": "6.17.1"}
HOST |= {"notebook": "6.5", "opencv-python": "4.12"}


def cell() -> str:
    page = (ROOT / "docs" / "colab_binder.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    return found


@pytest.mark.parametrize("lacking", [("grad-cam", "papermill"), ()])
def test_the_cell_installs_what_is_missing_and_keeps_the_rest(
    lacking, tmp_path, monkeypatch, capsys
):
    host = {k: v for k, v in HOST.items() if k not in lacking}
    host = {k: v for k, v in host.items() if k not in ("opencv-python-headless", "jupyterlab")}
    calls = []

    def version(name):
        if name not in host:
            raise metadata.PackageNotFoundError(name)
        return host[name]

    extras = [f'{line}; extra == "site"' for line in PROJECT["optional-dependencies"]["site"]]
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", lambda _: PROJECT["dependencies"] + extras)
    monkeypatch.setattr(subprocess, "check_call", lambda words: calls.append(words[3:]))
    monkeypatch.chdir(tmp_path)
    exec(compile(cell(), "colab_binder.md", "exec"), {})
    assert calls[0] == ["install", "-q", "--no-deps", "dferlib"]
    wanted = [str(Requirement(FLOORS[name])) for name in lacking]
    assert calls[1:] == ([["install", "-q", "-c", "kept.txt", *wanted]] if wanted else [])
    kept = (tmp_path / "kept.txt").read_text().splitlines()
    assert {"torch==99.0+cu126", "torchvision==99.0", "numpy==99.0"} <= set(kept)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"installed: {' '.join(wanted) or 'nothing'}"
    # 99.0 meets every floor; only OpenCV has a ceiling, and this host has its other flavour
    assert said[1] == f"older on this host than was tested: {Requirement(FLOORS['ipykernel'])}"
