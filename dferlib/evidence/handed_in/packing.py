"""From a folder of runs on real data to a file that may be shown.

Nothing of a clip or a person goes in. A fold that tests fewer than `FEWEST` persons would tell how
many clips one of them has and how many were right; such folds are counted together with the next
ones until there are as many, the last ones with those before, and fewer persons in all are refused.
All rows of a file have the same folds, as the difference of two would be a fold of its own.
Settings and versions are kept by name: a value that is none of a protocol's own, such as the place
of weights, is replaced by words that say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dferlib.evidence import metrics
from dferlib.evidence.handed_in.schema import (
    FORMAT,
    Counts,
    Estimate,
    Group,
    HandedIn,
    Manifest,
    Row,
    Score,
)
from dferlib.evidence.intervals import independent_clips, subject_interval
from dferlib.evidence.runs import load_runs, results_folder
from dferlib.evidence.tables import load_evidence
from dferlib.files import plain, write_json
from dferlib.names import SELECTION_RULES
from dferlib.protocols import Paper, list_protocols, load_protocol

FEWEST = 5  # persons in what is counted alone
INITS = ("random", "synthetic", "torchvision")
OWN = "a value of its own"
VERSIONS = ("git_commit", "git_dirty", "dferlib", "python", "platform")
VERSIONS += ("torch", "torchvision", "numpy", "pandas", "scikit-learn")
_WORDS = re.compile(r"[\w .,:;=+()-]{0,120}")
DIGITS = 9


class UnfitRunsError(ValueError):
    """Runs of which no file can be made; the message says why, and the way out."""


def pack(
    folder: str | Path, *, by: str = "anonymous", rows: Sequence[str] = (), when: str = ""
) -> HandedIn:
    """Return what may be shown of the finished runs in a folder `<paper>/<dataset>-real-<preset>`.

    `by` is who hands it in, `rows` are names of rows (by default all of the paper's that were run),
    `when` a day (by default today, UTC). Only runs with the settings that the preset has today
    count, the newest of each row, fold and seed. UnfitRunsError for runs on synthetic faces, rows
    of different folds, seeds or clips, and fewer persons than `FEWEST`.
    """
    folder = Path(folder).expanduser().resolve()
    paper, dataset, preset = _address(folder)
    evidence = load_evidence(paper, "real", preset, folder.parents[1])
    if dataset not in evidence:
        raise UnfitRunsError(
            f"{folder} has no finished run with the settings that {preset} has today; run the "
            f"notebook: papermill notebooks/{paper.slug}.ipynb out.ipynb -p dataset {dataset} "
            f"-p source real -p preset {preset}"
        )
    records = load_runs(folder).records
    return pack_runs(paper, preset, evidence[dataset], records, by=by, rows=rows, when=when)


def pack_runs(
    paper: Paper,
    preset: str,
    predictions: pd.DataFrame,
    records: pd.DataFrame,
    *,
    by: str = "anonymous",
    rows: Sequence[str] = (),
    when: str = "",
) -> HandedIn:
    """Return what may be shown of predictions on one dataset, and the records of their runs.

    `records` may hold other runs, too; see `pack`.
    """
    names = _rows(paper, predictions, rows)
    found = predictions[predictions["variant"].isin(names)]
    records = records[records["run_id"].isin(found["run_id"])]
    classes = tuple(records["classes"].iloc[0])
    _check_same(found, names)
    groups, group_of = _groups(found)
    last = found[found["select"] == "last"].drop_duplicates("clip_id")
    persons = last["subject"].nunique()
    tested = np.bincount(last["y_true"], minlength=len(classes))
    return HandedIn(
        format=FORMAT,
        by=by,
        when=when or datetime.now(UTC).strftime("%Y-%m-%d"),
        paper=paper.slug,
        dataset=records["dataset"].iloc[0],
        source="real",
        preset=preset,
        classes=list(classes),
        persons="clips" if persons == len(last) else "subjects",
        subjects=persons,
        manifest=Manifest(
            hash=records["manifest_hash"].iloc[0],
            clips=_clips_listed(records, len(last)),
            tested=tested.tolist(),
        ),
        folds=groups,
        versions=_versions(records),
        rows=[_row(paper, name, found, records, classes, group_of) for name in names],
    )


def write_packed(handed: HandedIn, path: str | Path) -> Path:
    """Write what `pack` gave as a readable JSON file, and return its path."""
    return write_json(path, handed)


def _address(folder: Path) -> tuple[Paper, str, str]:
    """Paper, dataset and preset by the names of a folder of runs."""
    slug = folder.parent.name
    dataset, source, preset = [*folder.name.rsplit("-", 2), "", ""][:3]
    if slug not in list_protocols():
        raise UnfitRunsError(
            f"{folder} lies in {slug!r}, which is no paper; give a folder such as "
            "results-private/stcam/oulu-real-paper"
        )
    paper = load_protocol(slug)
    if source != "real":
        raise UnfitRunsError(
            f"{folder} holds runs on {source or 'unknown'!r} data; only those on real data, in a "
            "folder <dataset>-real-<preset>, reproduce a published number"
        )
    if dataset not in paper.datasets or preset not in paper.presets:
        raise UnfitRunsError(
            f"{folder}: {slug} reports on {', '.join(paper.datasets)}, with the presets "
            f"{', '.join(paper.presets)}; {dataset!r} and {preset!r} were found"
        )
    if results_folder(slug, dataset, source, preset, folder.parents[1]) != folder or not (
        folder.is_dir()
    ):
        raise UnfitRunsError(f"there is no folder {folder}")
    return paper, dataset, preset


def _rows(paper: Paper, found: pd.DataFrame, asked: Sequence[str]) -> list[str]:
    """The rows to pack, in the order of the paper; rows with settings of their own are left out."""
    run = set(found["variant"])
    names = [name for name in paper.variants if name in run and name in (asked or run)]
    missing = [name for name in asked if name not in names]
    if missing or not names:
        raise UnfitRunsError(
            f"not run: {', '.join(missing) or 'any row of the paper'}; finished rows are "
            f"{', '.join(name for name in paper.variants if name in run) or 'none'}"
        )
    return names


def _check_same(found: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse rows of other folds, seeds, rules or clips than the first."""
    parts = dict(iter(found.groupby("variant", sort=False)))
    for what in ("fold", "seed", "select", "clip_id"):
        first = set(parts[names[0]][what])
        for name in names[1:]:
            if set(parts[name][what]) != first:
                raise UnfitRunsError(
                    f"rows {names[0]} and {name} were run on different {what.removesuffix('_id')}s;"
                    " finish them, or pack one at a time with --rows"
                )
    keys = ["variant", "seed", "select"]
    sizes = found.groupby(keys)["clip_id"].agg(["size", "nunique"])
    whole = found["clip_id"].nunique()
    bad = sizes[(sizes["size"] != whole) | (sizes["nunique"] != whole)]
    if len(bad):
        variant, seed, select = bad.index[0]
        raise UnfitRunsError(
            f"row {variant}, seed {seed}, has {bad['nunique'].iloc[0]} of {whole} clips by the "
            f"rule {select}: not every fold was run with every seed"
        )


def _groups(found: pd.DataFrame) -> tuple[list[Group], dict[int, int]]:
    """Folds, together where one alone has fewer than `FEWEST` persons; and fold -> its group."""
    clips = found.drop_duplicates("clip_id")
    grouped: list[list[int]] = [[]]
    for fold in sorted(clips["fold"].unique().tolist()):
        grouped[-1].append(fold)
        if clips[clips["fold"].isin(grouped[-1])]["subject"].nunique() >= FEWEST:
            grouped.append([])
    left = grouped.pop()
    if left and not grouped:
        raise UnfitRunsError(
            f"fewer than {FEWEST} persons were tested, so accuracies would tell of single ones; "
            "run more folds"
        )
    if left:
        grouped[-1] += left
    groups = []
    for folds in grouped:
        part = clips[clips["fold"].isin(folds)]
        groups.append(Group(folds=folds, clips=len(part), subjects=part["subject"].nunique()))
    return groups, {fold: k for k, folds in enumerate(grouped) for fold in folds}


def _clips_listed(records: pd.DataFrame, tested: int) -> int:
    """How many clips the manifest has: those of training, validation and test; at least tested."""
    sizes = [sum(s.values()) for s in records.get("sizes", ()) if isinstance(s, Mapping)]
    return max([tested, *sizes])


def _versions(records: pd.DataFrame) -> dict[str, Any]:
    """Versions of the newest run, by name; a value that is no plain word is left out."""
    newest = max(records["provenance"], key=lambda entry: entry["time_utc"])
    found = {name: newest.get(name) for name in VERSIONS}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, bool) or (isinstance(value, str) and _WORDS.fullmatch(value))
    }


