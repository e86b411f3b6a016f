"""What each paper's training takes, in counted operations: nothing is trained, no data are needed.

    python benchmarks/evidence/operations.py

Keeps results/evidence/operations.csv: for each paper, dataset and preset (paper, gpu) the row of
the paper's own model and the row that it is held against, over all their folds and one seed. A
training clip costs three forward passes, a tested one costs one; the stage before is counted where
the recipe has one. `results/handed-in/README.md` turns operations into hours.
"""

from __future__ import annotations

import pandas as pd
import torch

from dferlib.analysis.cost import count_cost
from dferlib.evidence.row_verdict import reference_of
from dferlib.files import project_root, write_csv
from dferlib.models import create_model
from dferlib.protocols import Paper, Recipe, list_protocols, load_protocol

PRESETS = ("paper", "gpu")
AFEW_LISTS = (773, 383)  # train, val
COUNTED: dict[tuple, int] = {}


def macs_of(recipe: Recipe, classes: int) -> int:
    """Multiply-accumulates of one clip; rows that are built alike are counted once."""
    options = recipe.model_options()
    kind = recipe.model, tuple(sorted(options.items())), recipe.num_frames, recipe.input_size
    if kind not in COUNTED:
        with torch.device("meta"):
            network = create_model(recipe.model, classes, **options)
        shape = (3, recipe.num_frames, recipe.input_size, recipe.input_size)
        COUNTED[kind] = count_cost(network, shape).macs
    return COUNTED[kind]


def clips_of(paper: Paper, dataset: str, recipe: Recipe) -> tuple[float, float]:
    """Clips of a fold that are trained on and tested: of a whole copy, on average over folds."""
    if dataset == "afew" and recipe.num_folds == 1:
        return AFEW_LISTS
    if dataset == "afew":
        clips = sum(AFEW_LISTS)
    else:
        count = paper.counts.get((dataset, "")) or paper.counts[dataset, paper.slug]
        clips = max((count.n, *count.whole))
    return clips - clips / recipe.num_folds, clips / recipe.num_folds


def operations(paper: Paper, dataset: str, preset: str, variant: str) -> dict:
    """What the trainings of one row take, as a row of the table."""
    recipe, classes = paper.resolve(preset, dataset, variant), len(paper.classes[dataset])
    train, test = clips_of(paper, dataset, recipe)
    macs = macs_of(recipe, classes)
    total = len(recipe.folds) * recipe.epochs * (3 * train + test) * macs
    if recipe.transfer:
        stage = paper.resolve_stage(recipe)
        before, left = clips_of(paper, stage.dataset, stage)
        total += stage.epochs * (3 * before + left) * macs
    row = {"paper": paper.slug, "dataset": dataset, "preset": preset, "variant": variant}
    row |= {"trainings": len(recipe.folds), "epochs": recipe.epochs, "gmacs_a_clip": macs / 1e9}
    return row | {"stage": recipe.transfer, "peta_macs": total / 1e15}


def main() -> None:
    """Count, and write the table."""
    rows = []
    for paper in map(load_protocol, list_protocols()):
        for dataset in paper.datasets:
            for preset in PRESETS:
                for variant in dict.fromkeys((paper.slug, reference_of(paper))):
                    if variant in paper.variants_of(preset, dataset):
                        rows.append(operations(paper, dataset, preset, variant))
    write_csv(project_root() / "results" / "evidence" / "operations.csv", pd.DataFrame(rows))


if __name__ == "__main__":
    main()
