"""Reader of Oulu-CASIA NIR&VIS (Zhao et al., 2011).

Expected:

    <root>/
        {NI,VL}/{Dark,Strong,Weak}/
            P001/ ... P080/
                {Anger,Disgust,Fear,Happiness,Sadness,Surprise}/
                    000.jpeg 001.jpeg ...

NI is the near-infrared camera, VL the one for visible light. 80 subjects with six sequences each
for every camera and light; frames are 0-based and go from neutral to the peak, the last. `<root>`
may also hold the tree below `OriginalImg`, `B_OriginalImg`,
`B_OriginalImg/B_OriginalImg/OriginalImg` or the like. The archive "C", `Preprocess Img`, holds
faces that are cropped already; it is read with `images="preprocessed"`. Most papers use VL/Strong.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.manifest import (
    DATASETS,
    DatasetError,
    MissingDatasetError,
    class_name,
)
from dferlib.datasets.readers.access import how_to_get
from dferlib.datasets.readers.scan import (
    Clip,
    Golden,
    Scan,
    describe_content,
    describe_gaps,
    leave_out,
    numbered_files,
    search,
    subfolders,
)

HELP = """Oulu-CASIA is expected as
    <root>/VL/Strong/P001/Anger/000.jpeg ...
also nested, as in <root>/B_OriginalImg/B_OriginalImg/OriginalImg/VL/Strong/...
""" + how_to_get("oulu")

FOLDER_NAMES = ("oulu", "Oulu", "Oulu_CASIA_NIR_VIS", "Oulu-CASIA", "Oulu_CASIA", "oulu-casia")
FACES = "box=clip"  # heads that keep their place
CAMERAS, LIGHTS = ("NI", "VL"), ("Dark", "Strong", "Weak")
IMAGES = ("original", "preprocessed")
FPS = 25.0
SUBJECT, FRAME = r"P\d{3}", r"(\d+)\.jpe?g"
ARCHIVE_WORDS = ("oulu", "originalimg", "preprocess")

# One camera and light
GOLDEN = Golden(
    counts={
        "subjects": 80,
        "sequences": 480,
        "images": 10379,
        "shortest clip": 9,
        "longest clip": 72,
    },
    classes=dict.fromkeys(DATASETS["oulu"], 80),
    clips_per_subject={6: 80},
    fold_clips=(48,) * 10,
    fold_subjects=(8,) * 10,
    once=True,
)


def scan(
    root: Path,
    camera: str = "VL",
    light: str = "Strong",
    images: str = "original",
    exclude: Sequence[str] = (),
) -> Scan:
    """Find all sequences of one camera and light below `root`.

    `images` is "original" (set B) or "preprocessed" (set C, faces cropped by the owner); `exclude`
    names clips to leave out, such as "VL/Strong/P001/Anger". MissingDatasetError if nothing of the
    dataset is there, DatasetError if only a part is. Missing emotion folders, which occur in Dark
    and Weak, are listed in the scan's problems.
    """
    for name, value, allowed in (
        ("camera", camera, CAMERAS),
        ("light", light, LIGHTS),
        ("images", images, IMAGES),
    ):
        if value not in allowed:
            raise DatasetError(f"{name} is {value!r}, allowed are {', '.join(allowed)}")
    folder = _find_tree(root, images)
    subset = _enter(_enter(folder, camera), light)
    clips, problems = _list_clips(subset, f"{camera}/{light}", images)
    subsets = {f"{eye}/{lamp}/" for eye in CAMERAS for lamp in LIGHTS} - {f"{camera}/{light}/"}
    here = [name for name in exclude if not name.startswith(tuple(subsets))]
    clips = leave_out(clips, here, root)  # one exclude.txt serves all cameras and lights
    if not clips:
        raise DatasetError(f"no frames below {subset}. {describe_content(subset)}.\n{HELP}")
    lengths = [len(clip.frames) for clip in clips]
    counts = {
        "subjects": len({clip.subject for clip in clips}),
        "sequences": len(clips),
        "images": sum(lengths),
        "shortest clip": min(lengths),
        "longest clip": max(lengths),
    }
    layout = f"{images} images of {camera}/{light} in {folder.relative_to(root)}"
    return Scan("oulu", root, layout, tuple(clips), counts, tuple(problems))


def _find_tree(root: Path, images: str) -> Path:
    """The folder that holds NI and VL, of the set that is asked for."""
    found = {}
    for folder in search(root, stop="|".join((SUBJECT, *CAMERAS))):
        if any(
            subfolders(part, "|".join(LIGHTS)) for part in subfolders(folder, "|".join(CAMERAS))
        ):
            place = "/".join((root.name, *folder.relative_to(root).parts)).lower()
            found.setdefault("preprocessed" if "preprocess" in place else "original", folder)
    if images in found:
        return found[images]
    begun = found or any(
        word in path.name.lower() for path in root.iterdir() for word in ARCHIVE_WORDS
    )
    other = f" (only the {' and '.join(found)} ones)" if found else ""
    raise (DatasetError if begun else MissingDatasetError)(
        f"no {images} images of Oulu-CASIA below {root}{other}. {describe_content(root)}.\n{HELP}"
    )


def _enter(folder: Path, name: str) -> Path:
    below = subfolders(folder, name)
    if not below:
        raise DatasetError(f"Oulu-CASIA has no {name!r}: {describe_content(folder)}.\n{HELP}")
    return below[0]


def _list_clips(subset: Path, prefix: str, images: str) -> tuple[list[Clip], list[str]]:
    clips, problems = [], []
    for subject in subfolders(subset, SUBJECT):
        seen, ignored = _name_emotions(subject)
        problems += [f"{prefix}/{subject.name}/{name}: folder ignored" for name in ignored]
        for label in DATASETS["oulu"]:
            folder = seen.get(label)
            frames = numbered_files(folder, FRAME) if folder else {}
            name = folder.name if folder else label.capitalize()
            clip_id = f"{prefix}/{subject.name}/{name}"
            if frames:
                clips.append(_make_clip(clip_id, subject.name, label, frames, images))
            problems += _list_oddities(clip_id, folder, frames)
    return clips, problems


def _name_emotions(subject: Path) -> tuple[dict[str, Path], list[str]]:
    """Folder of each emotion of a subject, and names of folders that are none or a second one."""
    seen: dict[str, Path] = {}
    ignored = []
    for folder in subfolders(subject):
        try:
            label = class_name(folder.name)
        except DatasetError:
            label = ""
        if label in DATASETS["oulu"] and label not in seen:
            seen[label] = folder
        else:
            ignored.append(folder.name)
    return seen, ignored


def _list_oddities(clip_id: str, folder: Path | None, frames: dict[int, Path]) -> list[str]:
    if not frames:
        return [f"{clip_id} {'has no images' if folder else 'is missing'}"]
    gaps = describe_gaps(frames, 0)
    return [
        *([f"{clip_id} lacks the frames {gaps}"] if gaps else []),
        *([f"{clip_id} has a single frame: samplers repeat it"] if len(frames) == 1 else []),
    ]


def _make_clip(
    clip_id: str, subject: str, label: str, frames: dict[int, Path], images: str
) -> Clip:
    files = tuple(str(path) for path in frames.values())
    cropped = images == "preprocessed"
    return Clip(clip_id, subject.upper(), label, files, FPS, len(files) - 1, cropped=cropped)
