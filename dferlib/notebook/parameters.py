"""The parameters of a notebook: their names, what was injected, and what it means.

The parameters cell of each notebook declares the names in `PARAMETERS` and no others. papermill
only warns about a name that it does not know, so the first cell after the parameters calls
`check_parameters`, which refuses it, and every wrong value, with what would be right.
"""

import ast
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from dferlib.evidence.runs import results_folder
from dferlib.names import OWN_CLIPS, unknown_name
from dferlib.notebook.refusal import RefusedError
from dferlib.protocols import Paper, load_protocol
from dferlib.protocols.stages import read_choice

# name -> (type, default): the parameters cell of every notebook, in this order
PARAMETERS: dict[str, tuple[type, str]] = {
    "dataset": (str, "oulu"),
    "source": (str, "auto"),
    "preset": (str, "auto"),
    "init": (str, "paper"),
    "transfer": (str, "paper"),
    "data_root": (str, ""),
    "variants": (str, "all"),
    "folds": (str, "preset"),
    "seeds": (str, "0"),
    "device": (str, "auto"),
    "results_dir": (str, ""),
}
SOURCES = ("auto", "real", "synthetic")
INITS = ("paper", "random", "synthetic", "torchvision")
NUMBER_LISTS = ("folds", "seeds")  # `-p seeds 0` on a command line arrives as a number


class ParameterError(RefusedError):
    """Parameters that cannot be run: each wrong value, the allowed ones and the way out."""


class Settings(BaseModel):
    """Checked parameters of a notebook run, with `auto`, `all` and `preset` resolved.

    `source` stays "auto" until the frame store knows where the pixels come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    slug: str
    dataset: str
    source: Literal["auto", "real", "synthetic"]
    preset: str
    init: str = "paper"  # what the protocol says, another kind of initial weights, or a path
    transfer: str = "paper"  # the stage before; see protocols/stages.py
    data_root: Path | None
    variants: tuple[str, ...]
    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    device: str
    results_dir: str
    extras: dict[str, str] = {}  # what this paper's notebook declares beyond `PARAMETERS`

    def folder(self, source: str) -> Path:
        """Return the folder of these runs; `source` is where the pixels came from."""
        return results_folder(self.slug, self.dataset, source, self.preset, self.results_dir)


def check_parameters(
    slug: str,
    namespace: Mapping[str, Any],
    *,
    datasets: Iterable[str],
    paper: Paper | None = None,
    extras: Mapping[str, str] | None = None,
) -> Settings:
    """Check what was injected into a notebook; call it as `check_parameters(slug, globals(), ...)`.

    `datasets` are the names of the paper's that the notebook can run; "folder", one's own clips, is
    always allowed, too. `paper` defaults to the one of `slug`; `extras` maps the notebook's own
    parameters to their defaults, all of them text.
    Raises ParameterError listing everything that is wrong at once: unknown names with the nearest
    valid one, and values of a wrong type or that are not allowed.
    """
    defaults = {name: default for name, (_, default) in PARAMETERS.items()} | dict(extras or {})
    problems = [
        unknown_name("parameter", name, defaults)
        for name in sorted(_injected_names(namespace) - set(defaults))
    ]
    values = {
        name: _text(name, namespace.get(name, default), default, problems)
        for name, default in defaults.items()
    }
    if problems:
        raise refusal(problems)
    paper = load_protocol(slug) if paper is None else paper
    settings = _resolve(slug, values, tuple(datasets), paper)
    return settings.model_copy(update={"extras": {name: values[name] for name in extras or {}}})


def _resolve(
    slug: str, values: dict[str, str], datasets: tuple[str, ...], paper: Paper
) -> Settings:
    problems: list[str] = []
    dataset = _choice("dataset", values["dataset"], (*datasets, OWN_CLIPS), problems)
    source = _choice("source", values["source"], SOURCES, problems)
    if dataset == OWN_CLIPS and (source == "synthetic" or not _has_root(values)):
        problems.append(
            f"dataset {OWN_CLIPS} is your own clips and has no synthetic stand-in: name their "
            "folder with data_root (or DFER_DATA), with source real or auto"
        )
    elif source == "real" and not _has_root(values):
        problems.append(
            f"source is 'real', and no folder with {dataset} was named: give it as data_root, or "
            "set DFER_DATA before Jupyter starts; source auto or synthetic takes procedural faces"
        )
    preset = _choice("preset", values["preset"], ("auto", *paper.presets), problems)
    init = _init(values["init"], problems)
    transfer = _transfer(values["transfer"], dataset, problems)
    device = _device(values["device"], problems)
    variants = _variants(values["variants"], tuple(paper.variants), problems)
    seeds = _numbers("seeds", values["seeds"], range(2**32), problems)
    root = Path(values["data_root"]).expanduser() if values["data_root"] else None
    if root is not None and not root.is_dir():
        problems.append(
            f"data_root is {values['data_root']!r}, which is not a folder; name the one that holds "
            "the dataset, or leave it empty for DFER_DATA or the synthetic stand-in"
        )
    if problems:
        raise refusal(problems)
    if preset == "auto":
        preset = _preset_of(device, paper.presets)
    if values["variants"] == "all":
        variants = paper.variants_of(preset, dataset)
    recipe = paper.resolve(preset, dataset, variants[0])
    named = {"preset": ",".join(map(str, recipe.folds)), "all": f"1-{recipe.num_folds}"}
    text = named.get(values["folds"], values["folds"])
    folds = _numbers("folds", text, range(1, recipe.num_folds + 1), problems)
    if problems:
        raise refusal([f"{problems[0]}; or all, or preset"])
    return Settings(
        slug=slug,
        dataset=dataset,
        source=source,
        preset=preset,
        init=init,
        transfer=transfer,
        data_root=root.resolve() if root else None,
        variants=variants,
        folds=folds,
        seeds=seeds,
        device=device,
        results_dir=values["results_dir"],
    )


def _preset_of(device: str, presets: Mapping[str, Any]) -> str:
    """What `auto` means here: `quick` without a GPU, with one `gpu` where the paper has it."""
    if not device.startswith("cuda"):
        return "quick"
    return "gpu" if "gpu" in presets else "paper"


def _init(value: str, problems: list[str]) -> str:
    """A kind of initial weights, or the path of a file that holds some."""
    if value in INITS or (value and Path(value).expanduser().is_file()):
        return value
    problems.append(
        f"{unknown_name('init', value, INITS)}; or the path of a .safetensors or .pth file, and "
        "there is none of this name"
    )
    return value


def _transfer(value: str, dataset: str, problems: list[str]) -> str:
    """A stage before the training; whether its dataset exists is said when it is opened."""
    try:
        choice = read_choice(value)
    except ValueError as error:
        problems.append(str(error))
        return value
    if choice is not None and choice.dataset == dataset:
        problems.append(
            f"transfer is {value!r}, which is trained and tested on afterwards; take another"
        )
    return value


def _has_root(values: dict[str, str]) -> bool:
    return bool(values["data_root"] or os.environ.get("DFER_DATA"))


def refusal(problems: list[str]) -> ParameterError:
    """Put all problems into one error, one line each."""
    listed = "".join(f"\n- {problem}" for problem in problems)
    return ParameterError(f"nothing was run, because of the notebook's parameters:{listed}")


def _injected_names(namespace: Mapping[str, Any]) -> set[str]:
    """Names set by the parameters cell and by the cell that papermill injects after it.

    In a kernel they are read from the text of the cells (`In`), the latest of each kind: variables
    of later cells do not count when a reader runs this cell again, nor does a typo that was
    corrected. Elsewhere all public flat values of the namespace count.
    """
    cells = namespace.get("In")
    if not isinstance(cells, list):
        flat = (str, int, float, bool, list, tuple, dict, type(None))
        return {k for k, v in namespace.items() if isinstance(v, flat) and not k.startswith("_")}
    declared: set[str] = set()
    injected: set[str] = set()
    for cell in cells:
        if cell.startswith("# Parameters\n"):  # papermill's comment
            injected = set(declared_parameters(cell))
        elif len(set(PARAMETERS).intersection(found := declared_parameters(cell))) >= 3:
            declared, injected = set(found), set()
    return declared | injected


def declared_parameters(cell: str) -> dict[str, tuple[str, Any]]:
    """Read a parameters cell: name -> (type name, default).

    A cell that does anything but assign literals declares nothing. The type is the annotation, or
    that of the value where there is none.
    """
    try:
        body = ast.parse(cell).body
        return dict(_declaration(node) for node in body if not _is_docstring(node))
    except (SyntaxError, ValueError):  # magics, calls, computed values
        return {}


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _declaration(node: ast.stmt) -> tuple[str, tuple[str, Any]]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        return node.target.id, (ast.unparse(node.annotation), ast.literal_eval(node.value))
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        value = ast.literal_eval(node.value)
        return node.targets[0].id, (type(value).__name__, value)
    raise ValueError("not an assignment of a literal")


def _text(name: str, value: Any, default: str, problems: list[str]) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in NUMBER_LISTS and isinstance(value, int) and number:
        return str(value)
    if name == "data_root" and number and (folder := _folder_of(value)):
        return folder
    if not isinstance(value, str):
        way = f"; with papermill give it as -r {name} TEXT, which stays text" if number else ""
        problems.append(
            f"{name} is {value!r} of type {type(value).__name__}; it has to be text, as in "
            f"{name} = {default!r}{way}"
        )
        return ""
    return value.strip()


def _folder_of(value: float) -> str:
    """The one folder here whose name papermill's ``-p`` would have read as this number, or ""."""
    found = []
    for path in Path().iterdir():
        with suppress(ValueError):
            if float(path.name) == value and path.is_dir():
                found.append(path.name)
    return found[0] if len(found) == 1 else ""


