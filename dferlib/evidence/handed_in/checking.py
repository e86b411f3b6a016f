"""What a reader can check of a handed-in file, without the data: a finding for each check."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from dferlib.evidence import metrics
from dferlib.evidence.handed_in.packing import FEWEST, shown_settings
from dferlib.evidence.handed_in.schema import Estimate, HandedIn, Row
from dferlib.evidence.handed_in.whole_copies import whole_copy
from dferlib.evidence.intervals import exact_interval, subject_interval
from dferlib.protocols import Paper, list_protocols, load_protocol
from dferlib.protocols.paper import Extent

HOLDS, WRONG, DIFFERS, UNKNOWN = "holds", "wrong", "differs", "cannot tell"
NEAR = 1e-6  # of shares that are written with nine digits
LOOSE = {"precision", "clips", "folds"}  # the device's; counted; what was run


class Finding(NamedTuple):
    """One check: `wrong` is a file that contradicts itself, `differs` one unlike the protocol."""

    check: str
    verdict: str
    text: str


def check(handed: HandedIn, others: Iterable[HandedIn] = ()) -> pd.DataFrame:
    """Return what every check of a file found: columns check, verdict and text.

    `others` are further files, which have the same counts where they name the same manifest.
    """
    found = [*_check_sums(handed), *_check_shares(handed), *_check_intervals(handed)]
    found += [*_check_protocol(handed), *_check_whole(handed), *_check_others(handed, others)]
    return pd.DataFrame(found, columns=Finding._fields)


def is_sound(findings: pd.DataFrame) -> bool:
    """Whether nothing in a file contradicts itself."""
    return not (findings["verdict"] == WRONG).any()


def as_predictions(handed: HandedIn, row: Row) -> pd.DataFrame:
    """Return a row's confusion matrices as predictions, a line per clip, rule and seed.

    Which clip is which is not known: clips are numbered within a seed, so that metrics of one rule
    can be made of them again, and nothing that pairs clips.
    """
    tables = []
    for part in row.counts:
        matrix = np.array(part.confusion)
        true, taken = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices(matrix.shape))
        table = pd.DataFrame({"clip_id": np.arange(len(true)).astype(str), "y_true": true})
        fold = handed.folds[0].folds[0]
        tables.append(
            table.assign(
                y_pred=taken, variant=row.variant, seed=part.seed, select=part.select, fold=fold
            )
        )
    return pd.concat(tables, ignore_index=True)


def _verdict(check_name: str, wrong: list[str], text: str, otherwise: str = WRONG) -> Finding:
    return Finding(check_name, otherwise if wrong else HOLDS, "; ".join(wrong[:3]) or text)


def _check_sums(handed: HandedIn) -> Iterator[Finding]:
    """Rows of matrices against classes, their diagonals against folds, folds against all clips."""
    tested, wrong = handed.manifest.tested, []
    for row in handed.rows:
        for part in row.counts:
            sums = [sum(line) for line in part.confusion]
            where = f"{row.variant}, {part.select}, seed {part.seed}"
            if sums != tested:
                wrong.append(f"{where}: classes have {sums} clips, the manifest {tested}")
            right = sum(line[k] for k, line in enumerate(part.confusion))
            if right != sum(part.right):
                wrong.append(f"{where}: {right} right by the matrix, {sum(part.right)} by folds")
            over = [g for g, k in zip(handed.folds, part.right, strict=True) if k > g.clips]
            if over:
                wrong.append(f"{where}: more right than clips in folds {over[0].folds}")
    yield _verdict("sums", wrong, f"{sum(tested)} clips in every matrix")
    clips, persons = (sum(getattr(g, name) for g in handed.folds) for name in ("clips", "subjects"))
    wrong = [f"folds have {clips} clips, classes {sum(tested)}"] if clips != sum(tested) else []
    wrong += [f"{handed.manifest.clips} clips listed"] if handed.manifest.clips < clips else []
    wrong += [f"folds have {persons} persons, {handed.subjects} in all"] * (
        persons != handed.subjects
    )
    few = [group.folds for group in handed.folds if group.subjects < FEWEST]
    wrong += [f"folds {few[0]} have fewer than {FEWEST} persons"] if few else []
    yield _verdict("folds", wrong, f"{len(handed.folds)} counts of folds add up")


def _check_shares(handed: HandedIn) -> Iterator[Finding]:
    """WAR and UAR are what the matrices give."""
    wrong = []
    for row in handed.rows:
        predictions = as_predictions(handed, row)
        for score in row.scores:
            rows = metrics.choose(predictions, score.select)
            truth = rows["y_true"], rows["y_pred"]
            again = {"war": metrics.war(*truth), "uar": metrics.uar(*truth, len(handed.classes))}
            for name, value in again.items():
                said = getattr(score, name).value
                if abs(said - value) > NEAR:
                    wrong.append(
                        f"{name.upper()} of {row.variant} by {score.select} is {said:.6f}, its "
                        f"matrix gives {value:.6f}"
                    )
    yield _verdict("k of n", wrong, "every accuracy is that of its matrix")


def _check_intervals(handed: HandedIn) -> Iterator[Finding]:
    """Ends against the number of independent clips; wholly made again where clips are persons."""
    wrong, again = [], 0
    tested = np.array([n for n in handed.manifest.tested if n])
    most = {"war": tested.sum(), "uar": len(tested) ** 2 / (1 / tested).sum()}
    for row in handed.rows:
        alone = handed.persons == "clips" and len(row.counts) == len(row.scores)
        predictions = as_predictions(handed, row) if alone else None
        for score in row.scores:
            for name, limit in most.items():
                said: Estimate = getattr(score, name)
                where = f"{name.upper()} of {row.variant} by {score.select}"
                ends = np.array(exact_interval(said.value, said.worth), dtype=float)
                if np.abs(ends - (said.low, said.high)).max() > NEAR:
                    wrong.append(f"{where}: [{said.low:.4f}, {said.high:.4f}] is not that of worth")
                elif said.worth > limit * (1 + NEAR):
                    wrong.append(f"{where}: worth {said.worth:.1f} clips, there are {limit:.1f}")
                elif alone:
                    made = subject_interval(predictions, handed.classes, name, select=score.select)
                    again += 1
                    if max(abs(made.low - said.low), abs(made.high - said.high)) > NEAR:
                        wrong.append(f"{where}: clips give [{made.low:.4f}, {made.high:.4f}]")
    text = (
        f"{again} made again from counts"
        if again
        else "exact for the number of independent clips given; that number needs the persons"
    )
    yield _verdict("intervals", wrong, text)


def _check_protocol(handed: HandedIn) -> Iterator[Finding]:
    """Paper, classes, folds, persons and settings against the protocol as it is today."""
    if handed.paper not in list_protocols():
        yield Finding("paper", WRONG, f"{handed.paper!r} is none of {', '.join(list_protocols())}")
        return
    paper = load_protocol(handed.paper)
    wrong = [f"no {handed.dataset!r} in {handed.paper}"] * (handed.dataset not in paper.datasets)
    wrong += [f"no preset {handed.preset!r}"] * (handed.preset not in paper.presets)
    wrong += [f"no row {r.variant!r}" for r in handed.rows if r.variant not in paper.variants]
    yield _verdict("paper", wrong, f"{handed.paper} on {handed.dataset}, {handed.preset}")
    if wrong:
        return
    classes = list(paper.classes[handed.dataset])
    other = [f"classes are {handed.classes}, the paper's {classes}"] * (handed.classes != classes)
    yield _verdict("classes", other, f"{len(classes)} in the paper's order")
    yield _check_folds(handed, paper)
    yield _check_settings(handed, paper)


def _check_folds(handed: HandedIn, paper: Paper) -> Finding:
    run = sorted(fold for group in handed.folds for fold in group.folds)
    recipe = paper.resolve(handed.preset, handed.dataset, handed.rows[0].variant)
    other = []
    if run != sorted(recipe.folds):
        other.append(f"folds {run} were run, {sorted(recipe.folds)} are those of {handed.preset}")
    return _verdict("folds of the protocol", other, f"all {len(run)}", DIFFERS)


def _check_settings(handed: HandedIn, paper: Paper) -> Finding:
    other = []
    for row in handed.rows:
        clips = row.settings.get("clips", 0)
        extent = Extent(clips if isinstance(clips, int) else 0)
        recipe = paper.resolve(handed.preset, handed.dataset, row.variant, extent)
        today = shown_settings(paper, dataclasses.asdict(recipe))
        for name in sorted((today.keys() | row.settings.keys()) - LOOSE):
            if name in row.settings and today.get(name) != row.settings[name]:
                said = f"{row.settings[name]} instead of {today.get(name)}"
                other.append(f"{row.variant}: {name} is {said}")
            elif name not in row.settings:
                other.append(f"{row.variant}: {name} is not said")
    return _verdict("settings", other, f"those of {handed.preset} today", DIFFERS)


def _check_whole(handed: HandedIn) -> Iterator[Finding]:
    """Clips, persons, classes and folds against what a whole copy of the dataset has."""
    whole, name = whole_copy(handed.dataset), "whole copy"
    tested = dict(zip(handed.classes, handed.manifest.tested, strict=True))
    if whole is None or set(tested) != set(whole.classes):
        yield Finding(name, UNKNOWN, f"what a whole copy of {handed.dataset} has is not known here")
        return
    listed, other = handed.manifest.clips, []
    if listed != whole.clips:
        other.append(f"{listed} clips listed, {whole.clips} in a whole copy")
    everything = sum(tested.values()) == whole.clips
    if everything and tested != whole.classes:
        other.append(f"classes have {list(tested.values())}, {list(whole.classes.values())} there")
    if everything and whole.subjects and handed.subjects != whole.subjects:
        other.append(f"{handed.subjects} persons, {whole.subjects} there")
    run = [fold for group in handed.folds for fold in group.folds]
    folds = {row.settings.get("num_folds") for row in handed.rows}
    if folds == {len(whole.folds)} and set(run) <= set(whole.folds):
        for group in handed.folds:
            expected = sum(whole.folds[fold] for fold in group.folds)
            if group.clips != expected:
                other.append(f"folds {group.folds} have {group.clips} clips, {expected} there")
    yield _verdict(name, other, f"{listed} clips, as in a whole copy", DIFFERS)


def _check_others(handed: HandedIn, others: Iterable[HandedIn]) -> Iterator[Finding]:
    """One hash is one list: files that name it have the same numbers of clips."""
    mine, same, wrong = handed.manifest, 0, []
    for other in others:
        theirs = other.manifest
        if other.dataset == handed.dataset and theirs.hash == mine.hash:
            same += 1
            if theirs.clips != mine.clips:
                wrong.append(
                    f"{other.by} has {theirs.clips} clips in {mine.hash}, not {mine.clips}"
                )
    text = f"{same} other files are of this list" if same else "no other file is of this list"
    yield _verdict("manifest", wrong, f"{mine.hash}: {text}")
