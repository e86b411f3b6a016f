"""Files that this package wrote and reads again: what is damaged is named, with the way out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dferlib.files import SEAL, digest, take_seal

NOTEBOOK_SEAL = "dferlib_digest"  # in the metadata of an executed notebook
Kinds = Mapping[str, type | tuple[type, ...]]


class DamagedFileError(ValueError):
    """A file is not what was written: names the file, the key in it, the reason, the way out."""

    def __init__(self, path: Path, reason: str, way_out: str, key: str = "") -> None:
        self.path, self.key, self.reason, self.way_out = path, key, reason, way_out
        place = f"{path}, key {key!r}," if key else str(path)
        super().__init__(f"{place} {reason}. {way_out}")


def notebook_digest(book: Mapping[str, Any], name: str = NOTEBOOK_SEAL) -> str:
    """The checksum of an executed notebook, of its JSON without that checksum."""
    metadata = {k: v for k, v in book["metadata"].items() if k != name}
    return digest({**book, "metadata": metadata})


def check_notebook(book: Mapping[str, Any]) -> bool | None:
    """Whether a notebook fits its checksum, whose name may be damaged; None where it has none."""
    metadata = book["metadata"]
    if NOTEBOOK_SEAL in metadata:
        return metadata[NOTEBOOK_SEAL] == notebook_digest(book)
    texts = [name for name, value in metadata.items() if isinstance(value, str)]
    return False if any(metadata[n] == notebook_digest(book, n) for n in texts) else None


def read_record(path: Path, kinds: Kinds, way_out: str) -> dict[str, Any]:
    """Read a JSON object and check that it has the keys in `kinds`, each of its type.

    The checksum of a record that was sealed is compared and left out; of one that was not, only the
    keys are checked. DamagedFileError for anything else; FileNotFoundError where there is no such
    file.
    """
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # a broken number, bracket, or letter
        raise DamagedFileError(
            path, f"is damaged: it is not valid JSON ({error})", way_out
        ) from error
    if not isinstance(record, dict):
        raise DamagedFileError(path, "is damaged: it holds no names with values", way_out)
    for key, kind in kinds.items():
        if key not in record:
            raise DamagedFileError(path, "is damaged: the key is not there", way_out, key)
        if not isinstance(record[key], kind):
            found = type(record[key]).__name__
            raise DamagedFileError(path, f"is damaged: the value is of type {found}", way_out, key)
    if take_seal(record) is False:
        raise DamagedFileError(path, "is damaged: its checksum differs", way_out, SEAL)
    return record
