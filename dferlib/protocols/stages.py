"""The stage before a paper's own training: what the paper says of it, and what is run for it.

A stage is a training of the same row on other data, with whose last weights the row starts. In a
recipe it is the setting `transfer`: the paper's word for its data, a dataset, `CHECKPOINT`, or
nothing. What a notebook is asked for in its place is a `Choice`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

AS_PAPER, NOTHING = "paper", "none"  # what may be asked for beside a dataset and a checkpoint
CHECKPOINT = "checkpoint"  # the stage was run elsewhere, and only its weights are here
WEIGHTS = (".safetensors", ".pth", ".pt", ".tar")


@dataclass(frozen=True)
class Stage:
    """What a paper states of a stage: its data in words, where it says so, and its settings.

    `settings` are those of the stage's training that the paper states otherwise than its own.
    Fold and seed are those of the stage's training, one for all rows, folds and seeds after it.
    """

    data: str
    section: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    fold: int = 1
    seed: int = 0


class Choice(NamedTuple):
    """The stage that is asked for: a dataset, from where; or a checkpoint; or, empty, none.

    `source` is "real", "synthetic", or "" for that of the training after it.
    """

    dataset: str = ""
    source: str = ""
    root: Path | None = None
    checkpoint: Path | None = None

    @property
    def transfer(self) -> str:
        """The setting of the recipe: never a place, as the id of a run shall not hang on one."""
        return CHECKPOINT if self.checkpoint else self.dataset


def read_choice(text: str) -> Choice | None:
    """Read "paper" (None), "none", "dfew", "dfew=synthetic", "dfew=FOLDER" or a file of weights.

    ValueError for a file or folder that is not there. Whether there is such a dataset is for its
    reader to say.
    """
    if text in (AS_PAPER, NOTHING):
        return None if text == AS_PAPER else Choice()
    path = Path(text).expanduser()
    if path.suffix in WEIGHTS:
        if not path.is_file():
            raise ValueError(f"transfer is {text!r}, and there is no file of this name")
        return Choice(checkpoint=path)
    dataset, _, place = text.partition("=")
    if place in ("", "synthetic"):
        return Choice(dataset, place)
    root = Path(place).expanduser()
    if not root.is_dir():
        raise ValueError(
            f"transfer is {text!r}, and {place!r} is neither 'synthetic' nor a folder that is there"
        )
    return Choice(dataset, "real", root.resolve())
