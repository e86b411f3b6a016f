"""Published numbers of STCAM, Tables 1 to 11, as facts; values as printed, per cent or fractions.

All accuracies of the authors' own models are k of n clips pooled over ten folds (n of Table 1),
rounded or cut to two decimals. Five cells of Table 11 did not survive in the text at hand; they are
None here, with what the row sums tell in the note.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from dferlib.names import unknown_name
from dferlib.protocols.paper import Reported

_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
CLASSES = MappingProxyType(
    {
        "ckplus": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
        "oulu": _SIX,
        "mmi": _SIX,
    }
)
SUBJECTS = MappingProxyType({"ckplus": 118, "oulu": 80, "mmi": 30})  # Table 1
SEQUENCES = MappingProxyType({"ckplus": 327, "oulu": 480, "mmi": 208})  # Table 1
MANNER = MappingProxyType({"ckplus": "N->P", "oulu": "N->P", "mmi": "N->P->N"})  # Table 1

_ABLATION_ROWS = (
    "Baseline",
    "Baseline + 3D-CAM",
    "Baseline + STAM",
    "Baseline + STAM + 3D-CAM",
    "Baseline + 3D-CAM + STAM",
)
_ABLATION = {
    (2, "ckplus"): (98.47, 98.78, 98.47, 98.47, 99.08),
    (3, "oulu"): (89.16, 90.21, 89.79, 90.62, 91.25),
    (4, "mmi"): (77.40, 78.84, 78.37, 77.89, 82.21),
}
_OTHERS = {
    (5, "ckplus"): {
        "STM-ExpLet [25]": 94.19,
        "3DCNN-DAP [26]": 92.40,
        "DTAGN [16]": 97.25,
        "PHRNN-MSCNN [13]": 98.50,
        "CNN-GRU [14]": 98.47,
        "STRNN [28]": 95.40,
        "LBVCNN [27]": 97.38,
        "FAN [29]": 99.69,
        "MGLN-GRU [31]": 99.08,
        "Baseline": 98.47,
        "Baseline + STCAM": 99.08,
    },
    (6, "oulu"): {
        "STM-ExpLet [25]": 74.59,
        "DTAGN [16]": 81.46,
        "PHRNN-MSCNN [13]": 86.25,
        "CNN-GRU [14]": 91.67,
        "LBVCNN [27]": 82.41,
        "DSN + DTN + BiLSTM [30]": 91.07,
        "MGLN-GRU [31]": 90.40,
        "Baseline": 89.16,
        "Baseline + STCAM": 91.25,
    },
    (7, "mmi"): {
        "STM-ExpLet [25]": 75.12,
        "3DCNN-DAP [26]": 63.40,
        "DTAGN [16]": 70.24,
        "PHRNN-MSCNN [13]": 81.18,
        "DSN + DTN + BiLSTM [30]": 80.71,
        "Baseline": 77.40,
        "Baseline + STCAM": 82.21,
    },
}
_NONLOCAL = {  # Table 8; columns ckplus, oulu, mmi
    "Baseline": (98.47, 89.16, 77.40),
    "NL-Gaussian": (98.78, 90.21, 78.37),
    "NL-Embedded Gaussian": (98.78, 90.00, 78.84),
    "STCAM": (99.08, 91.25, 82.21),
}
_CONFUSION = {  # rows are the true classes, in the order of CLASSES
    (9, "ckplus"): (
        (0.978, 0, 0.022, 0, 0, 0, 0),
        (0, 1, 0, 0, 0, 0, 0),
        (0, 0, 1, 0, 0, 0, 0),
        (0, 0, 0, 0.960, 0.040, 0, 0),
        (0, 0, 0, 0, 1, 0, 0),
        (0, 0.036, 0, 0, 0, 0.964, 0),
        (0, 0, 0, 0, 0, 0, 1),
    ),
    (10, "oulu"): (
        (0.875, 0.05, 0.0125, 0.0125, 0.05, 0),
        (0.0875, 0.8625, 0, 0, 0.05, 0),
        (0, 0, 0.9375, 0.025, 0.0125, 0.025),
        (0, 0, 0.0125, 0.975, 0.0125, 0),
        (0.075, 0.0375, 0.0125, 0.0125, 0.8625, 0),
        (0, 0, 0.0375, 0, 0, 0.9625),
    ),
    (11, "mmi"): (
        (0.76, 0.03, None, 0.03, 0.15, 0),
        (0.0625, 0.8125, None, None, None, 0),
        (0, 0.036, 0.643, 0.036, 0.036, 0.25),
        (0, 0.024, None, 0.976, 0, 0),
        (0.125, 0.0625, 0.0625, 0, 0.75, 0),
        (0, 0.049, 0, 0.024, 0.024, 0.902),
    ),
}
_LOST = {  # Table 11: what is known about the lost cells
    ("anger", "fear"): "lost; one clip is missing in this row, so 0.03",
    ("disgust", "fear"): "lost; 0.125 (4 of 32) is shared with happiness and sadness",
    ("disgust", "happiness"): "lost; 0.125 (4 of 32) is shared with fear and sadness",
    ("disgust", "sadness"): "lost; 0.125 (4 of 32) is shared with fear and happiness",
    ("happiness", "fear"): "lost; nothing is missing in this row, so 0",
}


def reported(table: int | None = None, dataset: str | None = None) -> list[Reported]:
    """Return the published cells, all of them or those of one table, one dataset, or both.

    In Tables 9 to 11 `row` is the true class and `metric` is "predicted <class>". Raises ValueError
    for a table or a dataset that the paper does not have.
    """
    if table is not None and table not in range(1, 12):
        raise ValueError(f"table is {table!r}; the paper has Tables 1 to 11")
    _check(dataset)
    return [
        cell for cell in _CELLS if table in (None, cell.table) and dataset in (None, cell.dataset)
    ]


def reported_confusion(dataset: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the class names and the published confusion matrix (rows true, fractions).

    Lost cells are NaN.
    """
    _check(dataset)
    rows = next(rows for (_, name), rows in _CONFUSION.items() if name == dataset)
    return CLASSES[dataset], np.array(rows, dtype=float)


