"""The page of costs: what the full protocols take by counting, and what stored runs took.

Written from what `dferlib.analysis.full_cost` counts and from the records below `results/`, never
by hand: `python -m dferlib.sweep costs`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from dferlib.analysis import full_cost
from dferlib.files import write_atomic, write_csv
from dferlib.protocols import list_protocols, load_protocol
from dferlib.protocols.presets import HOUR_TFLOPS

TABLES = ("protocols", "growth", "measured")
INTRODUCTION = f"""# What the papers' full protocols cost

Made by `python -m dferlib.sweep costs`, from counted operations and from the records of stored
runs. Hours on a card are **an assumption and not measured**: one H100-class card that sustains
{HOUR_TFLOPS} TFLOP/s in bf16 on these networks (`HOUR_TFLOPS`). A MAC is two operations, a training
step {full_cost.STEP} forward passes; every epoch tests all clips of its fold. Clips and their
lengths are those of the whole stand-ins, made after the real datasets' counts. One seed."""
FULL = """## The full protocols

`runs` are the rows of the paper's tables that can be run, times its folds. `one run` is the paper's
own network; memory is what the tensors of a step take in float32 at the paper's batch size, without
what kernels need on top; the store holds the frames of the whole dataset at the paper's size."""
GROWTH = """## How cost grows

By clips: in proportion, both the steps and the store. By frames and by resolution, of the paper's
own network, when either is doubled; a dash where a network takes one length only. Disk grows with
the square of the resolution, and with all frames of the clips, not with those that a network reads.
"""
MEASURED = """## What stored runs took

Medians over the runs of a folder, quick preset unless its name says otherwise, at the batch size
and input of that preset; `GFLOP/s` is counted operations over measured seconds, testing included.
Memory is the peak of the process, which earlier runs may have set. Counted are the runs that were
stored when this page was made."""


def write_page(folder: Path) -> Path:
    """Write README.md, protocols.csv, growth.csv and measured.csv below a folder; returns the page.

    Counting takes about a minute: every network of every paper at full size, without values. The
    page is made of what the tables hold as they are written, so that it can be made of them again.
    """
    slugs = list_protocols()
    tables = {
        "protocols": pd.concat([full_cost.protocol_costs(slug) for slug in slugs]),
        "growth": pd.concat([full_cost.growth(slug) for slug in slugs]),
        "measured": measured(folder.parent),
    }
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table)
    text = page(**read_tables(folder))
    return write_atomic(folder / "README.md", lambda file: file.write(text), mode="w")


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables below a folder that `page` takes."""
    return {name: pd.read_csv(folder / f"{name}.csv") for name in TABLES}


def measured(results: Path) -> pd.DataFrame:
    """What the stored runs of every folder of a results folder took, by paper and dataset.

    Columns paper, dataset, preset, runs, seconds and gflops (medians), memory (MB, most), device.
    """
    rows = []
    for slug in list_protocols():
        for folder in sorted((results / slug).glob("*-*-*")):
            records = [
                json.loads(path.read_text(encoding="utf-8"))
                for path in sorted((folder / "runs").glob("*.json"))
            ]
            if records:
                rows.append(_measured(slug, folder.name, records))
    columns = ["paper", "dataset", "runs", "seconds", "gflops", "memory", "device"]
    return pd.DataFrame(rows, columns=columns)


def _measured(slug: str, name: str, records: list[dict]) -> dict:
    rates = []
    for record in records:
        recipe = load_protocol(slug).restore(record["protocol"])
        size = full_cost.size_of(*full_cost.what_of(recipe, len(record["classes"])))
        sizes = record["sizes"]
        tested = sizes["val"] + sizes["test"]
        spent = full_cost.operations_of(recipe, size.macs, sizes["train"], tested)
        rates.append(spent / max(record["seconds"], 0.1) / 1e9)
    seconds = pd.Series([record["seconds"] for record in records])
    first = records[0]
    where = first["provenance"]["processor"]
    return {
        "paper": slug,
        "dataset": name,
        "runs": len(records),
        "seconds": seconds.median(),
        "gflops": pd.Series(rates).median(),
        "memory": max(record["peak_memory_mb"] for record in records),
        "device": where if first["device"]["type"] == "cpu" else first["device"]["name"],
    }


def page(protocols: pd.DataFrame, growth: pd.DataFrame, measured: pd.DataFrame) -> str:
    """The page as Markdown."""
    full = [
        (
            row.paper,
            row.dataset,
            f"{row.clips:,}",
            f"{row.rows} x {row.folds}",
            row.runs,
            f"{row.macs / 1e9:.2f}",
            f"{row.run_operations / 1e15:.1f}",
            f"{row.run_gpu_hours:.2f}",
            f"{row.gpu_hours:.1f}",
            f"{row.memory / 1e9:.1f}",
            f"{row.store / 1e9:.1f}",
        )
        for row in protocols.itertuples()
    ]
    heads = "paper|dataset|clips|rows x folds|runs|GMAC a clip|one run, PFLOP|one run, GPU h"
    heads += "|all runs, GPU h|step, GB|store, GB"
    grown = [
        (row.paper, row.what, f"{row.low} to {row.high}", _times(row.times), _times(row.memory))
        for row in growth.itertuples()
    ]
    took = [
        (row.paper, row.dataset, row.runs, f"{row.seconds:.0f}", f"{row.gflops:.1f}", row.memory,
         row.device)
        for row in measured.itertuples()
    ]  # fmt: skip
    total = f"All of it: {protocols['runs'].sum():,} runs, {protocols['gpu_hours'].sum():,.0f} GPU "
    total += "hours a seed."
    parts = [
        INTRODUCTION,
        FULL,
        _table(heads.split("|"), full),
        total,
        GROWTH,
        _table(["paper", "doubled", "from, to", "operations", "memory of a step"], grown),
        MEASURED,
        _table(["paper", "folder", "runs", "s a run", "GFLOP/s", "MB", "machine"], took)
        if took
        else "*not measured*: no runs are stored.",
        "On a GPU: *not measured* where no machine above is one.",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _times(value: float) -> str:
    return f"{value:.2f} times" if value == value else "-"


def _table(heads: list[str], rows: Iterable[tuple]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
