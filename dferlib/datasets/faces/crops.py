"""Face crops of whole clips, from their images or videos.

With box=clip one box serves all frames of a clip, so that a crop shows how the face moves and not
how the box does; it comes from the landmarks of all frames where the dataset has them, and else
from the median of detections in some frames. With box=frame there is one in each frame. A clip is
read twice, first to find the face, then to cut it out, so that only a few whole frames are in
memory at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dferlib.datasets.faces.detectors import Detector, Faces, make_detector
from dferlib.datasets.faces.geometry import (
    LANDMARKS,
    centre_square,
    clip_box,
    crop,
    cut,
    eye_centres,
    read_landmarks,
    share_outside,
    tight_squares,
)
from dferlib.datasets.faces.options import AUTO, OWNER, FaceOptions
from dferlib.datasets.faces.report import NO_DETECTOR, FaceRecord
from dferlib.datasets.faces.tracking import (
    borrow,
    choose_face,
    jitter,
    smooth,
    to_places,
    turn_of,
    turns_to_undo,
)
from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.media import video
from dferlib.datasets.media.images import load_rgb
from dferlib.datasets.readers.scan import EXCLUDE_FILE, Clip, View

CROP_VERSION = "3"  # raise when crops change: it is part of every store's key
DETECT_FRAMES = 9  # frames of a clip in which a face is looked for: enough for a median
BATCH = 16  # frames that a detector gets at once
GREY = 128  # of the frame that stands for a clip which cannot be read
FEW = 0.5  # a face found in fewer of the frames is worth a note
OUTSIDE = 0.5  # so is a crop of which more than this share lies beyond the picture
NOTHING, NO_FACE = "nothing to read, a grey frame stands in", "no face found, centre square kept"


class Crops(NamedTuple):
    """Crops uint8 (T, size, size, 3) of a clip, what is odd about them, how the face was found."""

    frames: np.ndarray
    note: str
    record: FaceRecord


class _Found(NamedTuple):
    """Windows of a clip's face in a view: one for each frame, or a single one for all."""

    view: View
    windows: np.ndarray | None  # (T, 4) or (1, 4); None: the centre square
    note: str
    record: FaceRecord


def read_clips(
    clips: Sequence[Clip], faces: FaceOptions, size: int
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, str], list[dict]]:
    """Read clips as crops uint8 (total frames, size, size, 3); no truth; notes and records."""
    parts = [read_clip(clip, size, faces) for clip in clips]
    notes = {part.record.clip_id: part.note for part in parts if part.note}
    frames = np.concatenate([part.frames for part in parts])
    return frames, {}, notes, [part.record.row() for part in parts]


def read_clip(clip: Clip, size: int, faces: FaceOptions | None = None) -> Crops:
    """Read one clip as crops; the note is empty if all is as it should be.

    A frame without landmarks or without a detected face borrows the box of the nearest other; a
    clip without any keeps the centre square. A video with a frame or two less than declared holds
    its last one. DatasetError naming the file if a frame, a video or a landmark file cannot be
    read.
    """
    if not clip.frames and not clip.video:
        grey = np.full((clip.n_frames, size, size, 3), GREY, np.uint8)
        record = FaceRecord(clip.clip_id, NO_DETECTOR, clip.n_frames, none=clip.n_frames)
        return Crops(grey, NOTHING, record)
    if clip.cropped:
        return _read_cropped(clip, size)
    found = _find_face(clip, faces or FaceOptions())
    windows, record, note, crops = found.windows, found.record, found.note, []
    for index, frame in enumerate(_frames(clip)):
        seen = look(frame, found.view)
        height, width = seen.shape[:2]
        if windows is None:
            windows = centre_square(width, height)[None]
        if index == 0:
            record = replace(record, outside=share_outside(windows, width, height))
            note = "; ".join(filter(None, (note, _note_outside(record))))
        with _naming(clip):
            crops.append(cut(seen, windows[index % len(windows)], size))
    frames, note = _fit(clip, crops, note)
    return Crops(frames, note, record)


def _read_cropped(clip: Clip, size: int) -> Crops:
    """What the dataset's owner cropped, as it is."""
    crops, sides = [], []
    frames = video.iter_frames(clip.video) if clip.video else map(load_rgb, clip.frames)
    for frame in frames:
        with _naming(clip):
            crops.append(crop(frame, (0, 0, frame.shape[1], frame.shape[0]), size, margin=0))
        sides.append(max(frame.shape[:2]))
    record = FaceRecord(clip.clip_id, OWNER, len(crops), own=len(crops), pixels=np.median(sides))
    return Crops(*_fit(clip, crops, ""), record)


@contextmanager
def _naming(clip: Clip) -> Iterator[None]:
    """Say of which clip an error is."""
    try:
        yield
    except DatasetError as error:
        raise DatasetError(
            f"clip {clip.clip_id}: {error}; copy its files anew, or name the clip in {EXCLUDE_FILE}"
        ) from error


def _note_outside(record: FaceRecord) -> str:
    if record.outside <= OUTSIDE:
        return ""
    return f"most of the crop lies beyond the picture, by its {record.found_by}"


