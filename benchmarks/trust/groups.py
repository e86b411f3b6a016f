"""Accuracy by skin tone, age and sex of the procedural people, from the stored predictions.

    python -m benchmarks groups
    python -m benchmarks groups results/hacn/ckplus-synthetic-quick

Nothing is trained. All rows of a paper that were run answer for it: a clip that one of two rows
gets right is half right. Keeps results/trust/groups.csv.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from dferlib.datasets.standins.people import describe_people
from dferlib.datasets.standins.plans import STANDINS
from dferlib.evidence.groups import group_table
from dferlib.evidence.runs import load_runs
from dferlib.files import project_root, write_csv

TABLE = "groups.csv"
SOURCE = "-synthetic-"
FOLDERS = f"*/*{SOURCE}*"  # below results: those of today's protocols, not results/earlier


def groups_of(folder: Path) -> pd.DataFrame:
    """The table of one folder of runs, headed by paper, dataset, preset and number of rows.

    Empty for a dataset whose stand-in has a face for every clip: it has no person to tell of.
    """
    runs = load_runs(folder)
    dataset, _, preset = folder.name.partition(SOURCE)
    if not len(runs) or dataset not in STANDINS or STANDINS[dataset].wild:
        return pd.DataFrame()
    classes = tuple(runs.records["classes"].iloc[0])
    table = group_table(runs.predictions, describe_people(dataset), classes)
    rows = runs.records["variant"].nunique()
    head = {"paper": folder.parent.name, "dataset": dataset, "preset": preset, "rows": rows}
    return pd.concat([pd.DataFrame([head] * len(table)), table], axis=1)


def main(arguments: list[str] | None = None) -> int:
    """Write the table of all folders; 1 if none holds a run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, help="default: all below results")
    parser.add_argument("--out", type=Path, help="default: results/trust in the project")
    chosen = parser.parse_args(arguments)
    results = (project_root() or Path()) / "results"
    folders = [path.resolve() for path in chosen.folders] or sorted(results.glob(FOLDERS))
    tables = [table for table in map(groups_of, folders) if len(table)]
    if not tables:
        print("there is no run on a stand-in with persons to tell of")
        return 1
    table = pd.concat(tables, ignore_index=True)
    write_csv((chosen.out or results / "trust") / TABLE, table)
    print(table.round(3).to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
