"""STCAM against a CNN on the peak frame, on a small tree written for the occasion.

    python benchmarks/training/unseen_trees.py oulu --seed 44 --subjects 15 --layout nested

A tree in the owner's layout is written with procedural faces of this seed, read with source "real"
as a licence holder's copy would be, and STCAM is trained on it at quick in every fold. The same
folds, steps and schedule train the single-frame CNN of `dferlib.training.single_frame`, from random
weights and from weights pre-trained as STCAM's were. In these trees the peak frame shows the whole
expression, so a sequence has little to add. Entries go to results/robustness/unseen-trees.json; a
tree that is measured again replaces its old entry. The passes of quick over few clips were
introduced after a broken-off copy of the tree of CK+ with seed 7 had been seen; the other trees had
no part in that.
"""

import argparse
import json
import tempfile
from pathlib import Path

import pandas as pd

from dferlib.datasets.standins.trees import write_ckplus, write_oulu
from dferlib.evidence import stats
from dferlib.evidence.provenance import provenance
from dferlib.evidence.runs import Run, results_folder
from dferlib.files import project_root, write_json
from dferlib.protocols import load_protocol
from dferlib.training.runner import Plan, run_tasks
from dferlib.training.single_frame import run_peak_cnn, score_runs
from dferlib.training.stores import open_recipe_store
from dferlib.training.tasks import plan_tasks

WRITERS = {"ckplus": write_ckplus, "oulu": write_oulu}
RIVALS = {"peak CNN, random weights": "random", "peak CNN, pre-trained": ""}


def predictions_of(runs: list[Run], select: str) -> pd.DataFrame:
    """What the runs predicted after the epoch of a selection rule, in the order of the clips."""
    rows = pd.concat([run.predictions for run in runs])
    return rows[rows["select"] == select].set_index("clip_id").sort_index()


def measure(dataset: str, root: Path, place: Path) -> dict:
    """Train all models on the tree; per cent with intervals over subjects, and paired tests."""
    paper = load_protocol("stcam")
    recipe = paper.resolve("quick", dataset, "stcam")
    store = open_recipe_store(recipe, "real", root)
    folds = tuple(range(1, recipe.num_folds + 1))
    folder = results_folder("stcam", dataset, "real", "quick", place)
    tasks = plan_tasks(paper, "quick", ["stcam"], folds, (0,), store, folder)
    print(Plan(tasks))
    runs = {"STCAM": run_tasks(tasks)}
    for name, init in RIVALS.items():
        runs[name] = run_peak_cnn(tasks, init)
    own = predictions_of(runs["STCAM"], recipe.select)
    rows = {}
    for name, some in runs.items():
        score = score_runs(some, store.classes, recipe.select).loc["WAR"].round(1).to_dict()
        rows[name] = score | {"n": int(score["n"])}
        if name != "STCAM":
            other = predictions_of(some, recipe.select)["y_pred"]
            test = stats.mcnemar(own["y_true"], own["y_pred"], other.loc[own.index])
            rows[name] |= {"mcnemar_p": float(f"{test.p:.2g}")}
            rows[name] |= {"only_stcam": test.only_first, "only_cnn": test.only_second}
    facts = {"clips": len(store.manifest), "subjects": store.manifest["subject"].nunique()}
    facts |= {"folds": len(tasks), "passes": tasks[0].recipe.passes, "select": recipe.select}
    return {**facts, "war_per_cent": rows}


def main() -> None:
    """Write the tree, measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=WRITERS)
    parser.add_argument("--seed", type=int, default=44)
    parser.add_argument("--subjects", type=int, default=15, help="with a label; ten folds need 10")
    parser.add_argument("--layout", default="nested")
    chosen = parser.parse_args()
    made_by, given = provenance(), {"seed": chosen.seed, "layout": chosen.layout}
    path = (project_root() or Path()) / "results" / "robustness" / "unseen-trees.json"
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "tree"
        WRITERS[chosen.dataset](root, subjects=chosen.subjects, **given)
        entry = {**given, **measure(chosen.dataset, root, Path(place) / "runs")}
    print(json.dumps(entry, indent=1))
    kept = json.loads(path.read_text()) if path.is_file() else {}
    name = f"{chosen.dataset} ({chosen.layout}), seed {chosen.seed}, {entry['subjects']} subjects"
    write_json(path, {**kept, name: {**entry, "provenance": made_by}})


if __name__ == "__main__":
    main()
