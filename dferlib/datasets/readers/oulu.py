"""Reader of Oulu-CASIA NIR&VIS (Zhao et al., 2011).

Expected:

    <root>/
        {NI,VL}/{Dark,Strong,Weak}/
            P001/ ... P080/
                {Anger,Disgust,Fear,Happiness,Sadness,Surprise}/
                    000.jpeg 001.jpeg ...

NI is the near-infrared camera, VL the one for visible light. 80 subjects with six sequences each
for every camera and light; frames are 0-based and go from neutral to the peak, the last. `<root>`
may also hold the tree, or several of
them with some subjects each, below `OriginalImg`, `B_OriginalImg`,
`B_OriginalImg/B_OriginalImg/OriginalImg` or the like. The archive "C", `Preprocess Img`, holds
faces that are cropped already; it is read with `images="preprocessed"`. Most papers use VL/Strong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.manifest import (
    DATASETS,
    DatasetError,
    MissingDatasetError,
    class_name,
)
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.folders import below, describe_content, search, subfolders
from dferlib.datasets.readers.frames import describe_gaps, numbered_files, unread_frames
from dferlib.datasets.readers.places import Places
from dferlib.datasets.readers.scan import Clip, Golden, Scan, leave_out

HELP = """Oulu-CASIA is expected as
    <root>/VL/Strong/P001/Anger/000.jpeg ...
