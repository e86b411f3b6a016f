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
from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.manifest import DATASETS, DatasetError
from dferlib.datasets.media.video import probe_all
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.scan import (
    Clip,
    Golden,
    Scan,
    check_exclude,
    matching_files,
    not_found,
    numbered_files,
    read_csv,
    search,
    subfolders,
)

HELP = """DFEW is expected as
    <root>/EmoLabel_DataSplit/test(single_labeled)/set_1.csv ... set_5.csv
    <root>/EmoLabel_DataSplit/train(single_labeled)/set_1.csv ...
    <root>/Clip/clip_224x224/00001/00001_00001.jpg ...    or <root>/Clip/original/00001.mp4
""" + how_to_get("dfew")

FOLDER_NAMES = ("dfew", "DFEW", "DFEW-part2", "DFEW_part2")
FACES = "box=frame smallest=0.1"  # films
CODES = dict(enumerate(DATASETS["dfew"], start=1))
IMAGES = ("auto", "frames", "16f", "videos")
FPS = 25.0
NUM_FOLDS = 5
CLIP, FRAME, VIDEO = r"[0-9]{5}", r"(?:.*\D)?(\d+)\.(?:jpe?g|png)", r"(\d{1,5})\.(?:mp4|avi)"
LIST = re.compile(r".*?(\d)\.csv", re.I)
ARCHIVE_WORDS = ("dfew", "emolabel", "clip_224", "single_label", "single-label", "data_part")

GOLDEN = Golden(
    counts={"clips": 11697, "shortest clip": 12, "longest clip": 847},
    classes=dict(zip(DATASETS["dfew"], (2445, 1894, 2669, 2173, 1469, 145, 902), strict=True)),
    fold_clips=(2341, 2341, 2340, 2339, 2336),
)


def scan(
    root: Path, images: str = "auto", partial: bool = False, exclude: Sequence[str] = ()
) -> Scan:
    """Find all clips with a single label.

    `images` is "frames" (all frames with a face), "16f" (16 a clip), "videos" (the original clips)
    or "auto", the first of them that is there; `exclude` names clips such as "00012". A listed clip
    that is not on disk is in the scan's errors; with `partial` it is left out and a problem.
    MissingDatasetError if nothing of DFEW is there, DatasetError if lists or clips are missing.
    """
    if images not in IMAGES:
        raise DatasetError(f"images is {images!r}, allowed are {', '.join(IMAGES)}")
    lists = _find_lists(root)
    labels, problems = _read_lists(lists)
    check_exclude(exclude, labels, root)
    kind, places = _find_clips(root, images)
    clips, errors, missing = [], [], []
    facts = {}
    if kind == "videos":
        wanted = [places[name] for name in labels if name in places and name not in exclude]
        facts, errors = probe_all(wanted)
    for name, (label, fold) in labels.items():
        if name in exclude:
            continue
        if name not in places:
            missing.append(name)
        elif kind != "videos":
            try:
                clips += _read_folder(name, label, fold, places[name], missing)
            except DatasetError as error:
                errors.append(str(error))
        elif fact := facts.get(str(places[name])):
            video = {"video": str(places[name]), "count": fact.count}
            clips.append(Clip(name, name, label, (), fact.fps, -1, split=fold, **video))
    lacking = [f"{name} is listed, but its {kind} are not there" for name in missing]
    (problems if partial else errors).extend(lacking)
    layout = f"{kind} of {len(places)} clips, lists in {lists[0].parent.relative_to(root)}"
    return Scan("dfew", root, layout, tuple(clips), _count(clips), tuple(problems), tuple(errors))


def _count(clips: Sequence[Clip]) -> dict[str, int]:
    lengths = [clip.n_frames for clip in clips] or [0]
    counts = {"clips": len(clips), "images": sum(lengths)}
    return {**counts, "shortest clip": min(lengths), "longest clip": max(lengths)}


def _find_lists(root: Path) -> list[Path]:
    """The csv files of the five test sets, then those of the training sets that are there."""
    found: dict[tuple[str, int], Path] = {}
    for folder in search(root, stop=CLIP):
        for path, match in matching_files(folder, LIST):
            name = f"{folder.name}/{path.name}".lower()
            kind = next((word for word in ("test", "train") if word in name), "")
            if kind and 1 <= int(match[1]) <= NUM_FOLDS:
                found.setdefault((kind, int(match[1])), path)
    lacking = [fold for fold in range(1, NUM_FOLDS + 1) if ("test", fold) not in found]
    if lacking:
        raise not_found(root, f"lists of the test sets {lacking} of DFEW", ARCHIVE_WORDS, HELP)
    return [found[key] for key in sorted(found)]


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
                f"{len(different)} clips, for example {min(different)}; test sets count"
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


def _find_clips(root: Path, images: str) -> tuple[str, dict[str, Path]]:
    """Folder or video of every clip by its name, of the kind asked for."""
    found: dict[str, dict[str, Path]] = {kind: {} for kind in IMAGES[1:]}
    for folder in search(root, stop=CLIP):
        place = "/".join(folder.relative_to(root).parts).lower()
        kind = "16f" if "16f" in place else "frames"
        for path in subfolders(folder, CLIP):
            found[kind].setdefault(path.name, path)
        if "224x224" not in place:
            for number, path in numbered_files(folder, VIDEO).items():
                found["videos"].setdefault(f"{number:05d}", path)
    kinds = [kind for kind in IMAGES[1:] if found[kind] and images in ("auto", kind)]
    if not kinds:
        what = "clips" if images == "auto" else images
        raise not_found(root, f"{what} of DFEW", ("emolabel", *ARCHIVE_WORDS), HELP)
    return kinds[0], found[kinds[0]]


def _read_folder(name: str, label: str, fold: str, folder: Path, missing: list[str]) -> list[Clip]:
    frames = numbered_files(folder, FRAME)
    if not frames:
        missing.append(name)
        return []
    files = tuple(str(path) for path in frames.values())
    return [Clip(name, name, label, files, FPS, -1, cropped=True, split=fold)]
