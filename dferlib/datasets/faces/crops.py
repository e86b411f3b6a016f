"""Face crops of whole clips, from their images or videos.

With box=clip one box serves all frames of a clip, so that a crop shows how the face moves and not
how the box does; it comes from the landmarks of all frames where the dataset has them, and else
from the median of detections in some frames. With box=frame there is one in each frame. A clip is
read twice, first to find the face, then to cut it out: whole frames are in memory a few at a time,
crops once, in the array that is given back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import cv2
import numpy as np

from dferlib.datasets.faces.finding import JUMPS, find_face, has_marks, look
from dferlib.datasets.faces.geometry import centre_square, crop, cut, share_outside
from dferlib.datasets.faces.options import HAAR, MTCNN, OWNER, FaceOptions
from dferlib.datasets.faces.report import NO_DETECTOR, FaceRecord
from dferlib.datasets.faces.tracking import changes
from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.media import video
from dferlib.datasets.media.footage import Footage
from dferlib.datasets.readers.scan import EXCLUDE_FILE, Clip

CROP_VERSION = "4"  # raise when crops change: it is part of every store's key
GREY = 128  # of the frame that stands for a clip which cannot be read
OUTSIDE = 0.5  # a crop of which more than this share lies beyond the picture is worth a note
CHANGES = "the face changes from one frame to the next: a cut, or another person"
NOTHING = "nothing to read, a grey frame stands in"


class Crops(NamedTuple):
    """Crops uint8 (T, size, size, 3) of a clip, what is odd about them, how the face was found."""

    frames: np.ndarray
    note: str
    record: FaceRecord


def describe(clips: Sequence[Clip], faces: FaceOptions) -> str:
    """What decides the pixels of some clips, for a store's key: options, detector and its version.

    The options do nothing where the owner cropped all clips, nor does the detector where all have
    landmarks.
    """
    read = [clip for clip in clips if clip.frames or clip.video]
    if all(clip.cropped for clip in read):
        return OWNER
    if all(clip.cropped or has_marks(clip, faces) for clip in read):
        return str(faces)
    return f"{faces} {_detector_version(faces.chosen_detector)}"


def _detector_version(name: str) -> str:
    if name == HAAR:
        return f"{name}-{cv2.__version__}"
    package = "facenet-pytorch" if name == MTCNN else name.partition(":")[0].partition(".")[0]
    try:
        return f"{name}-{version(package)}"
    except PackageNotFoundError:  # a module of one's own, or an extra that is not there yet
        return name


def read_clips(
    clips: Sequence[Clip], faces: FaceOptions, size: int
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, str], list[dict]]:
    """Read clips as crops uint8 (total frames, size, size, 3); no truth; notes and records."""
    stops = np.cumsum([clip.n_frames for clip in clips])
    frames = np.empty((int(stops[-1]), size, size, 3), np.uint8)
    parts = np.split(frames, stops[:-1])
    read = [
        read_clip(clip, size, faces, into=part) for clip, part in zip(clips, parts, strict=True)
    ]
    notes = {part.record.clip_id: part.note for part in read if part.note}
    return frames, {}, notes, [part.record.row() for part in read]


def read_clip(
    clip: Clip, size: int, faces: FaceOptions | None = None, into: np.ndarray | None = None
) -> Crops:
    """Read one clip as crops; the note is empty if all is as it should be.

    A frame without landmarks or without a detected face takes a place between those before and
    after it; a clip without any keeps the centre square. A video with a frame or two less than
    declared holds its last one. `into` is filled if given, uint8 (T, size, size, 3). DatasetError
    naming the file if a frame, a video or a landmark file cannot be read.
    """
    out = np.empty((clip.n_frames, size, size, 3), np.uint8) if into is None else into
    if not clip.frames and not clip.video:
        out[:] = GREY
        record = FaceRecord(clip.clip_id, NO_DETECTOR, clip.n_frames, none=clip.n_frames)
        return Crops(out, NOTHING, record)
    footage = Footage(clip.frames, clip.video, mixed=clip.cropped)
    cut_out = _keep_crops if clip.cropped else _cut_faces
    count, notes, record = cut_out(clip, footage, faces or FaceOptions(), out)
    notes = [*notes, *footage.notes]
    if clip.video:
        notes.append(video.compare_counts(clip.video, count, clip.count))
        out[count:] = out[min(count, len(out)) - 1]
    return Crops(out, "; ".join(filter(None, notes)), record)


def _cut_faces(
    clip: Clip, footage: Footage, faces: FaceOptions, out: np.ndarray
) -> tuple[int, list[str], FaceRecord]:
    """Fill `out` with the face, frame by frame; frames there were, notes, and how it was found."""
    found = find_face(clip, footage, faces)
    windows, record, notes, count = found.windows, found.record, list(found.notes), 0
    for count, frame in enumerate(footage, start=1):
        seen = look(frame, found.view)
        height, width = seen.shape[:2]
        if windows is None:
            windows = centre_square(width, height)[None]
        if count == 1:
            record = replace(record, outside=share_outside(windows, width, height))
            notes.append(_note_outside(record))
        if count <= len(out):
            with _naming(clip):
                out[count - 1] = cut(seen, windows[(count - 1) % len(windows)], out.shape[1])
    if found.windows is not None and JUMPS not in notes and len(changes(out[:count])):
        notes.append(CHANGES)
    return count, notes, record


def _keep_crops(
    clip: Clip, footage: Footage, faces: FaceOptions, out: np.ndarray
) -> tuple[int, list[str], FaceRecord]:
    """Fill `out` with what the dataset's owner cropped, as it is."""
    sides = []
    for frame in footage:
        if len(sides) < len(out):
            box = (0, 0, frame.shape[1], frame.shape[0])
            with _naming(clip):
                out[len(sides)] = crop(frame, box, out.shape[1], margin=0)
        sides.append(max(frame.shape[:2]))
    count = len(sides)
    pixels = float(np.median(sides)) if sides else float("nan")
    return count, [], FaceRecord(clip.clip_id, OWNER, count, own=count, pixels=pixels)


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