def _choice(name: str, value: str, allowed: tuple[str, ...], problems: list[str]) -> str:
    if value not in allowed:
        problems.append(unknown_name(name, value, allowed))
    return value


def _variants(text: str, known: tuple[str, ...], problems: list[str]) -> tuple[str, ...]:
    if text == "all":
        return known
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        problems.append(f"variants is empty; give all, or a list of {', '.join(known)}")
    for name in names:
        _choice("variant", name, known, problems)
    return names


def _numbers(name: str, text: str, allowed: range, problems: list[str]) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip(), re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not (allowed.start <= first <= last < allowed.stop and last - first < 1000):
            problems.append(
                f"{name} is {text!r}; give whole numbers from {allowed.start} to "
                f"{allowed.stop - 1}, as in '1', '1,2' or '1-3'"
            )
            return ()
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


def _device(text: str, problems: list[str]) -> str:
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", text)
    if not match:
        problems.append(unknown_name("device", text, ("auto", "cpu", "cuda", "cuda:0")))
        return text
    if text == "cpu":
        return text
    count = _cuda_devices()
    if text == "auto":
        return "cuda" if count else "cpu"
    if int(match[1] or 0) >= count:
        there = f"only {count} CUDA device(s)" if count else "no CUDA device"
        problems.append(f"device is {text!r}, but this machine has {there}; use auto or cpu")
    return text


def _cuda_devices() -> int:
    import torch  # seconds to import, and not needed when the device is named cpu

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
