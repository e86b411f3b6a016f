"""What the papers say, as data: one file per paper, and the file name is the registry.

A file defines `PAPER`, a `Paper`: title, classes, rows of the tables, presets, and the recipe as
the paper states it; the published cells lie as a CSV in `reported/`. `Paper.resolve` gives the
`Recipe` of one training. Nothing here imports torch.

    paper = load_protocol("stcam")
    recipe = paper.resolve("quick", "oulu", "baseline")
    recipe.deviations()          # what differs from the paper, and why
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from dferlib.names import OWN_CLIPS, unknown_name
from dferlib.protocols.paper import Criterion, Extent, Paper, Preset, Variant
from dferlib.protocols.recipe import Deviation, Recipe, recipe_dataclass
from dferlib.protocols.reported import Reported

__all__ = [
    "OWN_CLIPS",
    "Criterion",
    "Deviation",
    "Extent",
    "Paper",
    "Preset",
    "Recipe",
    "Reported",
    "Variant",
    "list_protocols",
    "load_protocol",
    "recipe_dataclass",
]

_FOLDER = Path(__file__).parent
_NO_PAPERS = {"__init__", "benchmark", "paper", "presets", "recipe", "stages"}


def list_protocols() -> tuple[str, ...]:
    """Name every paper, in alphabetical order, without importing any of them."""
    return tuple(sorted({path.stem for path in _FOLDER.glob("*.py")} - _NO_PAPERS))


def load_protocol(slug: str) -> Paper:
    """Return a paper; ValueError for an unknown slug, with the known ones."""
    known = list_protocols()
    if slug not in known:
        raise ValueError(unknown_name("protocol", slug, known))
    return import_module(f"{__name__}.{slug}").PAPER
