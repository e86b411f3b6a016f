"""Reader of BU-4DFE (Yin et al., 2008), from the textures of its scans.

Expected:

    <root>/
        F001/ ... F058/  M001/ ... M043/
            {Angry,Disgust,Fear,Happy,Sad,Surprise}/
                000.jpg 000.wrl 001.jpg 001.wrl ...    0-based; only the .jpg are read
        BU_WrlViewer_V2/                               not read

101 subjects with six sequences each at 25 frames a second, neutral to peak and back to neutral; the
peak is not annotated, and stays unknown unless an apex.csv of one's own says it. Subjects may lie
in several folders. BU-3DFE, an older dataset of the same university,
holds single scans instead of sequences and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.manifest import DATASETS, DatasetError, class_name
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.folders import below, not_found, search, subfolders
from dferlib.datasets.readers.frames import describe_gaps, numbered_files, unread_frames
from dferlib.datasets.readers.places import Places
from dferlib.datasets.readers.scan import UNKNOWN, Clip, Golden, Scan, leave_out

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
    emotions and frames are listed in the scan's problems, sequences that lie in two places with
    different files in its errors, pictures that are not read in its doubts.
    """
    folders, places = _find_subjects(root), Places(root)
    problems: list[str] = []
    doubts: list[str] = []
    clips = []
    for subject, homes in sorted(_people(folders).items()):
        seen = _name_emotions(subject, homes, problems)
        for label in DATASETS["bu4dfe"]:
            if label not in seen:
                problems.append(f"{subject} has no {label}")
                continue
            clips += _make_clips(subject, label, seen[label], places, problems, doubts)
    clips = leave_out(clips, exclude, root)
    if not clips and not places.errors:
        raise DatasetError(f"no .jpg textures below {root}; the scans alone are not read.\n{HELP}")
    subjects = {clip.subject for clip in clips}
    counts = {
        "subjects": len(subjects),
        "women": sum(name.startswith("F") for name in subjects),
        "men": sum(name.startswith("M") for name in subjects),
        "sequences": len(clips),
        "images": sum(clip.n_frames for clip in clips),
    }
    return Scan(
        "bu4dfe",
        root,
        f"subjects in {', '.join(below(root, folder) for folder in folders)}",
        tuple(clips),
        counts,
        (*places.problems(), *problems),
        tuple(places.errors),
        doubts=tuple(doubts),
    )


def _find_subjects(root: Path) -> list[Path]:
    """All folders that hold subjects."""
    found = []
    for folder in search(root, stop=f"{SUBJECT}|{STATIC}"):
        if subfolders(folder, SUBJECT):
            found.append(folder)
        for path in () if found else folder.iterdir():
            if re.fullmatch(STATIC, path.stem, re.I | re.A):
                raise DatasetError(
                    f"{path} belongs to BU-3DFE, which holds single scans and no sequences. "
                    f"Expressions in motion are in BU-4DFE, another dataset.\n{HELP}"
                )
    if not found:
        raise not_found(root, "sequences of BU-4DFE", ARCHIVE_WORDS, HELP)
    return found


def _people(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Folders of each subject."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for subject in subfolders(folder, SUBJECT):
            found.setdefault(subject.name.upper(), []).append(subject)
    return found


def _name_emotions(
    subject: str, homes: Sequence[Path], problems: list[str]
) -> dict[str, list[Path]]:
    """Folders of each emotion of a subject; other folders become problems."""
    seen: dict[str, list[Path]] = {}
    for folder in (folder for home in homes for folder in subfolders(home)):
        try:
            label = class_name(folder.name)
        except DatasetError:
            label = ""
        if label in DATASETS["bu4dfe"]:
            seen.setdefault(label, []).append(folder)
        else:
            problems.append(f"{subject}/{folder.name}: folder ignored")
    return seen


def _make_clips(
    subject: str,
    label: str,
    folders: Sequence[Path],
    places: Places,
    problems: list[str],
    doubts: list[str],
) -> list[Clip]:
    clip_id = f"{subject}/{folders[0].name}"
    with_frames = [folder for folder in folders if numbered_files(folder, FRAME)]
    scans = {number for folder in folders for number in numbered_files(folder, r"(\d+)\.wrl")}
    folder = places.choose(clip_id, with_frames) if with_frames else folders[0]
    if folder is None:
        return []
    frames = numbered_files(folder, FRAME)
    if unread := unread_frames(folder, frames.values()):
        doubts.append(f"{clip_id}: {unread}")
    if not frames:
        problems.append(f"{clip_id} has no textures")
        return []
    # a scan without its texture tells more than a gap in the numbers
    bare = sorted(scans - set(frames))
    lacking = f"{bare[:20]}" if bare else describe_gaps(frames, 0)
    if lacking:
        problems.append(f"{clip_id} lacks the textures {lacking}")
    files = tuple(str(path) for path in frames.values())
    return [Clip(clip_id, subject, label, files, FPS, UNKNOWN)]