def _row(
    paper: Paper,
    name: str,
    found: pd.DataFrame,
    records: pd.DataFrame,
    classes: tuple[str, ...],
    group_of: Mapping[int, int],
) -> Row:
    """Everything that is shown of one row."""
    part = found[found["variant"] == name]
    record = records[records["variant"] == name].iloc[0]
    rules = [rule for rule in SELECTION_RULES if rule in set(part["select"])]
    init = record.get("init")
    sha256 = init.get("sha256", "") if isinstance(init, Mapping) else ""
    return Row(
        variant=name,
        settings=shown_settings(paper, record["protocol"]),
        fingerprint=record["fingerprint"],
        init_sha256=sha256 if re.fullmatch(r"[0-9a-f]{64}", str(sha256)) else "",
        scores=[
            Score(
                select=rule,
                war=_estimate(part, classes, "war", rule),
                uar=_estimate(part, classes, "uar", rule),
            )
            for rule in rules
        ],
        counts=[
            _counts(rows, classes, group_of, rule, seed)
            for rule in rules
            for seed, rows in metrics.choose(part, rule).groupby("seed")
        ],
    )


def _estimate(part: pd.DataFrame, classes: tuple[str, ...], metric: str, rule: str) -> Estimate:
    found = subject_interval(part, classes, metric, select=rule)
    worth = independent_clips(part, classes, metric, select=rule)
    value, low, high = (
        min(1.0, max(0.0, round(x, DIGITS))) for x in (found.value, found.low, found.high)
    )
    return Estimate(value=value, low=low, high=high, worth=round(worth, DIGITS))


def _counts(
    rows: pd.DataFrame, classes: tuple[str, ...], group_of: Mapping[int, int], rule: str, seed: int
) -> Counts:
    matrix = metrics.confusion(rows["y_true"], rows["y_pred"], len(classes))
    right = (rows["y_true"] == rows["y_pred"]).to_numpy()
    codes = rows["fold"].map(group_of).to_numpy()
    counted = np.bincount(codes, right, minlength=max(group_of.values()) + 1).astype(int)
    return Counts(select=rule, seed=int(seed), confusion=matrix.tolist(), right=counted.tolist())


def shown_settings(paper: Paper, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they are shown: plain, and free text replaced where it is not known.

    Initial weights that are a file of one's own may have a telling name; so may options of faces.
    """
    known = {"init": {*INITS, paper.stated.init}}
    shown = {}
    for name, value in plain(settings).items():
        if isinstance(value, str):
            strange = name in known and value not in known[name]
            value = OWN if strange or not _WORDS.fullmatch(value) else value
        shown[name] = value
    return shown
