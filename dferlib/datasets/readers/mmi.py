"""Reader of the MMI facial expression database (Pantic et al., 2005; Valstar and Pantic, 2010).

Expected, as the site packs what its user selects:

    <root>/Sessions/
        501/
            session.xml              view of the camera: 0 frontal, 1 profile, 2 both in one frame
            S001-002.avi             one video; sessions with stills instead are left out
            S001-002.xml             the emotion: 1 to 6, other codes are left out
            S001-002-oao_aucs.xml    onset and apex of action units, for some sessions

Everyone selects other sessions, so there are no totals to check. A clip goes from neutral to the
peak and back; the peak comes from the action units where they are coded, and is unknown else,
unless an apex.csv of one's own says it.
Most frontal clips are stored turned by 90 degrees, and a dual view has the frontal one in either
half: the view in which a face is found is taken, unless `orientation` says which. Profiles are left
out. Reading needs PyAV, the extra `video`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dferlib.datasets.manifest import DATASETS, DatasetError, plural
from dferlib.datasets.media.video import VIDEOS, VideoFacts, probe_all
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.folders import (
    below,
    describe_unread,
    matching_files,
    not_found,
    search,
    subfolders,
)
from dferlib.datasets.readers.mmi_xml import read_emotion, read_onset_and_apex, read_view
from dferlib.datasets.readers.places import Places
from dferlib.datasets.readers.scan import UNKNOWN, Clip, Golden, Scan, View, check_exclude
from dferlib.datasets.readers.tables import read_text

HELP = """MMI is expected as
    <root>/Sessions/501/session.xml, S001-002.avi and S001-002.xml
