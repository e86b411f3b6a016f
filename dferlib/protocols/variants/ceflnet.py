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

_OF_NETWORK = ("resnet18", "cnn-lstm", "sal", "lrl", "ceflnet", "fan")
_FOUR = ("resnet18", "cnn-lstm", "ceflnet", "fan")  # Figure 7 compares them on every dataset
_CHEAP = ("clips-1", "clips-3", "frames-2")
_LONG_POINTS = ("clips-5", "clips-9", "frames-10", "frames-15")
_LONG = "the rows left out take two to four times as long as CEFLNet, and are run on bu4dfe"
_NOT_PRINTED = "the rows of Figure 7 and the cheap points of Figure 8; all are run on bu4dfe"
QUICK_ROWS = {
    "bu4dfe": (
        (*_OF_NETWORK, "c3d", "c3d-lstm", *_CHEAP, *_LONG_POINTS, "position-norm"),
        "the equations as printed are another reading, which the paper does not run",
    ),
    "mmi": ((*_FOUR, *_CHEAP), _NOT_PRINTED),
    "afew": ((*_FOUR, "c3d", *_CHEAP), f"{_NOT_PRINTED}; C3D is printed here"),
    "dfew": ((*_FOUR, *_CHEAP), _NOT_PRINTED),
    OWN_CLIPS: ((*_FOUR, *_CHEAP), _LONG),
}
SMOKE_ROWS = {
    "bu4dfe": ((*_OF_NETWORK, "c3d", "clips-1"), "each kind of row once"),
    "mmi": ((*_FOUR, "clips-1"), "each kind of row once"),
    "afew": ((*_FOUR, "c3d"), "each kind of row once"),
    "dfew": ((*_FOUR, "clips-1"), "each kind of row once"),
    OWN_CLIPS: ((*_FOUR, "clips-1"), "each kind of row once"),
}
_HOUR = "C3D takes as long as five of these, and the points of Figure 8 as long as nine"
GPU_ROWS = dict.fromkeys(("bu4dfe", "mmi", "afew", "dfew", OWN_CLIPS), (_OF_NETWORK, _HOUR))
