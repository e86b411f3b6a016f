"""What is wrong with a dataset at hand, how bad that is, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dferlib.datasets.doctor.facts import Facts
from dferlib.datasets.folds import MIN_FOLDS
from dferlib.datasets.manifest import letters, plural
from dferlib.datasets.readers.scan import EXCLUDE_FILE, UNKNOWN

LEVELS = ("stop", "look", "note")  # cannot be used so; look before use; nothing to do
PERMUTED = 0.05  # share of clips by which the counts may differ and still be those of other classes
SHOWN = 20  # examples of a finding
FEW = 6  # of those that stand in a table as well
FLAT_SHARE = 0.05  # of the crops that were looked at: more that show nothing stop a run


@dataclass(frozen=True)
class Finding:
    """One thing that was found: its level, the fact, what to do, and where."""

    level: str
    what: str
    do: str = ""
    where: tuple[str, ...] = ()


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """All findings on a dataset, the worst first."""
    found = [
        *_unusable(facts),
        *_flat(facts),
        *_doubts(facts),
        *_labels(facts),
        *_copies(facts),
        *_repeats(facts),
        *_twins(facts),
        *_faces(facts),
        *_subjects(facts),
        *_folds(facts),
        *_oddities(facts),
    ]
    return tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level)))


def match_counts(found: Sequence[int], expected: Sequence[int]) -> list[int] | None:
    """Which class each class seems to be by its count, where they seem to be mixed up, else None.

    `found` and `expected` count clips by class in the same order. The result holds for every class
    the index of the class whose known count it has. Counts of a part of the data, and equal known
    counts, give None.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    distance = np.abs(found[:, None] - expected[None, :])
    if len(set(expected.tolist())) < 2 or distance.trace() <= PERMUTED * expected.sum():
        return None
    # of equal counts a class keeps its own
    rows, columns = linear_sum_assignment(distance - 0.5 * np.eye(len(distance)))
    fits = distance[rows, columns].sum() <= PERMUTED * expected.sum()
    return columns.tolist() if fits else None


def _unusable(facts: Facts) -> Iterator[Finding]:
    if facts.errors:
        yield Finding(
            "stop",
            f"{plural(len(facts.errors), 'clip or file', 'clips or files')} cannot be read",
            f"copy them anew from the dataset, or put the clips into {EXCLUDE_FILE}",
            facts.errors,
        )
    classes, subjects = facts.manifest["label"].nunique(), facts.manifest["subject"].nunique()
    if len(facts.manifest) and classes < 2:
        yield Finding("stop", "clips of one class", "a classifier needs those of two or more")
    if 0 < subjects < MIN_FOLDS:
        yield Finding(
            "stop",
            plural(subjects, "subject"),
            f"training, validation and test need {MIN_FOLDS} or more",
        )


def _flat(facts: Facts) -> Iterator[Finding]:
    """Crops of one colour: black clips, a cover, a decoder that gave nothing."""
    if not facts.flat:
        return
    number, clips = sum(facts.flat.values()), len(facts.manifest)
    share = number / (3 * clips)
    yield Finding(
        "stop" if share > FLAT_SHARE else "look",
        f"{share:.0%} of the crops show nothing, in {len(facts.flat)} of {plural(clips, 'clip')}: "
        "they are of one colour",
        f"look at these files with a player; copy them anew, or put them into {EXCLUDE_FILE}",
        tuple(f"{name}: {count} of 3 crops" for name, count in facts.flat.items()),
    )


def _doubts(facts: Facts) -> Iterator[Finding]:
    if facts.doubts:
        yield Finding(
            "look",
            "not all that lies there was read, or something was taken for one of two things",
            "read each line: it says what was left out and how to choose",
            facts.doubts,
        )
    if facts.jumps:
        yield Finding(
            "look",
            f"{plural(len(facts.jumps), 'frame does', 'frames do')} not fit between those before "
            "and after",
            "look at them: they may be damaged, of another clip, or a cut of the film; copy them "
            f"anew, or put the clip into {EXCLUDE_FILE}",
            facts.jumps,
        )
    if facts.marks:
        count = plural(len(facts.marks), "landmark file is", "landmark files are")
        yield Finding(
            "look",
            f"{count} the same for two people, so that a face is cut out in a wrong place",
            "copy them anew from the dataset, or remove them: their frames then borrow a box",
            facts.marks,
        )


