"""Reading the files of a dataset to see whether they are sound, and what their crops show.

Every image is decoded once, and of each clip three frames are cropped as the frame store crops
them. Every video is cropped as a whole: there is no telling whether one is damaged without decoding
it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed, parallel_config
from tqdm.auto import tqdm

from dferlib.datasets.doctor.likeness import (
    SIDE,
    find_jumps,
    key_frames,
    thumbnail,
    thumbnails,
)
from dferlib.datasets.faces.crops import Crops, read_clip
from dferlib.datasets.faces.geometry import read_landmarks
from dferlib.datasets.faces.options import FaceOptions
from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.media.images import load_rgb, picture_of
from dferlib.datasets.media.video import picture_of_video
from dferlib.datasets.readers.scan import Clip, Scan

CROP_SIZE = 64  # pixels of the crops that are looked at
CLIPS_PER_JOB = 8
CLIPS_PER_WORKER = 32  # fewer are read faster than a process starts
Kind = tuple[int, int, str]  # width, height, mode


@dataclass(frozen=True, eq=False)
class Inspection:
    """What reading the clips of a scan showed.

    `kinds` counts pictures by width, height and mode; `faults` are sentences on files that cannot
    be read; `rows` are the clips that could be cropped, `thumbs` the thumbnails (len(rows), 3, 16,
    16) of their first, middle and last crop; `notes` says by clip_id what was odd about a crop, and
    `records` how each face was found, see `FaceRecord`; `copies` are groups of clips with the same
    files, byte by byte, `shared` the number of images that stand in several clips; `jumps` are
    frames that do not fit between their neighbours, `repeats` clips with one picture twice, `marks`
    landmark files that two people share.
    """

    kinds: Counter[Kind] = field(default_factory=Counter)
    faults: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    thumbs: np.ndarray = field(default_factory=lambda: np.empty((0, 3, SIDE, SIDE), np.float32))
    notes: dict[str, str] = field(default_factory=dict)
    records: tuple[Mapping[str, Any], ...] = ()
    copies: tuple[tuple[str, ...], ...] = ()
    shared: int = 0
    jumps: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Seen:
    """What reading one clip showed; see `Inspection`."""

    kinds: Counter[Kind]
    faults: list[str]
    digests: np.ndarray
    marks: np.ndarray
    thumbs: np.ndarray | None
    note: str
    record: Mapping[str, Any]
    jumps: tuple[str, ...]
    repeats: tuple[str, ...]


def inspect_files(scan: Scan, faces: FaceOptions, progress: bool = False) -> Inspection:
    """Read every file of a scan, in several processes, and crop three frames of each clip."""
    clips = scan.clips
    jobs = [clips[at : at + CLIPS_PER_JOB] for at in range(0, len(clips), CLIPS_PER_JOB)]
    seen: list[_Seen] = []
    total = sum(clip.n_frames for clip in clips)
    with tqdm(total=total, desc="reading", unit="frame", leave=False, disable=not progress) as bar:
        for job, results in zip(jobs, _run(jobs, faces), strict=True):
            seen += results
            bar.update(sum(clip.n_frames for clip in job))
    kinds = sum((one.kinds for one in seen), Counter())
    rows = tuple(row for row, one in enumerate(seen) if one.thumbs is not None)
    thumbs = [seen[row].thumbs for row in rows]
    return Inspection(
        kinds,
        tuple(fault for one in seen for fault in one.faults),
        rows,
        np.stack(thumbs) if thumbs else Inspection().thumbs,
        {clips[row].clip_id: seen[row].note for row in rows if seen[row].note},
        tuple(seen[row].record for row in rows),
        *_find_copies(clips, [one.digests for one in seen]),
        tuple(jump for one in seen for jump in one.jumps),
        tuple(repeat for one in seen for repeat in one.repeats),
        _find_shared_marks(clips, [one.marks for one in seen]),
    )


def sample_kinds(scan: Scan) -> Counter[Kind]:
    """Count the first picture of every clip by width, height and mode, without decoding it."""
    kinds: Counter[Kind] = Counter()
    for clip in scan.clips:
        kinds.update(_kinds(clip, clip.frames[:1]))
    return kinds


def _run(jobs: Sequence[Sequence[Clip]], faces: FaceOptions) -> Iterator[list[_Seen]]:
    workers = max(1, min(cpu_count(), len(jobs) * CLIPS_PER_JOB // CLIPS_PER_WORKER))
    if workers == 1:
        yield from (_inspect(job, faces) for job in jobs)
        return
    with parallel_config("loky", inner_max_num_threads=1, idle_worker_timeout=10):
        pool = Parallel(n_jobs=workers, batch_size=1, return_as="generator")
        yield from pool(delayed(_inspect)(job, faces) for job in jobs)


def _inspect(clips: Sequence[Clip], faces: FaceOptions) -> list[_Seen]:
    return [_look_at(clip, faces) for clip in clips]


def _look_at(clip: Clip, faces: FaceOptions) -> _Seen:
    files = clip.frames or ((clip.video,) if clip.video else ())
    digests, marks = (
        np.array([_digest(path) if path else 0 for path in paths], dtype=np.uint64)
        for paths in (files, clip.landmarks)
    )
    small: list[np.ndarray] = []
    faults = [
        _fault(lambda file: small.append(thumbnail(load_rgb(file))), path) for path in clip.frames
    ]
    faults += [_fault(read_landmarks, path) for path in clip.landmarks if path]
    faults = [fault for fault in faults if fault]
    thumbs, note, record = None, "", {}
    if not faults:
        try:
            crops = crop_key_frames(clip, faces)
            thumbs, note = thumbnails(crops.frames[None])[0], crops.note
            record = crops.record.row()
        except DatasetError as error:
            faults.append(str(error))
    kinds = Counter() if faults else _kinds(clip, clip.frames)
    jumps = [] if faults else find_jumps(np.array(small))
    return _Seen(
        kinds,
        faults,
        digests,
        marks,
        thumbs,
        note,
        record,
        tuple(f"{clip.clip_id}: {Path(clip.frames[at]).name}" for at in jumps),
        _describe_repeats(clip, digests),
    )


def _describe_repeats(clip: Clip, digests: np.ndarray) -> tuple[str, ...]:
    """Frames of a clip that are the same file byte by byte, the first two of them by name."""
    _, first, counts = np.unique(digests, return_index=True, return_counts=True)
    if not clip.frames or counts.max() == 1:
        return ()
    one = int(first[counts > 1].min())
    other = int(np.flatnonzero(digests == digests[one])[1])
    names = " = ".join(Path(clip.frames[at]).name for at in (one, other))
    more = int((counts - 1).sum()) - 1
    return (f"{clip.clip_id}: {names}{f' and {more} more' if more else ''}",)


def _fault(read: Callable[[str], object], path: str) -> str:
    try:
        read(path)
    except DatasetError as error:
        empty = Path(path).is_file() and not Path(path).stat().st_size
        return f"{path} is empty: 0 bytes. Copy it anew from the dataset" if empty else str(error)
    return ""


def crop_key_frames(clip: Clip, faces: FaceOptions) -> Crops:
    """The key frames' crops uint8 (3, 64, 64, 3) of a clip, with the note and record on them.

    DatasetError if a file of the clip cannot be read.
    """
    if clip.video or not clip.frames:
        crops = read_clip(clip, CROP_SIZE, faces)
        return crops._replace(frames=crops.frames[key_frames(len(crops.frames))])
    places = key_frames(len(clip.frames))
    thin = {name: getattr(clip, name) for name in ("frames", "landmarks")}
    thin = {name: tuple(files[p] for p in places) for name, files in thin.items() if files}
    return read_clip(replace(clip, **thin), CROP_SIZE, faces)


def _kinds(clip: Clip, frames: Sequence[str]) -> Counter[Kind]:
    try:
        if clip.video:
            return Counter({picture_of_video(clip.video): 1})
        return Counter(picture_of(path) for path in frames)
    except DatasetError:
        return Counter()  # its fault is listed where it is read


def _digest(path: str) -> int:
    """64 bits of a file's content."""
    try:
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8))
    except OSError:
        return 0  # its fault is listed where it is decoded
    return int.from_bytes(content.digest(), "big")


