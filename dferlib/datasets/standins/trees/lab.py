"""Trees in the layout of MMI and of BU-4DFE."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dferlib.datasets.manifest import DATASETS
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

LAYOUTS = {"flat": (".",), "nested": ("download/data",)}
BU_FOLDERS = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise")
MMI_PICTURE = (720, 576)
BU_PICTURE = (312, 400)  # smaller than the real ones: faster to write
PROFILE_YAW = 1.2  # radians
NEUTRAL, ONSET, APEX, OFFSET = range(4)


def write_mmi(
    folder: str | Path,
    *,
    subjects: int = 12,
    seed: int = 0,
    layout: str = "flat",
    pitfalls: Sequence[str] = (),
) -> Path:
    """Write a tree in the layout of MMI and return its root.

    Every subject has two sessions, one in a dual view, the profile in the left half, and one turned
    by 90 degrees; action units are coded in every third. Sessions that a reader leaves out are
    there: a profile, an emotion 9, none at all, and stills. DatasetError if the folder is not empty
    or a name is unknown.
    """
    (base,) = begin(folder, LAYOUTS, layout, PITFALLS["mmi"], pitfalls)
    sessions = base / "Sessions"
    for index in range(subjects):
        for take in (1, 2):
            code = (2 * index + take - 1) % 6 + 1
            shown = (seed, index, DATASETS["mmi"][code - 1])
            width, height = MMI_PICTURE
            if take == 1:
                half = (width // 2, height)
                side = _there_and_back(*shown, half, yaw=PROFILE_YAW, share=0.6)
                front = _there_and_back(*shown, half, share=0.6)
                pairs = zip(side, front, strict=True)
                pictures = [np.concatenate(pair, axis=1) for pair in pairs]
            else:
                upright = _there_and_back(*shown, (height, width), share=0.75)
                pictures = [np.rot90(picture) for picture in upright]
            name, view = f"S{index + 1:03d}-{take:03d}", ("2", "0")[take - 1]
            coded = (2 * index + take) % 3 == 1
            place = sessions / f"{(2, 501)[take - 1] + index}"
            _write_session(place, name, view, code, pictures, coded)
    side = shoot(seed, 0, "happiness", 3, MMI_PICTURE, yaw=PROFILE_YAW)
    for number, view, code in ((3, "1", 4), (4, "0", 9), (5, "0", 0), (6, "0", 4)):
        name = f"S001-{number:03d}"
        _write_session(sessions / f"{1838 + number}", name, view, code, side, False)
    (sessions / "1844/S001-006.avi").unlink()
    write_frames(sessions / "1844", side[:1], ["S001-006.jpg"])
    write(sessions / "1844/Thumbs.db", "")
    return plant(Path(folder), PITFALLS["mmi"], pitfalls)


def _there_and_back(
    seed: int, subject: int, label: str, size: tuple[int, int], **options: float
) -> list[np.ndarray]:
    rise = shoot(seed, subject, label, 4, size, **options)
    return [*rise, *rise[-2::-1]]


def _write_session(
    folder: Path, name: str, view: str, code: int, pictures: Sequence[np.ndarray], coded: bool
) -> None:
    write_video(folder / f"{name}.avi", pictures)
    write(
        folder / "session.xml",
        f'<session><subject id="1"/><track filename="{name}.avi" view="{view}"/>'
        f'<annotation filename="{name}.xml"/></session>',
    )
    emotion = f'<Metatag Name="Emotion" Value="{code}"/>' if code else ""
    write(folder / f"{name}.xml", f'<Session><Metatag Name="Part" Value="1"/>{emotion}</Session>')
    if coded:
        # from the second frame on, at its apex in the third
        marks = ((1, NEUTRAL), (2, ONSET), (3, APEX), (4, OFFSET), (7, NEUTRAL))
        text = "".join(f'<Marker Type="{kind}" Frame="{frame}"/>' for frame, kind in marks)
        unit = f'<ActionUnit Number="12">{text}</ActionUnit>'
        write(folder / f"{name}-oao_aucs.xml", f"<ActionUnits>{unit}</ActionUnits>")


def write_bu4dfe(
    folder: str | Path,
    *,
    subjects: int = 12,
    seed: int = 0,
    layout: str = "flat",
    pitfalls: Sequence[str] = (),
) -> Path:
    """Write a tree in the layout of BU-4DFE and return its root.

    The ids begin with F001, M001, F058 and M043. One texture of the first clip is missing.
    DatasetError if the folder is not empty or a name is unknown.
    """
    (base,) = begin(folder, LAYOUTS, layout, PITFALLS["bu4dfe"], pitfalls)
    first = ["F001", "M001", "F058", "M043"]
    more = [f"{'FM'[index % 2]}{index // 2:03d}" for index in range(4, max(4, subjects))]
    for index, subject in enumerate([*first, *more][:subjects]):
        for number, label in enumerate(DATASETS["bu4dfe"]):
            pictures = _there_and_back(seed, index, label, BU_PICTURE)
            clip = base / subject / BU_FOLDERS[number]
            write_frames(clip, pictures, [f"{frame:03d}.jpg" for frame in range(len(pictures))])
            for frame in range(len(pictures)):
                write(clip / f"{frame:03d}.wrl", "#VRML V2.0 utf8\n")
    (base / "F001/Angry/002.jpg").unlink()
    write(base / "BU_WrlViewer_V2/readme.txt", "")
    write(base / "F001/.DS_Store", "")
    return plant(Path(folder), PITFALLS["bu4dfe"], pitfalls)


def _make_static(root: Path) -> None:
    """Leave a tree as BU-3DFE has it."""
    for folder in find(root, "[FM]0*"):
        shutil.rmtree(folder)
    write(root / "F0001/F0001_AN01WH_F3D.wrl", "")


# What may be wrong with a copy of a dataset; each spoils the first clip.
PITFALLS: dict[str, Damage] = {
    "mmi": {
        "truncated_video": lambda root: truncate(find(root, "Sessions/2/*.avi")[0]),
        "two_videos": lambda root: write(find(root, "Sessions/2")[0] / "S001-009.avi", ""),
        "entities": lambda root: find(root, "Sessions/2/S001-001.xml")[0].write_text(
            '<!DOCTYPE s [<!ENTITY a "b">]><s>&a;</s>'
        ),
    },
    "bu4dfe": {
        "truncated_image": lambda root: truncate(find(root, "F001/Angry/*.jpg")[0]),
        "no_emotion": lambda root: shutil.rmtree(find(root, "F001/Angry")[0]),
        "static": _make_static,
    },
}
