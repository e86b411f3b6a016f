"""Reader of AFEW, acted expressions from films (Dhall et al., 2012), as in EmotiW 2016 to 2019.

Expected:

    <root>/
        Train_AFEW/                                          also Train, train
            Angry/000046280.avi ...                          the folder is the class:
            Disgust/ Fear/ Happy/ Neutral/ Sad/ Surprise/
            AlignedFaces_LBPTOP_Points/Faces/000046280/001.jpg ...
        Val_AFEW/                                            also Val, val
            Angry/ ... Surprise/
            AlignedFaces_LBPTOP_Points_Val/Faces/...

The owners' aligned faces lie flat, so that the class comes from the video's folder; faces sorted
into folders of classes are read as well. A name may be in both splits, with different classes: the
key is split and name. Two clips of each split have no faces. They are read from their videos if
PyAV, the extra `video`, is there; a grey frame stands for them otherwise, so that they stay in the
count. Papers report on the validation list; the test list has no public labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dferlib.datasets.manifest import DATASETS, DatasetError, class_name
from dferlib.datasets.media.video import VIDEOS, VideoFacts, import_av, probe_all
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.folders import (
    describe_content,
    describe_unread,
    matching_files,
    not_found,
    point_above,
    search,
    subfolders,
)
from dferlib.datasets.readers.frames import describe_outlier, ordered_frames, unread_frames
from dferlib.datasets.readers.places import Places
from dferlib.datasets.readers.scan import UNKNOWN, Clip, Golden, Scan, check_exclude

HELP = """AFEW is expected as
    <root>/Train_AFEW/Angry/000046280.avi ...
    <root>/Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280/001.jpg ...
    <root>/Val_AFEW/...    the same, with AlignedFaces_LBPTOP_Points_Val
