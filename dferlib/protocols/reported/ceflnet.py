"""Published numbers of CEFLNet, Tables 1 to 9, Figures 5 and 8 and the text, as facts.

Values are as printed. Figures 5 and 8 are images in the text at hand: of the confusion matrices
only the cells that the text names are known, of the sweeps the ends and what Table 9 repeats.

The paper's BU-3DFE is the set of 606 sequences in time, here `bu4dfe`. All its printed accuracies
but one are k of 600, none is k of 606; MMI's 91.00 is 182 of 200, and 91 with a deviation of 4.36
is ten folds of 20 clips whose variance is 19; AFEW's 53.98 is 190 of 352. The text gives 100 % for
four of six classes on MMI and a mean of 83 % for the other two, which makes more than 94 %, not 91.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from dferlib.names import unknown_name
from dferlib.protocols.paper import Reported

_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
CLASSES = MappingProxyType(
    {
        "bu4dfe": _SIX,
        "mmi": _SIX,
        "afew": ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
        "dfew": ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
    }
)
# n that CEFLNet's accuracies are k of; DFEW's from the public lists, 12,059 are printed
CLIPS = MappingProxyType({"bu4dfe": 600, "mmi": 200, "afew": 352, "dfew": 11_697})
# clips in a copy: as the text counts, and as others find
WHOLE_COPIES = MappingProxyType(
    {"bu4dfe": (606,), "mmi": (205, 208), "afew": (383, 381), "dfew": ()}
)
NO_DATASET = "-"  # Table 1 is about the training

_TRAINING = {  # Table 1; and the setting that it is here
    "Optimizer": ("ADAM", "optimizer"),
    "Init learning rate": (0.0001, "lr"),
    "weight decay": (0.0001, "weight_decay"),
    "Maximum number of iterations": (160, "period"),
    "Mini-batch size": (8, "batch_size"),
    "Epoch": (120, "epochs"),
    "The number of clips per video": (7, "num_clips"),
    "The number of frames per clip": (5, "frames_per_clip"),
}
_OTHERS = {  # Tables 2 to 5: accuracy
    (2, "bu4dfe"): {
        "FERAtt+Rep+Cls [37] (frame-based)": 82.11,
        "FAN [16] (frame-based)": 84.17,
        "DeRL [8] (peak frame-based)": 84.17,
        "C3D [38] (sequence-based)": 75.83,
        "C3D-LSTM [40] (sequence-based)": 79.17,
        "ICNP [39] (sequence-based)": 83.20,
        "CEFLNet (clip-based)": 85.33,
    },
    (3, "mmi"): {
        "DeRL [8] (frame-based)": 73.23,
        "WMDCNN [42] (frame-based)": 78.2,
        "CER [7] (peak frame-based)": 70.12,
        "AUDN [41] (peak frame-based)": 75.85,
        "LPQ-TOP+SRC [6] (sequence-based)": 64.11,
        "LSTM [13] (sequence-based)": 78.61,
        "DGCN [9] (sequence-based)": 81.53,
        "WMCNN-LSTM [42] (sequence-based)": 87.10,
        "SAANet [43] (sequence-based)": 87.06,
        "CEFLNet (clip-based)": 91.00,
    },
    (4, "afew"): {
        "HoloNet [44] (frame-based)": 44.57,
        "DSN-HoloNet [45] (frame-based)": 46.47,
        "DSN-VGGFace [15] (frame-based)": 48.04,
        "FAN [16] (frame-based)": 51.18,
        "C3D [38] (sequence-based)": 30.11,
        "VGG16+TP+SA [46] (sequence-based)": 49.00,
        "Emotion-BEEU [47] (sequence-based)": 52.49,
        "DenseNet-161 [35] (clip-based)": 51.44,
        "CEFLNet (clip-based)": 53.98,
    },
    (5, "dfew"): {
        "C3D,EC-STFL [33] (sequence-based)": 55.50,
        "R3D18,EC-STFL [33] (sequence-based)": 56.19,
        "VGG11+LSTM,EC-STFL [33] (sequence-based)": 56.25,
        "P3D,EC-STFL [33] (sequence-based)": 56.48,
        "3D ResNet-18,EC-STFL [33] (sequence-based)": 56.51,
        "CEFLNet (clip-based)": 65.35,
    },
    (6, "bu4dfe"): {
        "ResNet-18": 62.77,
        "CNN-LSTM": 79.17,
        "+ SAL": 84.17,
        "+ LRL (SAL+LRL)": 84.67,
        "+ EIAN (SAL+LRL+EIAN)": 85.33,
    },
}
_LOCATING = {"bu4dfe": 55.83, "mmi": 67.57, "afew": 45.00, "dfew": 47.65}  # Table 7
_COMPLEXITY = {  # Table 8: backbone, parameters (M), MACs (G), accuracy
    "C3D": ("C3D", 79.99, 326.41, 75.83),
    "C3D-LSTM": ("C3D", 110.24, 282.26, 79.17),
    "CEFLNet": ("ResNet-18", 12.83, 63.80, 85.33),
}
_FRAMES = {2: (25.52, 85.0), 5: (63.80, 85.33), 10: (127.59, 84.17), 15: (191.39, 84.17)}
_SPREAD = {  # §4.2: mean and standard deviation; of what AFEW's is, is not said
    "bu4dfe": (85.33, 3.29),
    "mmi": (91.00, 4.36),
    "afew": (53.98, 0.4),
    "dfew": (65.35, 1.13),
}
_RECALLS = {  # §4.2 on Figure 5
    "bu4dfe": {"surprise": 1.0, "fear": 0.7},
    "mmi": {"fear": 1.0, "happiness": 1.0, "sadness": 1.0, "surprise": 1.0},
    "afew": {"neutral": 0.87, "happiness": 0.83, "anger": 0.82},
    "dfew": {"happiness": 0.84, "anger": 0.70, "sadness": 0.68},
}
_SAME_79 = "printed for C3D-LSTM in Tables 2 and 8, and for CNN-LSTM in Table 6"
_NOTES = {
    (1, "-", "Maximum number of iterations"): "the period of the cosine, in epochs",
    (2, "C3D-LSTM [40] (sequence-based)", "accuracy"): _SAME_79,
    (3, "WMCNN-LSTM [42] (sequence-based)", "accuracy"): "second best; underlined is SAANet",
    (6, "ResNet-18", "accuracy"): "no k of 600, as all other rows are",
    (6, "CNN-LSTM", "accuracy"): _SAME_79,
    (8, "C3D-LSTM", "params"): "no network with these two numbers is known",
}


def reported(table: int | None = None, dataset: str | None = None) -> list[Reported]:
    """Return the published cells, all of them or those of one table, one dataset, or both.

    Table 1 has the dataset "-". Raises ValueError for a table or a dataset that the paper does not
    have.
    """
    if table is not None and table not in range(1, 10):
        raise ValueError(f"table is {table!r}; the paper has Tables 1 to 9")
    if dataset != NO_DATASET:
        _check(dataset)
    return [
        cell for cell in _CELLS if table in (None, cell.table) and dataset in (None, cell.dataset)
    ]


def training_settings() -> dict[str, str]:
    """Return the rows of Table 1 with the setting that each of them is here."""
    return {name: field for name, (_, field) in _TRAINING.items()}


def reported_locating(dataset: str) -> float:
    """Return Table 7's share of located clips on a dataset, in per cent."""
    _check(dataset)
    return _LOCATING[dataset]


