"""The rows of ECNN-FSA's tables: which network each one is.

Rows that several tables share are one variant. Table 7 names the width of all features, 2048 or
3072, of which 1024 are the branch's; Table 6 names both parts.
"""

from __future__ import annotations

from typing import Literal

from dferlib.protocols.paper import Variant, row

Network = Literal["ecnn_fsa", "ecnn_lstm", "vgg16_lstm"]

# Options that each network takes
_IMPROVED = ("backbone_dim", "branch_dim", "branch_kernel", "tap", "batch_norm", "width")
FSA_FIELDS = ("fusion", "s", "readout", "residual", "fc_layers", "dropout", *_IMPROVED)
NETWORK_FIELDS = {
    "ecnn_fsa": FSA_FIELDS,
    "ecnn_lstm": ("states", "branch_fc", *_IMPROVED),
    "vgg16_lstm": ("states", "batch_norm", "width"),
}


def _cnn_lstm(states: tuple[int, ...], rows: dict[int, str]) -> Variant:
    sizes = ", ".join(map(str, states))
    printed = f"CNN with 2 layer LSTMs ({sizes})" if len(states) > 1 else f"CNN-LSTM ({sizes})"
    slug = f"cnn-lstm-{'-'.join(map(str, states))}"
    rows = {2: printed} | rows
    return row(slug, f"CNN-LSTM ({sizes})", rows, network="vgg16_lstm", states=states)


def _ecnn_lstm(branch_fc: int, kernel: int, rows: dict[int, str]) -> Variant:
    slug = f"ecnn-lstm-fc{branch_fc}-{kernel}x{kernel}"
    label = f"ECNN-LSTM (Fc{branch_fc}, {kernel}x{kernel})"
    rows = {3: f"ECNN with 2 layer LSTMs (Fc{branch_fc}, {kernel}x{kernel})"} | rows
    options = {"network": "ecnn_lstm", "branch_fc": branch_fc, "branch_kernel": kernel}
    return row(slug, label, rows, **options)


def _grid(
    slug: str, backbone: int, fc_layers: int, s: float, rows: dict[int, str] | None = None
) -> Variant:
    """A point of the grid of Tables 6 and 7; `rows` are more rows, None for one in both."""
    layers = "fc" if fc_layers == 1 else f"{fc_layers}xfc"
    label = f"ECNN-FSA ({backbone + 1024}, {layers}, s={s:g})"
    if not {6, 7} & set(rows or {}):
        sixth = f"backbone={backbone}, branch=1024, fc_layers={fc_layers}, s={s:g}"
        rows = {6: sixth, 7: label.replace(" (", "(")} | (rows or {})
    return row(slug, label, rows, backbone_dim=backbone, fc_layers=fc_layers, s=s)


_S_001 = {6: "backbone=1024, branch=1024, fc_layers=1, s=0.01"}  # Table 7 prints s=0.001 instead
_S_0001 = {7: "ECNN-FSA(2048, fc, s=0.001)"}
_OWN = {4: "Proposed ECNN-FSA", 9: "Proposed ECNN-FSA (end-to-end)"}
_ROWS = (
    _cnn_lstm((2048,), {}),
    _cnn_lstm((3000,), {}),
    _cnn_lstm((3000, 3000), {}),
    _cnn_lstm((2048, 2048), {4: "CNN-LSTM [30]", 9: "CNN-LSTM [30] (end-to-end)"}),
    _cnn_lstm((2048, 1024), {}),
    _ecnn_lstm(1, 5, {}),
    _ecnn_lstm(1, 7, {7: "ECNN-LSTM(FC6, 7x7)"}),
    _ecnn_lstm(2, 5, {}),
    _ecnn_lstm(2, 7, {}),
    row(
        "score-fusion",
        "Score fusion",
        {4: "Score fusion (baseline)"},
        fusion="scores",
        test_frames="all",
    ),
    _grid("fsa-2fc-s0.06", 1024, 2, 0.06),
    _grid("fsa-s0.06", 1024, 1, 0.06),
    _grid("fsa-s0.001", 1024, 1, 0.001, _S_0001),
    _grid("fsa-s0.01", 1024, 1, 0.01, _S_001),
    _grid("ecnn_fsa", 1024, 1, 0.1, _OWN),
    _grid("fsa-s0.2", 1024, 1, 0.2),
    _grid("fsa-s0.3", 1024, 1, 0.3),
    _grid("fsa-3072-s0.06", 2048, 1, 0.06),
    _grid("fsa-3072-2fc-s0.06", 2048, 2, 0.06),
    *(row(f"n{n}", f"ECNN-FSA, n = {n}", {}, num_frames=n) for n in (3, 6, 9)),  # §2.4
)
VARIANTS = {variant.slug: variant for variant in _ROWS}
NUMBERS_OF_FRAMES = {"n3": 3, "ecnn_fsa": 5, "n6": 6, "n9": 9}  # §2.4
