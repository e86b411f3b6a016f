"""Trees in the layout of CK+ and of Oulu-CASIA."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.manifest import DATASETS
from dferlib.datasets.readers.ckplus import CODES
from dferlib.datasets.standins.trees.film import (
    Damage,
    Picture,
    begin,
    film,
    find,
    image,
    keep_last,
    plant,
    truncate,
    write,
)

CK_GREY, CK_COLOUR, OULU_PICTURE = (640, 490), (640, 480), (320, 240)
LAYOUTS = {
    "ckplus": {
        "flat": ("cohn-kanade-images", "Emotion", "FACS", "Landmarks"),
        "nested": (
            "extended-cohn-kanade-images/cohn-kanade-images",
            "Emotion_labels/Emotion",
            "FACS_labels/FACS",
            "Landmarks/Landmarks",
        ),
        "renamed": ("Images", "Labels", "FACS", "Points"),
    },
    "oulu": {"flat": (".",), "nested": ("B_OriginalImg/B_OriginalImg/OriginalImg",)},
}
CLIPS_PER_SUBJECT = 3  # labelled ones, in CK+


def write_ckplus(
    folder: str | Path,
    *,
    subjects: int = 12,
    seed: int = 0,
    layout: str = "flat",
    pitfalls: Sequence[str] = (),
) -> Path:
    """Write a tree in the layout of CK+ and return its root.

    `subjects` counts those with a label: one has contempt only, the others three emotions each.
    `layout` is "flat", "nested" or "renamed". DatasetError if the folder is not empty or a name is
    unknown.
    """
    images, labels, facs, points = begin(
        folder, LAYOUTS["ckplus"], layout, PITFALLS["ckplus"], pitfalls
    )
    names = [f"S{5 + 5 * index:03d}" for index in range(subjects - 2)] + ["S147", "S999"]
    classes = DATASETS["ckplus"]
    for index, subject in enumerate(names[:subjects]):
        # S005/001 shows disgust, S010/002 surprise
        shown = [classes[(2 + 4 * index + 2 * k) % 7] for k in range(CLIPS_PER_SUBJECT)]
        if subject == "S147":
            shown = ["contempt"]
        for number, label in enumerate(shown, start=1 + (subject == "S010")):
            clip = f"{subject}/{number:03d}"
            length = 5 + (index + number) % 4
            size = CK_COLOUR if index % 2 else CK_GREY
            pictures = list(film(seed, index, label, length, size))
            stem = _write_sequence(images, points, clip, pictures, grey=not index % 2)
            write(labels / clip / f"{stem}_emotion.txt", f"   {_code(label):.7e}\n")
            write(facs / clip / f"{stem}_facs.txt", "   9.0000000e+00   0.0000000e+00\n")
    for number, clip in enumerate(("S010/001", "S005/011", "S121/001")):
        pictures = list(film(seed, 60 + number, "neutral", 3, CK_GREY))
        _write_sequence(images, points, clip, pictures, grey=True)
        if clip != "S005/011":  # which has no folder at all
            (labels / clip).mkdir(parents=True)
    write(images / "S005/001/.DS_Store", "")
    return plant(Path(folder), PITFALLS["ckplus"], pitfalls)


def write_oulu(
    folder: str | Path,
    *,
    subjects: int = 12,
    seed: int = 0,
    layout: str = "flat",
    pitfalls: Sequence[str] = (),
) -> Path:
    """Write a tree in the layout of Oulu-CASIA and return its root.

    Every subject shows all six emotions in VL/Strong; the first also in NI/Strong (grey) and, but
    for one emotion, in VL/Dark. `layout` is "flat" or "nested". DatasetError if the folder is not
    empty or a name is unknown.
    """
    (base,) = begin(folder, LAYOUTS["oulu"], layout, PITFALLS["oulu"], pitfalls)
    for index in range(subjects):
        subject = f"P{index + 1:03d}"
        for number, label in enumerate(DATASETS["oulu"]):
            length = 9 if (index, number) == (0, 0) else 5 + (index + number) % 3
            pictures = list(film(seed, index, label, length, OULU_PICTURE))
            emotion = label.capitalize()
            _write_jpegs(base / "VL/Strong" / subject / emotion, pictures, grey=False)
            if index == 0:
                _write_jpegs(base / "NI/Strong" / subject / emotion, pictures[:-1], grey=True)
            if index == 0 and label != "fear":
                _write_jpegs(base / "VL/Dark" / subject / emotion, pictures[:3], grey=False)
    write(base / "VL/Strong/P001/Anger/Thumbs.db", "")
    return plant(Path(folder), PITFALLS["oulu"], pitfalls)


def _write_sequence(
    images: Path, points: Path, clip: str, pictures: Sequence[Picture], grey: bool
) -> str:
    """Write frames and landmarks of a CK+ sequence; returns the name of its last frame."""
    stem = ""
    for number, picture in enumerate(pictures, start=1):
        stem = f"{clip.replace('/', '_')}_{number:08d}"
        rows = "".join(f"  {x:.7e}   {y:.7e}\n" for x, y in picture.landmarks)
        write(points / clip / f"{stem}_landmarks.txt", rows)
        path = images / clip / f"{stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image(picture, grey).save(path, compress_level=1)
    return stem


def _write_jpegs(folder: Path, pictures: Sequence[Picture], grey: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        image(picture, grey).save(folder / f"{number:03d}.jpeg", quality=90)


def _code(label: str) -> int:
    return next(code for code, name in CODES.items() if name == label)


# What may be wrong with a copy of a dataset; each spoils the first clip.
PITFALLS: dict[str, Damage] = {
    "ckplus": {
        "text_label": lambda root: find(root, "S005_001_*_emotion.txt")[0].write_text("happy\n"),
        "truncated_image": lambda root: truncate(find(root, "S005_001_*.png")[0]),
        "one_frame": lambda root: keep_last(find(root, "S005_001_*.png")),
        "gap": lambda root: find(root, "S005_001_*.png")[1].unlink(),
        "no_images": lambda root: shutil.rmtree(find(root, "S005_001_*.png")[0].parent),
        "no_landmarks": lambda root: shutil.rmtree(find(root, "S005_001_*_landm*")[0].parent),
    },
    "oulu": {
        "truncated_image": lambda root: truncate(find(root, "VL/Strong/P001/Anger/*.jpeg")[0]),
        "one_frame": lambda root: keep_last(find(root, "VL/Strong/P001/Anger/*.jpeg")),
        "gap": lambda root: find(root, "VL/Strong/P001/Anger/*.jpeg")[1].unlink(),
        "no_emotion": lambda root: shutil.rmtree(find(root, "VL/Strong/P001/Anger")[0]),
    },
}
