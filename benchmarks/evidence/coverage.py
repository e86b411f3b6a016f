"""How often the paired tests reject a true null, and the intervals hold the true value.

    python benchmarks/evidence/coverage.py                    # the stored table, minutes of a core
    python benchmarks/evidence/coverage.py --replicates 400   # a look

The design was fixed before any of it was run: 80 or 10 persons; every person one clip of each of
six classes, or persons of 1 to 30 clips and classes as unequal as those of CK+; intraclass
correlation 0, .1 or .3; accuracy .75 or .95. A person's chance of being right is drawn from a beta
law with that mean and correlation, for each model anew: two models are equally good over persons,
and not alike on one person, which is the hardest null. All replicates of a cell are one array.

Keeps results/evidence/coverage.csv (one row per cell, statistic and metric) and coverage.json
(design and provenance). A test `holds` where it rejects at most 6 % (at a nominal 5 %), an interval
where it covers 93 to 97 % (of a nominal 95 %).
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom, chi2
from scipy.stats import t as student

from dferlib.evidence.intervals import METHODS, interval
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_csv, write_json

PERSONS, BALANCED, CORRELATION, ACCURACY = (80, 10), (True, False), (0.0, 0.1, 0.3), (0.75, 0.95)
CLASS_SHARES = np.array([45, 59, 25, 69, 28, 83]) / 309  # CK+ without contempt
CLIPS_EACH = 6  # of a person, on average
NOMINAL, MOST, COVERS = 0.05, 0.06, (0.93, 0.97)
SLACK = 1e-9  # ends that equal the true value on paper


def class_sizes(persons: int, balanced: bool) -> np.ndarray:
    """Return clips of each person and class (U, K), the same in all replicates."""
    classes = len(CLASS_SHARES)
    if balanced:
        return np.ones((persons, classes), dtype=int)
    ranks = (np.arange(persons) + 0.5) / persons
    clips = np.maximum(1, np.rint(-CLIPS_EACH * np.log1p(-ranks)).astype(int))
    pool = np.repeat(np.arange(classes), np.rint(CLASS_SHARES * clips.sum()).astype(int) + 1)
    labels = np.random.default_rng(1).permutation(pool)[: clips.sum()]
    owners = np.repeat(np.arange(persons), clips)
    sizes = np.zeros((persons, classes), dtype=int)
    np.add.at(sizes, (owners, labels), 1)
    return sizes


def draw_clips(
    rng: np.random.Generator, sizes: np.ndarray, correlation: float, accuracy: float, count: int
) -> np.ndarray:
    """Return right answers (R, N) of one model; clips lie person by person, class by class."""
    persons = len(sizes)
    chance = np.full((count, persons), accuracy)
    if correlation:
        scale = 1 / correlation - 1
        chance = rng.beta(accuracy * scale, (1 - accuracy) * scale, (count, persons))
    each = np.repeat(chance, sizes.sum(1), axis=1)
    return (rng.random(each.shape) < each).astype(np.float32)


def levels(
    rng: np.random.Generator, steps: np.ndarray, sizes: np.ndarray, draws: int
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield test, metric and its p (R,) for steps (R, N): second minus first, clip by clip."""
    persons, classes = sizes.shape
    owner = np.repeat(np.arange(persons), sizes.sum(1))
    label = np.tile(np.arange(classes), persons).repeat(sizes.ravel())
    person = np.eye(persons, dtype=np.float32)[owner]
    better, worse = (steps > 0).sum(1), (steps < 0).sum(1)
    effects = {"war": steps @ person}
    effects["uar"] = (steps / sizes.sum(0)[label]) @ person
    either = better + worse
    p = np.minimum(1, 2 * binom.cdf(np.minimum(better, worse), either, 0.5))
    yield "mcnemar", "war", p
    mid = p - binom.pmf(better, either, 0.5) * (better != worse)
    yield "mcnemar mid-p", "war", np.where(either > 0, mid, 1.0)
    squares, total = (effects["war"] ** 2).sum(1), effects["war"].sum(1)
    ratio = np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)
    yield "obuchowski", "war", chi2.sf(ratio * (persons - 1) / persons, 1)
    for metric, values in effects.items():
        yield "sign flip", metric, flip(rng, values, draws)
        spread = values.std(1, ddof=1) * persons**0.5
        t = np.divide(values.sum(1), spread, out=np.zeros(len(values)), where=spread > 0)
        yield "t over persons", metric, 2 * student.sf(np.abs(t), persons - 1)
    yield "bootstrap over clips", "uar", bootstrap_p(rng, steps, label, draws)


