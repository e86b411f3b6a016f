"""Small trees of procedural faces in the exact layout of CK+ and Oulu-CASIA, oddities included.

They let anyone try the readers, and run a notebook with `source="real"`, without a licence: the
files look as the real ones do, the pixels are nobody's. The oddities that the real sets have are
always there (labels in scientific notation, empty and absent label folders, subjects without a
label, gaps in the ids, grey and colour images, system files); `pitfalls` plants damage on top, one
kind per name in `PITFALLS`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dferlib.datasets.ckplus import CODES
from dferlib.datasets.manifest import DATASETS, DatasetError
from dferlib.synthface import expression_aus, render, sample_identities

RENDER_SIZE = 112  # pixels; enlarged into the picture, which saves most of the time
FACE_SHARE = 0.85  # side of the rendered square, of the picture's height
WALL = 0.45  # grey of everything around it
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


@dataclass(frozen=True)
class _Picture:
    """One frame: RGB uint8 (H, W, 3) and its 68 landmarks in pixels."""

    pixels: np.ndarray
    landmarks: np.ndarray


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
    images, labels, facs, points = _begin(folder, "ckplus", layout, pitfalls)
    names = [f"S{5 + 7 * index:03d}" for index in range(subjects - 2)] + ["S147", "S999"]
    classes = DATASETS["ckplus"]
    for index, subject in enumerate(names[:subjects]):
        shown = [classes[(index + 2 * k) % len(classes)] for k in range(CLIPS_PER_SUBJECT)]
        if subject == "S147":
            shown = ["contempt"]
        for number, label in enumerate(shown, start=1):
            clip = f"{subject}/{number:03d}"
            length = 5 + (index + number) % 4
            size = CK_COLOUR if index % 2 else CK_GREY
            pictures = list(_film(seed, index, label, length, size))
            stem = _write_sequence(images, points, clip, pictures, grey=not index % 2)
            _write(labels / clip / f"{stem}_emotion.txt", f"   {_code(label):.7e}\n")
            _write(facs / clip / f"{stem}_facs.txt", "   9.0000000e+00   0.0000000e+00\n")
    for clip, labelled in (("S005/011", True), ("S005/012", False), ("S121/001", True)):
        pictures = list(_film(seed, 0, "neutral", 3, CK_GREY))
        _write_sequence(images, points, clip, pictures, grey=True)
        if labelled:  # an empty folder; S005/012 has none at all
            (labels / clip).mkdir(parents=True)
    _write(images / "S005/001/.DS_Store", "")
    return _plant(Path(folder), "ckplus", pitfalls)


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
    (base,) = _begin(folder, "oulu", layout, pitfalls)
    for index in range(subjects):
        subject = f"P{index + 1:03d}"
        for number, label in enumerate(DATASETS["oulu"]):
            length = 9 if (index, number) == (0, 0) else 5 + (index + number) % 3
            pictures = list(_film(seed, index, label, length, OULU_PICTURE))
            emotion = label.capitalize()
            _write_jpegs(base / "VL/Strong" / subject / emotion, pictures, grey=False)
            if index == 0:
                _write_jpegs(base / "NI/Strong" / subject / emotion, pictures[:-1], grey=True)
            if index == 0 and label != "fear":
                _write_jpegs(base / "VL/Dark" / subject / emotion, pictures[:3], grey=False)
    _write(base / "VL/Strong/P001/Anger/Thumbs.db", "")
    return _plant(Path(folder), "oulu", pitfalls)


def _begin(
    folder: str | Path, dataset: str, layout: str, pitfalls: Sequence[str]
) -> tuple[Path, ...]:
    folder = Path(folder)
    if layout not in LAYOUTS[dataset]:
        raise DatasetError(f"layout is {layout!r}, allowed are {list(LAYOUTS[dataset])}")
    unknown = sorted(set(pitfalls) - set(PITFALLS[dataset]))
    if unknown:
        raise DatasetError(f"unknown pitfalls {unknown}, allowed are {list(PITFALLS[dataset])}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder} is not an empty folder: a fixture is written into a new one")
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(folder / name for name in LAYOUTS[dataset][layout])


def _film(
    seed: int, subject: int, label: str, length: int, size: tuple[int, int]
) -> Iterator[_Picture]:
    """Frames of one expression from neutral to its peak, as pictures of (width, height)."""
    generator = torch.Generator().manual_seed(seed * 1009 + subject * 31 + sum(map(ord, label)))
    peak = expression_aus(label, 0.9, generator)
    rise = torch.linspace(0, 1, length)
    rise = (rise * rise * (3 - 2 * rise))[:, None, None]
    people = sample_identities(1, seed, start=subject).take(torch.zeros(length, dtype=torch.long))
    pose = (torch.rand(1, 3, generator=generator) - 0.5) * 0.1
    wall = torch.full((length, 3, RENDER_SIZE, RENDER_SIZE), WALL)
    shot = render(
        people,
        peak[None] * rise,
        size=RENDER_SIZE,
        pose=pose.expand(length, 3) * rise[:, 0],
        background=wall,
        quality="fast",
        truth=True,
    )
    frames = (shot.image.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    for frame, landmarks in zip(frames, shot.landmarks.numpy(), strict=True):
        yield _hang(frame, landmarks, size)


def _hang(frame: np.ndarray, landmarks: np.ndarray, size: tuple[int, int]) -> _Picture:
    """Put the rendered square into the middle of a picture."""
    side = round(FACE_SHARE * size[1])
    place = ((size[0] - side) // 2, size[1] - side)
    picture = Image.new("RGB", size, (round(WALL * 255),) * 3)
    picture.paste(Image.fromarray(frame).resize((side, side), Image.Resampling.BICUBIC), place)
    return _Picture(np.asarray(picture), landmarks * (side / len(frame)) + np.array(place))


def _write_sequence(
    images: Path, points: Path, clip: str, pictures: Sequence[_Picture], grey: bool
) -> str:
    """Write frames and landmarks of a CK+ sequence; returns the name of its last frame."""
    stem = ""
    for number, picture in enumerate(pictures, start=1):
        stem = f"{clip.replace('/', '_')}_{number:08d}"
        rows = "".join(f"  {x:.7e}   {y:.7e}\n" for x, y in picture.landmarks)
        _write(points / clip / f"{stem}_landmarks.txt", rows)
        path = images / clip / f"{stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        _image(picture, grey).save(path, compress_level=1)
    return stem


def _write_jpegs(folder: Path, pictures: Sequence[_Picture], grey: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        _image(picture, grey).save(folder / f"{number:03d}.jpeg", quality=90)


def _image(picture: _Picture, grey: bool) -> Image.Image:
    return Image.fromarray(picture.pixels).convert("L" if grey else "RGB")


def _code(label: str) -> int:
    return next(code for code, name in CODES.items() if name == label)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _plant(root: Path, dataset: str, pitfalls: Sequence[str]) -> Path:
    for name in pitfalls:
        PITFALLS[dataset][name](root)
    return root


def _find(root: Path, pattern: str) -> list[Path]:
    return sorted(root.rglob(pattern))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _keep_last(files: list[Path]) -> None:
    for path in files[:-1]:
        path.unlink()


# What may be wrong with a copy of a dataset; each spoils the first clip.
PITFALLS: dict[str, dict[str, Callable[[Path], object]]] = {
    "ckplus": {
        "text_label": lambda root: _find(root, "S005_001_*_emotion.txt")[0].write_text("happy\n"),
        "truncated_image": lambda root: _truncate(_find(root, "S005_001_*.png")[0]),
        "one_frame": lambda root: _keep_last(_find(root, "S005_001_*.png")),
        "gap": lambda root: _find(root, "S005_001_*.png")[1].unlink(),
        "no_images": lambda root: shutil.rmtree(_find(root, "S005_001_*.png")[0].parent),
        "no_landmarks": lambda root: shutil.rmtree(_find(root, "S005_001_*_landm*")[0].parent),
    },
    "oulu": {
        "truncated_image": lambda root: _truncate(_find(root, "VL/Strong/P001/Anger/*.jpeg")[0]),
        "one_frame": lambda root: _keep_last(_find(root, "VL/Strong/P001/Anger/*.jpeg")),
        "gap": lambda root: _find(root, "VL/Strong/P001/Anger/*.jpeg")[1].unlink(),
        "no_emotion": lambda root: shutil.rmtree(_find(root, "VL/Strong/P001/Anger")[0]),
    },
}
