"""Reader of DFEW, dynamic expressions in the wild (Jiang et al., 2020).

Expected:

    <root>/
        EmoLabel_DataSplit/
            train(single_labeled)/set_1.csv ... set_5.csv    also with a hyphen
            test(single_labeled)/set_1.csv ... set_5.csv
        Clip/
            clip_224x224/clip_224x224_part_1/00001/00001_00001.jpg ...    or without the parts
            clip_224x224_16f/...                                          or these
            original/data_part_1/00001.mp4                                or these, with PyAV

also as `label/single_testset_1.csv` with `data/00001/`. A csv has the header `video_name,label` and
labels from 1 to 7. The five test sets hold every clip once, so the manifest's `split` is the number
of the set that tests a clip. A frame is named by its number in the film; frames without a face are
not there, so the numbers have gaps. 11,697 clips have a single label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dferlib.datasets.manifest import DATASETS, DatasetError, plural
from dferlib.datasets.media.video import probe_all
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.folders import (
    below,
    matching_files,
    not_found,
    search,
    subfolders,
)
from dferlib.datasets.readers.frames import describe_outlier, ordered_frames, unread_frames
from dferlib.datasets.readers.places import Places
from dferlib.datasets.readers.scan import UNKNOWN, Clip, Golden, Scan, check_exclude
from dferlib.datasets.readers.tables import read_csv

HELP = """DFEW is expected as
    <root>/EmoLabel_DataSplit/test(single_labeled)/set_1.csv ... set_5.csv
    <root>/EmoLabel_DataSplit/train(single_labeled)/set_1.csv ...
    <root>/Clip/clip_224x224/00001/00001_00001.jpg ...    or <root>/Clip/original/00001.mp4
""" + how_to_get("dfew")

FOLDER_NAMES = ("dfew", "DFEW", "DFEW-part2", "DFEW_part2")
FACES = "box=frame smallest=0.1"  # films
CODES = dict(enumerate(DATASETS["dfew"], start=1))
IMAGES = ("auto", "frames", "16f", "videos")
OWN_FORMATS = ("mp4", "avi")
NUM_FOLDS = 5
CLIP, VIDEO = r"[0-9]{5}", rf"(\d{{1,5}})\.(?:{'|'.join(OWN_FORMATS)})"
LIST = re.compile(r".*?(\d)\.csv", re.I | re.A)
ARCHIVE_WORDS = ("dfew", "emolabel", "clip_224", "single_label", "single-label", "data_part")

GOLDEN = Golden(
    counts={"clips": 11697, "shortest clip": 12, "longest clip": 847},
    classes=dict(zip(DATASETS["dfew"], (2445, 1894, 2669, 2173, 1469, 145, 902), strict=True)),
    fold_clips=(2341, 2341, 2340, 2339, 2336),
)


def scan(
    root: Path,
    images: str = "auto",
    partial: bool = False,
    prefer: str = "",
    exclude: Sequence[str] = (),
) -> Scan:
    """Find all clips with a single label.

    `images` is "frames" (all frames with a face), "16f" (16 a clip), "videos" (the original clips,
    of which the .mp4 are read or what `prefer` names) or "auto", the first of them that is there;
    `exclude` names clips such as "00012". A listed clip that is not on disk, or lies in two places
    with different files, is in the scan's errors; with `partial` one that is not there is left out
    and a problem. MissingDatasetError if nothing of DFEW is there, DatasetError if lists or clips
    are missing.
    """
    if images not in IMAGES:
        raise DatasetError(f"images is {images!r}, allowed are {', '.join(IMAGES)}")
    lists, spare = _find_lists(root)
    labels, problems = _read_lists(lists)
    check_exclude(exclude, labels, root)
    left = set(exclude)
    kind, there = _find_clips(root, images)
    choice = Places(root, OWN_FORMATS if kind == "videos" else (), prefer)
    wanted = {name: label for name, label in labels.items() if name not in left}
    chosen = {name: choice.choose(name, there[name]) for name in wanted if name in there}
    places = {name: path for name, path in chosen.items() if path}
    missing = [name for name in wanted if name not in there]
    clips, doubts = [], []
    if kind == "videos":
        facts, errors = probe_all(list(places.values()))
        for name, path in places.items():
            if fact := facts.get(str(path)):
                clips.append(_make_clip(name, labels[name], (), fact.fps, str(path), fact.count))
    else:
        errors = _read_folders(places, labels, clips, missing, doubts)
    lacking = [f"{name} is listed, but its {kind} are not there" for name in sorted(missing)]
    (problems if partial else errors).extend(lacking)
    return Scan(
        "dfew",
        root,
        f"{kind} of {plural(len(there), 'clip')}, lists in {below(root, lists[0].parent)}",
        tuple(clips),
        _count(clips),
        (*choice.problems(), *spare, *problems),
        (*choice.errors, *errors),
        doubts=(*choice.doubts(), *doubts),
    )


def _count(clips: Sequence[Clip]) -> dict[str, int]:
    lengths = [clip.n_frames for clip in clips] or [0]
    counts = {"clips": len(clips), "images": sum(lengths)}
    return {**counts, "shortest clip": min(lengths), "longest clip": max(lengths)}


def _find_lists(root: Path) -> tuple[list[Path], list[str]]:
    """The csv files of the five test sets, then those of the training sets that are there.

    Also what is to be said of second copies. DatasetError if two lists of one set differ.
    """
    found: dict[tuple[str, int], list[Path]] = {}
    for folder in search(root, stop=CLIP):
        for path, match in matching_files(folder, LIST):
            name = f"{folder.name}/{path.name}".lower()
            kind = next((word for word in ("test", "train") if word in name), "")
            if kind and 1 <= int(match[1]) <= NUM_FOLDS:
                found.setdefault((kind, int(match[1])), []).append(path)
    lacking = [fold for fold in range(1, NUM_FOLDS + 1) if ("test", fold) not in found]
    if lacking:
        raise not_found(root, f"lists of the test sets {lacking} of DFEW", ARCHIVE_WORDS, HELP)
    places = Places(root)
    chosen = [
        places.choose(f"the list of {kind} set {n}", found[kind, n]) for kind, n in sorted(found)
    ]
    if places.errors:
        raise DatasetError(places.errors[0])
    return [path for path in chosen if path], places.problems()


def _read_lists(lists: Sequence[Path]) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Label and fold of every clip by its name, and how training lists disagree with it."""
    labels: dict[str, tuple[str, str]] = {}
    problems = []
    for fold, path in enumerate(lists[:NUM_FOLDS], start=1):
        for name, label in read_list(path).items():
            if name in labels:
                raise DatasetError(f"{path}: clip {name} is in test set {labels[name][1]}, too")
            labels[name] = (label, str(fold))
    for path in lists[NUM_FOLDS:]:
        fold = LIST.fullmatch(path.name)[1]
        theirs = read_list(path)
        rest = {name: label for name, (label, test) in labels.items() if test != fold}
        different = {name for name in {*theirs, *rest} if theirs.get(name) != rest.get(name)}
        if different:
            problems.append(
                f"{path.name} of training differs from the other four test sets in "
                f"{plural(len(different), 'clip')}, for example {min(different)}; test sets count"
            )
    return dict(sorted(labels.items())), problems


