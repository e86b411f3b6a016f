"""The readers of files that others wrote, each with a small sound file and the errors it may raise.

A reader is given a path and returns, or raises one of its named errors: anything else is a fault of
ours. Files of our own that lie at rest (stores, runs, checkpoints) are read here, too, since they
travel between machines.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from dferlib.datasets.manifest import DatasetError, StoreError
from dferlib.evidence.damage import DamagedFileError

CLASSES = ["anger", "fear"]
PREDICTIONS = gzip.compress(b"clip_id,subject,fold,select,y_true,y_pred,p_0,p_1\n", mtime=0)


class Reader(NamedTuple):
    """A file's name, its sound content, what reads it, and the errors that name what is wrong.

    `read` gets the file's path; what it returns does not matter.
    """

    name: str
    sound: Callable[[], bytes]
    read: Callable[[Path], Any]
    errors: tuple[type[Exception], ...]
    words: tuple[bytes, ...] = ()  # what a damage puts in


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _beside(path: Path) -> Path:
    """Two clips of a frame each beside a table, in the folder of a file."""
    for name in ("a", "b"):
        frame = path.parent / "day" / name / "1.png"
        if not frame.exists():
            frame.parent.mkdir(parents=True, exist_ok=True)
            frame.write_bytes(_png())
    return path.parent


def _clips(path: Path) -> Any:
    from dferlib.datasets.readers import folder

    return folder.scan(_beside(path))


def _peaks(path: Path) -> Any:
    from dferlib.datasets.readers.annotations import annotate
    from dferlib.datasets.readers.scan import Clip, Scan

    clips = [Clip(f"day/{name}", name, "fear", ("1.png", "2.png"), 25.0, -1) for name in "ab"]
    return annotate(Scan("folder", path.parent, "", tuple(clips)))


def _excluded(path: Path) -> Any:
    from dferlib.datasets.readers.scan import read_exclude

    return read_exclude(path.parent)


def _video_name(path: Path) -> Any:
    """A folder of clips in which one is called as the file says."""
    from dferlib.datasets.readers import folder

    name = path.read_bytes()[:60].decode("utf-8", "surrogateescape")
    name = name.replace("/", "_").replace("\0", "_").strip(".") or "x"
    root = path.parent / "tree"
    clip = root / "anger" / name
    if not clip.exists():
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.write_bytes(b"no video")
    try:
        return folder.scan(root).refuse_errors()
    finally:
        clip.unlink()


def _printed(path: Path) -> Any:
    from dferlib.evidence.audit.printed import read_printed
    from dferlib.evidence.audit.report import audit_numbers

    return audit_numbers(read_printed(path))


def _xml(path: Path) -> Any:
    from dferlib.datasets.readers.mmi_xml import read_emotion, read_onset_and_apex, read_view

    return read_emotion(path), read_view(path), read_onset_and_apex(path, 40)


def _image(path: Path) -> Any:
    from dferlib.datasets.media.images import load_rgb

    return load_rgb(path)


def _manifest(path: Path) -> Any:
    from dferlib.datasets.manifest import read_manifest

    return read_manifest(path)


def _run(path: Path) -> Any:
    from dferlib.evidence.runs import load_run

    folder, table = path.parent, path.parent / "predictions" / "a.csv.gz"
    table.parent.mkdir(exist_ok=True)
    table.write_bytes(
        gzip.compress(b"clip_id,subject,fold,select,y_true,y_pred,p_0,p_1\n", mtime=0)
    )
    record = folder / "runs" / "a.json"
    record.parent.mkdir(exist_ok=True)
    record.write_bytes(path.read_bytes())
    return load_run(folder, "a")


def _notebook(path: Path) -> Any:
    from dferlib.notebook.execution import execute
    from dferlib.notebook.parameters import ParameterError

    try:  # refused before a kernel starts, once the notebook has been read
        return execute(path, path.with_name("out.ipynb"), {"no such name": 1}, progress=False)
    except ParameterError as error:
        return error


def _cell(path: Path) -> Any:
    from dferlib.notebook.parameters import declared_parameters

    return declared_parameters(path.read_bytes().decode("utf-8", "replace"))


def _weights(path: Path) -> Any:
    from dferlib.training.weights import read_plain

    return read_plain(path)


def _record(path: Path) -> Any:
    from dferlib.training.weights import weights_record

    return weights_record(path.with_suffix(".safetensors"))


def _torch_file() -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save({"state_dict": {"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(3)}}, buffer)
    return buffer.getvalue()


def _safetensors() -> bytes:
    import torch
    from safetensors.torch import save

    return save({"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(3)})


def _run_record() -> bytes:
    keys = ("run_id", "paper", "dataset", "source", "preset", "variant", "manifest_hash")
    record: dict[str, Any] = dict.fromkeys(keys, "a") | {"fingerprint": "f", "fold": 1, "seed": 0}
    record |= {"classes": CLASSES, "protocol": {}, "history": [], "metrics": []}
    return json.dumps(
        record | {"predictions_sha256": hashlib.sha256(PREDICTIONS).hexdigest()}
    ).encode()


def _book() -> bytes:
    cell = {"cell_type": "code", "execution_count": None, "id": "a1", "outputs": []}
    cell |= {"metadata": {"tags": ["parameters"]}, "source": 'dataset: str = "oulu"'}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book).encode()


TABLE = b"path,label,subject,apex\nday/a,happy,S01,0\nday/b,anger,S02,1.png\n"
MANIFEST = (
    b"clip_id,subject,label,n_frames,offset,fps,apex,onset,split,dataset,source\n"
    b"a,S1,anger,3,0,25,2,0,,oulu,real\nb,S2,fear,4,3,25,-1,-1,,oulu,real\n"
)
PRINTED = b"row,metric,value,unit,dataset,table\na,WAR,81.5,%,ck,1\nb,WAR,96.9,%,ck,1\n"
XML = (
    b'<s><track view="2" filename="a.avi"/><Metatag Name="Emotion" Value="4"/><ActionUnit>'
    b'<Marker Type="1" Frame="3"/><Marker Type="2" Frame="9"/></ActionUnit></s>'
)
NAMES = (b"../", b"<img src=x onerror=alert(1)>.mp4", b"\xff\xfe.mp4", "é.mp4".encode(), b"\n.avi")
CSV_WORDS = (b'"', b",", b";", b"\t", b"\r", b"\0", b"9" * 40, b"../", b"=cmd()", b"\xff", b"nan")
JSON_WORDS = (
    b"{",
    b"]",
    b'"',
    b"null",
    b"NaN",
    b"1e999",
    b"[" * 3000,
    b"\xff",
    b"-" * 3,
    b"9" * 5000,
)
CODE = (b"__import__('os')", b"eval(", b"*" * 9, b"-" * 2000, b"(" * 300, b"9" * 5000, b"\0", b"#")

READERS: dict[str, Reader] = {
    "clip table": Reader("labels.csv", lambda: TABLE, _clips, (DatasetError,), CSV_WORDS),
    "peaks": Reader(
        "apex.csv",
        lambda: b"clip,apex,onset\nday/a,1,0\nday/b,2.png,\n",
        _peaks,
        (DatasetError,),
        CSV_WORDS,
    ),
    "exclusions": Reader(
        "exclude.txt", lambda: b"day/a # dark\nday/b\n", _excluded, (DatasetError,), CSV_WORDS
    ),
    "names of videos": Reader("name.txt", lambda: b"a.mp4", _video_name, (DatasetError,), NAMES),
    "session XML": Reader("session.xml", lambda: XML, _xml, (DatasetError,), (b"<!ENTITY", b"<")),
    "image": Reader("1.png", _png, _image, (DatasetError,), (b"IHDR", b"\xff" * 4)),
    "printed numbers": Reader("printed.csv", lambda: PRINTED, _printed, (ValueError,), CSV_WORDS),
    "manifest": Reader(
        "manifest.csv", lambda: MANIFEST, _manifest, (DatasetError, StoreError), CSV_WORDS
    ),
    "run record": Reader("a.json", _run_record, _run, (DamagedFileError,), JSON_WORDS),
    "notebook": Reader("n.ipynb", _book, _notebook, (ValueError,), JSON_WORDS),
    "parameters cell": Reader(
        "cell.py", lambda: b'dataset: str = "oulu"\nseeds = "0"\nfolds = [1, 2]\n', _cell, (), CODE
    ),
    "torch weights": Reader("w.pth", _torch_file, _weights, (ValueError,), (b"cos\nsystem\n(",)),
    "safetensors": Reader("w.safetensors", _safetensors, _weights, (ValueError,), JSON_WORDS),
    "record beside weights": Reader(
        "w.json",
        lambda: b'{"sha256": "00", "model": "stcam"}',
        _record,
        (DamagedFileError,),
        JSON_WORDS,
    ),
}
