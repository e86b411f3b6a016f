"""The rows of STT's tables: which network, loss and sampler each one is.

TI is time interpolation, DS dynamic sampling, as in Table 3. Rows that two tables share are one
variant.
"""

from __future__ import annotations

from typing import Literal

from dferlib.protocols.paper import Variant, row

Network = Literal[
    "stt",
    "c3d",
    "p3d",
    "i3d",
    "r2plus1d_18",
    "resnet3d_18",
    "vgg11_lstm",
    "resnet18_lstm",
    "resnet18_gru",
    "former_dfer",
]
Loss = Literal["cross_entropy", "label_smoothing", "compact", "centre", "ec_stfl"]

# Options that each network takes, and each loss: its name for a setting
STT_FIELDS = ("attention", "layers", "heads", "dim", "mlp_ratio", "stage", "readout")
STT_FIELDS += ("class_frame", "num_frames", "input_size", "width")
NETWORK_FIELDS = {
    "stt": STT_FIELDS,
    "former_dfer": ("num_frames", "input_size", "width"),
    "resnet3d_18": ("design", "width"),
}
LOSS_FIELDS = {"compact": {"beta": "beta"}, "label_smoothing": {"smoothing": "label_smoothing"}}


def _baseline(
    slug: str, label: str, rows: dict[int, str], network: str, loss: str = "cross_entropy"
) -> Variant:
    sampler = "time_interpolation" if slug.endswith("-ti") else "dynamic_sampling"
    return row(slug, label, rows, network=network, loss=loss, sampler=sampler)


_ABLATION = (
    row("lstm", "LSTM baseline", {1: "none (LSTM baseline)"}, attention="lstm"),
    row(
        "spatial",
        "Spatial attention only",
        {1: "spatial only"},
        attention="spatial",
        readout="frames-mean",
    ),
    row("temporal", "Temporal attention only", {1: "temporal only"}, attention="temporal"),
    row(
        "stt",
        "STT",
        {
            1: "spatial + temporal (STT)",
            2: "Ours (compact softmax cross entropy)",
            3: "STT (Ours) (DS)",
            4: "STT (ours)",
        },
    ),
    row("cross-entropy", "Cross entropy", {2: "Cross Entropy Loss"}, loss="cross_entropy"),
    row(
        "label-smoothing",
        "Label smoothing",
        {2: "Label Smoothing"},
        loss="label_smoothing",
        label_smoothing=0.1,
    ),
)
_INTERPOLATED = (
    _baseline("c3d-ti", "C3D (TI)", {3: "C3D [50] (TI)"}, "c3d"),
    _baseline("p3d-ti", "P3D (TI)", {3: "P3D [44] (TI)"}, "p3d"),
    _baseline("r2plus1d-ti", "R(2+1)D-18 (TI)", {3: "R(2+1)D18 [51] (TI)"}, "r2plus1d_18"),
    _baseline("r3d-ti", "3D ResNet-18 (TI)", {3: "3D Resnet18 [15] (TI)"}, "resnet3d_18"),
    _baseline("i3d-ti", "I3D (TI)", {3: "I3D-RGB [7] (TI)"}, "i3d"),
    _baseline("vgg11-lstm-ti", "VGG11+LSTM (TI)", {3: "VGG11+LSTM [18,48] (TI)"}, "vgg11_lstm"),
    _baseline(
        "resnet18-lstm-ti", "ResNet18+LSTM (TI)", {3: "ResNet18+LSTM [16,18] (TI)"}, "resnet18_lstm"
    ),
    _baseline(
        "r3d-centre-ti",
        "3D ResNet-18, centre loss (TI)",
        {3: "3D R.18+Center Loss [15,55] (TI)"},
        "resnet3d_18",
        "centre",
    ),
    _baseline("ec-stfl-ti", "EC-STFL (TI)", {3: "EC-STFL [21] (TI)"}, "resnet3d_18", "ec_stfl"),
)
_SAMPLED = (
    _baseline("c3d-ds", "C3D (DS)", {4: "C3D [50]"}, "c3d"),
    _baseline("i3d-ds", "I3D (DS)", {4: "I3D-RGB [7]"}, "i3d"),
    _baseline("r2plus1d-ds", "R(2+1)D-18 (DS)", {4: "R(2+1)D [51]"}, "r2plus1d_18"),
    _baseline(
        "r3d-ds",
        "3D ResNet-18 (DS)",
        {3: "3D Resnet18 [15] (DS)", 4: "3D ResNet18 [15]"},
        "resnet3d_18",
    ),
    _baseline(
        "resnet18-lstm-ds",
        "ResNet18+LSTM (DS)",
        {3: "ResNet18+LSTM [16,18] (DS)", 4: "ResNet18+LSTM [16,18]"},
        "resnet18_lstm",
    ),
    _baseline(
        "resnet18-gru-ds",
        "ResNet18+GRU (DS)",
        {3: "Resnet18+GRU [9,16] (DS)", 4: "ResNet18+GRU [9,16]"},
        "resnet18_gru",
    ),
    _baseline(
        "former-dfer-ds",
        "Former-DFER (DS)",
        {3: "Former-DFER [62] (DS)", 4: "Former-DFER [62]"},
        "former_dfer",
    ),
)
VARIANTS = {v.slug: v for v in (*_ABLATION, *_INTERPOLATED, *_SAMPLED)}
