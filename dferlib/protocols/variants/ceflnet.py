"""The rows of CEFLNet's tables: which network, number of clips and number of frames each one is.

The points of Figure 8 and the alternatives of the network are variants, too: they are trained,
stored and compared like a row.
"""

from __future__ import annotations

from dferlib.names import OWN_CLIPS
from dferlib.protocols.paper import Variant, row

NETWORK_FIELDS = {
    "ceflnet": ("parts", "reading", "num_clips", "norm", "width"),
    "fan": ("width",),
    "resnet18_lstm": ("width",),
    "c3d": ("width",),
    "c3d_lstm": ("num_clips", "width"),
}


def _frames(k: int) -> Variant:
    rows = {9: f"{k} frames per clip, 7 clips"}
    return row(f"frames-{k}", f"CEFLNet, {k} frames a clip", rows, num_frames=7 * k)


def _clips(n: int) -> Variant:
    return row(f"clips-{n}", f"CEFLNet, {n} clip{'s' * (n > 1)}", {}, num_clips=n, num_frames=5 * n)


_FAN, _C3D = "FAN [16] (frame-based)", "C3D [38] (sequence-based)"
_VARIANTS = (
    row("resnet18", "ResNet-18", {6: "ResNet-18"}, parts="none"),
    row("cnn-lstm", "CNN-LSTM", {6: "CNN-LSTM"}, network="resnet18_lstm"),
    row("sal", "SAL", {6: "+ SAL"}, parts="sal"),
    row("lrl", "SAL + LRL", {6: "+ LRL (SAL+LRL)"}, parts="sal+lrl"),
    row(
        "ceflnet",
        "CEFLNet",
        dict.fromkeys((2, 3, 4, 5), "CEFLNet (clip-based)")
        | {6: "+ EIAN (SAL+LRL+EIAN)", 8: "CEFLNet", 9: "5 frames per clip, 7 clips"},
    ),
    row("fan", "FAN", {2: _FAN, 4: _FAN}, network="fan"),
    row("c3d", "C3D", {2: _C3D, 4: _C3D, 8: "C3D"}, network="c3d"),
    row(
        "c3d-lstm",
        "C3D-LSTM, the part that is known",
        {2: "C3D-LSTM [40] (sequence-based)", 8: "C3D-LSTM"},
        network="c3d_lstm",
    ),
    _clips(1),
    _clips(3),
    _clips(5),
    _clips(9),
    _frames(2),
    _frames(10),
    _frames(15),
    row("position-norm", "CEFLNet, batch norm by position", {}, norm="position"),
    row("equations", "CEFLNet as printed", {}, reading="equations"),
)
VARIANTS = {variant.slug: variant for variant in _VARIANTS}

# Figure 7 compares the same four representations on every dataset
_FOUR = ("resnet18", "cnn-lstm", "ceflnet", "fan")
_ALL_ROWS = ("resnet18", "cnn-lstm", "sal", "lrl", "ceflnet", "fan", "c3d")
_POINTS = ("clips-1", "clips-3", "frames-2")
_LONG = "the rows left out take two to four times as long as CEFLNet"
_NOT_PRINTED = (
    "the rows of Figure 7 and the cheap points of Figure 8; Table 6 is about bu4dfe alone"
)
QUICK_ROWS = {
    "bu4dfe": ((*_ALL_ROWS, *_POINTS, "position-norm"), _LONG),
    "mmi": ((*_FOUR, *_POINTS), _NOT_PRINTED),
    "afew": ((*_FOUR, *_POINTS), f"{_NOT_PRINTED}; C3D takes as long as all of these"),
    "dfew": ((*_FOUR, *_POINTS), _NOT_PRINTED),
    OWN_CLIPS: ((*_FOUR, *_POINTS), _LONG),
}
SMOKE_ROWS = {
    "bu4dfe": ((*_ALL_ROWS, "clips-1"), "each kind of row once"),
    "mmi": ((*_FOUR, "clips-1"), "each kind of row once"),
    "afew": ((*_FOUR, "c3d"), "each kind of row once"),
    "dfew": ((*_FOUR, "clips-1"), "each kind of row once"),
    OWN_CLIPS: ((*_FOUR, "clips-1"), "each kind of row once"),
}

# Figure 8: number of clips, or of frames a clip -> the variant with that number
SWEEPS = {
    "clips": ({1: "clips-1", 3: "clips-3", 5: "clips-5", 7: "ceflnet", 9: "clips-9"}),
    "frames": ({2: "frames-2", 5: "ceflnet", 10: "frames-10", 15: "frames-15"}),
}
# Figure 7: the four representations
REPRESENTATIONS = {"ceflnet": "CEFLNet", "fan": "FAN", "cnn-lstm": "LSTM", "resnet18": "ResNet-18"}
