"""From the faces found in single frames to one face through a clip: choose, borrow, smooth.

A place is (centre x, centre y, side, turn) of a square on a face, in pixels and radians; a turn is
the direction from the left eye to the right one, clockwise on the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

SAME_FACE = 0.3  # boxes of one face overlap at least so much (intersection over union)
MOST_APART = 25  # frames in which a face may be lost and still be followed
LEAST_SEEN = 5  # frames: a face that replaces the chosen one, after a cut, shows itself so often
# Seconds of the Gaussian after a median of five frames. The side follows slowly, or the crop would
# zoom with a mouth that opens.
SMOOTH_CENTRE, SMOOTH_SIDE, SMOOTH_TURN = 0.08, 0.24, 0.08
MEDIAN = 5
FPS_ASSUMED = 25.0  # of frames whose rate nobody says


@dataclass
class _Track:
    box: np.ndarray  # where it was seen last
    frames: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    weight: float = 0.0  # sum of areas: large and persistent


def choose_face(found: Sequence[np.ndarray]) -> np.ndarray:
    """Choose the largest and most persistent face from the boxes (n, 4) found in each frame.

    Boxes that overlap are followed from frame to frame; the face with the largest sum of areas is
    taken. Where it is not to be seen, so is another that is seen often enough: films have cuts.
    Returns the row of the chosen box in each frame (T,), -1 where there is none.
    """
    chosen = np.full(len(found), -1)
    tracks = sorted(_link(found), key=lambda track: track.weight, reverse=True)
    for rank, track in enumerate(tracks):
        free = (chosen[track.frames[0] : track.frames[-1] + 1] < 0).all()
        if rank == 0 or (free and len(track.frames) >= LEAST_SEEN):
            chosen[track.frames] = track.rows
    return chosen


def _link(found: Sequence[np.ndarray]) -> list[_Track]:
    tracks: list[_Track] = []
    for index, boxes in enumerate(found):
        open_tracks = [track for track in tracks if index - track.frames[-1] <= MOST_APART]
        common = overlap(np.array([track.box for track in open_tracks]).reshape(-1, 4), boxes)
        left = set(range(len(boxes)))
        while common.size and common.max() >= SAME_FACE:
            place, row = np.unravel_index(common.argmax(), common.shape)
            _follow(open_tracks[place], index, int(row), boxes[row])
            common[place], common[:, row] = 0, 0
            left.discard(int(row))
        for row in sorted(left):
            tracks.append(_follow(_Track(boxes[row]), index, row, boxes[row]))
    return tracks


def _follow(track: _Track, index: int, row: int, box: np.ndarray) -> _Track:
    track.box = box
    track.frames.append(index)
    track.rows.append(row)
    track.weight += float(np.prod(box[2:] - box[:2]))
    return track


def overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of every box (n, 4) with every other (m, 4), as (n, m)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.prod((high - low).clip(0), axis=2)
    areas = [np.prod(part[:, 2:] - part[:, :2], axis=1) for part in (boxes, others)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def to_places(boxes: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Places (T, 4) of boxes (T, 4) with eyes (T, 2, 2); NaN stays NaN."""
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, side, turn_of(eyes)], axis=1)


def turn_of(eyes: np.ndarray) -> np.ndarray:
    """Turn (T, 1) in radians of the line through the eyes (T, 2, 2)."""
    across, down = (eyes[:, 1] - eyes[:, 0]).T
    return np.arctan2(down, across)[:, None]


def borrow(places: np.ndarray) -> np.ndarray:
    """Fill frames without a face, whose places (T, 4) are NaN, from the nearest one that has it.

    Of two equally near ones the earlier is taken. Single columns that no frame has become 0.
    """
    filled = places.copy()
    for column in range(places.shape[1]):
        known = np.flatnonzero(np.isfinite(places[:, column]))
        if not len(known):
            filled[:, column] = 0
            continue
        nearest = np.abs(np.arange(len(places))[:, None] - known).argmin(axis=1)
        filled[:, column] = places[known[nearest], column]
    return filled


def smooth(places: np.ndarray, fps: float) -> np.ndarray:
    """Take the detector's jitter out of places (T, 4), without delay and not across cuts.

    An `fps` of -1, of clips that do not say theirs, counts as 25.
    """
    parts = np.split(places, _cuts(places))
    return np.concatenate([_smooth_shot(part, fps) for part in parts])


def _cuts(places: np.ndarray) -> np.ndarray:
    """Frames at which the face is elsewhere all of a sudden."""
    half = places[:, 2:3] / 2
    boxes = np.concatenate([places[:, :2] - half, places[:, :2] + half], axis=1)
    pairs = zip(boxes[:-1, None], boxes[1:, None], strict=True)
    common = np.array([overlap(before, after)[0, 0] for before, after in pairs])
    return np.flatnonzero(common < SAME_FACE) + 1


def _smooth_shot(places: np.ndarray, fps: float) -> np.ndarray:
    values = places.copy()
    values[:, 2] = np.log(values[:, 2])
    values[:, 3] = np.unwrap(values[:, 3])
    values = median_filter(values, size=(MEDIAN, 1), mode="nearest")
    # continued beyond both ends as they went: a head that moves at once is not held back
    beyond = len(places)
    values = np.pad(values, ((beyond, beyond), (0, 0)), mode="reflect", reflect_type="odd")
    seconds = (SMOOTH_CENTRE, SMOOTH_CENTRE, SMOOTH_SIDE, SMOOTH_TURN)
    fps = fps if fps > 0 else FPS_ASSUMED
    for column, width in enumerate(seconds):
        values[:, column] = gaussian_filter1d(values[:, column], width * fps, mode="nearest")
    values = values[beyond:-beyond]
    values[:, 2] = np.exp(values[:, 2])
    return values


def jitter(places: np.ndarray) -> float:
    """How much places (T, 4) tremble: deviation of the centre from a steady path, in sides.

    The root mean square of second differences over sqrt(6), which is the standard deviation of
    noise that is independent from frame to frame; steady motion does not count. NaN for fewer than
    three frames.
    """
    if len(places) < 3:
        return float("nan")
    second = np.diff(places[:, :2], n=2, axis=0)
    return float(np.sqrt((second**2).mean() / 6) / np.median(places[:, 2]))
