"""Trees in the layout of AFEW and of DFEW."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from dferlib.datasets.manifest import DATASETS
from dferlib.datasets.readers.dfew import CODES
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
    write_workbook,
)

AFEW_FOLDERS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
AFEW_FACE, DFEW_FACE, PICTURE = (128, 128), (224, 224), (320, 240)
LAYOUTS = {
    "afew": {"flat": ("Train_AFEW", "Val_AFEW"), "short": ("AFEW/train", "AFEW/val")},
    "dfew": {
        "flat": ("EmoLabel_DataSplit", "Clip/clip_224x224"),
        "parts": ("EmoLabel_DataSplit", "Clip/clip_224x224/clip_224x224_part_{part}"),
        "short": ("single_label/label", "single_label/data"),
    },
}


def write_afew(
    folder: str | Path,
    *,
    subjects: int = 12,
    seed: int = 0,
    layout: str = "flat",
    pitfalls: Sequence[str] = (),
) -> Path:
    """Write a tree in the layout of AFEW and return its root: two training clips a subject.

    The validation list has half as many; the lists have at least 14 and 7. One name is in both, sad
    in the first and happy in the second; of the last training clips one has no folder of faces and
    one an empty one. Without PyAV the videos are empty files. DatasetError if the folder is not
    empty or a name is unknown.
    """
    train, val = begin(folder, LAYOUTS["afew"], layout, PITFALLS["afew"], pitfalls)
    count = max(14, 2 * subjects)
    for index in range(count):
        kept = index < count - 2
        _write_afew_clip(train, "", seed, index, DATASETS["afew"][(index + 5) % 7], kept)
    for index in range(count // 2):
        _write_afew_clip(val, "_Val", seed, index, DATASETS["afew"][(index + 3) % 7], True)
    last = f"{_afew_name('', count - 1)}"
    (train / "AlignedFaces_LBPTOP_Points/Faces" / last).mkdir()
    write(train / "Angry/Thumbs.db", "")
    write(train / "Train_6.xml", "<xml/>")
    return plant(Path(folder), PITFALLS["afew"], pitfalls)


def _afew_name(suffix: str, index: int) -> str:
    # the first name is the same in both lists, where it has another class
    return f"{40 * index + len(suffix) + 4000:09d}" if index else "001703120"


def _write_afew_clip(
    place: Path, suffix: str, seed: int, index: int, label: str, with_faces: bool
) -> None:
    name = _afew_name(suffix, index)
    video = place / AFEW_FOLDERS[DATASETS["afew"].index(label)] / f"{name}.avi"
    if find_spec("av") is None:
        write(video, "")
    else:
        write_video(video, shoot(seed, index, label, 5, PICTURE))
    if with_faces:
        pictures = shoot(seed, index, label, 4 + index % 3, AFEW_FACE, share=1.0)
        names = [f"{frame:03d}.jpg" for frame in range(1, len(pictures) + 1)]
        faces = place / f"AlignedFaces_LBPTOP_Points{suffix}" / "Faces" / name
        write_frames(faces, pictures, names, mode="L")


def write_dfew(
    folder: str | Path,
    *,
    subjects: int = 12,
    seed: int = 0,
    layout: str = "flat",
    pitfalls: Sequence[str] = (),
) -> Path:
    """Write a tree in the layout of DFEW and return its root: each of five folds tests `subjects`.

    Frame numbers have gaps, the names in the lists of training are not padded. `layout` is "flat",
    "parts" or "short". DatasetError if the folder is not empty or a name is unknown.
    """
    lists, clips = begin(folder, LAYOUTS["dfew"], layout, PITFALLS["dfew"], pitfalls)
    labels = {number: CODES[(number - 1) % 7 + 1] for number in range(1, 5 * subjects + 1)}
    for number, label in labels.items():
        length = 12 if number == 1 else 3 + number % 3
        pictures = shoot(seed, number, label, length, DFEW_FACE, share=1.0)
        names = [f"{number:05d}_{1 + 3 * step:05d}.jpg" for step in range(len(pictures))]
        place = Path(str(clips).format(part=number % 11 + 1))
        write_frames(place / f"{number:05d}", pictures, names)
    write_lists(lists, labels, layout)
    _write_votes(Path(folder) / "Annotation/annotation.xlsx", labels)
    return plant(Path(folder), PITFALLS["dfew"], pitfalls)


def write_lists(folder: Path, labels: Mapping[int, str], layout: str = "flat") -> None:
    """Write DFEW's lists of five folds, each testing a fifth of the clips in the order given."""
    share = len(labels) // 5
    for fold in range(1, 6):
        tested = set(list(labels)[share * (fold - 1) : share * fold])
        test = {number: label for number, label in labels.items() if number in tested}
        rest = {number: label for number, label in labels.items() if number not in tested}
        for kind, part, width in (("test", test, 5), ("train", rest, 1)):
            name = f"{kind}(single_labeled)/set_{fold}.csv"
            if layout == "short":
                name = f"single_{kind}set_{fold}.csv"
            elif layout == "parts":
                name = name.replace("_labeled", "-labeled")
            _write_list(folder / name, part, width)


def _write_list(path: Path, labels: Mapping[int, str], width: int) -> None:
    code = {label: code for code, label in CODES.items()}
    rows = [f"{number:0{width}d},{code[label]}" for number, label in labels.items()]
    write(path, "\n".join(["video_name,label", *rows, ""]))


def _write_votes(path: Path, labels: Mapping[int, str]) -> None:
    """Write the ten votes on every clip as the workbook that the owners have; it is not read."""
    header = [f"{code}{name}" for code, name in CODES.items()] + ["order", "label"]
    rows = [header]
    for number, label in labels.items():
        votes = [8 if name == label else 0 for name in CODES.values()]
        votes[number % 7] += 2
        rows.append([*votes, number, votes.index(max(votes)) + 1])
    rows.append([2, 2, 2, 2, 2, 0, 0, len(labels) + 1, 0])  # nobody's majority: no single label
    write_workbook(path, rows)


def _shift(root: Path) -> None:
    """Write the labels of all lists as 0 to 6, as some copies have them."""
    for path in find(root, "*.csv"):
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        pairs = [row.split(",") for row in rows]
        write(path, "\n".join([header, *(f"{name},{int(code) - 1}" for name, code in pairs)]))


# What may be wrong with a copy of a dataset; each spoils the first clip.
PITFALLS: dict[str, Damage] = {
    "afew": {
        "no_videos": lambda root: [path.unlink() for path in find(root, "*.avi")],
        "no_val": lambda root: shutil.rmtree(find(root, "[Vv]al*")[0]),
        "truncated_image": lambda root: truncate(find(root, "Faces/001703120/*.jpg")[0]),
    },
    "dfew": {
        "shifted": _shift,
        "missing_clip": lambda root: shutil.rmtree(find(root, "00001")[0]),
        "truncated_image": lambda root: truncate(find(root, "00001_*.jpg")[0]),
        "no_test_list": lambda root: find(root, "test*/set_3.csv")[0].unlink(),
    },
}
