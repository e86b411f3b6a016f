"""Trees in the layout of CREMA-D and RAVDESS, and a folder of any clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.readers import cremad, ravdess
from dferlib.datasets.standins.trees.film import (
    Damage,
    begin,
    find,
    plant,
    shoot,
    truncate,
    write,
    write_frames,
    write_video,
)

PICTURE = (320, 240)
LENGTH = 3
LAYOUTS = {
    "cremad": {"flat": ("VideoFlash",), "nested": ("CREMA-D/VideoFlash",)},
    "ravdess": {"flat": (".",)},
    "folder": {"classes": (".",), "table": (".",)},
}


def write_cremad(
    folder: str | Path,
    *,
    subjects: int = 12,
    seed: int = 0,
    layout: str = "flat",
    pitfalls: Sequence[str] = (),
) -> Path:
    """Write a tree in the layout of CREMA-D and return its root: two clips of every actor.

    One more has the name of a clip that the owners know to be bad. DatasetError if the folder is
    not empty or a name is unknown.
    """
    (videos,) = begin(folder, LAYOUTS["cremad"], layout, PITFALLS["cremad"], pitfalls)
    codes = list(cremad.CODES)
    for index in range(subjects):
        for take in range(2):
            code = codes[(index + 3 * take) % 6]
            pictures = shoot(seed, index, cremad.CODES[code], LENGTH + take, PICTURE)
            name = f"{1001 + index}_{('DFA', 'IEO')[take]}_{code}_{('XX', 'HI')[take]}.flv"
            write_video(videos / name, pictures, fps=30)
    write_video(videos / "1064_IEO_DIS_MD.flv", shoot(seed, 64, "disgust", LENGTH, PICTURE))
    write(videos.parent / "VideoDemographics.csv", '"ActorID","Age"\n')
    return plant(Path(folder), PITFALLS["cremad"], pitfalls)


def write_ravdess(
    folder: str | Path,
    *,
    subjects: int = 12,
    seed: int = 0,
    layout: str = "flat",
    pitfalls: Sequence[str] = (),
) -> Path:
    """Write a tree in the layout of RAVDESS and return its root.

    Every actor speaks in two emotions, each take with and without sound, and sings in one, but for
    actor 18, who is the last. DatasetError if the folder is not empty or a name is unknown.
    """
    (base,) = begin(folder, LAYOUTS["ravdess"], layout, PITFALLS["ravdess"], pitfalls)
    for index, actor in enumerate([*range(1, subjects), 18]):
        place = base / f"Video_Speech_Actor_{actor:02d}" / f"Actor_{actor:02d}"
        for take in range(2):
            code = (2 * index + take) % 8 + 1
            pictures = shoot(seed, actor, ravdess.CODES[code], LENGTH, PICTURE)
            name = f"01-{code:02d}-01-01-01-{actor:02d}"
            for modality in ("01", "02"):
                write_video(place / f"{modality}-{name}.mp4", pictures, fps=30)
        if actor != 18:
            place = base / f"Video_Song_Actor_{actor:02d}" / f"Actor_{actor:02d}"
            write_video(place / f"02-02-03-01-01-01-{actor:02d}.mp4", pictures, fps=30)
    return plant(Path(folder), PITFALLS["ravdess"], pitfalls)


def write_folder(
    folder: str | Path,
    *,
    subjects: int = 12,
    seed: int = 0,
    layout: str = "classes",
    pitfalls: Sequence[str] = (),
) -> Path:
    """Write clips as folders of frames and return the root: two clips of every subject.

    With `layout` "classes" they lie in folders named as the classes, with "table" in folders named
    as the subjects, beside a `labels.csv`. DatasetError if the folder is not empty or a name is
    unknown.
    """
    begin(folder, LAYOUTS["folder"], layout, PITFALLS["folder"], pitfalls)
    root, rows, table = Path(folder), ["path,label,subject"], layout == "table"
    for index in range(subjects):
        subject = f"S{index + 1:02d}"
        for label in ("happiness", "anger"):
            pictures = shoot(seed, index, label, LENGTH, PICTURE)
            place = f"{subject}/{label}" if table else f"{label.capitalize()}/{subject}"
            names = [f"frame_{9 + frame}.png" for frame in range(len(pictures))]
            write_frames(root / place, pictures, names)
            rows.append(f"{place},{label},{subject}")
    if table:
        write(root / "labels.csv", "\n".join([*rows, ""]))
    return plant(root, PITFALLS["folder"], pitfalls)


def _stub(path: Path) -> None:
    write(path, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 700000\n")


# What may be wrong with a copy of a dataset; each spoils the first clip.
PITFALLS: dict[str, Damage] = {
    "cremad": {
        "lfs_stub": lambda root: _stub(find(root, "1001_DFA_*")[0]),
    },
    "ravdess": {
        "truncated_video": lambda root: truncate(find(root, "02-01-01-01-01-01-01.mp4")[0]),
    },
    "folder": {
        "no_frames": lambda root: [path.unlink() for path in find(root, "Anger/S01/*.png")],
    },
}