def _labels(facts: Facts) -> Iterator[Finding]:
    known = facts.counts.set_index("what")
    known = known.loc[[name for name in facts.classes if name in known.index]]
    found, expected = known["found"].tolist(), known["expected"].tolist()
    match = match_counts(found, expected) if UNKNOWN not in expected and expected else None
    if match:
        names = list(known.index)
        pairs = [f"{a} -> {names[b]}" for a, b in zip(names, match, strict=True) if a != names[b]]
        yield Finding(
            "look",
            "labels look shifted or swapped: class counts are those of other classes",
            "look at clips of these classes; take the labels from the owner's own files",
            tuple(pairs),
        )
    if len(facts.differences):
        rows = facts.differences.itertuples(index=False)
        texts = [f"{what}: {there} instead of {known}" for what, known, there in rows]
        texts = texts if len(texts) <= FEW else [*texts[:FEW], "and more in the table"]
        yield Finding(
            "look",
            f"{plural(len(facts.differences), 'count differs', 'counts differ')} from the copy "
            "that papers describe",
            f"{_ask(facts)}say n beside every number and compare no accuracy with published ones",
            tuple(texts),
        )


def _ask(facts: Facts) -> str:
    """What may be behind other counts: fewer clips than known, or more of something."""
    known = facts.counts[facts.counts["expected"] != UNKNOWN]
    classes = known[known["what"].isin(facts.classes)]
    counted = classes if len(classes) else known
    expected, found = counted["expected"].sum(), counted["found"].sum()
    if found < expected:
        return "unpack what is still packed; "
    return "is it a later edition, or two copies? " if found > expected else ""


def _copies(facts: Facts) -> Iterator[Finding]:
    labels = dict(zip(facts.manifest["clip_id"], facts.manifest["label"], strict=True))
    groups: dict[str, list[str]] = {}
    for group in facts.copies:
        several = len({labels.get(name) for name in group}) > 1
        what = "the same files under two labels" if several else "the same files twice"
        named = " = ".join(f"{name} ({labels.get(name, '?')})" for name in group)
        groups.setdefault(what, []).append(named)
    for what in sorted(groups, reverse=True):  # two labels first
        count = plural(len(groups[what]), "group of clips", "groups of clips")
        do = f"put all but the right one of each group into {EXCLUDE_FILE}"
        yield Finding("look", f"{count} with {what}", do, tuple(groups[what]))
    if facts.shared and not facts.copies:
        images = plural(facts.shared, "image stands", "images stand")
        yield Finding("note", f"{images} in several clips, byte by byte")


def _repeats(facts: Facts) -> Iterator[Finding]:
    """Pictures that stand twice in one clip: films hold one, a frame may also have been lost."""
    if facts.repeats:
        yield Finding(
            "note",
            f"{plural(len(facts.repeats), 'clip has', 'clips have')} the same picture twice, byte "
            "by byte",
            "films hold a picture; in a camera's recording one file has overwritten another",
            facts.repeats,
        )


def _twins(facts: Facts) -> Iterator[Finding]:
    """Near-duplicates that are no exact copies of each other, those that belong together in one."""
    exact = {name: number for number, names in enumerate(facts.copies) for name in names}
    for apart, what, do in (
        ("labels", "have different labels", f"find the right label, put the other clip into "
         f"{EXCLUDE_FILE}"),
        ("folds", "lie in different folds, so that a test clip may have been trained on",
         f"put all but one of each group into {EXCLUDE_FILE}"),
        ("", "are in one fold", ""),
    ):  # fmt: skip
        chosen = facts.twins[facts.twins["apart"] == apart] if len(facts.twins) else facts.twins
        pairs = [
            (first, second)
            for first, second in zip(chosen["first"], chosen["second"], strict=True)
            if exact.get(first, first) != exact.get(second, second)
        ]
        if pairs:
            groups = group_pairs(pairs)
            yield Finding(
                "look" if apart else "note",
                f"{plural(len(groups), 'group')} of near-duplicate clips {what}",
                do,
                tuple(" ~ ".join(names) for names in groups),
            )


