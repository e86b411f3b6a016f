"""Reader of RAVDESS, speech and song with faces (Livingstone and Russo, 2018).

Expected, as the archives unpack:

    <root>/
        Video_Speech_Actor_01/Actor_01/
            01-01-03-01-02-02-01.mp4    the same take with sound ...
            02-01-03-01-02-02-01.mp4    ... and without
        Video_Song_Actor_01/Actor_01/
            02-02-03-01-02-02-01.mp4

A name has seven fields: modality (01 with sound, 02 video only, 03 sound only), channel (01 speech,
02 song), emotion, intensity, statement, repetition, actor (odd ones are men). Every take is there
twice, with sound and without, and is taken once: without sound where there is such a file. 24
actors, 60 takes of speech each, eight classes with calm; nobody sings in surprise or disgust, and
there is no song of actor 18. Reading needs PyAV, the extra `video`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.manifest import DATASETS, DatasetError
from dferlib.datasets.media.video import VIDEOS, VideoFacts, probe_all
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.folders import (
    describe_unread,
    matching_files,
    not_found,
    search,
)
from dferlib.datasets.readers.places import Places
from dferlib.datasets.readers.scan import Clip, Golden, Scan, check_exclude

HELP = """RAVDESS is expected as
    <root>/Video_Speech_Actor_01/Actor_01/02-01-03-01-02-02-01.mp4 ...
from the archives Video_Speech_Actor_01.zip to _24.zip.
""" + how_to_get("ravdess")

FOLDER_NAMES = ("ravdess", "RAVDESS", "Ravdess")
FACES = "box=frame"  # heads that move while they speak
CODES = dict(enumerate(DATASETS["ravdess"], start=1))
CHANNELS = {"speech": "01", "song": "02"}
WITH_SOUND, VIDEO_ONLY = "01", "02"
OWN_FORMATS = ("mp4", "avi", "mov", "mkv")
FILE = re.compile(
    rf"(0[12])-((0[12])-(0[1-8])-\d\d-\d\d-\d\d-(\d\d))\.(?:{'|'.join(OWN_FORMATS)})", re.I | re.A
)
ARCHIVE_WORDS = ("ravdess", "video_speech", "video_song")

# Speech
GOLDEN = Golden(
    counts={"subjects": 24, "clips": 1440},
    classes={**dict.fromkeys(DATASETS["ravdess"], 192), "neutral": 96},
    clips_per_subject={60: 24},
    fold_clips=(180,) * 4 + (120,) * 6,
    fold_subjects=(3,) * 4 + (2,) * 6,
)


def scan(
    root: Path, channel: str = "speech", prefer: str = "", exclude: Sequence[str] = ()
) -> Scan:
    """Find all takes of a channel, "speech" or "song", each once.

    A take is called as its file without the modality, such as "01-03-01-02-02-01"; `exclude` names
    some to leave out. Of a take in two formats the .mp4 is read, or what `prefer` names.
    MissingDatasetError if nothing of RAVDESS is there, DatasetError if not the channel, or PyAV is
    not installed. Videos that cannot be opened are in the scan's errors.
    """
    if channel not in CHANNELS:
        raise DatasetError(f"channel is {channel!r}, allowed are {', '.join(CHANNELS)}")
    places = Places(root, OWN_FORMATS, prefer)
    takes, doubts = _find_takes(root, CHANNELS[channel])
    if not takes:
        raise not_found(root, f"videos of {channel} of RAVDESS", ARCHIVE_WORDS, HELP)
    here = [name for name in exclude if name[:2] not in {*CHANNELS.values()} - {CHANNELS[channel]}]
    check_exclude(here, takes, root)  # one exclude.txt serves both channels
    left = set(exclude)
    chosen = [places.choose(name, takes[name]) for name in takes if name not in left]
    files = [path for path in chosen if path]
    facts, errors = probe_all(files)
    clips = [_make_clip(path, facts[str(path)]) for path in files if str(path) in facts]
    counts = {"subjects": len({clip.subject for clip in clips}), "clips": len(clips)}
    sound = sum(path.name.startswith(WITH_SOUND) for path in files)
    return Scan(
        "ravdess",
        root,
        f"{len(files) - sound} files without sound, {sound} with",
        tuple(clips),
        counts,
        tuple(places.problems()),
        (*places.errors, *errors),
        doubts=(*places.doubts(), *doubts),
    )


def _find_takes(root: Path, channel: str) -> tuple[dict[str, list[Path]], list[str]]:
    """Files of each take by name, of the modality that is read, and videos that are not read."""
    found: dict[str, dict[str, list[Path]]] = {}
    beside: list[Path] = []
    for folder in search(root):
        for path, match in matching_files(folder, FILE, beside):
            if match[3] == channel:
                found.setdefault(match[2], {}).setdefault(match[1], []).append(path)
    takes = {name: kinds.get(VIDEO_ONLY) or kinds[WITH_SOUND] for name, kinds in found.items()}
    takes = dict(sorted(takes.items(), key=lambda item: (item[0][-2:], item[0])))
    return takes, describe_unread(root, beside, VIDEOS, "a video")


def _make_clip(path: Path, facts: VideoFacts) -> Clip:
    _, name, _, emotion, actor = FILE.fullmatch(path.name).groups()
    label = CODES[int(emotion)]
    return Clip(name, actor, label, (), facts.fps, -1, video=str(path), count=facts.count)
