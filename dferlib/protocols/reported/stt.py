"""Published numbers of STT, Tables 1 to 4 and Figure 6, as facts; values as printed, per cent.

On DFEW every UAR and WAR of Table 3 follows from the seven recalls and the class counts of the
public folds, pooled over the five folds, within 0.01. Two rows do not fit, and stay as printed: the
recall of disgust of STT (3.49 is no k of 145; 3.45 makes both sums exact), and ResNet18+GRU (UAR
51.68 and WAR 64.02, its recalls give 51.90 and 64.10). Of Figure 6 only N = 4 is in the text.
"""

from __future__ import annotations

from types import MappingProxyType

from dferlib.names import unknown_name
from dferlib.protocols.paper import Reported

CLASSES = MappingProxyType(
    {
        "dfew": ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
        "afew": ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    }
)
DFEW_COUNTS = (2445, 1894, 2669, 2173, 1469, 145, 902)  # in the order of CLASSES, five test folds
CLIPS = MappingProxyType({"dfew": 11_697, "afew": 381})  # n of DFEW's lists; AFEW with faces
AFEW_STT_CLIPS = 378  # 54.23 is 205 of 378 and fits neither 381 nor 383
TI, DS = "time interpolation", "dynamic sampling"

_ATTENTION = {  # Table 1: (UAR, WAR)
    "none (LSTM baseline)": (52.02, 64.48),
    "spatial only": (53.15, 65.23),
    "temporal only": (53.30, 65.39),
    "spatial + temporal (STT)": (54.58, 66.65),
}
_LOSSES = {  # Table 2: (UAR, WAR)
    "Cross Entropy Loss": (54.15, 66.39),
    "Label Smoothing": (54.29, 66.50),
    "Ours (compact softmax cross entropy)": (54.58, 66.65),
}
_DFEW = {  # Table 3: the seven recalls in the order of CLASSES, UAR, WAR
    "C3D [50] (TI)": (75.17, 39.49, 55.11, 62.49, 45.00, 1.38, 20.51, 42.74, 53.54),
    "P3D [44] (TI)": (74.85, 43.40, 54.18, 60.42, 50.99, 0.69, 23.28, 43.97, 54.47),
    "R(2+1)D18 [51] (TI)": (79.67, 39.07, 57.66, 50.39, 48.26, 3.45, 21.06, 42.79, 53.22),
    "3D Resnet18 [15] (TI)": (73.13, 48.26, 50.51, 64.75, 50.10, 0.00, 26.39, 44.73, 54.98),
    "I3D-RGB [7] (TI)": (78.61, 44.19, 56.69, 55.87, 45.88, 2.07, 20.51, 43.40, 54.27),
    "VGG11+LSTM [18,48] (TI)": (76.89, 37.65, 58.04, 60.70, 43.70, 0.00, 19.73, 42.39, 53.70),
    "ResNet18+LSTM [16,18] (TI)": (78.00, 40.65, 53.77, 56.83, 45.00, 4.14, 21.62, 42.86, 53.08),
    "3D R.18+Center Loss [15,55] (TI)": (
        *(78.49, 44.30, 54.89, 58.40, 52.35, 0.69, 25.28),
        *(44.91, 55.48),
    ),
    "EC-STFL [21] (TI)": (79.18, 49.05, 57.85, 60.98, 46.15, 2.76, 21.51, 45.35, 56.51),
    "3D Resnet18 [15] (DS)": (76.32, 50.21, 64.18, 62.85, 47.52, 0.00, 24.56, 46.52, 58.27),
    "ResNet18+LSTM [16,18] (DS)": (83.56, 61.56, 68.27, 65.29, 51.26, 0.00, 29.34, 51.32, 63.85),
    "Resnet18+GRU [9,16] (DS)": (82.87, 63.83, 65.06, 68.51, 52.00, 0.86, 30.14, 51.68, 64.02),
    "Former-DFER [62] (DS)": (84.05, 62.57, 67.52, 70.03, 56.43, 3.45, 31.78, 53.69, 65.70),
    "STT (Ours) (DS)": (87.36, 67.90, 64.97, 71.24, 53.10, 3.49, 34.04, 54.58, 66.65),
}
_AFEW = {  # Table 4: (UAR, WAR); dynamic sampling but for the first
    "EmotiW-2019 Baseline [11]": (None, 38.81),
    "C3D [50]": (43.75, 46.72),
    "I3D-RGB [7]": (41.86, 45.41),
    "R(2+1)D [51]": (42.89, 46.19),
    "3D ResNet18 [15]": (42.14, 45.67),
    "ResNet18+LSTM [16,18]": (43.96, 48.82),
    "ResNet18+GRU [9,16]": (45.12, 49.34),
    "Former-DFER [62]": (47.42, 50.92),
    "STT (ours)": (49.11, 54.23),
}
_NOTES = {
    (
        3,
        "STT (Ours) (DS)",
        "recall disgust",
    ): "no k of 145; 3.45 (5 of 145) makes UAR and WAR exact",
    (3, "Resnet18+GRU [9,16] (DS)", "UAR"): "the mean of the seven recalls is 51.90",
    (3, "Resnet18+GRU [9,16] (DS)", "WAR"): "the seven recalls give 64.10",
    (4, "EmotiW-2019 Baseline [11]", "UAR"): "printed as a dash",
    (4, "STT (ours)", "WAR"): "205 of 378; the other rows fit 381 clips",
}


def reported(table: int | None = None, dataset: str | None = None) -> list[Reported]:
    """Return the published cells, all of them or those of one table, one dataset, or both.

    `metric` is "UAR", "WAR" or "recall <class>". Raises ValueError for a table or a dataset that
    the paper does not have.
    """
    if table is not None and table not in range(1, 5):
        raise ValueError(f"table is {table!r}; the paper has Tables 1 to 4")
    if dataset is not None and dataset not in CLASSES:
        raise ValueError(unknown_name("dataset of protocol 'stt'", dataset, CLASSES))
    return [
        cell for cell in _CELLS if table in (None, cell.table) and dataset in (None, cell.dataset)
    ]


def reported_layers() -> dict[int, dict[str, float | None]]:
    """Return what Figure 6 shows on DFEW, {N: {"UAR", "WAR"}}; None where only the image has it."""
    lost = {"UAR": None, "WAR": None}
    return {n: {"UAR": 54.58, "WAR": 66.65} if n == 4 else dict(lost) for n in range(1, 7)}


def _make_cells() -> tuple[Reported, ...]:
    pair = ("UAR", "WAR")
    recalls = tuple(f"recall {name}" for name in CLASSES["dfew"])
    tables = (
        (1, "dfew", _ATTENTION, pair),
        (2, "dfew", _LOSSES, pair),
        (3, "dfew", _DFEW, recalls + pair),
        (4, "afew", _AFEW, pair),
    )
    cells = []
    for table, dataset, rows, metrics in tables:
        for row, values in rows.items():
            for metric, value in zip(metrics, values, strict=True):
                note = _NOTES.get((table, row, metric), "")
                cells.append(Reported(table, dataset, row, metric, value, "%", note))
    return tuple(cells)


_CELLS = _make_cells()
