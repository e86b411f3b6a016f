"""What is stored, held against its checksums, and what it would take to make it again.

    python -m dferlib.evidence verify results

Looked at are the runs (record, predictions, the metrics that they give), the aggregates of their
folders, tables with a checksum beside them, other records, and executed notebooks. What was written
before there was a checksum is accepted as far as it can be read, and counted as such.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dferlib.evidence.checked_table import checksum_file, is_checked
from dferlib.evidence.damage import (
    NOTEBOOK_SEAL,
    DamagedFileError,
    check_notebook,
    read_record,
)
from dferlib.evidence.runs import aggregates, load_run, metrics_of
from dferlib.evidence.summary import read_summary
from dferlib.files import SEAL, csv_bytes

WHOLE, UNCHECKED, DAMAGED, LEFT = "whole", "without a checksum", "damaged", "left by a kill"
FROM_GIT = "Take it back from git, or make it anew"
TOLERANCE = 1e-9  # of metrics that are computed again
PLACE = ("paper", "dataset", "source", "preset")


@dataclass(frozen=True)
class Finding:
    """What was found of one file: its state, and of a damaged one the reason and the way out."""

    path: Path
    kind: str
    state: str
    said: str = ""


@dataclass
class Repeat:
    """What makes the runs of one folder again: a command, the commit, and seconds of training."""

    command: str
    commits: set[str] = field(default_factory=set)
    runs: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        at = f", made at commit {', '.join(sorted(c[:8] for c in self.commits))}"
        time = f"{self.seconds / 60:.0f} min" if self.seconds >= 90 else f"{self.seconds:.0f} s"
        return f"{self.command}\n  {self.runs} runs, about {time}{at if self.commits else ''}"


@dataclass
class Verified:
    """What was found in a results folder, and what would make its runs again."""

    findings: list[Finding]
    repeats: list[Repeat]

    @property
    def damaged(self) -> list[Finding]:
        """The files that are not what was written."""
        return [finding for finding in self.findings if finding.state == DAMAGED]

    def __str__(self) -> str:
        lines = []
        for kind in dict.fromkeys(finding.kind for finding in self.findings):
            states = [finding.state for finding in self.findings if finding.kind == kind]
            counts = (f"{states.count(s)} {s}" for s in dict.fromkeys(sorted(states)))
            lines.append(f"{kind}: {', '.join(counts)}")
        marked = [f for f in self.findings if f.state in (DAMAGED, LEFT)]
        lines += [f"{finding.state}: {finding.said}" for finding in marked]
        if self.repeats:
            total = sum(repeat.seconds for repeat in self.repeats) / 3600
            lines.append(f"to repeat all trainings, about {total:.1f} h where these were made:")
        return "\n".join([*lines, *map(str, self.repeats)])


def verify(root: str | Path) -> Verified:
    """Look at everything in a results folder; FileNotFoundError where there is none."""
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"there is no results folder {root}")
    findings: list[Finding] = []
    repeats: dict[tuple, Repeat] = {}
    for folder in sorted({path.parent.parent for path in root.rglob("runs/*.json")}):
        records = []
        for path in sorted((folder / "runs").glob("*.json")):
            findings += _look_at_run(folder, path, records)
        findings += _look_at_aggregates(folder, records)
        _add_repeats(repeats, folder, records)
    findings += _look_at_rest(root)
    return Verified(findings, list(repeats.values()))


def _look_at_run(folder: Path, path: Path, records: list[dict[str, Any]]) -> Iterator[Finding]:
    table = folder / "predictions" / f"{path.stem}.csv.gz"
    try:
        run = load_run(folder, path.stem)
        _compare_metrics(path, run.record, metrics_of(run.predictions, len(run.record["classes"])))
    except (DamagedFileError, ValueError) as error:  # the latter of a name that is none of a run
        broken = getattr(error, "path", path)
        kind = "predictions" if broken == table else "runs"
        yield Finding(broken, kind, DAMAGED, str(error))
        return
    records.append(run.record)
    sealed = SEAL in json.loads(path.read_bytes())
    yield Finding(path, "runs", WHOLE if sealed else UNCHECKED)
    yield Finding(table, "predictions", WHOLE)


def _compare_metrics(path: Path, record: dict[str, Any], found: list[dict[str, Any]]) -> None:
    way_out = f"Delete {path} and start the notebook again: the run is then made anew"
    stored = {row.get("select"): row for row in record["metrics"] if isinstance(row, dict)}
    for row in found:
        for name, value in row.items():
            kept = stored.get(row["select"], {}).get(name)
            same = kept == value
            if isinstance(value, float) and isinstance(kept, int | float):
                same = math.isclose(kept, value, abs_tol=TOLERANCE)
            if not same:
                reason = f"is damaged: {name} is {kept!r}, its predictions give {value!r}"
                raise DamagedFileError(path, reason, way_out, "metrics")


def _look_at_aggregates(folder: Path, records: list[dict[str, Any]]) -> Iterator[Finding]:
    """Compare history.csv and metrics.csv with what the whole records give."""
    if len(records) < len(list((folder / "runs").glob("*.json"))):
        return  # what they should be cannot be told; the run that is damaged is named
    for name, table in aggregates(records).items():
        path = folder / name
        if not path.is_file():
            continue
        if path.read_bytes().replace(b"\r\n", b"\n") == csv_bytes(table):
            yield Finding(path, "aggregates", WHOLE)
        else:
            said = f"{path} is not what the runs beside it give. Start a notebook of its folder "
            yield Finding(path, "aggregates", DAMAGED, f"{said}again: it is then made anew")


def _add_repeats(
    repeats: dict[tuple, Repeat], folder: Path, records: Iterable[dict[str, Any]]
) -> None:
    records = list(records)
    for key in dict.fromkeys(tuple(record[name] for name in PLACE) for record in records):
        same = [r for r in records if tuple(r[name] for name in PLACE) == key]
        chosen = dict(zip(PLACE[1:], key[1:], strict=True))
        for name in ("variant", "fold", "seed"):
            # "stcam, init random" is trained by a section of the notebook of stcam
            values = dict.fromkeys(str(r[name]).partition(", ")[0] for r in same)
            chosen[f"{name}s"] = ",".join(values)
        words = " ".join(f'-p {name} "{value}"' for name, value in chosen.items())
        target = f"out/{'-'.join(key)}.ipynb"
        command = f"python -m dferlib.notebook notebooks/{key[0]}.ipynb {target} {words}"
        repeat = repeats[folder, *key] = Repeat(command)
        for record in same:
            commit = (record.get("provenance") or {}).get("git_commit")
            repeat.commits |= {commit} if commit else set()
            repeat.runs += 1
            repeat.seconds += record.get("seconds", 0.0)


def _look_at_rest(root: Path) -> Iterator[Finding]:
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        folder = path.parent.name
        if path.name.endswith(".tmp") and path.name.startswith("."):
            said = f"{path} is what a killed process had begun to write; it may be deleted"
            yield Finding(path, "rests", LEFT, said)
        elif folder == "predictions" and path.name.endswith(".csv.gz"):
            if not (path.parents[1] / "runs" / f"{path.name[:-7]}.json").is_file():
                said = f"{path} has no record: its run is trained when it is next asked for"
                yield Finding(path, "predictions", LEFT, said)
        elif folder == "runs" or path.name in ("history.csv", "metrics.csv"):
            continue
        elif path.suffix == ".ipynb":
            yield look_at_notebook(path)
        elif path.suffix == ".json":
            yield _look_at_json(path)
        elif path.suffix == ".csv":
            yield _look_at_table(path)


def look_at_notebook(path: Path) -> Finding:
    """Hold an executed notebook against its checksum, and its end mark against its folder."""
    way_out = "Execute it again: finished runs are read"
    try:
        book = read_record(path, {"metadata": dict, "cells": list}, way_out)
        fits = check_notebook(book)
        if fits is False:
            raise DamagedFileError(path, "is damaged: its checksum differs", way_out, NOTEBOOK_SEAL)
        if stranger := _stranger(path, book["cells"]):
            reason = f"is the notebook of another folder: it shows {stranger}"
            raise DamagedFileError(path, reason, way_out)
    except DamagedFileError as error:
        return Finding(path, "notebooks", DAMAGED, str(error))
    return Finding(path, "notebooks", UNCHECKED if fits is None else WHOLE)


def _stranger(path: Path, cells: list[dict[str, Any]]) -> str:
    """What the notebook in a folder of runs shows, where that is another paper or dataset."""
    marks = [
        mark
        for cell in cells
        for output in cell.get("outputs", ())
        for mark in output.get("metadata", {}).values()
        if isinstance(mark, dict) and {"slug", "dataset", "preset"} <= mark.keys()
    ]
    place = path.parent
    if not marks or not (place / "runs").is_dir():
        return ""
    shown = marks[-1]
    dataset, preset = place.name.partition("-")[0], place.name.rpartition("-")[2]
    own = {"slug": place.parent.name, "dataset": dataset, "preset": preset}
    strange = [f"{name} {shown[name]}" for name in own if shown[name] != own[name]]
    return ", ".join(strange)


def _look_at_json(path: Path) -> Finding:
    try:
        content = json.loads(path.read_bytes())
        sealed = isinstance(content, dict) and SEAL in content
        if sealed:
            read_record(path, {}, FROM_GIT)
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, DamagedFileError) else f"{path}: {error}. {FROM_GIT}"
        return Finding(path, "other records", DAMAGED, said)
    return Finding(path, "other records", WHOLE if sealed else UNCHECKED)


def _look_at_table(path: Path) -> Finding:
    state = {True: WHOLE, None: UNCHECKED, False: DAMAGED}[is_checked(path)]
    said = f"{path} does not fit {checksum_file(path).name}. {FROM_GIT}"
    try:
        if path.name == "summary.csv":
            read_summary(path)
    except DamagedFileError as error:
        state, said = DAMAGED, str(error)
    return Finding(path, "tables", state, said if state == DAMAGED else "")
