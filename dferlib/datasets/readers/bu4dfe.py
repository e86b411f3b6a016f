"""Reader of BU-4DFE (Yin et al., 2008), from the textures of its scans.

Expected:

    <root>/
        F001/ ... F058/  M001/ ... M043/
            {Angry,Disgust,Fear,Happy,Sad,Surprise}/
                000.jpg 000.wrl 001.jpg 001.wrl ...    0-based; only the .jpg are read
        BU_WrlViewer_V2/                               not read

101 subjects with six sequences each at 25 frames a second, neutral to peak and back to neutral; the
peak is not annotated and is put into the middle. BU-3DFE, an older dataset of the same university,
holds single scans instead of sequences and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.manifest import DATASETS, DatasetError, class_name
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.scan import (
    Clip,
    Golden,
    Scan,
    describe_gaps,
    leave_out,
    not_found,
    numbered_files,
    search,
    subfolders,
)

HELP = """BU-4DFE is expected as
    <root>/F001/Angry/000.jpg 000.wrl 001.jpg 001.wrl ...
""" + how_to_get("bu4dfe")

FOLDER_NAMES = ("bu4dfe", "BU4DFE", "BU-4DFE", "BU_4DFE", "bu-4dfe")
FACES = "box=clip"  # heads that keep their place
SUBJECT, STATIC, FRAME = r"[FM]\d{3}", r"[FM]\d{4}(?:_.*)?", r"(\d+)\.jpe?g"
FPS = 25.0
ARCHIVE_WORDS = ("bu4dfe", "bu-4dfe", "bu_4dfe", "bu_wrlviewer")

GOLDEN = Golden(
    counts={"subjects": 101, "women": 58, "men": 43, "sequences": 606},
    classes=dict.fromkeys(DATASETS["bu4dfe"], 101),
    clips_per_subject={6: 101},
    fold_clips=(66,) + (60,) * 9,
    fold_subjects=(11,) + (10,) * 9,
    once=True,
)


def scan(root: Path, exclude: Sequence[str] = ()) -> Scan:
    """Find all sequences below `root`; `exclude` leaves out clips such as "F001/Angry".

    MissingDatasetError if nothing of BU-4DFE is there, DatasetError if it is BU-3DFE. Missing
    emotions and frames are listed in the scan's problems.
    """
    folder = _find_subjects(root)
    clips, problems = [], []
    for subject in subfolders(folder, SUBJECT):
        seen = _name_emotions(subject, problems)
        for label in DATASETS["bu4dfe"]:
            if label in seen:
                clips += _make_clips(subject.name.upper(), label, seen[label], problems)
            else:
                problems.append(f"{subject.name} has no {label}")
    clips = leave_out(clips, exclude, root)
    if not clips:
        raise DatasetError(
            f"no .jpg textures below {folder}; the scans alone are not read.\n{HELP}"
        )
    subjects = {clip.subject for clip in clips}
    counts = {
        "subjects": len(subjects),
        "women": sum(name.startswith("F") for name in subjects),
        "men": sum(name.startswith("M") for name in subjects),
        "sequences": len(clips),
        "images": sum(clip.n_frames for clip in clips),
    }
    layout = f"subjects in {folder.relative_to(root)}"
    return Scan("bu4dfe", root, layout, tuple(clips), counts, tuple(problems))


def _find_subjects(root: Path) -> Path:
    for folder in search(root, stop=f"{SUBJECT}|{STATIC}"):
        if subfolders(folder, SUBJECT):
            return folder
        for path in folder.iterdir():
            if re.fullmatch(STATIC, path.stem, re.I):
                raise DatasetError(
                    f"{path} belongs to BU-3DFE, which holds single scans and no sequences. "
                    f"Expressions in motion are in BU-4DFE, another dataset.\n{HELP}"
                )
    raise not_found(root, "sequences of BU-4DFE", ARCHIVE_WORDS, HELP)


def _name_emotions(subject: Path, problems: list[str]) -> dict[str, Path]:
    """Folder of each emotion of a subject; other folders become problems."""
    seen: dict[str, Path] = {}
    for folder in subfolders(subject):
        try:
            label = class_name(folder.name)
        except DatasetError:
            label = ""
        if label in DATASETS["bu4dfe"] and label not in seen:
            seen[label] = folder
        else:
            problems.append(f"{subject.name}/{folder.name}: folder ignored")
    return seen


def _make_clips(subject: str, label: str, folder: Path, problems: list[str]) -> list[Clip]:
    clip_id = f"{subject}/{folder.name}"
    frames, scans = numbered_files(folder, FRAME), numbered_files(folder, r"(\d+)\.wrl")
    if not frames:
        problems.append(f"{clip_id} has no textures")
        return []
    # a scan without its texture tells more than a gap in the numbers
    bare = sorted(set(scans) - set(frames))
    lacking = f"{bare[:20]}" if bare else describe_gaps(frames, 0)
    if lacking:
        problems.append(f"{clip_id} lacks the textures {lacking}")
    files = tuple(str(path) for path in frames.values())
    return [Clip(clip_id, subject, label, files, FPS, (len(files) - 1) // 2)]
