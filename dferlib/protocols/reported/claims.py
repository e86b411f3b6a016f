"""What the running texts say about their own tables and datasets, as data: nothing is corrected.

Values are as printed. Rows and tables carry the names that `reported` gives them, so a claim can be
checked against the cells; `table` is the one that the text refers to.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["difference", "better", "rank", "value", "count"]


class Claim(NamedTuple):
    """One statement of a text.

    `kind` difference: `row` minus `against` is `value` points (`against` empty: the text does not
    say what); better: `row` is above `against`; rank: `row` is marked as the `value`th best; value:
    the text prints this for `row`; count: `value` of `metric` in the dataset.
    """

    paper: str
    table: int | str
    dataset: str
    row: str
    metric: str
    kind: Kind
    value: float | None = None
    against: str = ""


_BOTH, _FORMER, _EC = "spatial + temporal (STT)", "Former-DFER [62]", "EC-STFL [21] (TI)"
_COMPACT, _ENTROPY = "Ours (compact softmax cross entropy)", "Cross Entropy Loss"
_STT = (  # §4.3, §4.4: (table, dataset, row, against, UAR, WAR)
    (1, "dfew", "spatial only", "none (LSTM baseline)", 1.13, 0.75),
    (1, "dfew", "temporal only", "none (LSTM baseline)", 1.28, 0.91),
    (1, "dfew", _BOTH, "none (LSTM baseline)", 2.56, 2.71),
    (2, "dfew", "Label Smoothing", _ENTROPY, 0.14, 0.11),
    (2, "dfew", _COMPACT, _ENTROPY, 0.43, 0.26),
    (3, "dfew", "STT (Ours) (DS)", f"{_FORMER} (DS)", 0.89, 0.95),
    (3, "dfew", "STT (Ours) (DS)", _EC, 9.23, 10.14),
    (4, "afew", "STT (ours)", _FORMER, 1.69, 3.31),
    (4, "afew", "STT (ours)", "3D ResNet18 [15]", 6.97, 8.56),
)
_OWN = "CEFLNet (clip-based)"
_CEFLNET = (  # §4.2 to §4.4: (table, dataset, row, against, points)
    (2, "bu4dfe", _OWN, "ICNP [39] (sequence-based)", 2.13),
    (3, "mmi", _OWN, "WMCNN-LSTM [42] (sequence-based)", 3.9),
    (4, "afew", _OWN, "", 2.45),
    (5, "dfew", _OWN, "3D ResNet-18,EC-STFL [33] (sequence-based)", 8.84),
    (6, "bu4dfe", "+ LRL (SAL+LRL)", "+ SAL", 0.5),
    (6, "bu4dfe", "+ EIAN (SAL+LRL+EIAN)", "+ LRL (SAL+LRL)", 0.66),
)
_SINGLE = ("Baseline + 3D-CAM", "Baseline + STAM")
_SEQUENCES = ("Baseline + STAM + 3D-CAM", "Baseline + 3D-CAM + STAM")
_STCAM_TABLES = ((2, "ckplus"), (3, "oulu"), (4, "mmi"))
_COUNTS = (  # (paper, dataset, metric, value)
    ("stcam", "ckplus", "clips", 327),
    ("stcam", "oulu", "clips", 480),
    ("stcam", "mmi", "clips", 208),
    ("ceflnet", "bu4dfe", "clips", 606),
    ("ceflnet", "mmi", "clips", 205),
    ("ceflnet", "afew", "clips", 352),
    ("ceflnet", "dfew", "clips", 12_059),
    ("hacn", "ckplus", "clips", 327),
    ("hacn", "oulu", "clips", 480),
    ("hacn", "oulu", "recordings", 1440),  # in all three lights
    ("hacn", "afew", "clips", 383),
    ("hacn", "afew", "recordings", 1156),  # training and validation list together
    ("hacn", "ckplus", "frames mean", 5),  # k = mean(N) = 5
    ("hacn", "ckplus", "frames least", 10),  # CK+ sequences of 10 to 60 frames
    ("hacn", "ckplus", "frames most", 60),
    ("stt", "dfew", "clips", 12_509),
    ("stt", "afew", "clips", 383),
    ("ecnn_fsa", "ckplus", "clips", 327),
    ("ecnn_fsa", "afew", "clips", 383),
    ("hacn", "ckplus", "folds", 5),
    ("hacn", "oulu", "folds", 5),
    ("ceflnet", "bu4dfe", "folds", 10),
    ("ceflnet", "mmi", "folds", 10),
    ("ceflnet", "dfew", "folds", 5),
)
_SECOND = "backbone=1024, branch=1024, fc_layers=1, s=0.06"
_TWO_FC = "backbone=1024, branch=1024, fc_layers=2, s=0.06"
_OTHERS = (
    # §4.3 of STCAM on the state of the art
    Claim("stcam", 6, "oulu", "CNN-GRU [14]", "accuracy", "difference", 0.42, "Baseline + STCAM"),
    # underlined in Table 3 as the second best
    Claim("ceflnet", 3, "mmi", "SAANet [43] (sequence-based)", "accuracy", "rank", 2),
    # §4.2 on Figure 5(b): the mean of the two classes that are not always right
    Claim("ceflnet", "text", "mmi", _OWN, "recall anger and disgust", "value", 83.0),
    Claim("hacn", 2, "afew", "HACN (ours)", "accuracy", "difference", 2.04, "DenseNet-161 [24]"),
    # §4.4 of STT, where it compares with Former-DFER
    Claim("stt", "text", "dfew", f"{_FORMER} (DS)", "WAR", "value", 66.65),
    # §2.4 of ECNN-FSA: the first two lines of "Table 4"
    Claim("ecnn_fsa", 4, "afew", _SECOND, "accuracy", "difference", 1.06, _TWO_FC),
)
_TWO_LAYERS = "CNN with 2 layer LSTMs"


def text_claims(paper: str | None = None) -> list[Claim]:
    """Return what the texts claim, of one paper (its slug) or of all."""
    return [claim for claim in _CLAIMS if paper in (None, claim.paper)]


def _make_claims() -> tuple[Claim, ...]:
    claims = list(_OTHERS)
    for table, dataset, row, against, *points in _STT:
        for metric, value in zip(("UAR", "WAR"), points, strict=True):
            claims.append(Claim("stt", table, dataset, row, metric, "difference", value, against))
    for table, dataset, row, against, value in _CEFLNET:
        more = ("accuracy", "difference", value, against)
        claims.append(Claim("ceflnet", table, dataset, row, *more))
    for table, dataset in _STCAM_TABLES:  # §4.3: each module helps, and so do both in sequence
        pairs = [(row, "Baseline") for row in _SINGLE]
        pairs += [(row, other) for row in _SEQUENCES for other in ("Baseline", *_SINGLE)]
        for row, other in pairs:
            claims.append(Claim("stcam", table, dataset, row, "accuracy", "better", None, other))
    for size in ("3000, 3000", "2048, 2048", "2048, 1024"):  # §2.4: in F1 and accuracy
        for one in ("CNN-LSTM (2048)", "CNN-LSTM (3000)"):
            for metric in ("F1", "accuracy"):
                row = f"{_TWO_LAYERS} ({size})"
                claims.append(Claim("ecnn_fsa", 2, "afew", row, metric, "better", None, one))
    for paper, dataset, metric, value in _COUNTS:
        claims.append(Claim(paper, "text", dataset, "-", metric, "count", value))
    return tuple(claims)


_CLAIMS = _make_claims()