also nested, as in <root>/B_OriginalImg/B_OriginalImg/OriginalImg/VL/Strong/...
""" + how_to_get("oulu")

FOLDER_NAMES = ("oulu", "Oulu", "Oulu_CASIA_NIR_VIS", "Oulu-CASIA", "Oulu_CASIA", "oulu-casia")
FACES = "box=clip"  # heads that keep their place
CAMERAS, LIGHTS = ("NI", "VL"), ("Dark", "Strong", "Weak")
IMAGES = ("original", "preprocessed")
FPS = 25.0
SUBJECT, FRAME = r"P\d{3}", r"(\d+)\.jpe?g"
ARCHIVE_WORDS = ("oulu", "originalimg", "preprocess")

# One camera and light
GOLDEN = Golden(
    counts={
        "subjects": 80,
        "sequences": 480,
        "images": 10379,
        "shortest clip": 9,
        "longest clip": 72,
    },
    classes=dict.fromkeys(DATASETS["oulu"], 80),
    clips_per_subject={6: 80},
    fold_clips=(48,) * 10,
    fold_subjects=(8,) * 10,
    once=True,
)


def scan(
    root: Path,
    camera: str = "VL",
    light: str = "Strong",
    images: str = "original",
    exclude: Sequence[str] = (),
) -> Scan:
    """Find all sequences of one camera and light below `root`.

    `images` is "original" (set B) or "preprocessed" (set C, faces cropped by the owner); `exclude`
    names clips to leave out, such as "VL/Strong/P001/Anger". MissingDatasetError if nothing of the
    dataset is there, DatasetError if only a part is. Missing emotion folders, which occur in Dark
    and Weak, are listed in the scan's problems, pictures that are not read in its doubts, sequences
    that lie in two places with different files in its errors.
    """
    for name, value, allowed in (
        ("camera", camera, CAMERAS),
        ("light", light, LIGHTS),
        ("images", images, IMAGES),
    ):
        if value not in allowed:
            raise DatasetError(f"{name} is {value!r}, allowed are {', '.join(allowed)}")
    folders = _find_trees(root, images)
    subsets = _enter(_enter(folders, camera), light)
    places = Places(root)
    clips, problems, doubts = _list_clips(subsets, f"{camera}/{light}", images, places)
    others = {f"{eye}/{lamp}/" for eye in CAMERAS for lamp in LIGHTS} - {f"{camera}/{light}/"}
    here = [name for name in exclude if not name.startswith(tuple(others))]
    clips = leave_out(clips, here, root)  # one exclude.txt serves all cameras and lights
    if not clips and not places.errors:
        raise DatasetError(f"no frames below {subsets[0]}. {describe_content(subsets[0])}.\n{HELP}")
    lengths = [len(clip.frames) for clip in clips] or [0]
    counts = {
        "subjects": len({clip.subject for clip in clips}),
        "sequences": len(clips),
        "images": sum(lengths),
        "shortest clip": min(lengths),
        "longest clip": max(lengths),
    }
    where = ", ".join(below(root, folder) for folder in folders)
    return Scan(
        "oulu",
        root,
        f"{images} images of {camera}/{light} in {where}",
        tuple(clips),
        counts,
        (*places.problems(), *problems),
        tuple(places.errors),
        doubts=tuple(doubts),
    )


def _find_trees(root: Path, images: str) -> list[Path]:
    """The folders that hold NI and VL, of the set that is asked for."""
    found: dict[str, list[Path]] = {}
    for folder in search(root, stop="|".join((SUBJECT, *CAMERAS))):
        if any(
            subfolders(part, "|".join(LIGHTS)) for part in subfolders(folder, "|".join(CAMERAS))
        ):
            place = "/".join((root.name, *folder.relative_to(root).parts)).lower()
            kind = "preprocessed" if "preprocess" in place else "original"
            found.setdefault(kind, []).append(folder)
    if images in found:
        return found[images]
    begun = found or any(
        word in path.name.lower() for path in root.iterdir() for word in ARCHIVE_WORDS
    )
    other = f" (only the {' and '.join(found)} ones)" if found else ""
    raise (DatasetError if begun else MissingDatasetError)(
        f"no {images} images of Oulu-CASIA below {root}{other}. {describe_content(root)}.\n{HELP}"
    )


def _enter(folders: Sequence[Path], name: str) -> list[Path]:
    inside = [path for folder in folders for path in subfolders(folder, name)]
    if not inside:
        shown = describe_content(folders[0])
        raise DatasetError(f"Oulu-CASIA has no {name!r}: {shown}.\n{HELP}")
    return inside


def _list_clips(
    subsets: Sequence[Path], prefix: str, images: str, places: Places
) -> tuple[list[Clip], list[str], list[str]]:
    """Clips, problems and doubts of the folders of one camera and light."""
    clips, problems, doubts = [], [], []
    people: dict[str, list[Path]] = {}
    for subset in subsets:
        for subject in subfolders(subset):
            if re.fullmatch(SUBJECT, subject.name, re.I | re.A):
                people.setdefault(subject.name.upper(), []).append(subject)
            else:
                problems.append(f"{prefix}/{subject.name}: folder ignored")
    for subject, homes in sorted(people.items()):
        seen, ignored = _name_emotions(homes)
        problems += [f"{prefix}/{subject}/{name}: folder ignored" for name in ignored]
        for label in DATASETS["oulu"]:
            there = seen.get(label, [])
            clip_id = f"{prefix}/{subject}/{there[0].name if there else label.capitalize()}"
            with_frames = [folder for folder in there if numbered_files(folder, FRAME)]
            folder = places.choose(clip_id, with_frames) if with_frames else None
            if with_frames and folder is None:
                continue  # its error is listed
            frames = numbered_files(folder, FRAME) if folder else {}
            if frames:
                clips.append(_make_clip(clip_id, subject, label, frames, images))
            problems += _list_oddities(clip_id, bool(there), frames)
            unread = [
                unread_frames(one, frames.values()) for one in ([folder] if folder else there)
            ]
            doubts += [f"{clip_id}: {text}" for text in unread if text]
    return clips, problems, doubts


def _name_emotions(homes: Sequence[Path]) -> tuple[dict[str, list[Path]], list[str]]:
    """Folders of each emotion of a subject, and names of folders that are none."""
    seen: dict[str, list[Path]] = {}
    ignored = []
    for folder in (folder for home in homes for folder in subfolders(home)):
        try:
            label = class_name(folder.name)
        except DatasetError:
            label = ""
        if label in DATASETS["oulu"]:
            seen.setdefault(label, []).append(folder)
        else:
            ignored.append(folder.name)
    return seen, ignored


def _list_oddities(clip_id: str, there: bool, frames: dict[int, Path]) -> list[str]:
    if not frames:
        return [f"{clip_id} {'has no images' if there else 'is missing'}"]
    gaps = describe_gaps(frames, 0)
    return [
        *([f"{clip_id} lacks the frames {gaps}"] if gaps else []),
        *([f"{clip_id} has a single frame: samplers repeat it"] if len(frames) == 1 else []),
    ]


def _make_clip(
    clip_id: str, subject: str, label: str, frames: dict[int, Path], images: str
) -> Clip:
    files = tuple(str(path) for path in frames.values())
    cropped = images == "preprocessed"
    return Clip(clip_id, subject.upper(), label, files, FPS, len(files) - 1, cropped=cropped)
