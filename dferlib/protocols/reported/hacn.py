"""Published numbers of HACN: Tables 1 to 4, and what the text says of Figures 7 and 8, as facts.

In the text at hand the tables are images. Values without a note stand in the running text; the text
gives differences to HACN for other rows, which are subtracted here and may be off by 0.01; other
people's values are lost and None. Table 1 is the standard ResNet-50 that the text names.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from dferlib.names import unknown_name
from dferlib.protocols.paper import Reported

CLASSES = MappingProxyType(
    {
        "ckplus": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
        "oulu": ("anger", "disgust", "fear", "happiness", "sadness", "surprise"),
        "afew": ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    }
)
CLIPS = MappingProxyType({"ckplus": 327, "oulu": 480, "afew": 773 + 383})  # §4.1
AFEW_LISTS = MappingProxyType({"train": 773, "val": 383, "test": 653})  # §4.1
# Totals of which a printed accuracy could be a share; Oulu-CASIA films everybody in three lights.
CLAIMED_TOTALS = MappingProxyType(
    {
        "afew": {
            "training and validation list": CLIPS["afew"],
            "validation list": AFEW_LISTS["val"],
        },
        "ckplus": {"labelled sequences": CLIPS["ckplus"]},
        "oulu": {"one light": CLIPS["oulu"], "all three lights": 3 * CLIPS["oulu"]},
    }
)
TABLE_OF = MappingProxyType({"afew": 2, "ckplus": 3, "oulu": 4})
OWN = "HACN (ours)"
DENSENET_ACCURACIES = MappingProxyType(  # one source on AFEW, printed by two papers
    {"DenseNet-161 as printed here": 51.40, "as CEFLNet prints it": 51.44}
)

_STANDARD = "lost; the standard ResNet-50, which the text names"
_STRUCTURE = (
    ("conv1", "112x112", "7x7, 64, stride 2"),
    ("conv2_x", "56x56", "3x3 max pool stride 2; [1x1,64; 3x3,64; 1x1,256] x 3"),
    ("conv3_x", "28x28", "[1x1,128; 3x3,128; 1x1,512] x 4"),
    ("conv4_x", "14x14", "[1x1,256; 3x3,256; 1x1,1024] x 6"),
    ("conv5_x", "7x7", "[1x1,512; 3x3,512; 1x1,2048] x 3"),
    ("pool", "1x1", "average pool (fc-1000 removed for HACN)"),
)
_PRINTED = {"afew": 53.44, "ckplus": 98.46, "oulu": 87.31}  # §4.5
_DENSENET, _CONTROL_1, _CONTROL_2 = (
    "DenseNet-161 [24]",
    "Control group 1: ResNet50+GRU",
    "Control group 2: ResNet50 + hybrid attention",
)
_ABLATION = {  # HACN minus this row (§4.5), percentage points
    "afew": {
        f"{_CONTROL_1} (no hybrid attention)": 8.39,
        f"{_CONTROL_2} (no GRU)": 2.54,
    },
    "ckplus": {"SCAN [39]": 1.15, "FER-IK [23]": 0.87, _CONTROL_1: 4.62, _CONTROL_2: 1.56},
    "oulu": {
        "DCPN [28]": 1.08,
        "FaceNet2ExpNet [26]": -0.39,
        _CONTROL_1: 7.11,
        _CONTROL_2: 2.26,
    },
}
_LOST = {
    "afew": (
        "MRAN, Lee et al. [14]",
        "FAN [18]",
        "Mode variational LSTM [31]",
        "Cai et al. feature/model-level audiovisual fusion [33]",
    ),
    "ckplus": (
        "Multiple attention network, Gan et al. [17]",
        "3D Inception-ResNet, Hasani & Mahoor [19]",
        "LOMo [27]",
        "DCPN [28]",
    ),
    "oulu": ("LOMo [27]", "PPDN [29]", "SCAN [39]"),
}
_AUC = {  # Fig. 8
    "ckplus": {"macro": 0.98, "micro": 0.98},
    "afew": {"average": 0.76},  # macro or micro is not said
    "oulu": {},
}
_RECALLS = {"ckplus": {"contempt": 100.0, "surprise": 100.0}, "afew": {}, "oulu": {}}  # Fig. 7
_CLAIMS = {  # what §4.5 says of Fig. 7 without numbers
    "ckplus": ("contempt and surprise are always right",),
    "afew": (
        "happiness and neutral are recognised best",
        "disgust and surprise are recognised worst, and taken for anger",
    ),
    "oulu": (
        "surprise is recognised best and anger worst",
        "anger and sadness are taken for each other",
    ),
}


def reported(table: int | None = None, dataset: str | None = None) -> list[Reported]:
    """Return the published cells, all of them or those of one table, one dataset, or both.

    Table 1, the layers of ResNet-50, belongs to no dataset ("-"). Raises ValueError for a table or
    a dataset that the paper does not have.
    """
    if table is not None and table not in range(1, 5):
        raise ValueError(f"table is {table!r}; the paper has Tables 1 to 4")
    if dataset is not None:
        _check(dataset)
    return [
        cell for cell in _CELLS if table in (None, cell.table) and dataset in (None, cell.dataset)
    ]


def reported_confusion(dataset: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the class names and what is known of Figure 7 (rows true, fractions); the rest is NaN.

    A recall of 100 per cent gives its whole row.
    """
    _check(dataset)
    classes = CLASSES[dataset]
    matrix = np.full((len(classes), len(classes)), np.nan)
    for name, recall in _RECALLS[dataset].items():
        row = classes.index(name)
        matrix[row] = 0.0 if recall == 100 else np.nan
        matrix[row, row] = recall / 100
    return classes, matrix


