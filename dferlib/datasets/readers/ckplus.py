"""Reader of CK+, the Extended Cohn-Kanade dataset (Lucey et al., 2010).

Expected, as unpacked from the archives that the owner sends:

    <root>/
        cohn-kanade-images/S005/001/S005_001_00000001.png ...     1-based; the last is the peak
        Emotion/S005/001/S005_001_00000011_emotion.txt            only for labelled sequences
        FACS/S005/001/S005_001_00000011_facs.txt                  not needed
        Landmarks/S005/001/S005_001_00000001_landmarks.txt ...    68 rows "x y" per image

The four trees are told apart by their files, so their folders may have other names and be nested
(`extended-cohn-kanade-images/cohn-kanade-images`, `Emotion_labels/Emotion`, `Images`, ...), and
each of them may be spread over several folders. 327 of
the 593 sequences have a label; the folders of the others in `Emotion` are empty or absent. The
label belongs to the peak, the last frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dferlib.datasets.manifest import DatasetError, MissingDatasetError
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.folders import (
    below,
    describe_content,
    point_above,
    search,
    subfolders,
)
from dferlib.datasets.readers.frames import describe_gaps, numbered_files, unread_frames
from dferlib.datasets.readers.places import Places
from dferlib.datasets.readers.scan import Clip, Golden, Scan, check_exclude
from dferlib.datasets.readers.tables import read_text

HELP = """CK+ is expected as
    <root>/cohn-kanade-images/S005/001/S005_001_00000001.png ...
    <root>/Emotion/S005/001/S005_001_00000011_emotion.txt
    <root>/Landmarks/S005/001/S005_001_00000001_landmarks.txt ...
""" + how_to_get("ckplus")

FOLDER_NAMES = ("ckplus", "CK+", "ck+", "CKplus", "CKPlus", "CK")
FACES = "box=clip"  # heads that keep their place
CODES = {
    1: "anger",
    2: "contempt",
    3: "disgust",
    4: "fear",
    5: "happiness",
    6: "sadness",
    7: "surprise",
}
FPS = 30.0
SUBJECT, SEQUENCE = r"S\d{3}", r"\d{3}"
KINDS = {
    "images": r".*_(\d+)\.png",
    "labels": r".*_(\d+)_emotion\.txt",
    "FACS": r".*_(\d+)_facs\.txt",
    "landmarks": r".*_(\d+)_landmarks\.txt",
}
ARCHIVE_WORDS = ("cohn-kanade", "emotion_labels", "facs_labels", "landmarks")
PART_WORDS = ("emotion", "facs")  # folders beside the images

# The distribution of 2010
GOLDEN = Golden(
    counts={
        "subjects": 123,
        "sequences": 593,
        "images": 10708,
        "labelled clips": 327,
        "labelled subjects": 118,
    },
    classes={
        "anger": 45,
        "contempt": 18,
        "disgust": 59,
        "fear": 25,
        "happiness": 69,
        "sadness": 28,
        "surprise": 83,
    },
    clips_per_subject={1: 21, 2: 22, 3: 47, 4: 20, 5: 7, 6: 1},
    fold_clips=(33, 39, 40, 35, 30, 37, 29, 29, 33, 22),
    fold_subjects=(12,) * 8 + (11,) * 2,
    once=True,
)


def scan(root: Path, exclude: Sequence[str] = ()) -> Scan:
    """Find all labelled sequences below `root`; `exclude` leaves out clips such as "S129/002".

    MissingDatasetError if nothing of CK+ is there, DatasetError if only a part is. Bad label files,
    labelled sequences without images and sequences that lie in two places with different files are
    listed in the scan's errors, pictures that are not read in its doubts.
    """
    parts, places = _find_parts(root), Places(root)
    sequences = _list_sequences(parts["images"], "images", places)
    labels = _list_sequences(parts["labels"], "labels", places)
    marks = _list_sequences(parts.get("landmarks", ()), "landmarks", places)
    clips, problems, errors = [], [], []
    if "landmarks" not in parts:
        problems.append("no Landmarks tree: faces are detected instead")
    check_exclude(exclude, sequences, root)
    left = set(exclude)
    for clip_id, label_files in labels.items():
        if clip_id not in left:
            try:
                frames = sequences.get(clip_id, {})
                found = marks.get(clip_id, {}) if "landmarks" in parts else None
                clips.append(_make_clip(clip_id, label_files, frames, found, problems))
            except DatasetError as error:
                errors.append(str(error))
    counts = {
        "subjects": len({name.split("/")[0] for name in sequences}),
        "sequences": len(sequences),
        "images": sum(len(frames) for frames in sequences.values()),
        "labelled clips": len(clips),
        "labelled subjects": len({clip.subject for clip in clips}),
    }
    layout = "; ".join(
        f"{kind} in {', '.join(below(root, path) for path in paths)}"
        for kind, paths in parts.items()
    )
    return Scan(
        "ckplus",
        root,
        layout,
        tuple(clips),
        counts,
        (*places.problems(), *problems),
        (*places.errors, *errors),
        doubts=tuple(_list_unread(sequences)),
    )


def _find_parts(root: Path) -> dict[str, list[Path]]:
    """Folders of each kind of file; DatasetError if images or labels are not there."""
    parts: dict[str, list[Path]] = {}
    for folder in search(root, stop=SUBJECT):
        if kind := _kind(folder):
            parts.setdefault(kind, []).append(folder)
    missing = [kind for kind in ("images", "labels") if kind not in parts]
    if missing:
        begun = parts or any(
            word in path.name.lower() for path in root.iterdir() for word in ARCHIVE_WORDS
        )
        there = ", ".join(kind for kind in KINDS if kind in parts)
        found = f"found {there}, but " if parts else ""
        raise (DatasetError if begun else MissingDatasetError)(
            f"CK+ is not complete: {found}no {' and no '.join(missing)} below {root}. "
            f"{describe_content(root)}.{point_above(root, ARCHIVE_WORDS + PART_WORDS)}\n{HELP}"
        )
    return {kind: parts[kind] for kind in KINDS if kind in parts}


def _kind(folder: Path) -> str | None:
    # a sequence folder can be empty, above all in the label tree: look until a file is found
    for subject in subfolders(folder, SUBJECT):
        for sequence in subfolders(subject, SEQUENCE):
            for kind, pattern in KINDS.items():
                if numbered_files(sequence, pattern):
                    return kind
    return None


def _list_sequences(
    folders: Sequence[Path], kind: str, places: Places
) -> dict[str, dict[int, Path]]:
    """Files of a kind by number of every sequence that has any, keyed `S005/001`."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for subject in subfolders(folder, SUBJECT):
            for sequence in subfolders(subject, SEQUENCE):
                if numbered_files(sequence, KINDS[kind]):
                    name = f"{subject.name.upper()}/{sequence.name}"
                    found.setdefault(name, []).append(sequence)
    chosen = {name: places.choose(name, there) for name, there in sorted(found.items())}
    return {name: numbered_files(path, KINDS[kind]) for name, path in chosen.items() if path}


