"""What the papers say, as data: one file per paper, and the file name is the registry.

A protocol file defines `PAPER`, a frozen `Protocol`; its presets and ablation rows are derived
from it by `override`, never written out twice. Nothing here imports torch or another module of
this package.

    paper = load_protocol("stcam")
    quick = paper.resolve("quick", "oulu", "baseline")
    quick.deviations()          # what differs from the paper, and why
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

from dferlib.names import OWN_CLIPS, unknown_name
from dferlib.protocols.paper import (
    Criterion,
    Deviation,
    Preset,
    Protocol,
    Reported,
    Variant,
    protocol_dataclass,
)

__all__ = [
    "OWN_CLIPS",
    "Criterion",
    "Deviation",
    "Preset",
    "Protocol",
    "Reported",
    "Variant",
    "list_protocols",
    "load_protocol",
    "protocol_dataclass",
]

_FOLDER = Path(__file__).parent


def list_protocols() -> tuple[str, ...]:
    """Name every protocol, in alphabetical order, without importing any of them."""
    return tuple(p.stem for p in sorted(_FOLDER.glob("[!_]*.py")) if _has_paper(p))


def load_protocol(slug: str) -> Protocol:
    """Return the protocol of a paper as the paper states it.

    Raises ValueError for an unknown slug and lists the known ones.
    """
    known = list_protocols()
    if slug not in known:
        raise ValueError(unknown_name("protocol", slug, known))
    return import_module(f"{__name__}.{slug}").PAPER


def _has_paper(path: Path) -> bool:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        if any(isinstance(t, ast.Name) and t.id == "PAPER" for t in targets):
            return True
    return False