def _find_copies(
    clips: Sequence[Clip], digests: Sequence[np.ndarray]
) -> tuple[tuple[tuple[str, ...], ...], int]:
    """Groups of clips with the same content, and how many images stand in several clips."""
    groups: dict[bytes, list[str]] = {}
    for clip, codes in zip(clips, digests, strict=True):
        if len(codes):
            groups.setdefault(codes.tobytes(), []).append(clip.clip_id)
    copies = tuple(tuple(names) for names in groups.values() if len(names) > 1)
    # a film may repeat a picture within a clip; between clips it should not
    once = [np.unique(codes) for clip, codes in zip(clips, digests, strict=True) if clip.frames]
    counts = pd.Series(np.concatenate(once) if once else np.empty(0)).value_counts()
    return copies, int((counts > 1).sum())


def _find_shared_marks(clips: Sequence[Clip], digests: Sequence[np.ndarray]) -> tuple[str, ...]:
    """Landmark files with the same content for two people: one of them is not of its picture."""
    first: dict[int, tuple[str, str]] = {}
    found = []
    for clip, codes in zip(clips, digests, strict=True):
        for path, code in zip(clip.landmarks, codes.tolist(), strict=True):
            subject, other = first.setdefault(code, (clip.subject, path))
            if code and subject != clip.subject:
                found.append(f"{clip.clip_id}: {Path(path).name} = {Path(other).name}")
    return tuple(found)
