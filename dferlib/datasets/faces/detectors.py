"""Face detectors behind one interface: frames in, boxes and eyes out.

A detector is made by `make(smallest)`, where `smallest` is the side of the smallest face, as a
share of the frame's shorter side; it is called with RGB frames uint8 (H, W, 3) of one size and
gives `Faces` for each. What `make_detector` knows by name is `haar` and `mtcnn`; any function with
that signature is taken as "module:function".

Detectors disagree about what belongs to a face. Their boxes are turned into the tight box of the 68
landmarks, so that a margin means the same with all of them; how the two lie to each other was
measured on procedural faces, whose landmarks are known (`benchmarks/datasets/crops.py`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from dferlib.datasets.faces.options import HAAR, MTCNN
from dferlib.datasets.manifest import DatasetError

# Tried in this order on each frame: the first misses fewest faces and is the fastest.
CASCADES = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")
LEAST_PIXELS = 24  # side of the smallest face, whatever its share
# How far down a face the centre of the landmarks' box is from the detector's, and its side, both in
# heights of the detector's box.
HAAR_SHIFT, HAAR_SCALE = 0.17, 0.9
TRACK_REACH, TRACK_GROWTH = 0.4, 1.25  # how far a face moves from frame to frame, and how it grows
MTCNN_SHIFT, MTCNN_SCALE = 0.126, 0.786
MTCNN_SEES = 48  # pixels of the side of a face in its last stage
MTCNN_SURE = 0.8  # least probability of a face; those of real footage and photographs have more


class Faces(NamedTuple):
    """The faces found in one frame, in pixels of the frame.

    `boxes` (n, 4) are (x0, y0, x1, y1) of the landmarks; `eyes` (n, 2, 2) are the (x, y) of the
    centres of the eye on the viewer's left and on the right, NaN from a detector without eyes.
    """

    boxes: np.ndarray
    eyes: np.ndarray


Detector = Callable[[Sequence[np.ndarray]], list[Faces]]


def make_detector(name: str, smallest: float) -> Detector:
    """Make a detector by name or by "module:function".

    DatasetError if the extra that it needs is not installed, or there is no such function.
    """
    makers = {HAAR: make_haar, MTCNN: make_mtcnn}
    return makers[name](smallest) if name in makers else _plug_in(name)(smallest)


def no_faces() -> Faces:
    """What a detector gives for a frame without a face."""
    return Faces(np.empty((0, 4)), np.empty((0, 2, 2)))


def _plug_in(name: str) -> Callable[[float], Detector]:
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise DatasetError(f"faces: there is no detector {name!r}: {error}") from error


def make_haar(smallest: float) -> Detector:
    """OpenCV's frontal cascades, one frame at a time; no eyes.

    Of the frames that are given at once the first is searched as a whole, the others where the face
    was in the one before: a whole one only if it is not there any more.
    """
    cascades = [_cascade(name) for name in CASCADES]

    def detect(frames: Sequence[np.ndarray]) -> list[Faces]:
        found: list[np.ndarray] = []  # corner and side, (n, 3)
        for frame in frames:
            grey = cv2.equalizeHist(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
            near = _track_haar(grey, cascades[0], found[-1]) if found else None
            found.append(_search_haar(grey, cascades, smallest) if near is None else near)
        return [_read_haar(squares) for squares in found]

    return detect


def _search_haar(
    grey: np.ndarray, cascades: Sequence[cv2.CascadeClassifier], smallest: float
) -> np.ndarray:
    """Corners and sides (n, 3) of the faces in a whole frame (H, W)."""
    least = max(LEAST_PIXELS, int(smallest * min(grey.shape)))
    for cascade in cascades:
        found = cascade.detectMultiScale(
            grey, scaleFactor=1.1, minNeighbors=4, minSize=(least, least)
        )
        if len(found):
            break
    return np.asarray(found, dtype=np.float64).reshape(-1, 4)[:, :3]


def _track_haar(
    grey: np.ndarray, cascade: cv2.CascadeClassifier, before: np.ndarray
) -> np.ndarray | None:
    """Corners and sides (n, 3) of the faces near those of the frame before; None if one is gone."""
    if not len(before):
        return None
    squares = []
    for x, y, side in before:
        reach, low, high = side * TRACK_REACH, side / TRACK_GROWTH, side * TRACK_GROWTH
        left, top = max(0, int(x - reach)), max(0, int(y - reach))
        part = grey[top : int(y + side + reach), left : int(x + side + reach)]
        found = cascade.detectMultiScale(
            part, 1.1, 4, minSize=(int(low), int(low)), maxSize=(int(high), int(high))
        )
        if len(found) != 1:
            return None
        squares.append(found[0][:3] + np.array([left, top, 0.0]))
    return np.stack(squares)


def _read_haar(squares: np.ndarray) -> Faces:
    sides = squares[:, 2:]
    centres = squares[:, :2] + sides / 2 + np.array([0, HAAR_SHIFT]) * sides
    return Faces(_square(centres, sides, HAAR_SCALE), np.full((len(sides), 2, 2), np.nan))


def _square(centres: np.ndarray, sides: np.ndarray, scale: float) -> np.ndarray:
    return np.concatenate([centres - scale * sides / 2, centres + scale * sides / 2], axis=1)


@cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    cv2.setNumThreads(1)  # the store is built by one process per core
    if not hasattr(cv2, "CascadeClassifier") or not hasattr(cv2, "data"):
        raise DatasetError(
            f"OpenCV {cv2.__version__} has no Haar cascades; install 'opencv-python-headless<5'"
        )
    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / name))


def make_mtcnn(smallest: float) -> Detector:
    """MTCNN of facenet-pytorch (Zhang et al., 2016) on the processor, frames in one batch."""
    import_mtcnn()
    return partial(_detect_mtcnn, smallest=smallest)


def import_mtcnn() -> Any:
    """Import MTCNN; DatasetError naming the extra if it is not installed."""
    try:
        import facenet_pytorch  # brings torch, which not every reader needs
    except ImportError as error:
        raise DatasetError(
            f"the detector mtcnn needs facenet-pytorch ({error}); install it with "
            "pip install 'dferlib[face]'. detector=haar needs nothing more, but cannot align"
        ) from error
    return facenet_pytorch.MTCNN


@cache
def _network(least: int) -> Any:
    return import_mtcnn()(keep_all=True, min_face_size=least, device="cpu")


def _detect_mtcnn(frames: Sequence[np.ndarray], smallest: float) -> list[Faces]:
    import torch

    # its last stage sees faces of 48 pixels: in larger frames it only takes longer
    scale = min(1.0, MTCNN_SEES / (smallest * min(frames[0].shape[:2])))
    if scale < 1:
        frames = [
            cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            for frame in frames
        ]
    batch = np.stack(frames)
    network = _network(max(LEAST_PIXELS, int(smallest * min(batch.shape[1:3]))))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = network.detect(batch, landmarks=True)
    except (RuntimeError, ValueError) as error:
        # its way of saying that no candidate, or not even a scale, is left in the whole batch
        if "non-empty list" not in str(error):
            raise
        found = ([None] * len(batch),) * 3
    finally:
        torch.set_num_threads(threads)
    return [_read_mtcnn(*face, scale) for face in zip(*found, strict=True)]


def _read_mtcnn(
    boxes: np.ndarray | None, sure: np.ndarray | None, points: np.ndarray | None, scale: float
) -> Faces:
    """Faces of one frame, of which MTCNN saw a copy at this scale, that are probable enough."""
    if boxes is None:
        return no_faces()
    kept = np.asarray(sure, dtype=np.float64) >= MTCNN_SURE
    if not kept.any():
        return no_faces()
    low, high = np.split(np.asarray(boxes, dtype=np.float64)[kept] / scale, 2, axis=1)
    eyes = np.asarray(points, dtype=np.float64)[kept, :2] / scale
    across = eyes[:, 1] - eyes[:, 0]
    down = across[:, ::-1] * (-1, 1) / np.linalg.norm(across, axis=1, keepdims=True)
    tall = (high - low)[:, 1:]
    return Faces(_square((low + high) / 2 + MTCNN_SHIFT * tall * down, tall, MTCNN_SCALE), eyes)