def look(frame: np.ndarray, view: View) -> np.ndarray:
    """Take the part of a frame (H, W, 3) that a view shows, and turn it clockwise."""
    half = frame.shape[1] // 2
    if view.part:
        frame = frame[:, :half] if view.part == "left" else frame[:, -half:]
    return np.ascontiguousarray(np.rot90(frame, -view.turn // 90))


def _frames(clip: Clip) -> Iterator[np.ndarray]:
    """Frames of a clip; DatasetError if they are not of one size."""
    first: tuple[int, ...] = ()
    for frame in video.iter_frames(clip.video) if clip.video else map(load_rgb, clip.frames):
        first = first or frame.shape
        if frame.shape != first:
            sizes = sorted(f"{width}x{height}" for height, width, _ in (first, frame.shape))
            folder = Path(clip.frames[0]).parent if clip.frames else clip.video
            raise DatasetError(f"the frames in {folder} differ in size ({', '.join(sizes)})")
        yield frame


def _fit(clip: Clip, crops: list[np.ndarray], note: str) -> tuple[np.ndarray, str]:
    """Stack the crops, exactly as many as the manifest says."""
    if clip.video:
        counted = video.compare_counts(clip.video, len(crops), clip.count)
        note = "; ".join(filter(None, (note, counted)))
        crops = (crops + crops[-1:] * clip.count)[: clip.count]
    return np.stack(crops), note


def _find_face(clip: Clip, faces: FaceOptions) -> _Found:
    """Where the clip's face is, and a note if it is not as it should be."""
    views = clip.views or (View(),)
    if faces.detector == AUTO and any(clip.landmarks):
        return _Found(views[0], *_read_marks(clip, faces))
    name = faces.chosen_detector
    detector = _detector(name, faces.smallest)
    view, found = views[0], []
    if faces.box == "clip" or len(views) > 1:
        view, found = _choose_view(clip, views, detector)
    if faces.box == "frame":
        found = _detect(detector, (look(frame, view) for frame in _frames(clip)))
    chosen = choose_face([part.boxes for part in found])
    own = int((chosen >= 0).sum())
    if not own:
        none = FaceRecord(clip.clip_id, NO_DETECTOR, len(found), none=len(found))
        return _Found(view, None, NO_FACE, none)
    raw = np.full((len(found), 4), np.nan)
    for index in np.flatnonzero(chosen >= 0):
        boxes, eyes = (part[[chosen[index]]] for part in found[index])
        raw[index] = to_places(boxes, eyes)
    box = np.nanmedian(raw[:, :3], axis=0) if faces.box == "clip" else None
    windows, record = _settle(
        FaceRecord(clip.clip_id, name, len(found), own), raw, box, clip, faces
    )
    wanted = faces.detector == AUTO and clip.landmarks
    notes = ["no landmarks, face detected instead"] if wanted else []
    if own < FEW * len(found):
        notes.append(f"face found in {own} of {len(found)} frames only, the others borrow its box")
    return _Found(view, windows, "; ".join(notes), record)


def _read_marks(clip: Clip, faces: FaceOptions) -> tuple[np.ndarray, str, FaceRecord]:
    """Windows, note and record from a clip's landmark files."""
    lost = np.full((LANDMARKS, 2), np.nan)
    points = np.stack([read_landmarks(path) if path else lost for path in clip.landmarks])
    known = np.isfinite(points[:, 0, 0])
    turn = turn_of(eye_centres(points))
    raw = np.concatenate(
        [tight_squares(points, turns_to_undo(borrow(turn)[:, 0], faces)), turn], axis=1
    )
    box = None
    if faces.box == "clip":
        edges = clip_box(points[known])
        box = np.array([*(edges[:2] + edges[2:]) / 2, max(edges[2:] - edges[:2])])
    record = FaceRecord(clip.clip_id, "landmarks", len(points), int(known.sum()))
    windows, record = _settle(record, raw, box, clip, faces)
    return windows, "", record


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
        filled = borrow(raw)
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


def _choose_view(clip: Clip, views: Sequence[View], detector: Detector) -> tuple[View, list[Faces]]:
    """The view in which most faces are found, and those found in a sample of the frames."""
    places = {round(p) for p in np.linspace(0, clip.n_frames - 1, DETECT_FRAMES)}
    if clip.frames:
        sample = [load_rgb(clip.frames[place]) for place in sorted(places)]
    else:
        sample = [frame for place, frame in enumerate(_frames(clip)) if place in places]
    found = [_detect(detector, (look(frame, view) for frame in sample)) for view in views]
    counts = [sum(len(part.boxes) > 0 for part in parts) for parts in found]
    best = int(np.argmax(counts))
    return views[best], found[best]


def _detect(detector: Detector, frames: Iterator[np.ndarray]) -> list[Faces]:
    found: list[Faces] = []
    while batch := list(itertools.islice(frames, BATCH)):
        found += detector(batch)
    return found


@cache
def _detector(name: str, smallest: float) -> Detector:
    return make_detector(name, smallest)