Of all sessions, those with an emotion label and a frontal view are of use.
""" + how_to_get("mmi")

FOLDER_NAMES = ("mmi", "MMI", "mmi-facial-expression-database")
FACES = "box=clip"  # heads that keep their place
CODES = {str(code): name for code, name in enumerate(DATASETS["mmi"], start=1)}
SESSION = r"\d+"
VIDEO = re.compile(r"((S\d+)-\d+)\.avi", re.I | re.A)
STILL = re.compile(r".*\.(?:jpe?g|png)", re.I)
FRONTAL, PROFILE, DUAL = "0", "1", "2"
TURNED = View(turn=90)
VIEWS = {FRONTAL: (TURNED, View()), DUAL: (View("left"), View("right"))}
ORIENTATIONS = {"upright": View(), "turned": TURNED, "left": View("left"), "right": View("right")}
ARCHIVE_WORDS = ("mmi", "sessions")

GOLDEN = Golden(counts={})


@dataclass(frozen=True)
class _Session:
    """A session that can be used: what its files say, before the video is opened."""

    clip_id: str
    subject: str
    label: str
    video: Path
    views: tuple[View, ...]
    coding: Path | None


def scan(
    root: Path,
    sessions: str | Sequence[str] = (),
    orientation: Mapping[str, str] | None = None,
    exclude: Sequence[str] = (),
) -> Scan:
    """Find all sessions with one of six emotions and a frontal view.

    `sessions` are ids to keep, or the path of a file with one in each line; `orientation` maps a
    session's id or a subject to "upright", "turned" (stored a quarter turn anticlockwise), "left"
    or "right"; `exclude` names clips such as "501/S001-002". What is left out, and why, is counted
    in the scan's problems. MissingDatasetError if nothing of MMI is there, DatasetError for unknown
    names or if PyAV is not installed.
    """
    places = Places(root)
    folders = _keep_sessions(_find_sessions(root, places), sessions, root)
    found, left, errors, doubts = [], Counter(), [], []
    for folder in folders:
        try:
            session = _read_session(folder, orientation or {}, doubts)
        except DatasetError as error:
            errors.append(str(error))
            continue
        if isinstance(session, str):
            left[session] += 1
        else:
            found.append(session)
    check_exclude(exclude, [session.clip_id for session in found], root)
    unwanted = set(exclude)
    found = [session for session in found if session.clip_id not in unwanted]
    facts, damaged = probe_all([session.video for session in found])
    problems = [
        f"{plural(count, 'session')} left out: {why}" for why, count in sorted(left.items())
    ]
    clips = [
        _make_clip(session, facts[str(session.video)], problems)
        for session in found
        if str(session.video) in facts
    ]
    counts = {"sessions": len(folders), "clips": len(clips)}
    counts["subjects"] = len({clip.subject for clip in clips})
    counts["clips with coded apex"] = sum(clip.apex >= 0 for clip in clips)
    homes = dict.fromkeys(below(root, folder.parent) for folder in folders)
    return Scan(
        "mmi",
        root,
        f"sessions in {', '.join(homes)}",
        tuple(clips),
        counts,
        (*places.problems(), *problems),
        (*places.errors, *errors, *damaged),
        doubts=tuple(doubts),
    )


def _find_sessions(root: Path, places: Places) -> list[Path]:
    """Folders of the sessions, each once, by number."""
    found: dict[str, list[Path]] = {}
    for folder in search(root, stop=SESSION):
        for path in subfolders(folder, SESSION):
            if _file(path, "session.xml"):
                found.setdefault(path.name, []).append(path)
    if not found:
        raise not_found(root, "sessions of MMI", ARCHIVE_WORDS, HELP)
    chosen = [places.choose(f"session {name}", found[name]) for name in sorted(found, key=int)]
    return [path for path in chosen if path]


def _keep_sessions(folders: list[Path], wanted: str | Sequence[str], root: Path) -> list[Path]:
    if isinstance(wanted, str) and wanted:
        wanted = read_text(Path(wanted).expanduser()).split()
    names = {str(name) for name in wanted}
    if missing := sorted(names - {folder.name for folder in folders}):
        raise DatasetError(f"sessions names {missing}, which are not below {root}")
    return [folder for folder in folders if not names or folder.name in names]


def _read_session(
    folder: Path, orientation: Mapping[str, str], doubts: list[str]
) -> _Session | str:
    """A session, or why it is left out; videos in it that are not read are a doubt."""
    beside: list[Path] = []
    videos = matching_files(folder, VIDEO, beside)
    doubts += describe_unread(folder.parent, beside, VIDEOS, "a video")
    if not videos:
        return "stills, no video" if matching_files(folder, STILL) else "no video"
    if len(videos) > 1:
        raise DatasetError(f"{folder} has {len(videos)} videos, expected one")
    ((video, match),) = videos
    stem, subject = match.groups()
    labels = _file(folder, f"{stem}.xml")
    emotion = read_emotion(labels) if labels else ""
    if not emotion:
        return "no emotion label"
    if emotion not in CODES:
        return f"emotion {emotion}, which is none of the six"
    view = read_view(_file(folder, "session.xml"), video.name)
    if view == PROFILE:
        return "profile view"
    views = _choose_views(view, orientation, folder.name, subject)
    coding = _file(folder, f"{stem}-oao_aucs.xml")
    name = f"{folder.name}/{stem}"
    return _Session(name, subject.upper(), CODES[emotion], video, views, coding)


def _choose_views(
    view: str, orientation: Mapping[str, str], session: str, subject: str
) -> tuple[View, ...]:
    chosen = orientation.get(session, orientation.get(subject.upper(), ""))
    if chosen and chosen not in ORIENTATIONS:
        allowed = ", ".join(ORIENTATIONS)
        raise DatasetError(f"orientation of {session} is {chosen!r}, allowed are {allowed}")
    if chosen:
        return (ORIENTATIONS[chosen],)
    # a view that is not given may be any of them
    return VIEWS.get(view, (*VIEWS[FRONTAL], *VIEWS[DUAL]))


def _file(folder: Path, name: str) -> Path | None:
    """A file of a folder by its name in any case."""
    return next((path for path, _ in matching_files(folder, re.escape(name))), None)


def _make_clip(session: _Session, facts: VideoFacts, problems: list[str]) -> Clip:
    onset = apex = UNKNOWN
    if session.coding:
        try:
            onset, apex = read_onset_and_apex(session.coding, facts.count) or (onset, apex)
        except DatasetError as error:
            problems.append(f"{session.clip_id}: apex unknown, as {error}")
    return Clip(
        session.clip_id,
        session.subject,
        session.label,
        (),
        facts.fps,
        apex,
        onset=onset,
        video=str(session.video),
        count=facts.count,
        views=session.views,
    )
