"""How faces are cut out of the frames of a real dataset: the papers' choices as options.

Written as one line, such as "box=frame align=first margin=0.25", over the defaults of the dataset:

    box       clip      one box for all frames of a clip: a still head moves in it, the box does not
              frame     a box in every frame, smoothed over time: for heads that move about
    margin    0.1       enlarges the tight box of the landmarks, to a square
    align     none      the head stays as tilted as it is
              first     every frame is turned until the eyes lie as they do in the first frame
              upright   every frame is turned until the eyes lie level
    detector  auto      the dataset's own landmarks where it has some; else mtcnn where its extra is
                        installed, or to align; else haar
              haar      OpenCV's cascades; no eyes
              mtcnn     finds eyes, too; the extra `face`
              m:make    function `make` of your module `m`; see `detectors`
    smallest  0.2       smallest face that is looked for, of the shorter side of the frame

A dataset's own defaults are `FACES` in its reader, a paper's choice is the setting `faces` of its
protocol: STCAM takes the landmarks' box (§4.2), HACN aligns to the first frame (§4.2), ECNN-FSA
aligns and adds 25 % (§2.1), STT aligns AFEW (§4.2), CEFLNet takes a detector's boxes (§4.1). Frames
that the dataset's owner has cropped already (AFEW, DFEW, Oulu-CASIA's set C) are taken as they are.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from dataclasses import dataclass

from dferlib.datasets.manifest import DatasetError

BOXES, ALIGNMENTS = ("clip", "frame"), ("none", "first", "upright")
AUTO, HAAR, MTCNN, OWNER = "auto", "haar", "mtcnn", "owner"
DETECTORS = (AUTO, HAAR, MTCNN)
PLUG_IN = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"
MOST_MARGIN = 2.0


@dataclass(frozen=True)
class FaceOptions:
    """How the faces of a store are found and cut out; see the module's docstring.

    DatasetError for a value that is not allowed. Aligning needs a box in every frame.
    """

    box: str = "clip"
    margin: float = 0.1
    align: str = "none"
    detector: str = AUTO
    smallest: float = 0.2

    def __post_init__(self) -> None:
        _allow("box", self.box, BOXES)
        _allow("align", self.align, ALIGNMENTS)
        if not re.fullmatch(PLUG_IN, self.detector):
            _allow("detector", self.detector, (*DETECTORS, "module:function"))
        if not 0 <= self.margin <= MOST_MARGIN:
            raise DatasetError(f"faces: margin is {self.margin}, allowed is 0 to {MOST_MARGIN:g}")
        if not 0 < self.smallest <= 1:
            raise DatasetError(f"faces: smallest is {self.smallest}, allowed is above 0 and to 1")
        if self.align != "none" and self.box == "clip":
            raise DatasetError(f"faces: align={self.align} turns every frame; it needs box=frame")
        if self.align != "none" and self.detector == HAAR:
            raise DatasetError(
                f"faces: align={self.align} needs the eyes, which haar does not find; "
                "leave the detector out, or take detector=mtcnn"
            )

    @property
    def chosen_detector(self) -> str:
        """The detector for clips without landmarks: MTCNN where it is installed."""
        if self.detector != AUTO:
            return self.detector
        there = importlib.util.find_spec("facenet_pytorch") is not None
        return MTCNN if there or self.align != "none" else HAAR

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in dataclasses.asdict(self).items())


def parse_faces(text: str, defaults: str = "") -> FaceOptions:
    """Read options written as "name=value name=value" over a dataset's defaults.

    Asking for an alignment asks for a box in every frame, too. DatasetError for unknown names.
    """
    values = _split(defaults) | _split(text)
    if _split(text).get("align", "none") != "none" and "box" not in _split(text):
        values["box"] = "frame"
    for name in ("margin", "smallest"):
        if name in values:
            try:
                values[name] = float(values[name])
            except ValueError:
                raise DatasetError(
                    f"faces: {name} is {values[name]!r}, which is no number"
                ) from None
    return FaceOptions(**values)


def _split(text: str) -> dict[str, str]:
    known = [field.name for field in dataclasses.fields(FaceOptions)]
    pairs = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            raise DatasetError(
                f"faces is {text!r}: {word!r} is not one of {', '.join(known)}, followed by = and "
                "a value, as in 'align=first margin=0.25'"
            )
        pairs[name] = value
    return pairs


def _allow(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise DatasetError(f"faces: {name} is {value!r}, allowed are {', '.join(allowed)}")