def read_list(path: Path) -> dict[str, str]:
    """Class by clip name, five digits, of a `set_k.csv`.

    DatasetError naming file and line for anything but labels from 1 to 7; a 0 means that the labels
    of the copy are shifted by one.
    """
    labels: dict[str, str] = {}
    rows = read_csv(path)
    header = rows[0][1] if rows else []
    if [name.strip().lower() for name in header[:2]] != ["video_name", "label"]:
        raise DatasetError(f"{path} begins with {str(header)[:200]}, expected video_name,label")
    for line, row in rows[1:]:
        name, code = (*(text.strip() for text in row), "", "")[:2]
        if code == "0":
            raise DatasetError(
                f"{path}:{line} has the label 0: in this copy the labels are shifted "
                "to 0-6. DFEW's own lists have 1-7; take those"
            )
        if not re.fullmatch(r"[0-9]{1,5}", name) or code.lstrip("0") not in map(str, CODES):
            expected = ", ".join(f"{key} {value}" for key, value in CODES.items())
            raise DatasetError(
                f"{path}:{line} holds {str(row)[:200]}; expected a clip's number and one of "
                f"{expected}"
            )
        labels[name.zfill(5)] = CODES[int(code)]
    return labels


def _find_clips(root: Path, images: str) -> tuple[str, dict[str, list[Path]]]:
    """Folders or videos of every clip by its name, of the kind asked for."""
    found: dict[str, dict[str, list[Path]]] = {kind: {} for kind in IMAGES[1:]}
    for folder in search(root, stop=CLIP):
        place = "/".join(folder.relative_to(root).parts).lower()
        kind = "16f" if "16f" in place else "frames"
        for path in subfolders(folder, CLIP):
            found[kind].setdefault(path.name, []).append(path)
        if "224x224" not in place:
            for path, match in matching_files(folder, VIDEO):
                found["videos"].setdefault(f"{int(match[1]):05d}", []).append(path)
    kinds = [kind for kind in IMAGES[1:] if found[kind] and images in ("auto", kind)]
    if not kinds:
        what = "clips" if images == "auto" else images
        raise not_found(root, f"{what} of DFEW", ("emolabel", *ARCHIVE_WORDS), HELP)
    return kinds[0], found[kinds[0]]


def _read_folders(
    places: Mapping[str, Path],
    labels: Mapping[str, tuple[str, str]],
    clips: list[Clip],
    missing: list[str],
    doubts: list[str],
) -> list[str]:
    """Add the clips of folders of frames, names of empty ones and doubts; returns errors."""
    errors = []
    for name, folder in places.items():
        try:
            frames = ordered_frames(folder)
        except DatasetError as error:
            errors.append(str(error))
            continue
        said = (unread_frames(folder, frames), describe_outlier(frames))
        doubts += [f"{name}: {text}" for text in said if text]
        if frames:
            clips.append(_make_clip(name, labels[name], tuple(map(str, frames))))
        else:
            missing.append(name)
    return errors


def _make_clip(
    name: str,
    label: tuple[str, str],
    frames: tuple[str, ...],
    fps: float = UNKNOWN,
    video: str = "",
    count: int = 1,
) -> Clip:
    """A clip of the official set `label[1]`; every clip counts as a person of its own."""
    return Clip(
        name,
        name,
        label[0],
        frames,
        fps,
        UNKNOWN,
        cropped=not video,
        split=label[1],
        video=video,
        count=count,
    )
