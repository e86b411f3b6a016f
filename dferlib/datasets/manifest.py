"""The manifest, one row per clip whatever its dataset looks like on disk; class names; errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import category, normalize

import pandas as pd

from dferlib.files import digest
from dferlib.names import did_you_mean

# Class order of every dataset, as the papers' confusion matrices and the datasets' own codes have
# it.
_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
DATASETS: dict[str, tuple[str, ...]] = {
    "ckplus": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    "oulu": _SIX,
    "mmi": _SIX,
    "afew": ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    "dfew": ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
    "bu4dfe": _SIX,
    "cremad": ("anger", "disgust", "fear", "happiness", "neutral", "sadness"),
    "ravdess": (
        "neutral",
        "calm",
        "happiness",
        "sadness",
        "anger",
        "fear",
        "disgust",
        "surprise",
    ),
    # any clips; the classes are those that occur, in this order
    "folder": (
        "anger",
        "contempt",
        "disgust",
        "fear",
        "happiness",
        "sadness",
        "surprise",
        "neutral",
        "calm",
    ),
}
WITHOUT_STANDIN = ("cremad", "ravdess", "folder")  # anyone may download the first two
PRETRAINING = "pretraining"  # procedural faces only: there is no such dataset to download
SOURCES = ("real", "synthetic")

TEXT_COLUMNS = ("clip_id", "subject", "label", "split", "dataset", "source")
NUMBER_COLUMNS = ("n_frames", "offset", "apex", "onset")
MANIFEST_COLUMNS = (
    "clip_id",
    "subject",
    "label",
    "n_frames",
    "offset",
    "fps",
    "apex",
    "onset",
    "split",
    "dataset",
    "source",
)

# Every spelling of the datasets' folders and files, in lower case.
CLASS_ALIASES = {
    "anger": ("angry", "an"),
    "contempt": ("contemptuous", "co"),
    "disgust": ("disgusted", "di"),
    "fear": ("fearful", "afraid", "fe"),
    "happiness": ("happy", "joy", "ha"),
    "sadness": ("sad", "sa"),
    "surprise": ("surprised", "su"),
    "neutral": ("normal", "ne"),
    "calm": (),
}
_CLASS_BY_NAME = {alias: name for name, more in CLASS_ALIASES.items() for alias in (name, *more)}
_DATASET_ALIASES = {
    "ck+": "ckplus",
    "ck": "ckplus",
    "cohn-kanade": "ckplus",
    "oulu-casia": "oulu",
    "bu-4dfe": "bu4dfe",
    "bu-3dfe": "bu4dfe",
    "bu3dfe": "bu4dfe",
    "crema-d": "cremad",
}


NOT_PLAIN = ("Cc", "Cs", "Zl", "Zp")  # controls, what is no UTF-8, line and paragraph separators


class DatasetError(ValueError):
    """A dataset, a name or a file is not as it should be; the message names it and the way out."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class MissingDatasetError(DatasetError):
    """Nothing of the dataset was found where it was looked for."""


class StoreError(OSError):
    """A frame store cannot be written or is damaged; the message names the path."""


def is_plain(text: str) -> bool:
    """Whether a text can be written as UTF-8 and has no control characters and line breaks."""
    return text.isprintable() or not any(category(char) in NOT_PLAIN for char in text)


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun: `1 clip`, `2 clips`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def one_form(text: str) -> str:
    """The text in composed form (NFC): disks and tables write one accented name in two ways."""
    return normalize("NFC", text)


def letters(text: str) -> str:
    """Letters, their marks and digits of any script, in lower case: names that look like one.

    Leading zeros of numbers go, and so do signs, blanks and the difference of wide and narrow.
    """
    folded = normalize("NFKC", normalize("NFKC", text).casefold())
    kept = "".join(char for char in folded if category(char)[0] in "LMN")
    return re.sub(r"(?<!\d)0+(?=\d)", "", kept)


def printable(text: str) -> str:
    """The text with what is not plain written as escapes, but for line breaks."""
    return "".join(
        char if char == "\n" or is_plain(char) else char.encode("unicode-escape").decode()
        for char in text
    )


