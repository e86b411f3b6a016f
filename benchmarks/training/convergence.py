"""How far rows of a paper learn on a stand-in, told on training and validation clips alone.

    python benchmarks/training/convergence.py stcam oulu --variants baseline,stcam --times 1,2,4
    python benchmarks/training/convergence.py hacn ckplus --set lr=0.001 --set schedule=one_cycle

A recipe is chosen here: every row trains on the training part of a fold and is scored on its
validation subjects after every epoch; no test clip is read. `--single-frame` adds the CNN on the
peak frame, and `--times` trains each row again from its start with so many times the epochs, since
a longer cycle is another training. `--store` keeps the table, with what made it, in
results/convergence/<paper>-<dataset>.csv and .json; rows of the same name and setting are replaced.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

from dferlib.datasets.folds import Split
from dferlib.evidence.provenance import provenance
from dferlib.evidence.runs import results_folder
from dferlib.files import project_root, write_csv, write_json
from dferlib.names import unknown_name
from dferlib.protocols import load_protocol
from dferlib.protocols.recipe import Recipe
from dferlib.training.pace import choose_layout
from dferlib.training.pretrain import pretrained_backbone
from dferlib.training.single_frame import peak_tasks
from dferlib.training.stores import open_recipe_store
from dferlib.training.tasks import Task, plan_tasks
from dferlib.training.train import fit, seed_everything

KEY = ["variant", "fold", "settings", "times"]  # what a row of the table is known by


def read_settings(given: list[str], recipe: Recipe) -> dict:
    """Settings of the recipe from NAME=VALUE; ValueError for a name that it does not have."""
    known, changes = [item.name for item in fields(recipe)], {}
    for item in given:
        name, _, value = item.partition("=")
        if name not in known:
            raise ValueError(unknown_name("setting", name, known))
        was = getattr(recipe, name)
        changes[name] = value if isinstance(was, str) else ast.literal_eval(value)
    return changes


def hide_test_clips(split: Split) -> Split:
    """The split with the validation clips in the place of the test clips, which are read by none.

    So `best_test` in what the loop returns means validation, and only its history is used here.
    """
    return Split(split.train, split.val[:0], split.val)


def altered(task: Task, changes: dict, times: int) -> Task:
    """The task with other settings and so many times its epochs, milestones moved alike."""
    recipe = task.recipe.override(**changes)
    milestones = tuple(times * epoch for epoch in recipe.milestones)
    return replace(
        task, recipe=recipe.override(epochs=times * recipe.epochs, milestones=milestones)
    )


def train(task: Task) -> Iterator[dict]:
    """Train a task on its training clips; yields a row per epoch, scored on validation clips."""
    recipe = task.recipe
    model = task.build()
    pretrained_backbone(
        model,
        recipe.init,
        store_size=recipe.store_size,
        input_size=recipe.input_size,
        num_frames=recipe.init_frames,
        device=task.device,
        own=recipe.pretrain == "own",
    )
    split = hide_test_clips(task.split)
    layout = choose_layout(task.work, task.clips_seen)
    seed_everything(task.seed)

    def show(row: dict) -> None:
        sys.stdout.write(
            f"{task.variant}: epoch {row['epoch']:3d} of {recipe.epochs}  "
            f"loss {row['train_loss']:.3f}  training {100 * row['train_war']:5.1f} %  "
            f"validation {100 * row['test_war']:5.1f} %  {row['seconds']:.0f} s\n"
        )
        sys.stdout.flush()

    state = fit(model, task.loader(), split, recipe, seed=task.seed, layout=layout, on_epoch=show)
    for row in state.history:
        yield {
            "epoch": row["epoch"],
            "epochs": recipe.epochs,
            "train_loss": row["train_loss"],
            "training": 100 * row["train_war"],
            "validation": 100 * row["test_war"],
            "n": len(split.test),
            "seconds": row["seconds"],
        }


def measure(given: argparse.Namespace) -> pd.DataFrame:
    """Train every row as often as asked; one line of the table per epoch."""
    paper = load_protocol(given.paper)
    variants = given.variants.split(",") if given.variants else [next(iter(paper.variants))]
    recipe = paper.resolve(given.preset, given.dataset, variants[0])
    store = open_recipe_store(recipe, "synthetic")
    folder = results_folder(paper.slug, given.dataset, "synthetic", given.preset)  # stays as it is
    asked = (given.preset, variants, [given.fold], [given.seed], store, folder, given.device)
    planned = plan_tasks(paper, *asked)
    changes = read_settings(given.set, recipe)
    if given.epochs:
        changes |= {"epochs": given.epochs}
    rows = []
    for times in (int(number) for number in given.times.split(",")):
        tasks = [altered(task, changes, times) for task in planned]
        tasks += peak_tasks(tasks[:1]) if given.single_frame else []
        for task in tasks:
            name = {"variant": task.variant, "fold": task.fold}
            name |= {"settings": " ".join(given.set), "times": times}
            rows += [{**name, **row} for row in train(task)]
    return pd.DataFrame(rows)


def last_epochs(table: pd.DataFrame) -> pd.DataFrame:
    """The end of every training: accuracy in per cent on training and validation clips."""
    ends = table.loc[table["epoch"] == table["epochs"]]
    spent = table.groupby(KEY, sort=False)["seconds"].sum().rename("seconds")
    return ends.drop(columns=["seconds", "epoch"]).merge(spent.reset_index(), on=KEY)


def keep(table: pd.DataFrame, path: Path) -> None:
    """Write the table beside what made it; rows that are measured again replace their old ones."""
    if path.is_file():
        old = pd.read_csv(path, keep_default_na=False)
        again = old.set_index(KEY).index.isin(table.set_index(KEY).index)
        table = pd.concat([old[~again], table])
    numbers = table.select_dtypes(np.floating).columns
    write_csv(path, table.assign(**{name: table[name].round(4) for name in numbers}))
    write_json(path.with_suffix(".json"), provenance())


def main() -> None:
    """Measure, print and, where asked, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paper")
    parser.add_argument("dataset", help="one of the paper's, as its stand-in")
    parser.add_argument("--variants", default="", help="rows, with commas; default: the first")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--fold", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=0, help="default: the preset's")
    parser.add_argument("--times", default="1", help="times the epochs, with commas: 1,2,4")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--single-frame", action="store_true", help="with the peak-frame CNN")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--store", action="store_true")
    given = parser.parse_args()
    table = measure(given)
    sys.stdout.write(f"{last_epochs(table).to_string(index=False, float_format='{:.2f}'.format)}\n")
    if given.store:
        folder = (project_root() or Path()) / "results" / "convergence"
        keep(table, folder / f"{given.paper}-{given.dataset}.csv")


if __name__ == "__main__":
    main()
