"""What the text of ECNN-FSA counts and says beside its tables, which it contradicts in places."""

from __future__ import annotations

from typing import NamedTuple

from dferlib.protocols.reported import load_cells

COUNTS = {  # §2.1
    "ckplus": {"sequences": 327, "subjects": 118, "all sequences": 593},
    "afew": {"train": 773, "val": 383, "test": 653},
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
    printed = {(c.table, c.row): c.value for c in load_cells("ecnn_fsa") if c.metric == "accuracy"}
    return [
        Difference(t, d, row, minus, text, round(printed[t, row] - printed[t, minus], 2))
        for t, d, row, minus, text in _DIFFERENCES
    ]
