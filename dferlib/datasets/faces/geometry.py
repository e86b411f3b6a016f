"""Geometry of face crops: landmarks, boxes around them, and cutting squares out of frames.

Boxes are (x0, y0, x1, y1) in pixels, x to the right and y down. A window is what is cut out: a
square as (centre x, centre y, side, angle), turned clockwise by the angle in radians.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.media.images import MAX_PIXELS
from dferlib.datasets.readers.tables import read_text

LANDMARKS = 68
MOST_BYTES = 20_000  # of a landmark file
FARTHEST = 100_000  # pixels: no picture is so large, and no lost tracker so far out of one
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # the viewer's left and right
SUPPORT = 2  # pixels of the crop around a window that resampling looks at


def read_landmarks(path: str | Path) -> np.ndarray:
    """Read a landmark file, 68 rows "x y" in pixels, as float64 (68, 2).

    DatasetError naming the file, and the line that is not so, if it holds anything else: other
    counts, words, nan, numbers that lie beyond any picture, or one place for all points.
    """
    lines = read_text(Path(path), MOST_BYTES).splitlines()
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    points = [_point(path, number, row) for number, row in rows]
    if len(points) != LANDMARKS:
        raise _not_landmarks(str(path), f"it has {len(points)} rows")
    found = np.array(points)
    if np.ptp(found, axis=0).max() < 1:
        raise _not_landmarks(str(path), f"all lie at {points[0]}")
    return found


def _point(path: str | Path, number: int, row: Sequence[str]) -> list[float]:
    try:
        point = [float(text) for text in row]
    except ValueError:
        point = []
    # nan compares false, and 1e400 is read as infinity
    if len(point) != 2 or not all(abs(value) <= FARTHEST for value in point):
        raise _not_landmarks(f"{path}:{number}", f"there is {' '.join(row)[:40]!r}")
    return point


def _not_landmarks(where: str, found: str) -> DatasetError:
    return DatasetError(
        f"{where} should hold {LANDMARKS} rows 'x y', each number a place in pixels up to "
        f"{FARTHEST}, but {found}; copy the file anew from the dataset, or remove it: its frame "
        "then borrows the box of its neighbour"
    )


def clip_box(landmarks: np.ndarray) -> np.ndarray:
    """Box around the landmarks (T, 68, 2) of a whole clip.

    Its edges are the 5th and 95th percentile over the frames, which is the union for a still head
    and does not follow single frames in which the tracker was lost.
    """
    low = np.percentile(landmarks.min(axis=1), 5, axis=0)
    high = np.percentile(landmarks.max(axis=1), 95, axis=0)
    return np.concatenate([low, high])


def eye_centres(landmarks: np.ndarray) -> np.ndarray:
    """Centres (T, 2, 2) of the eye on the viewer's left and on the right, of 68 landmarks."""
    return np.stack([landmarks[:, eye].mean(axis=1) for eye in (LEFT_EYE, RIGHT_EYE)], axis=1)


def tight_squares(landmarks: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Centre and side (T, 3) of the smallest squares, turned by `angles` (T,), around (T, 68, 2).

    The square is that of the tight box as the crop shows it: measured after turning the head back.
    """
    back = _rotations(-angles)
    turned = np.einsum("tij,tnj->tni", back, landmarks)
    low, high = turned.min(axis=1), turned.max(axis=1)
    centre = np.einsum("tji,tj->ti", back, (low + high) / 2)
    return np.concatenate([centre, (high - low).max(axis=1, keepdims=True)], axis=1)


def _rotations(angles: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=-2)


def crop(frame: np.ndarray, box: Sequence[float], size: int, margin: float) -> np.ndarray:
    """Cut a box out of a frame (H, W, 3), enlarged by `margin` to a square, resized to `size`."""
    x0, y0, x1, y1 = (float(value) for value in box)
    side = max(x1 - x0, y1 - y0) * (1 + margin)
    return cut(frame, ((x0 + x1) / 2, (y0 + y1) / 2, side, 0.0), size)


def cut(frame: np.ndarray, window: Sequence[float], size: int) -> np.ndarray:
    """Cut a window out of a frame (H, W, 3), turned back by its angle, resized to `size`.

    Where it reaches beyond the frame, the frame's edge is repeated. DatasetError if it is empty, or
    far too large to be part of a frame.
    """
    x, y, side, angle = (float(value) for value in window)
    if not np.isfinite([x, y, side, angle]).all() or side < 1:
        raise DatasetError(f"the window {list(window)} is empty")
    # not the square of the side, which has no float where the side is absurd
    if side > math.isqrt(MAX_PIXELS) or max(abs(x), abs(y)) > MAX_PIXELS:
        height, width = frame.shape[:2]
        raise DatasetError(f"the window {list(window)} is out of a frame of {width} x {height}")
    if angle == 0:
        return _cut_level(frame, x, y, side, size)
    # An upright square around the turned one is shrunk first: turning alone would leave out pixels.
    spread = size * (abs(math.cos(angle)) + abs(math.sin(angle)))
    large = math.ceil(spread) + 2 * SUPPORT
    level = _cut_level(frame, x, y, side * large / size, large)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    shift = np.full(2, (large - 1) / 2) - turn @ np.full(2, (size - 1) / 2)
    matrix = np.concatenate([turn, shift[:, None]], axis=1)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(level, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _cut_level(frame: np.ndarray, x: float, y: float, side: float, size: int) -> np.ndarray:
    height, width = frame.shape[:2]
    half, reach = side / 2, SUPPORT * max(1.0, side / size) + 1
    # only the part that is needed, with the frame's edge repeated where it reaches beyond
    left, right = math.floor(x - half - reach), math.ceil(x + half + reach)
    top, bottom = math.floor(y - half - reach), math.ceil(y + half + reach)
    if left < 0 or top < 0 or right > width or bottom > height:
        columns = np.arange(left, right).clip(0, width - 1)
        part = frame[np.arange(top, bottom).clip(0, height - 1)[:, None], columns]
    else:
        part = frame[top:bottom, left:right]
    window = (x - half - left, y - half - top, x + half - left, y + half - top)
    image = Image.fromarray(np.ascontiguousarray(part))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=window))


def share_outside(windows: np.ndarray, width: int, height: int) -> float:
    """Share of the windows (T, 4) that lies beyond the frame, their angles left aside."""
    half = windows[:, 2:3] / 2
    low = (windows[:, :2] - half).clip(0, (width, height))
    high = (windows[:, :2] + half).clip(0, (width, height))
    return float(1 - (np.prod(high - low, axis=1) / windows[:, 2] ** 2).mean())


def centre_square(width: int, height: int) -> np.ndarray:
    """Window of the largest centred square of a frame."""
    return np.array([width / 2, height / 2, min(width, height), 0.0])
