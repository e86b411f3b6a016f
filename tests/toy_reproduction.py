"""Runs on "real" data that no licence covers: ids are made up, and easy to search for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from dferlib.evidence.runs import run_id, save_run
from dferlib.protocols import load_protocol
from dferlib.protocols.paper import Extent

SECRET = "/vault/of mine/Jane Roe/secret.pth"


def make_runs(
    *,
    subjects: int = 80,
    dataset: str = "oulu",
    rows: tuple[str, ...] = ("baseline", "stcam"),
    seeds: tuple[int, ...] = (0,),
    folds: tuple[int, ...] = tuple(range(1, 11)),
    chance: int = 0,
) -> Iterator[tuple[dict, pd.DataFrame]]:
    """Yield records and predictions of STCAM's preset `paper`: a clip per subject and class."""
    paper = load_protocol("stcam")
    classes = paper.classes[dataset]
    people = [f"PERSON{k:03d}" for k in range(subjects)]
    everyone = [(f"CLIP-{p}-{c}", p, k) for p in people for k, c in enumerate(classes)]
    clips = pd.DataFrame(everyone, columns=["clip_id", "subject", "y_true"])
    clips["fold"] = clips["subject"].map({p: k % 10 + 1 for k, p in enumerate(people)})
    rng = np.random.default_rng(chance)
    for row in rows:
        recipe = paper.resolve("paper", dataset, row, Extent(len(clips)))
        for fold in folds:
            for seed in seeds:
                part = clips[clips["fold"] == fold].reset_index(drop=True)
                p = rng.dirichlet(np.ones(len(classes)), len(part))
                p[np.arange(len(part)), part["y_true"]] += rng.random(len(part))
                p /= p.sum(1, keepdims=True)
                table = part.assign(select="last", y_pred=p.argmax(1))
                table = table.assign(**{f"p_{k}": p[:, k] for k in range(len(classes))})
                of = {"dataset": dataset, "variant": row, "fold": fold, "seed": seed}
                sizes = {"train": len(clips) - len(part), "val": 0, "test": len(part)}
                yield make_record(of, classes, dataclasses.asdict(recipe), sizes), table


def make_record(of: dict, classes: tuple[str, ...], protocol: dict, sizes: dict) -> dict:
    """Return the record of a run, with something private wherever a name can stand."""
    return {
        "run_id": run_id(of["variant"], of["fold"], of["seed"], sizes),
        "paper": "stcam",
        "source": "real",
        "preset": "paper",
        **of,
        "classes": classes,
        "protocol": protocol,
        "manifest_hash": "0123456789ab",
        "fingerprint": "abcdef012345",
        "init": {"name": SECRET, "sha256": "f" * 64},
        "sizes": sizes,
        "history": [{"epoch": 1, "note": SECRET}],
        "device": {"type": "cpu", "name": "Jane Roe's machine"},
        "provenance": {
            "time_utc": f"2026-01-{of['fold']:02d}T00:00:00Z",
            "git_commit": "a" * 40,
            "git_dirty": False,
            "dferlib": "0.1.0",
            "python": "3.11.7",
            "platform": SECRET,
        },
    }


def write_runs(root: Path, **options) -> Path:
    """Write `make_runs` as finished runs, and return their folder."""
    for record, predictions in make_runs(**options):
        folder = root / "stcam" / f"{record['dataset']}-real-paper"
        save_run(folder, record, predictions)
    return folder


def as_tables(**options) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `make_runs` as predictions and records, as `load_runs` reads them."""
    runs = list(make_runs(**options))
    names = ("run_id", "variant", "seed", "dataset")
    tables = [p.assign(**{name: r[name] for name in names}) for r, p in runs]
    return pd.concat(tables, ignore_index=True), pd.DataFrame([record for record, _ in runs])
