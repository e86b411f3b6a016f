"""Text files and tables beside the clips: read as UTF-8, columns found under their usual names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dferlib.datasets.manifest import DatasetError, one_form

MOST_TEXT = 20_000_000  # bytes of a text file that is read
SEPARATORS = ",;\t"  # of columns; a spreadsheet writes what its country's numbers leave free
# What the field calls the columns of a table of clips; case, blanks and signs do not count.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "path": ("path",),
    "label": ("label",),
    "subject": (
        *("subject", "subjects", "subj", "sub", "person", "people", "participant", "actor"),
        *("actress", "speaker", "identity", "proband", "patient", "performer", "volunteer"),
    ),
    "apex": ("apex", "apexframe", "peak", "peakframe"),
    "onset": ("onset", "onsetframe"),
}
ENDINGS = ("", "id", "ids", "name", "no", "nr", "num", "number", "code", "key", "idx", "index")


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """Read a text file; DatasetError naming it if it is no file, no UTF-8, or has many bytes."""
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        if (size := path.stat().st_size) > most:
            raise ValueError(f"it has {size} bytes, more than {most}")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}; it should be UTF-8 text") from error


def read_csv(path: Path) -> list[tuple[int, list[str]]]:
    """Rows of a table with the numbers of their lines; DatasetError naming it as `read_text`.

    Columns are parted by commas, semicolons or tabs, whichever the header has most of; a first
    line such as `sep=;`, of a spreadsheet, says it.
    """
    text = read_text(path)
    sign, said = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign, skipinitialspace=True)
    try:
        rows = [(reader.line_num, list(map(one_form, row))) for row in reader if row]
        return rows[1:] if said else rows
    except csv.Error as error:
        raise DatasetError(f"{path}:{reader.line_num} cannot be read: {error}") from error


def _separator(text: str) -> tuple[str, bool]:
    """The sign between the columns of a table, and whether its first line is there to say it."""
    header = next((line for line in io.StringIO(text) if line.strip()), "")
    if said := re.fullmatch(r"sep=([,;\t])\s*", header, re.I):
        return said[1], True
    return max(SEPARATORS, key=header.count), False


def meaning_of(name: str) -> str:
    """What a column of this name holds, a key of `COLUMNS`; "" if nothing that is read."""
    plain = re.sub(r"[\W_]", "", name.casefold())
    for meaning, words in COLUMNS.items():
        endings = ENDINGS if meaning == "subject" else ("",)
        if plain in {word + ending for word in words for ending in endings}:
            return meaning
    return ""


def find_columns(
    header: Sequence[str], needed: Sequence[str], where: object, chosen: Mapping[str, str]
) -> dict[str, int]:
    """Place of each column by what it holds.

    `chosen` names the column of a meaning where the user says it; "none" for no column at all.
    DatasetError naming the table if a needed column is missing, or two hold the same.
    """
    names = [name.strip() for name in header]
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise DatasetError(f"{where} has a column twice: {twice[0]!r} of {str(names)[:200]}")
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        meaning = meaning_of(name)
        if not meaning or chosen.get(meaning):
            continue
        if meaning in found:
            raise DatasetError(
                f"{where} has two columns of {meaning}, {names[found[meaning]]!r} and {name!r}: "
                f"rename one of them, or name the right one with the option {meaning}"
            )
        found[meaning] = place
    for meaning, name in chosen.items():
        if name and name != "none":
            if name not in names:
                raise DatasetError(f"{where} has no column {name!r}; it has {str(names)[:200]}")
            found[meaning] = names.index(name)
    if missing := [meaning for meaning in needed if meaning not in found]:
        raise DatasetError(f"{where} lacks the columns {missing}; it has {str(names)[:200]}")
    return found


def frame_number(text: str, files: Sequence[str], count: int, where: str) -> int:
    """Place from 0 of the frame that a cell names by its place or its file; -1 for an empty cell.

    DatasetError if the clip has no such frame.
    """
    text = text.strip()
    if not text or text == "-1":
        return -1
    names = [one_form(Path(file).name) for file in files]
    if text in names:
        return names.index(text)
    number = int(text) if re.fullmatch(r"[0-9]{1,9}(?:\.0+)?", text) and "." not in text else -1
    if 0 <= number < count:
        return number
    raise DatasetError(
        f"{where}: {text[:80]!r} is no frame of this clip of {count}; frames are counted from 0, "
        f"up to {count - 1}, or named by their file"
    )


def columns_like_subjects(
    header: Sequence[str], rows: Sequence[Sequence[str]], used: Sequence[int], paths: Sequence[str]
) -> list[str]:
    """Columns that are not read and look like subjects: several clips each, codes or path parts.

    A column looks so if some of its values stand in several rows and most of them are parts of
    the clips' paths, or codes such as S01, or if its name says so.
    """
    found = []
    for place, name in enumerate(header):
        values = [row[place].strip() for row in rows if place < len(row) and row[place].strip()]
        distinct = set(values)
        if place in used or not 2 <= len(distinct) < len(values):
            continue
        said = re.search(r"subj|person|particip|actor|speaker|ident|who\b|patient", name, re.I)
        codes = sum(bool(re.fullmatch(r"[^\W\d_]{1,3}[-_ ]?[0-9]{1,5}", v)) for v in distinct)
        parts = sum(
            value in re.split(r"[/\\._-]", path) for value, path in zip(values, paths, strict=False)
        )
        if said or 2 * codes > len(distinct) or 2 * parts > len(values):
            found.append(name.strip())
    return found