def flip(rng: np.random.Generator, effects: np.ndarray, draws: int) -> np.ndarray:
    """Return the sign-flip p (R,) of effects (R, U); all patterns where they are few."""
    persons = effects.shape[1]
    every = persons <= 10
    if every:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=persons)))
    else:
        signs = rng.integers(0, 2, (draws, persons)) * 2.0 - 1
    beyond = np.zeros(len(effects))
    limit = np.abs(effects.sum(1)) - 1e-6
    for part in np.array_split(signs, 4):
        beyond += (np.abs(effects @ part.T) >= limit[:, None]).sum(1)
    return beyond / len(signs) if every else (beyond + 1) / (len(signs) + 1)


def bootstrap_p(
    rng: np.random.Generator, steps: np.ndarray, label: np.ndarray, draws: int
) -> np.ndarray:
    """Return the p (R,) of `stats.uar_difference`, for all replicates at once."""
    total = np.zeros((draws, len(steps)))
    for k in np.unique(label):
        part = steps[:, label == k]
        shares = np.stack([(part == s).mean(1) for s in (-1, 0, 1)], 1).astype(float)
        shares /= shares.sum(1, keepdims=True)
        drawn = rng.multinomial(part.shape[1], shares, size=(draws, len(steps)))
        total += (drawn[..., 2] - drawn[..., 0]) / part.shape[1]
    tail = np.minimum((total <= SLACK).sum(0), (total >= -SLACK).sum(0))
    return np.minimum(1, 2 * (tail + 1) / (draws + 1))


def coverage(
    right: np.ndarray, sizes: np.ndarray, accuracy: float, draws: int
) -> Iterator[tuple[str, str, float, float]]:
    """Yield method, metric, share of intervals that hold the true value, and their mean width."""
    persons, classes = sizes.shape
    cell = np.eye(persons * classes, dtype=np.float32)
    cell = cell[np.repeat(np.arange(persons * classes), sizes.ravel())]
    hits = (right @ cell).reshape(len(right), persons, classes).astype(float)
    for metric, method in itertools.product(("war", "uar"), METHODS):
        low, high = interval(hits, sizes, metric, method, resamples=draws)
        holds = (low <= accuracy + SLACK) & (high >= accuracy - SLACK)
        yield method, metric, float(holds.mean()), float((high - low).mean())


def run_cell(
    persons: int, balanced: bool, correlation: float, accuracy: float, replicates: int, draws: int
) -> list[dict]:
    """Return the rows of one cell of the design."""
    sizes = class_sizes(persons, balanced)
    key = [persons, int(balanced), round(10 * correlation), round(100 * accuracy)]
    rng = np.random.default_rng(key)
    first, second = (
        draw_clips(rng, sizes, correlation, accuracy, replicates) for _ in ("first", "second")
    )
    cell = {"persons": persons, "balanced": balanced, "clips": int(sizes.sum())}
    cell |= {"correlation": correlation, "accuracy": accuracy}
    rows = []
    for name, metric, p in levels(rng, second - first, sizes, draws):
        level = float((p <= NOMINAL).mean())
        row = {"kind": "test", "name": name, "metric": metric, "value": level, "width": np.nan}
        rows.append({**cell, **row, "holds": level <= MOST})
    for name, metric, share, width in coverage(first, sizes, accuracy, draws):
        row = {"kind": "interval", "name": name, "metric": metric, "value": share, "width": width}
        rows.append({**cell, **row, "holds": COVERS[0] <= share <= COVERS[1]})
    return rows


def main() -> None:
    """Run the design and store its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=4000)
    parser.add_argument("--draws", type=int, default=499, help="resamples and sign patterns")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    folder = options.out or project_root() / "results" / "evidence"
    started, rows = time.perf_counter(), []
    for cell in itertools.product(PERSONS, BALANCED, CORRELATION, ACCURACY):
        rows += run_cell(*cell, options.replicates, options.draws)
        print(f"{cell}: {time.perf_counter() - started:.0f} s", flush=True)
    table = pd.DataFrame(rows).round({"value": 4, "width": 4})
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "coverage.csv", table)
    design = {"persons": PERSONS, "balanced": BALANCED, "correlation": CORRELATION}
    design |= {"accuracy": ACCURACY, "classes": len(CLASS_SHARES), "nominal": NOMINAL}
    design |= {"replicates": options.replicates, "draws": options.draws}
    seconds = round(time.perf_counter() - started, 1)
    record = {"design": design, "seconds": seconds, "provenance": provenance()}
    write_json(folder / "coverage.json", record)
    print(table.groupby(["kind", "name", "metric"])["value"].agg(["min", "median", "max"]))


if __name__ == "__main__":
    main()
