"""pyproject.toml, lock, environment.yml and tasks tell one story, and none about a machine."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import dferlib

ROOT = Path(__file__).resolve().parent.parent
CARD = "jupyterlab papermill torch torchvision matplotlib seaborn scikit-learn grad-cam ipywidgets"
# Detectors for those who have them; they come with models of their own and are never installed.
ADAPTERS = {"dlib", "mediapipe"}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def requirements(*extras: str) -> list[Requirement]:
    lines = PROJECT["dependencies"] + [line for extra in extras for line in EXTRAS[extra]]
    return [Requirement(line) for line in lines]


def locked() -> list[Requirement]:
    lines = [line.removesuffix("\\").strip() for line in read("requirements.lock").splitlines()]
    return [Requirement(line) for line in lines if line[:1].isalnum()]


def load_tasks():
    spec = importlib.util.spec_from_file_location("tasks", ROOT / "tasks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------ versions


@pytest.mark.parametrize("wanted", requirements(*EXTRAS), ids=lambda item: item.name)
def test_every_dependency_is_locked_within_its_bounds(wanted):
    found = [item for item in locked() if item.name == canonicalize_name(wanted.name)]
    assert found
    for item in found:
        (pin,) = item.specifier
        assert pin.operator == "=="
        assert wanted.specifier.contains(pin.version)
    assert wanted.specifier, "a dependency needs a floor"


def test_the_lock_pins_everything_with_hashes_and_holds_the_pair_that_is_tested():
    text = read("requirements.lock")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.M | re.I)[1:]
    assert len(entries) == len(locked()) > 100
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    versions = {item.name: str(item.specifier) for item in locked()}
    assert (versions["torch"], versions["torchvision"]) == ("==2.14.1", "==0.29.1")
    assert "opencv-python" not in versions, "one flavour of OpenCV only"
    assert "://" not in text
    assert not re.search(r"^\s*(-|#(?! Every))(?!-hash)", text, re.M), "only pins and hashes"


def test_the_lock_serves_linux_macos_and_windows():
    for platform, machine in (("linux", "x86_64"), ("darwin", "arm64"), ("win32", "AMD64")):
        place = {"sys_platform": platform, "platform_machine": machine, "os_name": "posix"}
        place["os_name"] = "nt" if platform == "win32" else "posix"
        names = {i.name for i in locked() if not i.marker or i.marker.evaluate(place)}
        assert {"torch", "jupyterlab"} <= names
        assert ("nvidia-cublas" in names) == (platform == "linux")


def test_the_constraints_are_the_lock_without_hashes():
    lines = [line for line in read("constraints.txt").splitlines() if not line.startswith("#")]
    assert [str(Requirement(line)) for line in lines] == [str(item) for item in locked()]


def test_the_conda_environment_holds_the_dependencies_and_a_reason_for_each():
    environment = yaml.safe_load(read("environment.yml"))
    conda = [item for item in environment["dependencies"] if isinstance(item, str)]
    (pip,) = (item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert conda == ["python=3.11", "pip"]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains("3.11")
    assert pip[0] == "-c constraints.txt"
    assert pip[-1].startswith("-e .")
    names = pip[1:-1]
    declared = {canonicalize_name(item.name) for item in requirements("face", "video", "sweep")}
    assert set(CARD.split()) <= set(names) <= declared
    everywhere = {item.name for item in requirements("face", "video", "sweep")} - declared
    assert not everywhere
    reasons = dict(re.findall(r"^\s+- ([\w-]+) # (.+)$", read("environment.yml"), re.M))
    assert set(names) == set(reasons)


def test_what_the_package_imports_is_declared():
    known = {canonicalize_name(item.name) for item in requirements("face", "video", "sweep")}
    owners = packages_distributions()
    undeclared = {}
    for path in (ROOT / "dferlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for top in {name.split(".")[0] for name in names} - ADAPTERS - {"dferlib"}:
                owner = {canonicalize_name(name) for name in owners.get(top, ())}
                if top not in sys.stdlib_module_names and not owner & known:
                    undeclared[top] = path.name
    assert not undeclared


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert dferlib.__version__ == PROJECT["version"] == str(citation["version"])
    assert Version(dferlib.__version__)
    assert PROJECT["license"] == citation["license"] == "MIT"
    assert "the dferlib authors" in read("LICENSE")


# ------------------------------------------------------------------ nothing about a machine


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_no_tracked_file_names_an_index_or_a_machine():
    # Put together here, so that this file does not hold them itself.
    hosts = [
        "py" + "pi.org",
        "python" + "hosted",
        "/sim" + "ple/",
        "index" + "-url ",
        "find" + "-links ",
    ]
    folders = "|".join(("home", "Users", "root", "work", "farm", "opt"))
    pattern = re.compile(rf"(?<![\w.}}/])/(?:{folders})/\w+|" + "|".join(map(re.escape, hosts)))
    found = {}
    for path in tracked():
        data = path.read_bytes() if path.is_file() else b""
        if b"\0" not in data[:8000] and (match := pattern.search(data.decode("utf-8", "replace"))):
            found[path.relative_to(ROOT).as_posix()] = match.group()
    assert not found


def test_no_tracked_file_is_a_weight_or_a_run_on_real_data():
    names = [path.relative_to(ROOT) for path in tracked()]
    assert not [n for n in names if n.suffix in (".pt", ".pth", ".safetensors", ".npy", ".pkl")]
    assert not [n for n in names if n.parts[0] in ("results-private", "out", ".venv")]


# ------------------------------------------------------------------ tasks


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    module = load_tasks()
    calls = []
    monkeypatch.setattr(module, "VENV", tmp_path)
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(module, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(module, "call", lambda *words, **_: calls.append([str(w) for w in words]))
    module.calls = calls
    return module


def test_env_installs_once_and_only_with_hashes(tasks):
    tasks.env([])
    first = list(tasks.calls)
    assert ["-e", str(ROOT)] == next(words for words in first if "-e" in words)[-2:]
    assert all("--require-hashes" in words for words in first if "-r" in words)
    tasks.env([])
    assert tasks.calls == first, "a second call installs nothing"
    tasks.STAMP.write_text("of another lock")
    tasks.env([])
    assert len(tasks.calls) == 2 * len(first)


def test_an_interrupted_env_is_not_taken_for_complete(tasks, monkeypatch):
    def broken(*words, **_):
        if "-e" in words:
            raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(tasks, "call", broken)
    with pytest.raises(subprocess.CalledProcessError):
        tasks.env([])
    assert not tasks.STAMP.exists()


def test_env_says_what_is_missing(tasks, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "works", lambda *words: False)
    with pytest.raises(SystemExit):
        tasks.env([])
    assert "3.11 or newer is needed" in capsys.readouterr().err
    monkeypatch.setattr(tasks, "works", lambda *words: "version_info" in words[-1])
    with pytest.raises(SystemExit):
        tasks.env([])
    assert "apt install python3-venv" in capsys.readouterr().err
    monkeypatch.setattr(tasks, "works", lambda *words: "pip" not in words)
    monkeypatch.setattr(tasks, "DISK_GB", 1e9)
    with pytest.raises(SystemExit):
        tasks.env([])
    assert "GB are needed" in capsys.readouterr().err


def test_run_passes_parameters_on_and_says_where_things_are(tasks, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "env", lambda rest: None)
    tasks.run(["-p", "dataset", "ckplus", "-p", "folds", "1"])
    executed, converted = tasks.calls
    assert executed[1:3] == ["-m", "dferlib.notebook"]
    assert executed[4] == str(ROOT / "out" / "stcam-ckplus.ipynb")
    given = list(zip(executed[6::3], executed[7::3], strict=True))
    assert given == [
        ("dataset", "ckplus"),
        ("source", "synthetic"),
        ("preset", "quick"),
        ("results_dir", "out/results"),
        ("folds", "1"),
    ]
    assert converted[-1] == executed[4]
    assert "stcam-ckplus.html" in capsys.readouterr().out


def test_all_and_sweep_are_calls_of_the_sweep(tasks, monkeypatch):
    monkeypatch.setattr(tasks, "env", lambda rest: None)
    tasks.sweep(["--papers", "stcam", "--plan"])
    tasks.everything(["--plan"])
    tasks.everything(["--results-dir", "results"])
    called = [words[2:] for words in tasks.calls]
    assert called == [
        ["dferlib.sweep", "--papers", "stcam", "--plan"],
        ["dferlib.sweep", "all", "--results-dir", "out/results", "--plan"],
        ["dferlib.sweep", "all", "--results-dir", "results"],
    ]


def test_site_is_one_call_of_sphinx_over_the_whole_tree(tasks, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "env", lambda rest: None)
    tasks.site(["-W"])
    words = tasks.calls[0][1:]
    assert words[:6] == ["-m", "sphinx", "-b", "html", "-c", "docs"]
    assert words[-3:] == ["-W", ".", "out/site"]
    assert "index.html" in capsys.readouterr().out


def test_help_lists_what_the_makefile_offers(capsys, monkeypatch):
    module = load_tasks()
    monkeypatch.setattr(sys, "argv", ["tasks.py", "help"])
    assert module.main() == 0
    listed = re.findall(r"^  (\w+) +\S", capsys.readouterr().out, re.M)
    (targets,) = re.findall(r"^\.PHONY: (.*)$", read("Makefile"), re.M)
    assert {"help", *listed} == set(targets.split())
    monkeypatch.setattr(sys, "argv", ["tasks.py", "tset"])
    assert module.main() == 2
    assert "there is no task 'tset'" in capsys.readouterr().err
