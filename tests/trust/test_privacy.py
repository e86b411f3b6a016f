"""No telemetry: no module of the package can call another machine but for published weights.

What executed notebooks write and whom they call is watched in tests/notebook/conftest.py.
"""

import ast
from pathlib import Path

import pytest

from dferlib.datasets.readers.access import ACCESS, access_table
from dferlib.evidence.runs import results_folder
from dferlib.files import project_root

PACKAGE = Path(__file__).resolve().parents[2] / "dferlib"
CALLING = {"socket", "ssl", "http", "ftplib", "smtplib", "requests", "httpx", "aiohttp", "urllib3"}
CALLING |= {"urllib.request", "webbrowser", "xmlrpc", "asyncio", "telnetlib", "boto3", "wandb"}
DOWNLOADS = ("load_url", "load_state_dict_from_url", "download_url", "urlopen", "urlretrieve")
ASKED = "get_state_dict"  # torchvision's published weights, which the user's init asks for


def calls_of(path: Path) -> set[str]:
    """What of a module could call another machine: imports by name, functions by theirs."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            found |= {whole for whole in CALLING if name == whole or name.startswith(f"{whole}.")}
        if isinstance(node, ast.Attribute) and node.attr in (*DOWNLOADS, ASKED):
            found.add(node.attr)
    return found


def test_nothing_calls_another_machine_but_for_weights_that_were_asked_for():
    found = {path.relative_to(PACKAGE): calls_of(path) for path in PACKAGE.rglob("*.py")}
    callers = {path: names for path, names in found.items() if names}
    assert set().union(*callers.values()) == {ASKED}
    assert all(path.parts[0] == "models" for path in callers)


@pytest.mark.parametrize(
    "line",
    [
        "import urllib.request",
        "from urllib import request",
        "import requests.api",
        "hub.load_url(u)",
    ],
)
def test_what_calls_is_seen(tmp_path, line):
    path = tmp_path / "module.py"
    path.write_text(line)
    assert calls_of(path)


def test_real_runs_have_a_place_that_git_does_not_see():
    folder = results_folder("stcam", "ckplus", "real", "quick")
    assert folder.relative_to(project_root()).parts[0] == "results-private"
    ignored = (project_root() / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "results-private/" in ignored


def test_every_dataset_says_what_may_be_shown_of_it():
    table = access_table()
    for entry in ACCESS.values():
        assert f"| {entry.title} |" in table
        assert entry.shown
