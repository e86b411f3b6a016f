"""Tables that are changed in place, with their SHA-256 beside them in `<name>.sha256`.

The line is that of `sha256sum`. While the table is written the file holds the checksums of the old
and of the new one, so that a kill at any moment leaves a pair that fits.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dferlib.evidence.damage import DamagedFileError
from dferlib.files import csv_bytes, write_atomic

LOOKS, PAUSE = 5, 0.1  # another process may write the pair between two looks; seconds


def checksum_file(path: Path) -> Path:
    """Where the checksum of a table lies."""
    return path.with_name(f"{path.name}.sha256")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table and its checksum; the caller holds the lock of the table."""
    data = csv_bytes(table)
    before = [_hash(path.read_bytes())] if path.is_file() else []
    _note(path, [_hash(data), *before])
    write_atomic(path, lambda file: file.write(data))
    _note(path, [_hash(data)])


def read_table(path: Path, columns: Sequence[str], way_out: str) -> pd.DataFrame:
    """Read a table that has these columns; DamagedFileError where it is not what was written.

    A table without a checksum beside it is taken as it is, as long as it can be read.
    """
    refuse_damaged(path, way_out)
    try:
        table = pd.read_csv(path)
    except ValueError as error:  # of letters, of numbers of fields, of nothing at all
        reason = f"is damaged: it is no table ({' '.join(str(error).split())[:200]})"
        raise DamagedFileError(path, reason, way_out) from error
    if missing := [name for name in columns if name not in table]:
        raise DamagedFileError(path, "is damaged: the column is not there", way_out, missing[0])
    return table


def refuse_damaged(path: Path, way_out: str) -> None:
    """Raise DamagedFileError for a table that does not fit the checksum beside it."""
    if is_checked(path) is False:
        raise DamagedFileError(path, f"does not fit {checksum_file(path).name}", way_out)


def is_checked(path: Path) -> bool | None:
    """Whether a table fits its checksum; None where it has none."""
    for look in range(LOOKS):
        if not checksum_file(path).is_file():
            return None
        known = checksum_file(path).read_bytes().split()[::2]
        if _hash(path.read_bytes()).encode() in known:
            return True
        if look + 1 < LOOKS:
            time.sleep(PAUSE)
    return False


def _note(path: Path, checksums: Sequence[str]) -> None:
    text = "".join(f"{checksum}  {path.name}\n" for checksum in checksums)
    write_atomic(checksum_file(path), lambda file: file.write(text), mode="w")


def _hash(data: bytes) -> str:
    # git may check a text out with the line ends of Windows
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()
