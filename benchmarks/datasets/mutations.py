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

The record goes to results/robustness/mutations.json and is written after every dataset.
"""

import argparse
import sys
import tempfile
from collections import Counter
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


def measure(dataset: str, cases: int, place: Path) -> dict:
    """Counts of what came of the damaged trees of one dataset."""
    tree, home = place / f"tree-{dataset}", place / f"home-{dataset}"
    home.mkdir()
    write = getattr(trees, f"write_{dataset}")
    write(tree, subjects=damaged_trees.SUBJECTS.get(dataset, 2))
    reader = damaged_trees.Reader(home)
    clean = reader.read(dataset, tree, place / f"cache-{dataset}")
    outcomes: Counter[str] = Counter()
    ways: dict[str, Counter[str]] = {}
    failures, silent, seconds, peak = [], [], 0.0, 0
    for case in tqdm(range(cases), desc=dataset, unit="tree", leave=False):
        done, answer = damaged_trees.show(reader, dataset, case, tree, place / "case")
        try:
            damaged_trees.judge(answer, clean["manifest"]["ok"], done)
            came = damaged_trees.outcome(answer, clean)
            if came == "unaffected" and (what := silent_differences(answer, clean)):
                silent.append({"case": case, "damage": done, "differ": what})
        except AssertionError as error:
            came = "failed"
            failures.append({"case": case, "damage": done, "why": str(error)[:500]})
        outcomes[came] += 1
        for way in done:
            ways.setdefault(way, Counter())[came] += 1
        if "failed" in answer:
            reader.end()
            reader = damaged_trees.Reader(home)
        else:
            seconds = max(seconds, *(answer[part]["seconds"] for part in PARTS))
            peak = max(peak, answer["peak_kb"])
    reader.end()
    return {
        "cases": cases,
        **{name: outcomes[name] for name in ("named error", "counted", "unaffected", "failed")},
        "silent": len(silent),
        "most_seconds": round(seconds, 2),
        "peak_mb": round(peak / 1024),
        "failures": failures,
        "silent_differences": silent,
        "by_damage": {way: dict(sorted(ways[way].items())) for way in sorted(ways)},
    }


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000, help="trees in all, at least")
    parser.add_argument("--datasets", nargs="+", default=list_datasets(), choices=list_datasets())
    parser.add_argument("--out", type=Path, help="default: results/robustness in the project")
    chosen = parser.parse_args()
    made_by, rows = provenance(), {}
    cases = -(-chosen.cases // len(chosen.datasets))
    folder = chosen.out or (project_root() or Path()) / "results" / "robustness"
    limits = {"seconds": damaged_trees.MOST_SECONDS, "peak_kb": damaged_trees.MOST_PEAK}
    with tempfile.TemporaryDirectory() as place:
        for dataset in chosen.datasets:
            row = rows[dataset] = measure(dataset, cases, Path(place))
            print(dataset, "  ".join(f"{k} {row[k]}" for k in list(row)[:8]), flush=True)
            for one in row["silent_differences"]:
                print(f"  silent: {one}", flush=True)
            for failure in row["failures"]:
                print(f"  {failure}", flush=True)
            names = ("cases", "named error", "counted", "unaffected", "failed", "silent")
            total = {name: sum(one[name] for one in rows.values()) for name in names}
            record = {"total": total, "limits": limits, "datasets": rows, "provenance": made_by}
            write_json(folder / "mutations.json", record)
    print("all", "  ".join(f"{name} {count}" for name, count in total.items()))


if __name__ == "__main__":
    main()
