"""Where the face of a clip is: from its landmarks, or found in its frames and followed.

With box=clip the face is looked for in some frames, and the median of what was found serves all.
With box=frame it is looked for in every frame; where it is lost for some it is followed from where
it was last to where it is next.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np

from dferlib.datasets.faces.detectors import Detector, Faces, make_detector
from dferlib.datasets.faces.geometry import (
    LANDMARKS,
    clip_box,
    eye_centres,
    read_landmarks,
    tight_squares,
)
from dferlib.datasets.faces.options import AUTO, FaceOptions
from dferlib.datasets.faces.report import NO_DETECTOR, FaceRecord
from dferlib.datasets.faces.tracking import (
    choose_face,
    follow,
    follow_turn,
    jitter,
    longest_gap,
    shots,
    smooth,
    to_places,
    turn_of,
    turns_to_undo,
)
from dferlib.datasets.media.footage import Footage
from dferlib.datasets.readers.scan import Clip, View

DETECT_FRAMES = 9  # frames of a clip in which a face is looked for: enough for a median
BATCH = 16  # consecutive frames that a detector gets at once
FEW = 0.5  # a face found in fewer of the frames is worth a note
LOST = 1.0  # seconds without a face after which its place is a guess
ELSEWHERE = 2  # of the frames looked at: a single wrong box is no second person
NO_FACE = "no face found, centre square kept"
JUMPS = "the face jumps to another place: a cut, or another person"
MOVES = "in some frames a face is outside the clip's one box: another person, or one that moves"
GUESSED = "the face is lost for more than a second, its place there is a guess"
DETECTED = "no landmarks, face detected instead"


class Found(NamedTuple):
    """Windows of a clip's face in a view: one for each frame, or a single one for all."""

    view: View
    windows: np.ndarray | None  # (T, 4) or (1, 4); None: the centre square
    notes: tuple[str, ...]
    record: FaceRecord


