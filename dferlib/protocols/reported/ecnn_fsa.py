"""Published numbers of ECNN-FSA, Tables 1 to 10, as facts; values as printed.

They contradict each other in places (`dferlib/protocols/ecnn_fsa.py` says how that is resolved);
nothing is corrected here. CK+ has the paper's own seven classes, with neutral and without contempt.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from dferlib.names import unknown_name
from dferlib.protocols.paper import Reported

_SEVEN = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
CLASSES = MappingProxyType({"ckplus": _SEVEN, "afew": _SEVEN})
NO_DATASET = "-"  # of settings and times
COUNTS = MappingProxyType(  # §2.1
    {
        "ckplus": MappingProxyType({"sequences": 327, "subjects": 118, "all sequences": 593}),
        "afew": MappingProxyType({"train": 773, "val": 383, "test": 653}),
    }
)

_SETTINGS = {  # Table 1: (output, parameter)
    "Self-attention": ("n x 2048", "K(2048x2048), V(2048x2048), Q(2048x2048), s(0.1)"),
    "Layer-norm": ("2048", "-"),
    "ReLU": ("2048", "-"),
    "Dropout": ("2048", "0.5"),
    "FC": ("7", "-"),
    "Softmax": ("7", "-"),
}
_F1_AND_ACCURACY = {
    2: {
        "CNN-LSTM (2048)": (0.2895, 33.69),
        "CNN-LSTM (3000)": (0.2954, 32.88),
        "CNN with 2 layer LSTMs (3000, 3000)": (0.3069, 34.77),
        "CNN with 2 layer LSTMs (2048, 2048)": (0.3279, 34.50),
        "CNN with 2 layer LSTMs (2048, 1024)": (0.2950, 34.23),
    },
    3: {
        "Baseline": (None, 38.81),
        "ECNN with 2 layer LSTMs (Fc1, 5x5)": (0.3733, 40.16),
        "ECNN with 2 layer LSTMs (Fc1, 7x7)": (0.3816, 41.25),
        "ECNN with 2 layer LSTMs (Fc2, 5x5)": (0.3514, 39.34),
        "ECNN with 2 layer LSTMs (Fc2, 7x7)": (0.3763, 40.44),
    },
}
_ACCURACY = {
    (4, "ckplus"): {
        "3DCNN-DAP [4]": 92.35,
        "LOMo [34]": 92.00,
        "STM-ExpLet [28]": 93.88,
        "DTAGN [13]": 96.43,
        "CNN-LSTM [30]": 95.92,
        "Score fusion (baseline)": 94.6,
        "Proposed ECNN-FSA": 97.95,
    },
    (6, "afew"): {
        "backbone=1024, branch=1024, fc_layers=2, s=0.06": 40.91,
        "backbone=1024, branch=1024, fc_layers=1, s=0.06": 41.97,
        "backbone=1024, branch=1024, fc_layers=1, s=0.01": 41.14,
        "backbone=1024, branch=1024, fc_layers=1, s=0.1": 49.78,
        "backbone=1024, branch=1024, fc_layers=1, s=0.2": 49.25,
        "backbone=1024, branch=1024, fc_layers=1, s=0.3": 43.77,
        "backbone=2048, branch=1024, fc_layers=1, s=0.06": 40.64,
        "backbone=2048, branch=1024, fc_layers=2, s=0.06": 39.76,
    },
    (7, "afew"): {
        "AFEW baseline": 38.81,
        "ECNN-LSTM(FC6, 7x7, LBP)": 42.62,
        "ECNN-LSTM(FC6, 7x7)": 41.25,
        "ECNN-FSA(3072, fc, s=0.06)": 41.64,
        "ECNN-FSA(3072, 2xfc, s=0.06)": 41.76,
        "ECNN-FSA(2048, 2xfc, s=0.06)": 42.91,
        "ECNN-FSA(2048, fc, s=0.06)": 43.97,
        "ECNN-FSA(2048, fc, s=0.001)": 43.14,
        "ECNN-FSA(2048, fc, s=0.1)": 49.78,
        "ECNN-FSA(2048, fc, s=0.2)": 49.25,
        "ECNN-FSA(2048, fc, s=0.3)": 43.77,
    },
    (9, "afew"): {
        "Baseline": 38.81,
        "CNN-LSTM [30] (end-to-end)": 41.57,
        "Proposed ECNN-FSA (end-to-end)": 49.78,
    },
}
_TIMES = {  # Table 8: (training, testing), ms for one frame, end to end
    "CNN-LSTM [30]": (40.34, 8.26),
    "Proposed ECNN-FSA": (21.25, 5.57),
}
_CONFUSION = {  # per cent of the true class, which is the row
    (5, "ckplus"): (
        (100, 0, 0, 0, 0, 0, 0),
        (0, 94.16, 0, 4.41, 0, 0, 1.44),
        (0, 0, 98.3, 0, 1.7, 0, 0),
        (0, 1.44, 0, 97.12, 0, 1.44, 0),
        (0, 0, 0, 0, 98.5, 0, 1.5),
        (0, 0, 0, 0.68, 0, 99.32, 0),
        (0, 0, 0.9, 0, 0, 0, 99.1),
    ),
    (10, "afew"): (
        (50.0, 3.12, 6.25, 14.06, 3.12, 14.06, 9.38),
        (7.50, 25.0, 2.5, 22.5, 17.5, 15.0, 10.0),
        (27.27, 4.55, 13.64, 15.91, 6.82, 25.0, 6.82),
        (4.84, 1.61, 0, 79.03, 4.84, 6.45, 3.23),
        (10.17, 8.47, 8.47, 20.34, 42.37, 6.78, 3.39),
        (5.0, 8.33, 3.33, 20.0, 6.67, 51.67, 5.0),
        (28.89, 4.44, 2.22, 15.56, 17.78, 15.56, 15.56),
    ),
}
_NO_MATCH = "Table 10, the confusion matrix of the same model, has 160 of 374"
_NOTES = {
    (3, "Baseline", "F1"): "printed as a dash",
    (6, "backbone=1024, branch=1024, fc_layers=1, s=0.1", "accuracy"): _NO_MATCH,
    (7, "ECNN-FSA(2048, fc, s=0.1)", "accuracy"): _NO_MATCH,
    (9, "Proposed ECNN-FSA (end-to-end)", "accuracy"): _NO_MATCH,
    (7, "ECNN-FSA(2048, 2xfc, s=0.06)", "accuracy"): "Table 6 prints 40.91",
    (7, "ECNN-FSA(2048, fc, s=0.06)", "accuracy"): "Table 6 prints 41.97",
    (7, "ECNN-FSA(2048, fc, s=0.001)", "accuracy"): "Table 6 prints s=0.01 and 41.14",
    (7, "ECNN-FSA(3072, fc, s=0.06)", "accuracy"): "Table 6 prints 40.64",
    (7, "ECNN-FSA(3072, 2xfc, s=0.06)", "accuracy"): "Table 6 prints 39.76",
}

# Rows of Tables 6 and 7 that name the same network: Table 7 counts all features, 1024 in the branch
SAME_NETWORK = (
    ("backbone=1024, branch=1024, fc_layers=2, s=0.06", "ECNN-FSA(2048, 2xfc, s=0.06)"),
    ("backbone=1024, branch=1024, fc_layers=1, s=0.06", "ECNN-FSA(2048, fc, s=0.06)"),
    ("backbone=1024, branch=1024, fc_layers=1, s=0.01", "ECNN-FSA(2048, fc, s=0.001)"),
    ("backbone=1024, branch=1024, fc_layers=1, s=0.1", "ECNN-FSA(2048, fc, s=0.1)"),
    ("backbone=1024, branch=1024, fc_layers=1, s=0.2", "ECNN-FSA(2048, fc, s=0.2)"),
    ("backbone=1024, branch=1024, fc_layers=1, s=0.3", "ECNN-FSA(2048, fc, s=0.3)"),
    ("backbone=2048, branch=1024, fc_layers=1, s=0.06", "ECNN-FSA(3072, fc, s=0.06)"),
    ("backbone=2048, branch=1024, fc_layers=2, s=0.06", "ECNN-FSA(3072, 2xfc, s=0.06)"),
)

_DIFFERENCES = (  # §2.3, §2.4: (table, dataset, row, minus row, points)
    (4, "ckplus", "Proposed ECNN-FSA", "3DCNN-DAP [4]", 5.6),
    (4, "ckplus", "Proposed ECNN-FSA", "STM-ExpLet [28]", 4.07),
    (4, "ckplus", "Proposed ECNN-FSA", "DTAGN [13]", 1.52),
    (4, "ckplus", "Proposed ECNN-FSA", "CNN-LSTM [30]", 2.03),
    (6, "afew", SAME_NETWORK[1][0], SAME_NETWORK[0][0], 1.06),  # called Table 4 in the text
    (9, "afew", "Proposed ECNN-FSA (end-to-end)", "CNN-LSTM [30] (end-to-end)", 4.21),
)


class Difference(NamedTuple):
    """What the text says that a row is better than another, and what its tables say, in points."""

    table: int
    dataset: str
    row: str
    minus: str
    text: float
    tables: float


def reported_differences() -> list[Difference]:
    """Return the differences of accuracies that the text states, beside those of the tables."""
    printed = {(c.table, c.row): c.value for c in _CELLS if c.metric == "accuracy"}
    return [
        Difference(t, d, row, minus, text, round(printed[t, row] - printed[t, minus], 2))
        for t, d, row, minus, text in _DIFFERENCES
    ]


def reported(table: int | None = None, dataset: str | None = None) -> list[Reported]:
    """Return the published cells, all of them or those of one table, one dataset, or both.

    In Tables 5 and 10 `row` is the true class and `metric` is "predicted <class>"; Tables 1 and 8
    belong to no dataset. Raises ValueError for a table or a dataset that the paper does not have.
    """
    if table is not None and table not in range(1, 11):
        raise ValueError(f"table is {table!r}; the paper has Tables 1 to 10")
    _check(dataset)
    return [
        cell for cell in _CELLS if table in (None, cell.table) and dataset in (None, cell.dataset)
    ]


def reported_confusion(dataset: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the class names and the published confusion matrix (rows true, fractions)."""
    _check(dataset)
    rows = next(rows for (_, name), rows in _CONFUSION.items() if name == dataset)
    return CLASSES[dataset], np.array(rows, dtype=float) / 100


