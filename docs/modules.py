"""The modules of a room of the package, and the directives that document them.

Read from the tree, so that a new module stands in the reference without a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

GROUND = "ground"  # the page of what lies beside the rooms: files, device, names


def list_modules(root: Path, room: str) -> list[str]:
    """Name the modules of a folder of dferlib, sorted; of `GROUND` those that lie in no folder.

    FileNotFoundError for a room that the package does not have.
    """
    package = root / "dferlib"
    folder = package if room == GROUND else package / room
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no room of dferlib; rename docs/api/{room}.md")
    files = folder.glob("[!_]*.py") if room == GROUND else folder.rglob("*.py")
    names = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for path in files
        if path.name != "__main__.py"  # commands: `python -m` shows their help
    }
    return sorted(names)


def reference(modules: Iterable[str]) -> str:
    """Return MyST text: a section for each module, with its public names and docstrings."""
    return "\n".join(_section(name) for name in modules)


def _section(module: str) -> str:
    directive = f".. automodule:: {module}\n   :members:\n   :show-inheritance:"
    return f"## `{module}`\n\n```{{eval-rst}}\n{directive}\n```\n"
