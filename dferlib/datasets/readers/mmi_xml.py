"""The XML files of an MMI session: emotion code, view, and where the action units peak.

Read with the standard parser; entities, by which a small file becomes a huge one or reads another,
are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from dferlib.datasets.manifest import DatasetError

ONSET, APEX = 1, 2  # types of markers; 0 is neutral, 3 offset
MOST_BYTES = 5_000_000


def read_xml(path: Path) -> Element:
    """Root of an XML file; DatasetError naming it if it is no XML, huge, or declares entities."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse
    parser.UnparsedEntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES} bytes")
        parser.Parse(path.read_bytes(), True)
        return builder.close()
    except (OSError, ValueError, LookupError, expat.ExpatError) as error:
        raise DatasetError(f"XML file {path} cannot be read: {error}") from error


def _refuse(*_: object) -> None:
    raise ValueError("it declares entities, which are not allowed here")


def read_emotion(path: Path) -> str:
    """Value of the Metatag that is named Emotion, "" if there is none."""
    for tag in _elements(read_xml(path), "metatag"):
        if tag.get("Name", "").strip().lower() == "emotion":
            return tag.get("Value", "").strip()
    return ""


def read_view(path: Path, video: str = "") -> str:
    """View of the track of a video in a `session.xml`, else of its first track that has one."""
    tracks = [track for track in _elements(read_xml(path), "track") if track.get("view")]
    named = [track for track in tracks if track.get("filename", "").lower() == video.lower()]
    return next((track.get("view", "").strip() for track in (*named, *tracks)), "")


def read_onset_and_apex(path: Path, n_frames: int) -> tuple[int, int] | None:
    """Onset and apex, from 0, of the action units in an `-oao_aucs.xml`.

    An action unit is at its apex from a marker of type 2 up to the next marker. The clip's apex is
    the middle of the first and longest run of frames in which most action units are; its onset is
    the first marker of type 1, -1 if there is none. None if the file codes no apex. DatasetError if
    a marker lies outside the clip or an apex comes without an onset or neutral before it: the
    meaning of the types is not documented, and this would contradict it.
    """
    active, onsets = np.zeros(n_frames, dtype=int), []
    for unit in _elements(read_xml(path), "actionunit"):
        markers = sorted(_markers(unit, path, n_frames))
        for place, (frame, kind) in enumerate(markers):
            if kind == ONSET:
                onsets.append(frame)
            if kind == APEX:
                if place and markers[place - 1][1] > APEX:
                    raise DatasetError(f"{path} has an apex right after an offset: {markers}")
                stop = markers[place + 1][0] if place + 1 < len(markers) else n_frames
                active[frame : max(stop, frame + 1)] += 1
    if not active.any():
        return None
    most = np.flatnonzero(np.diff(np.concatenate([[0], active == active.max(), [0]])))
    starts, stops = most[::2], most[1::2]
    longest = int(np.argmax(stops - starts))
    return min(onsets, default=-1), int(starts[longest] + stops[longest] - 1) // 2


def _markers(unit: Element, path: Path, n_frames: int) -> Iterator[tuple[int, int]]:
    for marker in _elements(unit, "marker"):
        try:
            frame, kind = int(marker.get("Frame", "")) - 1, int(marker.get("Type", ""))
        except ValueError as error:
            shown = str(dict(marker.attrib))[:200]
            raise DatasetError(f"{path} has a marker {shown}: {error}") from error
        if not 0 <= frame < n_frames:
            raise DatasetError(f"{path} marks frame {frame + 1} of a clip of {n_frames}")
        yield frame, kind


def _elements(root: Element, name: str) -> Iterator[Element]:
    return (element for element in root.iter() if str(element.tag).lower() == name)