def _list_unread(sequences: Mapping[str, Mapping[int, Path]]) -> Iterator[str]:
    """Pictures of a sequence that are not read, and such as are named after another one."""
    for clip_id, frames in sequences.items():
        folder = next(iter(frames.values())).parent
        if unread := unread_frames(folder, frames.values()):
            yield f"{clip_id}: {unread}"
        start = f"{clip_id.replace('/', '_')}_"
        strange = [path.name for path in frames.values() if not path.name.upper().startswith(start)]
        if strange:
            yield f"{clip_id} has images named after another sequence, such as {strange[0]}"


def _make_clip(
    clip_id: str,
    label_files: Mapping[int, Path],
    frames: Mapping[int, Path],
    marks: Mapping[int, Path] | None,
    problems: list[str],
) -> Clip:
    if len(label_files) > 1:
        names = [path.name for path in label_files.values()]
        raise DatasetError(f"{clip_id} has {len(names)} label files: {', '.join(names)}")
    peak, label_file = next(iter(label_files.items()))
    label = read_label(label_file)
    if not frames:
        raise DatasetError(f"{clip_id} has a label ({label_file}) but no images")
    numbers = list(frames)
    if gaps := describe_gaps(numbers, 1):
        problems.append(f"{clip_id} lacks the frames {gaps}")
    if peak != numbers[-1]:
        problems.append(f"{clip_id} is labelled at frame {peak}, but its last is {numbers[-1]}")
    if len(numbers) == 1:
        problems.append(f"{clip_id} has a single frame: samplers repeat it")
    return Clip(
        clip_id,
        clip_id.split("/")[0],
        label,
        tuple(str(path) for path in frames.values()),
        FPS,
        numbers.index(peak) if peak in frames else len(numbers) - 1,
        () if marks is None else _landmark_files(clip_id, numbers, marks, problems),
    )


def _landmark_files(
    clip_id: str, numbers: Sequence[int], files: Mapping[int, Path], problems: list[str]
) -> tuple[str, ...]:
    lacking = [number for number in numbers if number not in files]
    if lacking:
        which = "all frames" if len(lacking) == len(numbers) else f"the frames {lacking[:20]}"
        problems.append(f"{clip_id} lacks the landmarks of {which}")
    if over := sorted(set(files) - set(numbers)):
        problems.append(f"{clip_id} has landmarks of frames that are not there: {over[:20]}")
    return tuple(str(files.get(number, "")) for number in numbers)


def read_label(path: Path) -> str:
    """Class name in an `_emotion.txt` file, which holds one number such as `   3.0000000e+00`.

    DatasetError naming the file and its content if it is no number or no code from 1 to 7.
    """
    expected = ", ".join(f"{code} {name}" for code, name in CODES.items())
    text = read_text(path).strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if value not in CODES:
        raise DatasetError(f"label file {path} holds {text[:40]!r}; expected one of {expected}")
    return CODES[int(value)]