def _check(dataset: str | None) -> None:
    if dataset is not None and dataset not in CLASSES:
        raise ValueError(unknown_name("dataset of protocol 'stcam'", dataset, CLASSES))


def _make_cells() -> tuple[Reported, ...]:
    cells = []
    for name in CLASSES:
        cells.append(Reported(1, name, "-", "subjects", SUBJECTS[name], "count"))
        cells.append(Reported(1, name, "-", "sequences", SEQUENCES[name], "count"))
        note = "arrows printed; N neutral, P peak"
        cells.append(Reported(1, name, "-", "manner", MANNER[name], "-", note))
    tables = {k: dict(zip(_ABLATION_ROWS, v, strict=True)) for k, v in _ABLATION.items()} | _OTHERS
    for (table, name), rows in tables.items():
        cells += [Reported(table, name, row, "accuracy", v, "%") for row, v in rows.items()]
    for row, values in _NONLOCAL.items():
        for name, value in zip(CLASSES, values, strict=True):
            cells.append(Reported(8, name, row, "accuracy", value, "%"))
    for (table, name), rows in _CONFUSION.items():
        cells += _confusion_cells(table, name, rows)
    return tuple(cells)


def _confusion_cells(table: int, dataset: str, rows: tuple) -> list[Reported]:
    cells = []
    for true, row in zip(CLASSES[dataset], rows, strict=True):
        for predicted, value in zip(CLASSES[dataset], row, strict=True):
            note = _LOST[true, predicted] if value is None else ""
            cells.append(
                Reported(table, dataset, true, f"predicted {predicted}", value, "fraction", note)
            )
    return cells


_CELLS = _make_cells()
