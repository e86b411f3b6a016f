"""What is written in figures of things that have a short name in code: as the papers print them."""

from __future__ import annotations

import re

_DATASETS = {
    "ckplus": "CK+",
    "oulu": "Oulu-CASIA",
    "mmi": "MMI",
    "afew": "AFEW",
    "dfew": "DFEW",
    "bu4dfe": "BU-4DFE",
    "cremad": "CREMA-D",
    "ravdess": "RAVDESS",
    "folder": "own clips",
}
_RULES = {
    "last": "last epoch",
    "best_val": "best epoch on validation clips",
    "best_test": "best epoch on test clips (oracle)",
}
_PLACES = {"inception": "3D-Inception-ResNet", "reduction": "3D-Reduction"}  # STCAM, §3.1
_ATTENTIONS = {"stam": "STAM", "3dcam": "3D-CAM", "nonlocal": "non-local"}


def dataset_name(dataset: str) -> str:
    """The name of a dataset as papers print it; one that is not known as it is given."""
    return _DATASETS.get(dataset, dataset)


def rule_name(select: str) -> str:
    """The rule that picks the epoch, in words."""
    return _RULES[select]


def attention_name(recorded: str) -> str:
    """Name a map that a model recorded, "inception_a.stam" as "STAM in 3D-Inception-ResNet-A".

    "block2.read" and "temporal2.read", what a class token reads, become "class token, block 2". A
    name that is in words already comes back as it is.
    """
    if found := re.fullmatch(r"(inception|reduction)_(\w)\.(\w+)", recorded):
        place, letter, kind = found.groups()
        return f"{_ATTENTIONS.get(kind, kind)} in {_PLACES[place]}-{letter.upper()}"
    if found := re.fullmatch(r"(?:block|temporal)(\d+)\.read", recorded):
        return f"class token, block {found[1]}"
    return recorded
