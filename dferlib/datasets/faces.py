"""Where a face is: boxes from landmarks or from Haar detections (OpenCV 4), and cutting them out.

Boxes are (x0, y0, x1, y1) in pixels, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from dferlib.datasets.manifest import DatasetError

MARGIN = 0.10  # the tight landmark box is enlarged by this to a square
LANDMARKS = 68
SAME_FACE = 0.3  # boxes of one face overlap at least so much (intersection over union)
# Tried in this order on each frame: the first misses fewest faces and is the fastest.
CASCADES = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")
SMALLEST_FACE = 0.2  # of the shorter side of the frame
# A Haar box is larger than the landmarks of its face and sits higher: centre shift and scale in box
# sides.
HAAR_SHIFT, HAAR_SCALE = (0.0, 0.17), 0.9


def read_landmarks(path: str | Path) -> np.ndarray:
    """Read a landmark file, 68 rows "x y", as float64 (68, 2); DatasetError if it is not so."""
    try:
        points = [[float(text) for text in line.split()] for line in _lines(path)]
        if len(points) != LANDMARKS or any(len(point) != 2 for point in points):
            raise ValueError(f"{len(points)} rows")
        if not np.isfinite(points).all():
            raise ValueError("numbers that are not finite")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} should hold {LANDMARKS} rows 'x y', but: {error}") from error
    return np.array(points)


def _lines(path: str | Path) -> list[str]:
    return [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]


def clip_box(landmarks: np.ndarray) -> np.ndarray:
    """Box around the landmarks (T, 68, 2) of a whole clip.

    Its edges are the 5th and 95th percentile over the frames, which is the union for a still head
    and does not follow single frames in which the tracker was lost.
    """
    low = np.percentile(landmarks.min(axis=1), 5, axis=0)
    high = np.percentile(landmarks.max(axis=1), 95, axis=0)
    return np.concatenate([low, high])


def crop(frame: np.ndarray, box: Sequence[float], size: int, margin: float = MARGIN) -> np.ndarray:
    """Cut a box out of a frame (H, W, 3), enlarged by `margin` to a square, resized to `size`.

    Where the square reaches beyond the frame, the frame's edge is repeated.
    """
    x0, y0, x1, y1 = (float(value) for value in box)
    half = max(x1 - x0, y1 - y0) * (1 + margin) / 2
    if not np.isfinite(half) or half < 0.5:
        raise DatasetError(f"box {list(box)} is empty")
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    left, top, right, bottom = middle_x - half, middle_y - half, middle_x + half, middle_y + half
    height, width = frame.shape[:2]
    beyond = max(-left, -top, right - width, bottom - height, 0)
    pad = int(np.ceil(beyond))
    if pad:
        frame = np.pad(frame, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    window = (left + pad, top + pad, right + pad, bottom + pad)
    image = Image.fromarray(frame).resize((size, size), Image.Resampling.BILINEAR, box=window)
    return np.asarray(image)


def centre_square(frame: np.ndarray) -> np.ndarray:
    """Box of the largest centred square, made so that `crop` with its margin stays in the frame."""
    height, width = frame.shape[:2]
    half = min(height, width) / (1 + MARGIN) / 2
    return np.array([width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half])


def track_face(frames: Sequence[np.ndarray]) -> np.ndarray | None:
    """Haar boxes (T, 4) of the largest and most persistent face of a clip, None if there is none.

    A frame in which it was not found borrows the box of the nearest frame in which it was.
    """
    return choose_face([detect_faces(frame) for frame in frames])


def detect_faces(frame: np.ndarray) -> np.ndarray:
    """Boxes (n, 4) of the faces that the Haar cascade finds in an RGB frame."""
    grey = cv2.equalizeHist(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    smallest = max(24, int(SMALLEST_FACE * min(grey.shape)))
    for name in CASCADES:
        found = _cascade(name).detectMultiScale(
            grey, scaleFactor=1.1, minNeighbors=4, minSize=(smallest, smallest)
        )
        if len(found):
            break
    boxes = np.asarray(found, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


@cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    cv2.setNumThreads(1)  # the store is built by one process per core
    if not hasattr(cv2, "CascadeClassifier") or not hasattr(cv2, "data"):
        raise DatasetError(
            f"OpenCV {cv2.__version__} has no Haar cascades; install 'opencv-python-headless<5'"
        )
    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / name))


def choose_face(found: Sequence[np.ndarray]) -> np.ndarray | None:
    """Choose one face from the boxes (n, 4) found in each frame; see `track_face`."""
    boxes = np.concatenate([np.reshape(part, (-1, 4)) for part in found])
    if not len(boxes):
        return None
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    seen = sum((_overlap(boxes, part) >= SAME_FACE).any(axis=1) for part in found if len(part))
    reference = boxes[[np.argmax(seen * area)]]
    chosen = {}
    for index, part in enumerate(found):
        overlap = _overlap(reference, part)[0] if len(part) else np.zeros(1)
        if overlap.max() >= SAME_FACE:
            chosen[index] = part[overlap.argmax()]
    places = np.array(list(chosen))
    nearest = np.abs(np.arange(len(found))[:, None] - places).argmin(axis=1)
    return np.stack([chosen[places[index]] for index in nearest])


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of every box (n, 4) with every other (m, 4), as (n, m)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.prod((high - low).clip(0), axis=2)
    areas = [np.prod(part[:, 2:] - part[:, :2], axis=1) for part in (boxes, others)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def haar_to_landmark_box(box: np.ndarray) -> np.ndarray:
    """Landmarks' box in a Haar box, so that both ways of cropping show the same of a face."""
    side = box[2] - box[0]
    centre = (box[:2] + box[2:]) / 2 + np.array(HAAR_SHIFT) * side
    return np.concatenate([centre - HAAR_SCALE * side / 2, centre + HAAR_SCALE * side / 2])