def _check(dataset: str | None) -> None:
    if dataset is not None and dataset not in CLASSES:
        raise ValueError(unknown_name("dataset of protocol 'ecnn_fsa'", dataset, CLASSES))


def _make_cells() -> tuple[Reported, ...]:
    cells = []
    for row, pair in _SETTINGS.items():
        for metric, value in zip(("output", "parameter"), pair, strict=True):
            cells.append(Reported(1, NO_DATASET, row, metric, value, "-"))
    for table, rows in _F1_AND_ACCURACY.items():
        for row, (f1, accuracy) in rows.items():
            note = _NOTES.get((table, row, "F1"), "")
            cells.append(Reported(table, "afew", row, "F1", f1, "fraction", note))
            cells.append(Reported(table, "afew", row, "accuracy", accuracy, "%"))
    for (table, dataset), rows in _ACCURACY.items():
        for row, value in rows.items():
            note = _NOTES.get((table, row, "accuracy"), "")
            cells.append(Reported(table, dataset, row, "accuracy", value, "%", note))
    for row, pair in _TIMES.items():
        for metric, value in zip(("training time", "testing time"), pair, strict=True):
            note = "which of two devices (§2.1) and which batch is not said"
            cells.append(Reported(8, NO_DATASET, row, metric, value, "ms", note))
    for (table, dataset), rows in _CONFUSION.items():
        for true, row in zip(CLASSES[dataset], rows, strict=True):
            for predicted, value in zip(CLASSES[dataset], row, strict=True):
                metric = f"predicted {predicted}"
                cells.append(Reported(table, dataset, true, metric, float(value), "%"))
    return tuple(cells)


_CELLS = _make_cells()
