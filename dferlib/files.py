"""Files and places: writing without halves, plain JSON and its digest, cache and checkout.

Everything this package leaves on disk goes through `write_atomic`. A killed process, a full disk or
a second process writing to the same path leaves the old file or the new one. Imports nothing else
of this package.
"""

import dataclasses
import gzip
import hashlib
import io
import json
import math
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from platformdirs import user_cache_path

SEAL = "record"  # key of the checksum that a record holds of itself


def write_atomic(path: str | Path, write: Callable[[IO], None], mode: str = "wb") -> Path:
    """Write a file so that readers see the old content or the new one and never a part.

    `write` gets an open file (binary for "wb", UTF-8 text with Unix line ends for "w"). The bytes
    go to a temporary file in the same folder, are flushed to the disk, and take the name in one
    step; missing folders are made. Raises OSError naming the path when the disk is full or the
    folder cannot be written; the old file then stays.
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"mode is {mode!r}, allowed are 'wb' and 'w'")
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    text = {} if mode == "wb" else {"encoding": "utf-8", "newline": "\n"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode.replace("w", "x"), **text) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _named(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def _named(error: OSError, path: Path) -> OSError:
    reason = error.strerror or str(error)
    kept = "the file that was there is unchanged" if path.is_file() else "nothing was written"
    advice = "free some space, or choose a folder that can be written"
    return OSError(error.errno or 0, f"cannot write: {reason}; {kept}; {advice}", str(path))


def _sync_folder(folder: Path) -> None:
    # A rename survives a power cut only once its folder is on disk too; Windows cannot open
    # folders.
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: str | Path, obj: Any) -> Path:
    """Write an object as readable JSON, atomically.

    Mappings, sequences, dataclasses, pydantic models, numpy values and paths are understood. NaN
    and infinity, which JSON does not have, are written as null. Raises TypeError naming the type of
    anything else.
    """
    text = json.dumps(plain(obj), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return write_atomic(path, lambda file: file.write(text), mode="w")


def write_csv(path: str | Path, frame: pd.DataFrame) -> Path:
    """Write a table as CSV, see `csv_bytes`, atomically; a path ending in `.gz` is compressed.

    The same table gives the same bytes: no time stamp stands in the gzip header.
    """
    data = csv_bytes(frame)
    if str(path).endswith(".gz"):
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
            file.write(data)
        data = buffer.getvalue()
    return write_atomic(path, lambda file: file.write(data))


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A table as CSV without its index: nine digits a number, which is exact for float32."""
    return frame.to_csv(index=False, lineterminator="\n", float_format="%.9g").encode("utf-8")


def plain(obj: Any) -> Any:
    """Reduce an object to what JSON has: dict, list, str, int, float, bool, None.

    NaN and infinity become None, paths their POSIX text. Raises TypeError naming the type of what
    has no plain form.
    """
    if obj is None or isinstance(obj, bool | str | int):
        return obj
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else None
    if isinstance(obj, np.generic | np.ndarray):
        return plain(obj.tolist())
    if isinstance(obj, Path):
        return obj.as_posix()
    if hasattr(obj, "model_dump"):
        return plain(obj.model_dump())
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {field.name: plain(getattr(obj, field.name)) for field in dataclasses.fields(obj)}
    if isinstance(obj, Mapping):
        return {str(key): plain(value) for key, value in obj.items()}
    if isinstance(obj, set | frozenset):
        return sorted(plain(value) for value in obj)
    if isinstance(obj, list | tuple):
        return [plain(value) for value in obj]
    raise TypeError(f"cannot write a {type(obj).__name__} as JSON: give plain values")


def digest(obj: Any) -> str:
    """Hash an object: 12 hex digits of the SHA-256 of its canonical JSON (keys sorted)."""
    text = json.dumps(plain(obj), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]


def seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record in plain values, with its own checksum under `SEAL`."""
    kept = plain(record)
    return {**kept, SEAL: digest(kept)}


def take_seal(record: dict[str, Any]) -> bool | None:
    """Take the checksum out of a record that was read: whether it fits; None where it has none.

    It is the last value, by which it is known even where its name is damaged.
    """
    if SEAL in record:
        return record.pop(SEAL) == digest(record)
    rest = dict(record)
    return False if rest and rest.popitem()[1] == digest(rest) else None


def cache_folder() -> Path:
    """Folder of everything that can be made again: $DFER_CACHE, else the user's cache folder."""
    chosen = os.environ.get("DFER_CACHE", "")
    return Path(chosen).expanduser() if chosen else user_cache_path("dferlib", appauthor=False)


def project_root() -> Path | None:
    """Find the checkout that this package is installed from; None for a package without one."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() else None
