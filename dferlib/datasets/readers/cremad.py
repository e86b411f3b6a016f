"""Reader of CREMA-D (Cao et al., 2014).

Expected, as in the owners' repository:

    <root>/VideoFlash/
        1001_DFA_ANG_XX.flv    actor _ sentence _ emotion _ level; also as .mp4 or .avi
        1001_IEO_ANG_HI.flv
        ...

They may lie in several folders, such as one for each actor.

7,442 clips of 91 actors, six emotions; the class is the emotion that was acted. The repository
keeps its videos with git-lfs: without `git lfs pull` they are stubs of three lines, which are
recognised. Reading needs PyAV, the extra `video`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.manifest import DATASETS
from dferlib.datasets.media.containers import is_lfs_stub
from dferlib.datasets.media.video import VIDEOS, VideoFacts, probe_all
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.folders import (
    below,
    describe_unread,
    matching_files,
    not_found,
    search,
)
from dferlib.datasets.readers.places import Places
from dferlib.datasets.readers.scan import Clip, Golden, Scan, check_exclude

HELP = """CREMA-D is expected as
    <root>/VideoFlash/1001_DFA_ANG_XX.flv ...
""" + how_to_get("cremad")

FOLDER_NAMES = ("cremad", "CREMA-D", "crema-d", "CREMAD", "CREMA-D-master")
FACES = "box=frame"  # heads that move while they speak
CODES = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
OWN_FORMATS = ("flv", "mp4", "avi")
FILE = re.compile(
    rf"(\d{{4}})_[A-Z]{{3}}_({'|'.join(CODES)})_[A-Z]+\.(?:{'|'.join(OWN_FORMATS)})", re.I | re.A
)
ARCHIVE_WORDS = ("crema", "videoflash")
# The owners say so; these stay in unless excluded.
KNOWN_BAD = {
    "1076_MTI_NEU_XX": "is very short",
    "1076_MTI_SAD_XX": "shows an error picture",
    "1064_TIE_SAD_XX": "does not declare how long it is",
    "1064_IEO_DIS_MD": "lasts a minute and shows all emotions",
}

GOLDEN = Golden(
    counts={"subjects": 91, "clips": 7442},
    classes={**dict.fromkeys(DATASETS["cremad"], 1271), "neutral": 1087},
    fold_subjects=(10,) + (9,) * 9,
)


def scan(root: Path, prefer: str = "", exclude: Sequence[str] = ()) -> Scan:
    """Find all videos below `root`; `exclude` leaves out clips such as "1064_IEO_DIS_MD".

    Of a clip in two formats the owners' .flv is read, or the one that `prefer` names.
    MissingDatasetError if nothing of CREMA-D is there, DatasetError if only other parts of it are
    or PyAV is not installed. Stubs of git-lfs, videos that cannot be opened and different ones of
    one name are listed in the scan's errors, files that the owners know to be bad in its problems.
    """
    places = Places(root, OWN_FORMATS, prefer)
    found, folders, doubts = _find_videos(root)
    check_exclude(exclude, found, root)
    left = set(exclude)
    chosen = [places.choose(name, found[name]) for name in sorted(found) if name not in left]
    files = [path for path in chosen if path]
    stubs = [path for path in files if is_lfs_stub(path)]
    facts, errors = probe_all([path for path in files if path not in stubs])
    clips = [_make_clip(path, facts[str(path)]) for path in files if str(path) in facts]
    if stubs:
        errors.insert(
            0,
            f"{len(stubs)} of {len(files)} videos are stubs of git-lfs, for example {stubs[0]}: "
            "run `git lfs pull` in the dataset's folder",
        )
    counts = {"subjects": len({clip.subject for clip in clips}), "clips": len(clips)}
    problems = [
        f"{path.stem} {KNOWN_BAD[path.stem]}, as the owners note; exclude.txt can leave it out"
        for path in files
        if path.stem in KNOWN_BAD
    ]
    more = f" and {len(folders) - 1} more folders" if len(folders) > 1 else ""
    return Scan(
        "cremad",
        root,
        f"videos in {below(root, folders[0])}{more}",
        tuple(clips),
        counts,
        (*problems, *places.problems()),
        (*places.errors, *errors),
        doubts=(*places.doubts(), *doubts),
    )


def _find_videos(root: Path) -> tuple[dict[str, list[Path]], list[Path], list[str]]:
    """Files of each clip by name, the folders with any, and videos that are not read."""
    found: dict[str, list[Path]] = {}
    folders, beside = [], []
    for folder in search(root):
        files = matching_files(folder, FILE, beside)
        folders += [folder] if files else []
        for path, _ in files:
            found.setdefault(path.stem.upper(), []).append(path)
    if not found:
        raise not_found(root, "videos of CREMA-D", ARCHIVE_WORDS, HELP)
    return found, folders, describe_unread(root, beside, VIDEOS, "a video")


def _make_clip(path: Path, facts: VideoFacts) -> Clip:
    actor, code = FILE.fullmatch(path.name).groups()
    return Clip(
        path.stem.upper(),
        actor,
        CODES[code.upper()],
        (),
        facts.fps,
        -1,
        video=str(path),
        count=facts.count,
    )