def group_pairs(pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Names that pairs connect, in groups, in the order in which they come."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    place = {name: at for at, name in enumerate(names)}
    ends = np.array([[place[name] for name in pair] for pair in pairs])
    links = coo_array((np.ones(len(ends)), ends.T), shape=(len(names),) * 2)
    labels = connected_components(links, directed=False)[1]
    return [[names[at] for at in np.flatnonzero(labels == one)] for one in range(labels.max() + 1)]


def _faces(facts: Facts) -> Iterator[Finding]:
    """What was odd about frames and crops, clips with the same words in one finding."""
    clips = len(facts.manifest)
    groups: dict[str, dict[str, str]] = {}
    for name, text in facts.notes.items():
        for part in text.split("; "):
            groups.setdefault(re.sub(r"\d[\d.]*", "n", part), {})[name] = part
    for words, same in sorted(groups.items(), key=lambda item: -len(item[1]))[:SHOWN]:
        several = len(set(same.values())) > 1
        what = words.partition(":")[0] if several else next(iter(same.values()))
        yield Finding(
            "look",
            f"{len(same)} of {plural(clips, 'clip')}: {what}",
            "look at the pictures below; the clips stay in the count unless "
            f"{EXCLUDE_FILE} names them",
            tuple(f"{name}: {text}" if several else name for name, text in same.items()),
        )


def _subjects(facts: Facts) -> Iterator[Finding]:
    names = facts.manifest["subject"].unique()
    if len(names) == len(facts.manifest) > 0:
        yield Finding(
            "note",
            "nobody knows who is shown: every clip counts as a person of its own",
            "the same person may be in the training and in the test part; a table with subjects "
            "avoids that" if facts.dataset == "folder" else "",
        )  # fmt: skip
        return
    for spelt in same_names(names):
        yield Finding(
            "stop",
            f"subjects {', '.join(spelt)} look like one person",
            "spell a person in one way: training and test part share a face otherwise",
        )


def same_names(names: Sequence[str]) -> list[list[str]]:
    """Groups of names that differ only in case, blanks, signs or leading zeros, of any script."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(letters(str(name)) or str(name), []).append(str(name))
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _folds(facts: Facts) -> Iterator[Finding]:
    if facts.leaks:
        yield Finding(
            "stop",
            "a subject is in two parts of a fold: what is tested was trained on",
            "use the folds by subject (use_official=False), or correct the subjects",
            facts.leaks,
        )
    lacking = lacking_classes(facts.folds, facts.classes)
    if lacking:
        yield Finding(
            "note",
            "not every fold tests every class",
            "take the recall over all folds together, as the tables here do",
            tuple(f"fold {fold}: no {', '.join(names)}" for fold, names in lacking.items()),
        )


def lacking_classes(folds: pd.DataFrame, classes: Sequence[str]) -> Mapping[int, list[str]]:
    """Classes without a test clip by fold, for the folds that lack any."""
    found = {
        int(row["fold"]): [name for name in classes if not row[name]]
        for row in folds.to_dict("records")
    }
    return {fold: names for fold, names in found.items() if names}


def _oddities(facts: Facts) -> Iterator[Finding]:
    if facts.problems:
        count = plural(len(facts.problems), "oddity", "oddities")
        what = f"{count} of the files, which stop nothing"
        do = "read them once: some say that clips or frames are left out"
        yield Finding("note", what, do, facts.problems)
    if facts.excluded:
        count = plural(len(facts.excluded), "clip is", "clips are")
        what = f"{count} left out, as you asked"
        yield Finding("note", what, "", facts.excluded)