""" + how_to_get("afew")

FOLDER_NAMES = ("afew", "AFEW", "EmotiW_2018", "EmotiW", "AFEW_7.0", "AFEW7")
FACES = "box=frame smallest=0.1"  # films
IMAGES = ("aligned", "videos")
SPLITS = ("train", "val")
OWN_FORMATS = ("avi",)
NAME = r"\d{9}"
VIDEO = re.compile(rf"(?=({NAME})\.){VIDEOS}", re.I | re.A)
ARCHIVE_WORDS = ("afew", "emotiw", "alignedfaces")
SPLIT_WORD = re.compile(r"(?:^|[_\W])(train|val)(?:ing|idation)?(?:[_\W]|$)")
Key = tuple[str, str]  # split and name

GOLDEN = Golden(
    counts={
        "clips": 1156,
        "train clips": 773,
        "val clips": 383,
        "names in both splits": 2,
        "train clips without faces": 2,
        "val clips without faces": 2,
    },
    classes={
        "anger": 133 + 64,
        "disgust": 74 + 40,
        "fear": 81 + 46,
        "happiness": 150 + 63,
        "neutral": 144 + 63,
        "sadness": 117 + 61,
        "surprise": 74 + 46,
    },
    fold_clips=(383,),
)


def scan(
    root: Path, images: str = "aligned", prefer: str = "", exclude: Sequence[str] = ()
) -> Scan:
    """Find all clips of the training and the validation list.

    `images` is "aligned" (the owners' faces) or "videos", of which the .avi are read or what
    `prefer` names; `exclude` names clips to leave out, such as "train/001703120".
    MissingDatasetError if nothing of AFEW is there, DatasetError if a split or the class of a clip
    is missing. Clips without faces are listed in the scan's problems, clips that lie in two places
    with different files in its errors.
    """
    if images not in IMAGES:
        raise DatasetError(f"images is {images!r}, allowed are {', '.join(IMAGES)}")
    faces, videos = Places(root), Places(root, OWN_FORMATS, prefer)
    found = _find_files(root, faces, videos)
    _check_complete(found, root)
    check_exclude(exclude, map("/".join, found.labels), root)
    left = set(exclude)
    keys = [key for key in sorted(found.labels) if "/".join(key) not in left]
    wanted = keys if images == "aligned" else []
    aligned, errors = _list_faces(found, wanted)
    without = [key for key in keys if not aligned.get(key)]
    facts, damaged = _probe(found, without, required=images == "videos")
    clips = [_make_clip(key, found, aligned.get(key, ()), facts) for key in keys]
    problems = [*faces.problems(), *videos.problems(), *found.problems]
    if images == "aligned":
        problems += [_describe_faceless(clip) for clip in clips if not clip.frames]
    counts = {"clips": len(clips)}
    counts |= {f"{s} clips": sum(key[0] == s for key in keys) for s in SPLITS}
    names = [name for _, name in keys]
    counts["names in both splits"] = len(names) - len(set(names))
    if images == "aligned":
        counts |= {f"{s} clips without faces": sum(key[0] == s for key in without) for s in SPLITS}
    return Scan(
        "afew",
        root,
        "faces as the owners aligned them" if images == "aligned" else "videos",
        tuple(clips),
        counts,
        tuple(problems),
        (*faces.errors, *videos.errors, *errors, *damaged),
        doubts=(*videos.doubts(), *found.doubts),
    )


@dataclass
class _Found:
    """What lies where, by split and name."""

    labels: dict[Key, str] = field(default_factory=dict)
    videos: dict[Key, Path] = field(default_factory=dict)
    faces: dict[Key, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def _find_files(root: Path, face_places: Places, video_places: Places) -> _Found:
    found = _Found()
    faces: dict[Key, list[Path]] = {}
    videos: dict[Key, list[Path]] = {}
    beside: list[Path] = []
    for folder in search(root, stop=NAME):
        split, label = _split_of(folder, root), _label_of(folder)
        if not split:
            continue
        there = [path.name for path in subfolders(folder, NAME)]
        for name in there:
            faces.setdefault((split, name), []).append(folder / name)
        for path, match in matching_files(folder, VIDEO, beside) if label else ():
            videos.setdefault((split, match[1]), []).append(path)
            there.append(match[1])
        for name in there if label else ():
            known = found.labels.setdefault((split, name), label)
            if known != label:
                raise DatasetError(
                    f"clip {name} of {split} is in the folders of {known} and {label}"
                )
    for chosen, places, several in (
        (found.faces, face_places, faces),
        (found.videos, video_places, videos),
    ):
        one = {key: places.choose("/".join(key), paths) for key, paths in several.items()}
        chosen.update({key: path for key, path in one.items() if path})
    found.doubts += describe_unread(root, beside, VIDEOS, "a video")
    orphans = sorted(set(found.faces) - set(found.labels))
    found.problems += [
        f"{'/'.join(key)} has faces, but no video tells its class" for key in orphans
    ]
    return found


def _split_of(folder: Path, root: Path) -> str:
    """Split that a folder belongs to, by the nearest name that says so; "" if none does."""
    parts = [part.lower() for part in (root.name, *folder.relative_to(root).parts)]
    for part in reversed(parts):
        if match := SPLIT_WORD.search(part):
            return match[1]
    return "train" if any(part.startswith("alignedfaces") for part in parts) else ""


def _label_of(folder: Path) -> str:
    try:
        label = class_name(folder.name)
    except DatasetError:
        return ""
    return label if label in DATASETS["afew"] else ""


def _check_complete(found: _Found, root: Path) -> None:
    if not found.labels and found.faces:
        raise DatasetError(
            f"the faces below {root} have no classes: these come from the folders of the videos, "
            f"and there are none.\n{HELP}"
        )
    if not found.labels:
        raise not_found(root, "clips of AFEW", ARCHIVE_WORDS, HELP)
    for split in SPLITS:
        if not any(key[0] == split for key in found.labels):
            raise DatasetError(
                f"AFEW in {root} has no {split} clips. {describe_content(root)}."
                f"{point_above(root, SPLITS)}\n{HELP}"
            )


def _list_faces(found: _Found, keys: Sequence[Key]) -> tuple[dict[Key, tuple[str, ...]], list[str]]:
    """Faces of each clip in order, and what is wrong with those that have none; finds doubts."""
    aligned, errors = {}, []
    for key in keys:
        if folder := found.faces.get(key):
            try:
                frames = ordered_frames(folder)
            except DatasetError as error:
                errors.append(str(error))
                continue
            aligned[key] = tuple(map(str, frames))
            said = (unread_frames(folder, frames), describe_outlier(frames))
            found.doubts += [f"{'/'.join(key)}: {text}" for text in said if text]
    return aligned, errors


def _probe(
    found: _Found, keys: Sequence[Key], required: bool
) -> tuple[dict[str, VideoFacts], list[str]]:
    """Facts of the videos of some clips; without PyAV none, unless they are required."""
    try:
        import_av()
    except DatasetError:
        if required:
            raise
        return {}, []
    facts, errors = probe_all([found.videos[key] for key in keys if key in found.videos])
    missing = [f"{'/'.join(key)} has no video" for key in keys if key not in found.videos]
    return facts, [*errors, *missing] if required else []


def _make_clip(
    key: Key, found: _Found, faces: tuple[str, ...], facts: Mapping[str, VideoFacts]
) -> Clip:
    clip_id, label = "/".join(key), found.labels[key]
    video = str(found.videos.get(key, ""))
    if faces or video not in facts:
        return Clip(clip_id, clip_id, label, faces, UNKNOWN, UNKNOWN, cropped=True, split=key[0])
    count, fps = facts[video].count, facts[video].fps
    return Clip(clip_id, clip_id, label, (), fps, UNKNOWN, split=key[0], video=video, count=count)


def _describe_faceless(clip: Clip) -> str:
    instead = "its video is read" if clip.video else "a grey frame stands for it"
    return f"{clip.clip_id} has no aligned faces: {instead}"
