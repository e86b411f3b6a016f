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
MTCNN_SHIFT, MTCNN_SCALE = 0.126, 0.786


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
    """OpenCV's frontal cascades, one frame at a time; no eyes."""
    cascades = [_cascade(name) for name in CASCADES]

    def detect(frames: Sequence[np.ndarray]) -> list[Faces]:
        return [_detect_haar(frame, cascades, smallest) for frame in frames]

    return detect


def _detect_haar(
    frame: np.ndarray, cascades: Sequence[cv2.CascadeClassifier], smallest: float
) -> Faces:
    grey = cv2.equalizeHist(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    least = max(LEAST_PIXELS, int(smallest * min(grey.shape)))
    for cascade in cascades:
        found = cascade.detectMultiScale(
            grey, scaleFactor=1.1, minNeighbors=4, minSize=(least, least)
        )
        if len(found):
            break
    corner, size = np.split(np.asarray(found, dtype=np.float64).reshape(-1, 4), 2, axis=1)
    boxes = _square(corner + size / 2 + np.array([0, HAAR_SHIFT]) * size, size[:, :1], HAAR_SCALE)
    return Faces(boxes, np.full((len(boxes), 2, 2), np.nan))


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

    batch = np.stack(frames)
    network = _network(max(LEAST_PIXELS, int(smallest * min(batch.shape[1:3]))))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        boxes, _, points = network.detect(batch, landmarks=True)
    except (RuntimeError, ValueError) as error:
        # its way of saying that no candidate, or not even a scale, is left in the whole batch
        if "non-empty list" not in str(error):
            raise
        boxes = points = [None] * len(batch)
    finally:
        torch.set_num_threads(threads)
    return [_read_mtcnn(*found) for found in zip(boxes, points, strict=True)]


def _read_mtcnn(boxes: np.ndarray | None, points: np.ndarray | None) -> Faces:
    if boxes is None:
        return no_faces()
    low, high = np.split(np.asarray(boxes, dtype=np.float64), 2, axis=1)
    eyes = np.asarray(points, dtype=np.float64)[:, :2]
    across = eyes[:, 1] - eyes[:, 0]
    down = across[:, ::-1] * (-1, 1) / np.linalg.norm(across, axis=1, keepdims=True)
    tall = (high - low)[:, 1:]
    return Faces(_square((low + high) / 2 + MTCNN_SHIFT * tall * down, tall, MTCNN_SCALE), eyes)
