"""How an executed notebook is stored: no folder of the machine, no widget state, no flood.

A stored notebook is read by other people on other machines. Paths of this one say nothing to them
and tell what is nobody's business; widgets are dead without their kernel and as heavy as pictures.
"""

from __future__ import annotations

import copy
import html
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat

from dferlib.files import cache_folder, project_root

MAX_STREAM = 200_000  # characters kept of what one cell prints
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "widgets"  # key in the metadata of a notebook
STATE = "application/vnd.jupyter.widget-state+json"
_PICTURE = re.compile(r"(data:image/[\w+.-]+;base64,[A-Za-z0-9+/=]+)")  # may hold any letters
_COLOUR = r"\x1b\[[0-9;]*m"  # a traceback is coloured, and a code may stand before a path


def presentable(node: nbformat.NotebookNode, name: str, output: str) -> nbformat.NotebookNode:
    """A copy of an executed notebook as it is stored; the one that runs is left alone.

    `name` and `output` are the file names that papermill's metadata get in place of paths. In all
    outputs, the injected parameters and papermill's metadata the project's folder is ``.``, the
    user's home is ``~``, and the folders of Python, cache, data and temporary files have a name in
    angle brackets. Of widgets is kept what a reader sees without a kernel: the last state of a
    progress bar as text, and what stands for any other; their state is left out.
    """
    stored = copy.deepcopy(node)
    models = stored.metadata.pop(WIDGET_STATE, {}).get(STATE, {}).get("state", {})
    if "papermill" in stored.metadata:
        stored.metadata["papermill"] = _cleaned(stored.metadata["papermill"])
        stored.metadata.papermill |= {"input_path": name, "output_path": output}
    for cell in stored.cells:
        if "injected-parameters" in cell.metadata.get("tags", ()):
            cell["source"] = without_places(cell.source)
        if "outputs" in cell:
            still = [kept for one in cell.outputs if (kept := _still(one, models))]
            cell["outputs"] = [_shortened(_cleaned(one)) for one in still]
    return stored


def without_places(text: str) -> str:
    """A text with the folders of this machine replaced by what they mean."""
    text = re.sub(rf"{re.escape(tempfile.gettempdir())}/ipykernel_\d+/\d+\.py", "<cell>", text)
    for place, word in _places().items():
        for form in _forms(place):
            pattern = rf"({_COLOUR}|(?<![\w.~-])){re.escape(form)}(?![\w-])"
            text = re.sub(pattern, lambda found, word=word: found[1] + word, text)
    return text


def _places() -> dict[str, str]:
    """Folders of this machine and their words, longest first: one may lie in another."""
    named: list[tuple[Path | str | None, str]] = [
        (project_root(), "."),
        (Path.home(), "~"),
        (cache_folder(), "<cache>"),
        (os.environ.get("DFER_DATA"), "<data>"),
        (sys.prefix, "<python>"),
        (sys.base_prefix, "<python>"),
        (tempfile.gettempdir(), "<temporary>"),
    ]
    found: dict[str, str] = {}
    for place, word in named:
        for path in _spellings(place):
            if len(path.parts) > 1:  # a home of / would be everywhere
                found.setdefault(str(path), word)
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _spellings(place: Path | str | None) -> Iterator[Path]:
    if place:
        path = Path(place).expanduser().absolute()
        yield path
        yield path.resolve()


def _forms(place: str) -> list[str]:
    """A folder as it may be written: plain, in a string of Python or JSON, in an address."""
    forms = (place, place.replace("\\", "\\\\"), place.replace("\\", "/"), quote(place))
    return list(dict.fromkeys(forms))


def _cleaned(value: Any) -> Any:
    """The same nested value with `without_places` done to every text but pictures."""
    if isinstance(value, str):
        parts = _PICTURE.split(value)  # every second one is a picture
        return "".join(p if n % 2 else without_places(p) for n, p in enumerate(parts))
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    if isinstance(value, Mapping):
        kept = {k: v if k.startswith("image/") else _cleaned(v) for k, v in value.items()}
        return nbformat.from_dict(kept)
    return value


def _still(
    output: nbformat.NotebookNode, models: Mapping[str, Any]
) -> nbformat.NotebookNode | None:
    """An output without its widget; None where nothing stands for that."""
    if WIDGET not in output.get("data", {}):
        return output
    model = output.data.pop(WIDGET).get("model_id", "")
    if "text/html" in output.data:
        return output
    if bar := bar_text(model, models):
        return nbformat.v4.new_output("stream", name="stdout", text=f"{bar}\n")
    return None


def bar_text(model: str, models: Mapping[str, Any]) -> str:
    """The state of tqdm's bar as it prints it, "training: 100% 112/112 [02:10<00:00]".

    `models` are the widgets' states by id; "" where the model is no bar.
    """
    parts = [_part(models, child) for child in _part(models, model).get("children", ())]
    if len(parts) != 3 or "max" not in parts[1]:
        return ""
    texts = (html.unescape(str(parts[n].get("value", ""))) for n in (0, 2))
    return " ".join(" ".join(texts).split())  # tqdm writes blanks of the width of a figure


def _part(models: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    return models.get(reference.removeprefix("IPY_MODEL_"), {}).get("state", {})


def _shortened(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    text = output.get("text", "")
    if output.output_type == "stream" and len(text) > MAX_STREAM:
        half = MAX_STREAM // 2
        note = f"\n[... {len(text) - 2 * half} characters left out ...]\n"
        output["text"] = text[:half] + note + text[-half:]
    return output
