"""Which clips look alike, and which crops do not look like the others: from three frames of each.

A clip is described by thumbnails of its first, middle and last crop. Two clips are near-duplicates
if their thumbnails agree and so does what changes between them: two takes of one person agree in
the first and not in the second. A copy that was compressed anew, resized, brightened or shifted by
a pixel is found; one that was cut differently, mirrored or retouched may not be.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

PLACES = 3  # frames that describe a clip: first, middle, last
SIDE = 16  # pixels of a thumbnail
# Least correlation of the thumbnails of near-duplicates, and of what changes between them. Of the
# 114,960 pairs of the Oulu-CASIA stand-in none reaches both by 0.08; a JPEG of quality 20 does.
ALIKE, MOVES_ALIKE = 0.95, 0.8
STILL_ALIKE = 0.999  # of the thumbnails alone, where nothing changes in either
STILL = 0.5  # grey levels: a clip in which the thumbnails change by less stands still
LIGHT = 2.0  # thumbnail pixels: what is smoother than this is light, not a face
FLAT = 1.0  # grey levels of contrast below which a thumbnail shows nothing
# A frame jumps where the thumbnail differs by more than so many grey levels from both neighbours,
# and by so many times what these differ by, and what neighbours in this clip usually do.
JUMP, TIMES = 4.0, 3.0
LEAST_FRAMES = 4  # of a clip in which a jump can be told
BLOCK = 512  # clips that are compared with all others at once
MOST_PAIRS = 10_000


def key_frames(count: int) -> list[int]:
    """Places of the frames that describe a clip of so many: first, middle, last."""
    return [round(place) for place in np.linspace(0, count - 1, PLACES)]


def thumbnails(crops: np.ndarray) -> np.ndarray:
    """Grey thumbnails float32 (N, 3, 16, 16) of the key frames uint8 (N, 3, S, S, 3) of clips."""
    small = [thumbnail(frame) for frame in crops.reshape(-1, *crops.shape[2:])]
    return np.reshape(small, (*crops.shape[:2], SIDE, SIDE)).astype(np.float32)


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """Grey thumbnail float32 (16, 16) of a picture uint8 (H, W, 3)."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def find_jumps(thumbs: np.ndarray) -> list[int]:
    """Frames of a clip that are far from both neighbours, while these are near each other.

    `thumbs` are (T, 16, 16). The first and the last frame have two neighbours on one side. Such a
    frame is of another clip, was damaged, or stands in a wrong place; a cut of a film is none,
    since what follows it stays.
    """
    if len(thumbs) < LEAST_FRAMES:
        return []
    before, after = np.roll(thumbs, 1, axis=0), np.roll(thumbs, -1, axis=0)
    before[0], after[0] = thumbs[1], thumbs[2]
    before[-1], after[-1] = thumbs[-3], thumbs[-2]
    sides = [np.abs(thumbs - other).mean(axis=(1, 2)) for other in (before, after)]
    nearer, between = np.minimum(*sides), np.abs(before - after).mean(axis=(1, 2))
    usual = np.median(np.abs(np.diff(thumbs, axis=0)).mean(axis=(1, 2)))
    far = (nearer > JUMP) & (nearer > TIMES * between) & (nearer > TIMES * usual)
    return np.flatnonzero(far).tolist()


def find_twins(thumbs: np.ndarray) -> pd.DataFrame:
    """Pairs of clips that look and move alike, the most alike first.

    `thumbs` are (N, 3, 16, 16). Columns: first and second (row numbers, first < second) and
    likeness, the correlation of the thumbnails. Clips that show nothing have no twin. At most
    10,000 pairs are listed.
    """
    looks, moves = _unit(thumbs), _unit(thumbs[:, 1:] - thumbs[:, :1])
    change = np.abs(thumbs[:, 1:] - thumbs[:, :1]).mean(axis=(1, 2, 3))
    still, shown = change < STILL, thumbs.std(axis=(1, 2, 3)) >= FLAT
    pairs: list[np.ndarray] = []
    for start in range(0, len(thumbs), BLOCK):
        block = slice(start, start + BLOCK)
        alike = looks[block] @ looks.T
        together = (moves[block] @ moves.T >= MOVES_ALIKE) & (alike >= ALIKE)
        unmoved = still[block, None] & still & (alike >= STILL_ALIKE)
        hit = np.where(still[block, None] | still, unmoved, together)
        first, second = np.nonzero(hit & shown[block, None] & shown)
        later = second > first + start
        first, second = first[later], second[later]
        pairs.append(np.stack([first + start, second, alike[first, second]], axis=1))
    table = pd.DataFrame(np.concatenate(pairs), columns=["first", "second", "likeness"])
    table = table.sort_values("likeness", ascending=False, kind="stable").head(MOST_PAIRS)
    return table.astype({"first": int, "second": int}).reset_index(drop=True)


def face_likeness(thumbs: np.ndarray) -> np.ndarray:
    """Correlation (N, 3) of every thumbnail with the median one: low where a crop shows no face.

    Needs no detector: most crops show a face at the same place, so what looks like none of them is
    likely to be something else. Light and local contrast are taken out before. A thumbnail without
    contrast gives 0.
    """
    shown = thumbs.std(axis=(2, 3)).ravel() >= FLAT
    units = _unit(np.stack([_even_light(thumb) for thumb in thumbs.reshape(-1, SIDE, SIDE)]))
    middle = np.median(units[shown], axis=0, keepdims=True) if shown.any() else units[:1]
    likeness = np.where(shown, (units @ _unit(middle).T)[:, 0], 0)
    return likeness.reshape(thumbs.shape[:2])


def _even_light(thumb: np.ndarray) -> np.ndarray:
    detail = thumb - cv2.GaussianBlur(thumb, (0, 0), LIGHT)
    return detail / (np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), LIGHT)) + FLAT)


def _unit(values: np.ndarray) -> np.ndarray:
    """Rows without their mean, of length one; rows without contrast become zero."""
    rows = values.reshape(len(values), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-6)
