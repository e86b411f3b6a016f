"""What each paper's training takes, in counted operations: nothing is trained, no data are needed.

    python benchmarks/evidence/operations.py

Keeps results/evidence/operations.csv: for each paper, dataset and preset (paper, gpu) the row of
the paper's own model and the row that it is held against, over all their folds and one seed, the
stage before where the recipe has one. Rules of counting are those of `dferlib.analysis.full_cost`;
`results/handed-in/README.md` turns operations into hours.
"""

from __future__ import annotations

import pandas as pd

from dferlib.analysis.full_cost import operations_of, size_of, what_of
from dferlib.evidence.row_verdict import reference_of
from dferlib.files import project_root, write_csv
from dferlib.protocols import Paper, Recipe, list_protocols, load_protocol

PRESETS = ("paper", "gpu")
AFEW_LISTS = (773, 383)  # train, val


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
    macs = size_of(*what_of(recipe, classes)).macs
    total = len(recipe.folds) * operations_of(recipe, macs, *clips_of(paper, dataset, recipe))
    if recipe.transfer:
        stage = paper.resolve_stage(recipe)
        total += operations_of(stage, macs, *clips_of(paper, stage.dataset, stage))
    row = {"paper": paper.slug, "dataset": dataset, "preset": preset, "variant": variant}
    row |= {"trainings": len(recipe.folds), "epochs": recipe.epochs, "gmacs_a_clip": macs / 1e9}
    return row | {"stage": recipe.transfer, "peta_operations": total / 1e15}


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
