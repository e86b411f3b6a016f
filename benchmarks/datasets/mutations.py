"""What the readers make of damaged trees: refused by name, counted, or read as if whole.

    python benchmarks/datasets/mutations.py              # 1,000 trees and a few over all readers
    python benchmarks/datasets/mutations.py --cases 2000 --datasets ckplus mmi

Each tree is a small one in a dataset's exact layout, damaged in one or two of the ways that
`tests/mutations.py` lists, by a seed that is the dataset's number and the case's. Its manifest is
read, it is checked, and its frame store is filled, in a process with a limit on memory that is
watched for hanging, by seconds of a core, and for writing outside its cache.

named error  the manifest or the store is refused with a DatasetError or a StoreError
counted      the store is filled, and clips are left out, or the report says what is odd
unaffected   the same clips and the same report as without the damage: read as if whole
failed       anything else: a crash, a hang, another error, too much time or memory, clips lost
             without a word, a write outside the cache

Of those read as if whole, `silent` counts the trees whose labels, order, number of frames or pixels
differ from the whole tree's; all of them are listed. Where only the counts of a whole copy would
tell, which a small tree never has, it says so.

The record goes to results/robustness/mutations.json and is written after every dataset. What came
of each tree is kept beside it until all 1,008 are read, so that a run that was stopped goes on, and
one with fewer cases grows. Twenty cases of each dataset have every kind of damage once; what is
less than the whole is a sample, and goes to mutations-sample.json.
`--faces detector=haar` takes a third of the time; only how faces are found differs.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tqdm.auto import tqdm

from dferlib.datasets import list_datasets
from dferlib.datasets.standins import trees
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json

# ahead of this folder, whose file has the name of the one with the damages
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import damaged_trees
from damaged_trees import silent_differences

PARTS = ("manifest", "check", "store")
OUTCOMES = ("named error", "counted", "unaffected", "failed")
WHOLE = 112  # trees of each dataset, 1,008 in all; with fewer the record is a sample


class Journal:
    """What came of each tree so far, by dataset and case; a line a tree in a file."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.found = path, {}
        lines = path.read_text().splitlines() if path.is_file() else []
        if lines and lines[0] == key:
            for line in lines[1:]:
                with suppress(ValueError):  # torn by a kill
                    dataset, case, row = json.loads(line)
                    self.found[dataset, case] = row
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{key}\n")

    def add(self, dataset: str, case: int, row: dict) -> None:
        """Keep what came of a tree."""
        self.found[dataset, case] = row
        with self.path.open("a") as file:
            file.write(f"{json.dumps([dataset, case, row])}\n")


def measure(dataset: str, cases: int, place: Path, faces: str, done: Journal) -> dict:
    """Counts of what came of the damaged trees of one dataset."""
    tree, home = place / f"tree-{dataset}", place / f"home-{dataset}"
    home.mkdir()
    if left := [case for case in range(cases) if (dataset, case) not in done.found]:
        write = getattr(trees, f"write_{dataset}")
        write(tree, subjects=damaged_trees.SUBJECTS.get(dataset, 2))
        reader = damaged_trees.Reader(home)
        clean = reader.read(dataset, tree, place / f"cache-{dataset}", faces)
        for case in tqdm(left, desc=dataset, unit="tree", leave=False):
            row = look(reader, dataset, case, (tree, place / "case"), faces, clean)
            done.add(dataset, case, row)
            if row["why"]:
                reader.end()
                reader = damaged_trees.Reader(home)
        reader.end()
    return summarise([done.found[dataset, case] for case in range(cases)])


def look(
    reader: damaged_trees.Reader,
    dataset: str,
    case: int,
    places: tuple[Path, Path],
    faces: str,
    clean: dict,
) -> dict:
    """What came of one damaged tree."""
    kinds, answer = damaged_trees.show(reader, dataset, case, *places, faces)
    row = {"case": case, "damage": kinds, "why": "", "differ": [], "seconds": 0.0, "peak_kb": 0}
    try:
        damaged_trees.judge(answer, clean["manifest"]["ok"], kinds)
        row["came"] = damaged_trees.outcome(answer, clean)
        if row["came"] == "unaffected":
            row["differ"] = silent_differences(answer, clean)
    except AssertionError as error:
        row |= {"came": "failed", "why": str(error)[:500]}
    if "failed" not in answer:
        row["seconds"] = max(answer[part]["seconds"] for part in PARTS)
        row["peak_kb"] = answer["peak_kb"]
    return row


def summarise(rows: list[dict]) -> dict:
    """Counts over the trees of one dataset, and the lists of those that matter."""
    outcomes = Counter(row["came"] for row in rows)
    ways: dict[str, Counter[str]] = {}
    for row in rows:
        for way in row["damage"]:
            ways.setdefault(way, Counter())[row["came"]] += 1
    silent = [row for row in rows if row["differ"]]
    return {
        "cases": len(rows),
        **{name: outcomes[name] for name in OUTCOMES},
        "silent": len(silent),
        "most_seconds": round(max(row["seconds"] for row in rows), 2),
        "peak_mb": round(max(row["peak_kb"] for row in rows) / 1024),
        "failures": pick(rows, "why"),
        "silent_differences": pick(rows, "differ"),
        "by_damage": {way: dict(sorted(ways[way].items())) for way in sorted(ways)},
    }


def pick(rows: list[dict], what: str) -> list[dict]:
    """Case, damage and `what` of the trees that have any."""
    return [{name: row[name] for name in ("case", "damage", what)} for row in rows if row[what]]


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000, help="trees in all, at least")
    parser.add_argument("--datasets", nargs="+", default=list_datasets(), choices=list_datasets())
    parser.add_argument("--faces", default="", help="how faces are found, such as detector=haar")
    parser.add_argument("--out", type=Path, help="default: results/robustness in the project")
    chosen = parser.parse_args()
    made_by, rows = provenance(), {}
    cases = -(-chosen.cases // len(chosen.datasets))
    folder = chosen.out or (project_root() or Path()) / "results" / "robustness"
    limits = {"seconds": damaged_trees.MOST_SECONDS, "peak_kb": damaged_trees.MOST_PEAK}
    done = Journal(folder / "mutations.jsonl", f"{made_by['git_commit']} {chosen.faces}")
    with tempfile.TemporaryDirectory() as place:
        for dataset in chosen.datasets:
            row = rows[dataset] = measure(dataset, cases, Path(place), chosen.faces, done)
            print(dataset, "  ".join(f"{k} {row[k]}" for k in list(row)[:8]), flush=True)
            for one in (*row["silent_differences"], *row["failures"]):
                print(f"  {one}", flush=True)
            names = ("cases", *OUTCOMES, "silent")
            total = {name: sum(one[name] for one in rows.values()) for name in names}
            kinds = Counter(
                f"{' + '.join(one['damage'])}: {', '.join(one['differ'])}"
                for row in rows.values()
                for one in row["silent_differences"]
            )
            said = {"faces": chosen.faces or "each reader's own", "whole": cases >= WHOLE}
            record = {"total": total, "silent_by_kind": dict(sorted(kinds.items())), **said}
            record |= {"limits": limits, "datasets": rows, "provenance": made_by}
            name = "mutations" if cases >= WHOLE else "mutations-sample"
            write_json(folder / f"{name}.json", record)
    if cases >= WHOLE:
        done.path.unlink()
    print("all", "  ".join(f"{name} {count}" for name, count in total.items()))


if __name__ == "__main__":
    main()