def reported_auc(dataset: str) -> dict[str, float]:
    """Return the areas under the ROC curves of Figure 8 that the text gives, by kind of mean."""
    _check(dataset)
    return dict(_AUC[dataset])


def reported_claims(dataset: str) -> tuple[str, ...]:
    """Return what the text says of Figure 7 on a dataset, in words of this project."""
    _check(dataset)
    return _CLAIMS[dataset]


def reported_differences() -> list[Reported]:
    """Return the differences of §4.5, HACN minus a row, in percentage points."""
    cells = [
        Reported(TABLE_OF[name], name, row, "accuracy difference HACN minus row", value, "points")
        for name, rows in _ABLATION.items()
        for row, value in rows.items()
    ]
    densenet = Reported(2, "afew", _DENSENET, cells[0].metric, 2.04, "points")
    return [densenet, *cells]


def _check(dataset: str) -> None:
    if dataset not in CLASSES:
        raise ValueError(unknown_name("dataset of protocol 'hacn'", dataset, CLASSES))


def _make_cells() -> tuple[Reported, ...]:
    cells = []
    for layer, size, blocks in _STRUCTURE:
        cells.append(Reported(1, "-", layer, "output size", size, "-", _STANDARD))
        cells.append(Reported(1, "-", layer, "layer", blocks, "-", _STANDARD))
    for name, table in TABLE_OF.items():
        own = _PRINTED[name]
        rows = {OWN: (own, "")}
        if name == "afew":
            other = DENSENET_ACCURACIES["as CEFLNet prints it"]
            note = f"CEFLNet prints {other:.2f} for the same source"
            rows[_DENSENET] = (DENSENET_ACCURACIES["DenseNet-161 as printed here"], note)
        for row, less in _ABLATION[name].items():
            rows[row] = (round(own - less, 2), f"from the text: {own} - {less}")
        rows |= dict.fromkeys(_LOST[name], (None, "lost: the table is an image in the text"))
        cells += [
            Reported(table, name, row, "accuracy", value, "%", note)
            for row, (value, note) in rows.items()
        ]
    return tuple(cells)


_CELLS = _make_cells()
