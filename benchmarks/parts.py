"""Every part of the benchmarks: its script, about how long it takes, and where its results go.

What a part measures is the first line of its script.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent


class Part(NamedTuple):
    """A script below this folder; `time` on two cores, `kept` below the project's folder."""

    script: str
    time: str
    kept: str

    @property
    def path(self) -> Path:
        """The script's file."""
        return FOLDER / self.script

    @property
    def what(self) -> str:
        """What it measures, in a line."""
        text = ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8"))) or ""
        return text.partition("\n")[0]


PARTS = {
    "speed": Part("speed/models.py", "2 min a case, 38 cases", "results/speed/*.json"),
    "page": Part("speed/page.py", "seconds", "results/speed/README.md and speed.svg"),
    "sweep": Part("sweep.py", "5 min", "results/speed/sweep.json"),
    "start": Part("start.py", "1 min", "results/speed/start-<device>.json"),
    "gpu": Part("gpu.py", "hours on a GPU, in parts of nine minutes", "results and out/gpu"),
    "layers": Part("models/layers.py", "2 min", "results/speed/layers-<network>.json"),
    "ceflnet": Part("models/ceflnet.py", "5 min", "results/ceflnet/speed-batch<videos>.json"),
    "crops": Part("datasets/crops.py", "10 min", "results/faces/crops.json"),
    "mutations": Part("datasets/mutations.py", "15 min", "results/robustness/mutations.json"),
    "store": Part("datasets/store.py", "10 min", "results/faces/store-<dataset>-<size>px.json"),
    "store-dfew": Part("datasets/store_dfew.py", "20 min", "results/store/dfew-<size>.json"),
    "long-clip": Part("datasets/long_clip.py", "10 min", "results/store/long-clip.json"),
    "tables": Part("datasets/tables.py", "2 min", "results/store/tables.json"),
    "coverage": Part("evidence/coverage.py", "hours", "results/evidence/coverage.csv"),
    "operations": Part("evidence/operations.py", "2 min", "results/evidence/operations.csv"),
    "trust": Part("trust/page.py", "seconds", "results/trust/README.md"),
    "fuzz": Part("trust/fuzz.py", "hours, resumable", "results/trust/fuzz.json"),
    "growth": Part("trust/growth.py", "5 min", "results/trust/growth.json"),
    "licences": Part("trust/licences.py", "seconds", "results/trust/licences.csv"),
    "groups": Part("trust/groups.py", "seconds", "results/trust/groups.csv"),
    "faces": Part("synthface/faces.py", "10 min", "results/faces/bars.json"),
    "sequences": Part("synthface/sequence_sheets.py", "5 min", "results/faces/*.png"),
    "naming": Part("synthface/naming.py", "2 min", "results/faces/naming"),
    "difficulty": Part("synthface/difficulty.py", "hours", "results/faces/difficulty.json"),
    "transfer": Part("synthface/transfer.py", "20 min", "results/faces/transfer.json"),
    "convergence": Part("training/convergence.py", "hours", "results/convergence"),
    "trust-kills": Part("trust/kills.py", "hours", "results/trust/kills.json"),
    "trust-crowds": Part("trust/crowds.py", "5 min", "results/trust/crowds.json"),
    "trust-damage": Part("trust/damage.py", "5 min", "results/trust/damage.json"),
    "unseen-trees": Part("training/unseen_trees.py", "1 h", "results/robustness/unseen-trees.json"),
}


def overview() -> str:
    """A paragraph for each part: its name, what it measures, how long, and where it is kept."""
    lines = []
    for name, part in PARTS.items():
        lines += [f"{name:13} {part.what}", f"{'':13} takes {part.time}; kept in {part.kept}"]
    return "\n".join(lines)
