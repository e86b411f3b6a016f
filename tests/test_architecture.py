"""The shape of the package, read from its source: direction of imports, sizes, what is banned."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dferlib"

# The house: what stands on a floor imports from the floors below it and from its own room only.
FLOORS = (
    {"files", "device", "names"},
    {"protocols", "models", "synthface", "figures"},
    {"datasets", "evidence"},
    {"training", "analysis"},
    {"notebook"},
    {"sweep", "teaching"},
)
# Tables and figures are remade on a laptop from files on disk, and so is what a paper says.
WITHOUT_TORCH = {"files", "names", "protocols", "figures", "evidence"}
MAX_LINES, MAX_FUNCTION = 350, 60
CATCH_ALL = {"utils", "util", "helpers", "helper", "common", "misc"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}

FILES = sorted(PACKAGE.rglob("*.py"))
IDS = [path.relative_to(PACKAGE).as_posix() for path in FILES]
every_file = pytest.mark.parametrize("path", FILES, ids=IDS)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), path.name)


def part(path: Path) -> str:
    """Name of the module or folder right below the package, empty for the package itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, anywhere in it."""
    here = [PACKAGE.name, *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def own_parts(path: Path) -> set[str]:
    names = (name.split(".") for name in imported(path))
    found = {name[1] for name in names if name[0] == PACKAGE.name and len(name) > 1}
    return {
        name for name in found if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()
    }


def allowed(name: str) -> set[str]:
    floor = next(i for i, names in enumerate(FLOORS) if name in names)
    below = set().union(*FLOORS[:floor])
    return below


def test_every_module_has_its_place():
    there = {part(path) for path in FILES} - {""}
    assert there == set().union(*FLOORS)


@every_file
def test_imports_point_down(path):
    name = part(path)
    wrong = own_parts(path) - {name} - (allowed(name) if name else set())
    assert not wrong, f"{name or 'the package'} must not import {sorted(wrong)}"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_module_imports_in_a_circle():
    names = {module_of(path) for path in FILES}
    graph = {}
    for path in FILES:
        found = {n if n in names else n.rpartition(".")[0] for n in imported(path)}
        graph[module_of(path)] = (found & names) - {module_of(path)}
    graph = {
        name: {n for n in found if not name.startswith(f"{n}.")} for name, found in graph.items()
    }
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


@every_file
def test_what_is_private_stays_in_its_module(path):
    own = [name for name in imported(path) if name.split(".")[0] == PACKAGE.name]
    assert not [name for name in own if name.rpartition(".")[2].startswith("_")]


@every_file
def test_tables_and_figures_need_no_torch(path):
    if part(path) in WITHOUT_TORCH | {""}:
        heavy = [name for name in imported(path) if name.split(".")[0] in ("torch", "torchvision")]
        assert not heavy


def test_reading_results_does_not_load_torch():
    names = sorted(WITHOUT_TORCH & {part(path) for path in FILES})
    code = (
        "import importlib, sys\n"
        f"for name in {names}: importlib.import_module('dferlib.' + name)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@every_file
def test_files_and_functions_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree(path))
        if isinstance(node, functions) and node.end_lineno - node.lineno + 1 > MAX_FUNCTION
    }
    assert not long


@every_file
def test_no_file_is_a_place_for_everything(path):
    assert path.stem not in CATCH_ALL


@every_file
def test_public_functions_and_classes_say_what_they_are(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [n for n in tree(path).body if isinstance(n, kinds) and not n.name.startswith("_")]
    assert not [node.name for node in public if not ast.get_docstring(node)]
    assert ast.get_docstring(tree(path)) or not tree(path).body


def keyword(call: ast.Call, name: str) -> object:
    values = {item.arg: item.value for item in call.keywords}
    return values[name].value if isinstance(values.get(name), ast.Constant) else None


def unsafe_calls(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in ("eval", "exec", "joblib.load", "pd.read_pickle", "yaml.load"):
            yield name
        if name == "torch.load" and keyword(node, "weights_only") is not True:
            yield "torch.load without weights_only=True"
        if name.startswith(("np.", "numpy.")) and keyword(node, "allow_pickle"):
            yield f"{name} with allow_pickle"
        if name.endswith(("extractall", "extract")) and "tar" in name:
            yield f"{name}: archives are not unpacked"
        if keyword(node, "shell") is True:
            yield f"{name} with shell=True"


@every_file
def test_nothing_from_outside_is_executed(path):
    modules = {name.split(".")[0] for name in imported(path)}
    assert not modules & UNSAFE_MODULES
    assert not list(unsafe_calls(path))


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
        "tar.extractall()",
    ],
)
def test_the_check_for_unsafe_calls_finds_them(tmp_path, line):
    path = tmp_path / "module.py"
    path.write_text(line)
    assert list(unsafe_calls(path))


def test_the_check_of_imports_sees_relative_and_nested_ones():
    path = PACKAGE / "models" / "imagined.py"
    source = "from .. import evidence\ndef f():\n    from ..datasets.store import x\n"
    nodes = ast.parse(source)
    original = globals()["tree"]
    try:
        globals()["tree"] = lambda _: nodes
        assert own_parts(path) == {"evidence", "datasets"}
        assert own_parts(path) - allowed("models") == {"evidence", "datasets"}
    finally:
        globals()["tree"] = original
