"""Peaks and onsets that a user annotated: the file `apex.csv` in a dataset's folder.

    clip,apex,onset
    F001/Angry,47,12
    F001/Happy,051.jpg,

Frames are counted from 0, as they are read, or named by their file. The file comes before what the
dataset itself says; clips that it does not name keep that.
"""

from __future__ import annotations

from dataclasses import replace

from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.readers.scan import Scan
from dferlib.datasets.readers.tables import frame_number, meaning_of, read_csv

ANNOTATION_FILE = "apex.csv"


def annotate(scan: Scan) -> Scan:
    """The scan with the apex and onset of `apex.csv`, or as it is without that file.

    DatasetError naming file and line for an unknown clip, a clip that stands twice and a frame that
    the clip does not have.
    """
    path = scan.root / ANNOTATION_FILE
    if not path.exists():
        return scan
    lines = read_csv(path)
    header = [name.strip() for name in (lines[0][1] if lines else [])]
    places = {meaning_of(name): at for at, name in enumerate(header)}
    clip = next((at for at, name in enumerate(header) if name.lower() in ("clip", "clip_id")), None)
    clip = places.get("path", clip)
    if clip is None or "apex" not in places:
        raise DatasetError(f"{path} begins with {str(header)[:200]}, expected clip,apex,onset")
    clips = {one.clip_id: one for one in scan.clips}
    done: set[str] = set()
    for line, texts in lines[1:]:
        where, cells = f"{path}:{line}", [*texts, *[""] * len(header)]
        name = cells[clip].strip()
        if name in done or (name not in clips and name not in scan.excluded):
            what = "stands twice" if name in done else "is no clip of this dataset"
            raise DatasetError(f"{where}: {name[:200]!r} {what}; take the line out")
        done.add(name)
        if one := clips.get(name):
            found = {
                what: frame_number(cells[places[what]], one.frames, one.n_frames, where)
                for what in ("apex", "onset")
                if what in places
            }
            clips[name] = replace(one, **{what: at for what, at in found.items() if at >= 0})
    return replace(scan, clips=tuple(clips.values()))
