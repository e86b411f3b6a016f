"""From the faces found in single frames to one face through a clip: choose, follow, smooth.

A place is (centre x, centre y, side, turn) of a square on a face, in pixels and radians; a turn is
the direction from the left eye to the right one, clockwise on the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from dferlib.datasets.faces.options import FaceOptions

SAME_FACE = 0.3  # boxes of one face overlap at least so much (intersection over union)
MOST_APART = 25  # frames in which a face may be lost and still be followed
LEAST_SEEN = 5  # frames: a face that replaces the chosen one, after a cut, shows itself so often
# Seconds of the Gaussian after a median of five frames. The side follows slowly, or the crop would
# zoom with a mouth that opens.
SMOOTH_CENTRE, SMOOTH_SIDE, SMOOTH_TURN = 0.08, 0.24, 0.08
MEDIAN = 5
# Thumbnails of two successive crops of a woman who shakes her head correlate by .86 and more; those
# of two people by less than .5 in nine of ten pairs of sixteen photographs.
ALIKE = 0.6
SIDE = 16  # pixels of a thumbnail
FLAT = 1.0  # grey levels of contrast below which a thumbnail shows nothing
FPS_ASSUMED = 25.0  # of frames whose rate nobody says


@dataclass
class _Track:
    box: np.ndarray  # where it was seen last
    frames: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    weight: float = 0.0  # sum of areas: large and persistent


def choose_face(found: Sequence[np.ndarray], cuts: bool = True) -> np.ndarray:
    """Choose the largest and most persistent face from the boxes (n, 4) found in each frame.

    Boxes that overlap are followed from frame to frame; the face with the largest sum of areas is
    taken. With `cuts`, where it is not to be seen, so is another that is seen often enough: films
    have cuts. Returns the row of the chosen box in each frame (T,), -1 where there is none.
    """
    chosen = np.full(len(found), -1)
    tracks = sorted(_link(found), key=lambda track: track.weight, reverse=True)
    for rank, track in enumerate(tracks):
        free = cuts and (chosen[track.frames[0] : track.frames[-1] + 1] < 0).all()
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


def turns_to_undo(turn: np.ndarray, faces: FaceOptions) -> np.ndarray:
    """Angles (T,) by which the crops are turned, from the turn of the eyes in each frame."""
    if faces.align == "none":
        return np.zeros_like(turn)
    return turn - turn[0] if faces.align == "first" else turn


def follow(places: np.ndarray) -> np.ndarray:
    """Fill frames without a face, whose places (T, 4) are NaN, from those before and after.

    Between two places of one face it moves evenly from the one to the other. Between faces that
    have nothing in common, and beyond both ends, the nearest place is held, of two equally near
    ones the earlier. Single columns that no frame has become 0.
    """
    filled = np.nan_to_num(places)
    known = np.flatnonzero(np.isfinite(places[:, 0]))
    if not len(known):
        return filled
    steps = np.arange(len(places))
    after = np.searchsorted(known, steps).clip(0, len(known) - 1)
    before = (np.searchsorted(known, steps, side="right") - 1).clip(0)
    apart = _common(places[known[before]], places[known[after]]) < SAME_FACE
    nearest = np.where(steps - known[before] <= known[after] - steps, known[before], known[after])
    nearest = np.where(steps < known[0], known[0], nearest)
    for column in range(places.shape[1]):
        held = np.isfinite(places[:, column])
        if held.any():
            even = np.interp(steps, steps[held], places[held, column])
            filled[:, column] = np.where(apart, places[nearest, column], even)
    return filled


def follow_turn(turn: np.ndarray) -> np.ndarray:
    """Turn of the eyes (T,) in all frames, from (T, 1) with NaN where it is unknown."""
    known = np.flatnonzero(np.isfinite(turn[:, 0]))
    if not len(known):
        return np.zeros(len(turn))
    return np.interp(np.arange(len(turn)), known, turn[known, 0])


def longest_gap(places: np.ndarray) -> int:
    """Most frames in a row without a face, whose places (T, 4) are NaN."""
    known = np.flatnonzero(np.isfinite(places[:, 0]))
    return int(np.diff(known, prepend=-1, append=len(places)).max()) - 1


def smooth(places: np.ndarray, fps: float) -> np.ndarray:
    """Take the detector's jitter out of places (T, 4), without delay and not across cuts.

    An `fps` of -1, of clips that do not say theirs, counts as 25.
    """
    return np.concatenate([_smooth_shot(part, fps) for part in shots(places)])


def shots(places: np.ndarray) -> list[np.ndarray]:
    """Parts of the places (T, 4) between which the face is elsewhere all of a sudden."""
    return np.split(places, np.flatnonzero(_common(places[:-1], places[1:]) < SAME_FACE) + 1)


def _common(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union (T,) of the squares of places (T, 4), pair by pair."""
    reach = (places[:, 2] + others[:, 2])[:, None] / 2 - np.abs(places[:, :2] - others[:, :2])
    smaller = np.minimum(places[:, 2], others[:, 2])[:, None]
    common = np.prod(reach.clip(0, smaller), axis=1)
    return common / (places[:, 2] ** 2 + others[:, 2] ** 2 - common)


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


def changes(crops: np.ndarray) -> np.ndarray:
    """Frames, of crops uint8 (T, S, S, 3), which look unlike the frame before: by a cut, if at all.

    A crop that shows nothing is like all others.
    """
    small = [
        cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), None, 0, 0, cv2.INTER_AREA)
        for crop in crops
    ]
    rows = np.reshape(small, (len(crops), -1)).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    spread = rows.std(axis=1)
    alike = (rows[1:] * rows[:-1]).mean(axis=1) / np.maximum(spread[1:] * spread[:-1], FLAT**2)
    shown = spread >= FLAT
    return np.flatnonzero((alike < ALIKE) & shown[1:] & shown[:-1]) + 1