def class_name(text: str) -> str:
    """Canonical class name of any spelling, `Happy` -> `happiness`; DatasetError if unknown."""
    try:
        return _CLASS_BY_NAME[text.strip().lower()]
    except KeyError:
        known = ", ".join(CLASS_ALIASES)
        raise DatasetError(f"{text[:80]!r} is no expression class; known are {known}") from None


def check_name(dataset: str) -> str:
    """The name itself if it is known (also `pretraining`); DatasetError with the nearest if not."""
    names = (*DATASETS, PRETRAINING)
    if dataset in names:
        return dataset
    low = str(dataset).strip().lower()
    hint = did_you_mean(_DATASET_ALIASES.get(low, low), names) or ";"
    raise DatasetError(f"unknown dataset {dataset!r}{hint} available are {', '.join(names)}")


def make_manifest(rows: Iterable[Mapping[str, Any]], dataset: str, source: str) -> pd.DataFrame:
    """Build a manifest from one mapping per clip and check it.

    A row needs clip_id, subject, label and n_frames. Offsets follow from the order of the rows;
    fps, apex and onset default to -1 (unknown), split to "" (the dataset has none).
    """
    frame = pd.DataFrame(list(rows))
    if frame.empty:
        raise DatasetError(f"no clips for the manifest of {dataset!r}")
    defaults = {"fps": -1.0, "apex": -1, "onset": -1, "split": ""}
    for name, value in defaults.items():
        if name not in frame:
            frame[name] = value
    frame["offset"] = frame["n_frames"].cumsum() - frame["n_frames"]
    frame["dataset"], frame["source"] = dataset, source
    return check_manifest(frame)


def check_manifest(
    manifest: pd.DataFrame, classes: Sequence[str] = tuple(CLASS_ALIASES)
) -> pd.DataFrame:
    """Return the manifest with its columns in order and of the right types.

    DatasetError naming the clip if a column is missing, an id stands twice, a label is not one of
    `classes`, a clip has no frames, offsets leave gaps or overlap, or apex or onset lie outside the
    clip.
    """
    missing = [name for name in MANIFEST_COLUMNS if name not in manifest]
    if missing:
        raise DatasetError(f"the manifest lacks the columns {missing}")
    types = dict.fromkeys(TEXT_COLUMNS, "str") | dict.fromkeys(NUMBER_COLUMNS, "int64")
    frame = manifest[list(MANIFEST_COLUMNS)].astype({**types, "fps": "float64"})
    frame = frame.reset_index(drop=True)
    count = frame["n_frames"]
    wrong = {
        "has an empty subject": frame["subject"] == "",
        "has an id that is no plain text": ~frame["clip_id"].map(is_plain).astype(bool),
        "has a subject that is no plain text": ~frame["subject"].map(is_plain).astype(bool),
        "stands in the manifest twice": frame["clip_id"].duplicated(),
        f"has a label that is not one of {list(classes)}": ~frame["label"].isin(classes),
        "has no frames": count < 1,
        "has an offset that does not follow the clip before": frame["offset"]
        != count.cumsum() - count,
        "has its apex outside the clip": ~frame["apex"].between(-1, count - 1),
        "has its onset outside the clip": ~frame["onset"].between(-1, count - 1),
    }
    for what, rows in wrong.items():
        if rows.any():
            row = frame[rows].iloc[0]
            raise DatasetError(f"clip {row['clip_id']!r} {what}: {row.to_dict()}")
    return frame


def read_manifest(path: Path, classes: Sequence[str] = tuple(CLASS_ALIASES)) -> pd.DataFrame:
    """Read a manifest that was written as CSV and check it; clip and subject ids stay text.

    DatasetError for one that is damaged; FileNotFoundError where there is none.
    """
    types = dict.fromkeys(TEXT_COLUMNS, str)
    try:
        return check_manifest(pd.read_csv(path, dtype=types, keep_default_na=False), classes)
    except (ValueError, OverflowError) as error:  # pandas' own are of the first kind
        raise DatasetError(f"{path} is no manifest, or damaged: {error}") from error


def manifest_digest(manifest: pd.DataFrame, *more: Any) -> str:
    """Hash of a manifest's content and of whatever else is given: 12 hex digits."""
    return digest([manifest.to_csv(index=False, lineterminator="\n", float_format="%.9g"), *more])
