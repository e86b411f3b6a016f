"""How an executed notebook is stored: no folder of the machine, no widget state, no flood.

A stored notebook is read by other people on other machines. Paths of this one say nothing to them
and tell what is nobody's business; widgets are dead without their kernel and as heavy as pictures.
"""

from __future__ import annotations

import copy
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
_COLOUR = r"\x1b\[[0-9;]*m"  # a traceback is coloured, and a code may stand before a path


def presentable(node: nbformat.NotebookNode, name: str, output: str) -> nbformat.NotebookNode:
    """A copy of an executed notebook as it is stored; the one that runs is left alone.

    `name` and `output` are the file names that papermill's metadata get in place of paths. In all
    outputs, the injected parameters and papermill's metadata the project's folder is ``.``, the
    user's home is ``~``, and the folders of Python, cache, data and temporary files have a name in
    angle brackets. Widgets and their state are left out.
    """
    stored = copy.deepcopy(node)
    stored.metadata.pop(WIDGET_STATE, None)
    if "papermill" in stored.metadata:
        stored.metadata["papermill"] = _cleaned(stored.metadata["papermill"])
        stored.metadata.papermill |= {"input_path": name, "output_path": output}
    for cell in stored.cells:
        if "injected-parameters" in cell.metadata.get("tags", ()):
            cell["source"] = without_places(cell.source)
        if "outputs" in cell:
            kept = [_shortened(_cleaned(one)) for one in cell.outputs if not _is_widget(one)]
            cell["outputs"] = kept
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
        return without_places(value)
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    if isinstance(value, Mapping):
        kept = {k: v if k.startswith("image/") else _cleaned(v) for k, v in value.items()}
        return nbformat.from_dict(kept)
    return value


def _is_widget(output: Mapping[str, Any]) -> bool:
    return WIDGET in output.get("data", {})


def _shortened(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    text = output.get("text", "")
    if output.output_type == "stream" and len(text) > MAX_STREAM:
        half = MAX_STREAM // 2
        note = f"\n[... {len(text) - 2 * half} characters left out ...]\n"
        output["text"] = text[:half] + note + text[-half:]
    return output
