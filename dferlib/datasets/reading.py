"""Face crops of whole clips, from their images or videos: one square box per clip.

One box serves all frames of a clip, so that a crop shows how the face moves and not how the box
does. It comes from the landmarks of all its frames where the dataset has them, and else from Haar
detections, of which a clip takes the median. A clip is read twice, first some frames to find the
face, then all of them to cut it out, so that only one whole frame is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dferlib.datasets import video
from dferlib.datasets.faces import (
    centre_square,
    choose_face,
    clip_box,
    crop,
    detect_faces,
    haar_to_landmark_box,
    read_landmarks,
)
from dferlib.datasets.images import load_rgb
from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.scan import Clip, View

CROP_VERSION = "2"  # raise when crops change: it is part of every store's key
DETECT_FRAMES = 9  # frames of a clip in which a face is looked for: enough for a median
GREY = 128  # of the frame that stands for a clip which cannot be read
NOTHING, NO_FACE = "nothing to read, a grey frame stands in", "no face found, centre square kept"


def read_clips(
    clips: Sequence[Clip], size: int
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, str]]:
    """Read clips as crops uint8 (total frames, size, size, 3); no truth; notes by clip."""
    parts, notes = [], {}
    for clip in clips:
        frames, note = read_clip(clip, size)
        parts.append(frames)
        if note:
            notes[clip.clip_id] = note
    return np.concatenate(parts), {}, notes


def read_clip(clip: Clip, size: int) -> tuple[np.ndarray, str]:
    """Read one clip as crops uint8 (T, size, size, 3) and a note, empty if all is as it should be.

    A frame without landmarks or without a detected face uses the box of the others; a clip without
    any keeps the centre square. A video with a frame or two less than declared holds its last one.
    DatasetError naming the file if a frame, a video or a landmark file cannot be read.
    """
    if not clip.frames and not clip.video:
        return np.full((clip.n_frames, size, size, 3), GREY, np.uint8), NOTHING
    if clip.cropped:
        frames = (crop(f, (0, 0, f.shape[1], f.shape[0]), size, margin=0) for f in _frames(clip))
        return _fit(clip, list(frames), "")
    view, box, note = _find_face(clip)
    crops, shapes = [], set()
    for frame in _frames(clip):
        shapes.add(frame.shape)
        crops.append(crop(look(frame, view), box, size))
    if len(shapes) > 1:
        sizes = sorted(f"{width}x{height}" for height, width, _ in shapes)
        folder = Path(clip.frames[0]).parent if clip.frames else clip.video
        raise DatasetError(f"the frames in {folder} differ in size ({', '.join(sizes)})")
    return _fit(clip, crops, note)


def look(frame: np.ndarray, view: View) -> np.ndarray:
    """Take the part of a frame (H, W, 3) that a view shows, and turn it clockwise."""
    half = frame.shape[1] // 2
    if view.part:
        frame = frame[:, :half] if view.part == "left" else frame[:, -half:]
    return np.ascontiguousarray(np.rot90(frame, -view.turn // 90))


def _frames(clip: Clip) -> Iterator[np.ndarray]:
    return video.iter_frames(clip.video) if clip.video else map(load_rgb, clip.frames)


def _fit(clip: Clip, crops: list[np.ndarray], note: str) -> tuple[np.ndarray, str]:
    """Stack the crops, exactly as many as the manifest says."""
    if clip.video:
        counted = video.compare_counts(clip.video, len(crops), clip.count)
        note = "; ".join(filter(None, (note, counted)))
        crops = (crops + crops[-1:] * clip.count)[: clip.count]
    return np.stack(crops), note


def _find_face(clip: Clip) -> tuple[View, np.ndarray, str]:
    """View and box of the clip's face, and a note if it is not where it should be."""
    views = clip.views or (View(),)
    box = _landmark_box(clip)
    if box is not None:
        return views[0], box, ""
    sample = _sample(clip)
    found = [[detect_faces(look(frame, view)) for frame in sample] for view in views]
    best = int(np.argmax([sum(map(bool, map(len, boxes))) for boxes in found]))
    tracked = choose_face(found[best]) if sample else None
    if tracked is None:
        square = centre_square(look(sample[0], views[0])) if sample else np.zeros(4)
        return views[0], square, NO_FACE
    note = "no landmarks, face detected instead" if clip.landmarks else ""
    return views[best], haar_to_landmark_box(np.median(tracked, axis=0)), note


def _landmark_box(clip: Clip) -> np.ndarray | None:
    points = [read_landmarks(path) for path in clip.landmarks if path]
    return clip_box(np.stack(points)) if points else None


def _sample(clip: Clip) -> list[np.ndarray]:
    count = clip.n_frames
    places = {round(p) for p in np.linspace(0, count - 1, min(count, DETECT_FRAMES))}
    if clip.frames:
        return [load_rgb(clip.frames[place]) for place in sorted(places)]
    return [frame for place, frame in enumerate(_frames(clip)) if place in places]