def look(frame: np.ndarray, view: View) -> np.ndarray:
    """Take the part of a frame (H, W, 3) that a view shows, and turn it clockwise."""
    half = frame.shape[1] // 2
    if view.part:
        frame = frame[:, :half] if view.part == "left" else frame[:, -half:]
    return np.ascontiguousarray(np.rot90(frame, -view.turn // 90))


def has_marks(clip: Clip, faces: FaceOptions) -> bool:
    """Whether the clip's own landmarks say where its face is."""
    return faces.detector == AUTO and any(clip.landmarks)


def find_face(clip: Clip, footage: Footage, faces: FaceOptions) -> Found:
    """Where the clip's face is, and notes if it is not as it should be."""
    views = clip.views or (View(),)
    if has_marks(clip, faces):
        return _read_marks(clip, views[0], faces)
    name = faces.chosen_detector
    detector = _detector(name, faces.smallest)
    view, found = views[0], []
    if faces.box == "clip" or len(views) > 1:
        view, found = _choose_view(clip, footage, views, detector)
    if faces.box == "frame":
        found = _detect(detector, (look(frame, view) for frame in footage), BATCH)
    chosen = choose_face([part.boxes for part in found], cuts=faces.box == "frame")
    own = int((chosen >= 0).sum())
    if not own:
        none = FaceRecord(clip.clip_id, NO_DETECTOR, len(found), none=len(found))
        return Found(view, None, (NO_FACE,), none)
    raw = np.full((len(found), 4), np.nan)
    for index in np.flatnonzero(chosen >= 0):
        boxes, eyes = (part[[chosen[index]]] for part in found[index])
        raw[index] = to_places(boxes, eyes)
    box = np.nanmedian(raw[:, :3], axis=0) if faces.box == "clip" else None
    record = FaceRecord(clip.clip_id, name, len(found), own)
    windows, record = _settle(record, raw, box, clip, faces)
    alone = sum(len(part.boxes) > 0 for part in found) - own
    notes = {
        DETECTED: faces.detector == AUTO and bool(clip.landmarks),
        f"face found in {own} of {len(found)} frames only, the others borrow its box": own
        < FEW * len(found),
        JUMPS: box is None and len(shots(follow(raw))) > 1,
        GUESSED: box is None and longest_gap(raw) > LOST * clip.fps,
        MOVES: box is not None and alone >= ELSEWHERE,
    }
    return Found(view, windows, tuple(note for note, so in notes.items() if so), record)


def _read_marks(clip: Clip, view: View, faces: FaceOptions) -> Found:
    """What the clip's landmark files say."""
    lost = np.full((LANDMARKS, 2), np.nan)
    points = np.stack([read_landmarks(path) if path else lost for path in clip.landmarks])
    known = np.isfinite(points[:, 0, 0])
    turn = turn_of(eye_centres(points))
    angles = turns_to_undo(follow_turn(turn), faces)
    raw = np.concatenate([tight_squares(points, angles), turn], axis=1)
    box = None
    if faces.box == "clip":
        edges = clip_box(points[known])
        box = np.array([*(edges[:2] + edges[2:]) / 2, max(edges[2:] - edges[:2])])
    record = FaceRecord(clip.clip_id, "landmarks", len(points), int(known.sum()))
    windows, record = _settle(record, raw, box, clip, faces)
    return Found(view, windows, (), record)


def _settle(
    record: FaceRecord, raw: np.ndarray, box: np.ndarray | None, clip: Clip, faces: FaceOptions
) -> tuple[np.ndarray, FaceRecord]:
    """Windows to cut, from the places (T, 4) where the face was found, NaN elsewhere.

    `box` is the one place (3,) for all frames, None for one in each.
    """
    record = replace(record, borrowed=record.looked - record.own)
    if box is not None:
        places = np.append(box, 0.0)[None]
    else:
        filled = follow(raw)
        places = smooth(filled, clip.fps)
        record = replace(record, raw_jitter=jitter(filled), jitter=jitter(places))
    angles = turns_to_undo(places[:, 3], faces)
    away = np.linalg.norm(raw[:, :2] - places[:, :2], axis=1) / places[:, 2]
    record = replace(
        record,
        pixels=float(np.nanmedian(raw[:, 2])),
        drift=float(np.sqrt(np.nanmean(away**2))),
        turn=float(np.degrees(np.abs(angles).max())),
    )
    sides = places[:, 2] * (1 + faces.margin)
    return np.stack([places[:, 0], places[:, 1], sides, angles], axis=1), record


def _choose_view(
    clip: Clip, footage: Footage, views: Sequence[View], detector: Detector
) -> tuple[View, list[Faces]]:
    """The view that shows the face from the front, and what was found in a sample of its frames."""
    places = np.linspace(0, clip.n_frames - 1, DETECT_FRAMES).round().astype(int)
    sample = footage.at(places.tolist())
    # one by one: frames so far apart are no motion that a detector could follow
    found = [_detect(detector, (look(frame, view) for frame in sample), 1) for view in views]
    best = int(np.argmax([sum(map(_frontality, parts)) for parts in found]))
    return views[best], found[best]


def _frontality(faces: Faces) -> float:
    """How much the faces of a frame look like one seen upright from the front; 0 without a face.

    A profile and a face that lies on its side are found by some detectors, but their eyes do not
    stand apart across the picture. A detector without eyes knows frontal faces only: 1.
    """
    if not len(faces.boxes):
        return 0.0
    across = (faces.eyes[:, 1] - faces.eyes[:, 0])[:, 0]
    shares = across / (faces.boxes[:, 2] - faces.boxes[:, 0])
    return float(np.nan_to_num(shares, nan=1.0).max().clip(0))


def _detect(detector: Detector, frames: Iterable[np.ndarray], batch: int) -> list[Faces]:
    """Faces of each frame; the frames are in memory so many at a time.

    Kept as numbers until the end: small arrays, made between large frames, pin the memory of all.
    """
    rows, left = [], iter(frames)
    while part := list(itertools.islice(left, batch)):
        rows += [(faces.boxes.tolist(), faces.eyes.tolist()) for faces in detector(part)]
    return [Faces(np.reshape(b, (-1, 4)), np.reshape(e, (-1, 2, 2))) for b, e in rows]


@cache
def _detector(name: str, smallest: float) -> Detector:
    return make_detector(name, smallest)