def reported_spread(dataset: str) -> tuple[float, float]:
    """Return mean and standard deviation of the accuracy on a dataset as §4.2 gives them."""
    _check(dataset)
    return _SPREAD[dataset]


def reported_confusion(dataset: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the class names and Figure 5's matrix (rows true, fractions); lost cells are NaN."""
    _check(dataset)
    classes = CLASSES[dataset]
    matrix = np.full((len(classes), len(classes)), np.nan)
    for name, value in _RECALLS[dataset].items():
        matrix[classes.index(name), classes.index(name)] = value
    return classes, matrix


def reported_sweep(dataset: str) -> dict[str, dict[int, float]]:
    """Return what is known of Figure 8 on a dataset: {"clips" or "frames": {number: accuracy}}."""
    _check(dataset)
    best = _SPREAD[dataset][0]
    frames = {k: accuracy for k, (_, accuracy) in _FRAMES.items()} if dataset == "bu4dfe" else {}
    return {"clips": {7: best}, "frames": frames or {5: best}}


def _check(dataset: str | None) -> None:
    if dataset is not None and dataset not in CLASSES:
        raise ValueError(unknown_name("dataset of protocol 'ceflnet'", dataset, CLASSES))


def _make_cells() -> tuple[Reported, ...]:
    rows = [(1, NO_DATASET, "CEFLNet", name, value, "-") for name, (value, _) in _TRAINING.items()]
    for (table, dataset), methods in _OTHERS.items():
        rows += [(table, dataset, name, "accuracy", value, "%") for name, value in methods.items()]
    metric = "emotion-rich clip locating accuracy"
    rows += [(7, name, "CEFLNet (EIAN)", metric, value, "%") for name, value in _LOCATING.items()]
    for row, values in _COMPLEXITY.items():
        metrics = ("backbone", "params", "MACs", "accuracy")
        for metric, value, unit in zip(metrics, values, ("-", "M", "G", "%"), strict=True):
            rows.append((8, "bu4dfe", row, metric, value, unit))
    for frames, (macs, accuracy) in _FRAMES.items():
        row = f"{frames} frames per clip, 7 clips"
        rows += [
            (9, "bu4dfe", row, "MACs", macs, "G"),
            (9, "bu4dfe", row, "accuracy", accuracy, "%"),
        ]
    cells = []
    for table, dataset, row, metric, value, unit in rows:
        key = (table, dataset if table == 1 else row, metric)
        cells.append(Reported(table, dataset, row, metric, value, unit, _NOTES.get(key, "")))
    return tuple(cells)


_CELLS = _make_cells()
