"""Who shows what in each stand-in: the real sets' subjects, classes and counts, other ids.

A roster has one row per clip: clip_id, subject, label, split and `face`, the number of the
identity in the stand-in's own sequence. Counts are facts of the real sets; which subject shows
which expression is drawn from the stand-in's seed and copies nobody's list.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

ROSTER_COLUMNS = ("clip_id", "subject", "label", "split", "face")

# Lucey et al. 2010: labelled sequences a class, and how many subjects have how many of them.
CKPLUS_CLASSES = {
    "anger": 45,
    "contempt": 18,
    "disgust": 59,
    "fear": 25,
    "happiness": 69,
    "sadness": 28,
    "surprise": 83,
}
CKPLUS_SUBJECTS = {1: 21, 2: 22, 3: 47, 4: 20, 5: 7, 6: 1}
CKPLUS_ONLY_CONTEMPT = 12  # of them, so that six classes leave 309 sequences of 106 subjects
SHUFFLES = 20_000

MMI_CLASSES = {
    "anger": 33,
    "disgust": 32,
    "fear": 28,
    "happiness": 42,
    "sadness": 32,
    "surprise": 41,
}
MMI_SUBJECTS = 30

AFEW_SPLITS = {
    "train": {
        "anger": 133,
        "disgust": 74,
        "fear": 81,
        "happiness": 150,
        "neutral": 144,
        "sadness": 117,
        "surprise": 74,
    },
    "val": {
        "anger": 64,
        "disgust": 40,
        "fear": 46,
        "happiness": 63,
        "neutral": 63,
        "sadness": 61,
        "surprise": 46,
    },
}
# Clips of each class in the test part of the official folds 1 to 5.
DFEW_FOLDS = {
    "happiness": (489, 489, 489, 489, 489),
    "sadness": (379, 379, 379, 379, 378),
    "neutral": (534, 534, 534, 534, 533),
    "anger": (435, 435, 435, 434, 434),
    "surprise": (294, 294, 294, 294, 293),
    "disgust": (29, 29, 29, 29, 29),
    "fear": (181, 181, 180, 180, 180),
}
SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
STILL_SUBJECTS, CLIP_SUBJECTS = 600, 160  # of the pre-training set


def ckplus_roster(rng: np.random.Generator) -> pd.DataFrame:
    """327 sequences of 118 subjects, none with two of one emotion, 12 with contempt alone."""
    classes = list(CKPLUS_CLASSES)
    counts = [n for n, subjects in CKPLUS_SUBJECTS.items() for _ in range(subjects)]
    left = np.array(list(CKPLUS_CLASSES.values()))
    shown = np.zeros((len(counts), len(classes)), dtype=bool)
    contempt = classes.index("contempt")
    shown[:CKPLUS_ONLY_CONTEMPT, contempt] = True
    left[contempt] -= CKPLUS_ONLY_CONTEMPT
    free = np.arange(CKPLUS_ONLY_CONTEMPT, len(counts))
    for subject in free[::-1]:  # many sequences first, always of the classes with most left
        chosen = np.argsort(-left, kind="stable")[: counts[subject]]
        shown[subject, chosen] = True
        left[chosen] -= 1
    _mix(shown, free, rng)
    shown = shown[rng.permutation(len(shown))]
    # real ids have gaps, and end in S501 to S506, S895 and S999
    low = np.sort(rng.choice(np.arange(5, 160), size=len(shown) - 8, replace=False))
    ids = [f"S{n:03d}" for n in (*low, *range(501, 507), 895, 999)]
    rows = []
    for face, (subject, has) in enumerate(zip(ids, shown, strict=True)):
        for take, label in enumerate(np.flatnonzero(has), start=1):
            rows.append((f"{subject}/{take:03d}", subject, classes[label], "", face))
    return _frame(rows)


def _mix(shown: np.ndarray, subjects: np.ndarray, rng: np.random.Generator) -> None:
    """Swap classes between two subjects many times; no subject's or class's count changes."""
    for a, b in rng.choice(subjects, size=(SHUFFLES, 2)):
        only_a, only_b = np.flatnonzero(shown[a] & ~shown[b]), np.flatnonzero(shown[b] & ~shown[a])
        if len(only_a) and len(only_b):
            x, y = rng.choice(only_a), rng.choice(only_b)
            shown[[a, b], [x, y]], shown[[a, b], [y, x]] = False, True


def oulu_roster(rng: np.random.Generator) -> pd.DataFrame:
    """480 sequences: each of 80 subjects with each of six expressions."""
    return _everyone([f"P{n:03d}" for n in range(1, 81)], SIX)


def bu4dfe_roster(rng: np.random.Generator) -> pd.DataFrame:
    """606 sequences: each of 58 + 43 subjects with each of six expressions."""
    women, men = (f"F{n:03d}" for n in range(1, 59)), (f"M{n:03d}" for n in range(1, 44))
    return _everyone([*women, *men], SIX)


def mmi_roster(rng: np.random.Generator) -> pd.DataFrame:
    """208 sequences of 30 subjects, dealt out class after class, so that each has six or seven."""
    ids = np.sort(rng.choice(np.arange(1, 56), size=MMI_SUBJECTS, replace=False))
    deck = [label for label, count in MMI_CLASSES.items() for _ in range(count)]
    seats = rng.permutation(MMI_SUBJECTS)
    rows = [(int(seats[i % MMI_SUBJECTS]), label) for i, label in enumerate(deck)]
    rows.sort(key=lambda row: row[0])
    return _frame(
        (f"S{ids[face]:03d}-{take:03d}", f"S{ids[face]:03d}", label, "", face)
        for take, (face, label) in enumerate(rows, start=1)
    )


def afew_roster(rng: np.random.Generator) -> pd.DataFrame:
    """773 clips to train on and 383 to validate on, ids of nine digits; everybody appears once."""
    total = sum(sum(classes.values()) for classes in AFEW_SPLITS.values())
    ids = iter(rng.choice(55_000_000, size=total, replace=False))
    rows = [
        (f"{split}/{next(ids):09d}", label, split)
        for split, classes in AFEW_SPLITS.items()
        for label, count in classes.items()
        for _ in range(count)
    ]
    return _everybody_once(rows)


def dfew_roster(rng: np.random.Generator) -> pd.DataFrame:
    """11,697 clips in five folds, each a block of ascending ids within a class, as in the real set.

    `split` is the fold in which a clip is tested, as text.
    """
    labels = [label for label, folds in DFEW_FOLDS.items() for _ in range(sum(folds))]
    labels = rng.permutation(labels)
    folds = {
        label: iter([fold for fold, count in enumerate(counts, start=1) for _ in range(count)])
        for label, counts in DFEW_FOLDS.items()
    }
    return _everybody_once(
        (f"{number:05d}", str(label), str(next(folds[label])))
        for number, label in enumerate(labels, start=1)
    )


def pretraining_roster(rng: np.random.Generator) -> pd.DataFrame:
    """Every expression once by everybody: 600 people in stills and 160 others in clips."""
    labels = (*CKPLUS_CLASSES, "neutral")
    stills = _everyone([f"still{n:03d}" for n in range(1, STILL_SUBJECTS + 1)], labels, "still")
    clips = _everyone([f"clip{n:03d}" for n in range(1, CLIP_SUBJECTS + 1)], labels, "clip")
    clips["face"] += STILL_SUBJECTS
    return pd.concat([stills, clips], ignore_index=True)


def _everyone(subjects: list[str], labels: tuple[str, ...], split: str = "") -> pd.DataFrame:
    return _frame(
        (f"{subject}/{label}", subject, label, split, face)
        for face, subject in enumerate(subjects)
        for label in labels
    )


def _everybody_once(rows: Iterable[tuple]) -> pd.DataFrame:
    """Films: nobody knows the subjects, so each clip has a face of its own, named as the clip."""
    return _frame(
        (clip, clip, label, split, face) for face, (clip, label, split) in enumerate(rows)
    )


def _frame(rows: Iterable[tuple]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(ROSTER_COLUMNS))


def keep_subjects(roster: pd.DataFrame, fraction: float, least: int, seed: int) -> np.ndarray:
    """Rows of a share of the subjects, at least `least`, classes and splits in full proportion.

    Subjects join one by one, each time the one that brings the classes nearest to their shares, so
    a smaller fraction is part of every larger one.
    """
    table = pd.crosstab(roster["subject"], [roster["split"], roster["label"]])
    wanted = max(least, round(fraction * len(table)))
    if wanted >= len(table):
        return np.arange(len(roster))
    table = table.iloc[np.random.default_rng(seed).permutation(len(table))]
    counts, names = table.to_numpy(), table.index.to_numpy()
    mean, kept, free = counts.mean(axis=0), [], np.ones(len(table), dtype=bool)
    total = np.zeros(counts.shape[1])
    for number in range(1, wanted + 1):
        # in units of what a class has, so that a rare one counts as much
        miss = (((total + counts - number * mean) / mean) ** 2).sum(axis=1)
        best = int(np.argmin(np.where(free, miss, np.inf)))
        free[best], total = False, total + counts[best]
        kept.append(names[best])
    return np.flatnonzero(roster["subject"].isin(kept))


def keep_clips(roster: pd.DataFrame, fraction: float, seed: int) -> np.ndarray:
    """Rows of a share of the clips of every class in every split, at least one of each."""
    order = np.random.default_rng(seed).permutation(len(roster))
    shuffled = roster.iloc[order]
    groups = shuffled.groupby(["split", "label"], sort=False)
    rank = groups.cumcount() + 1
    size = groups["label"].transform("size")
    return np.sort(order[(rank <= np.maximum(1, (fraction * size).round())).to_numpy()])
