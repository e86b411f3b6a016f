"""A small CNN on the peak frame alone, trained like a paper's model: what a sequence has to beat.

    python -m dferlib.training.single_frame ckplus ROOT

looks over a dataset and trains that CNN on it, with the folds, epochs and schedule of a paper's
preset, so that a user knows what single frames of her copy tell before any model of the paper runs.
It is trained twice: from random weights, and from weights of the same kind as the paper's models.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

from dferlib.datasets import DatasetError, check_store, open_store
from dferlib.datasets.store import FrameStore
from dferlib.evidence import stats
from dferlib.evidence.runs import Run, results_folder
from dferlib.protocols import OWN_CLIPS, Protocol, load_protocol, protocol_dataclass
from dferlib.training.runner import Task, fit_protocol, plan_tasks, run_tasks, with_init
from dferlib.training.weights import WeightsError

NAME = "peak-cnn"


@protocol_dataclass
class PeakProtocol(Protocol):
    """The settings of a paper, for the single-frame CNN: one frame, cross-entropy, same schedule.

    `official` is whether the dataset's own split counts, as in the paper's protocol.
    """

    slug: ClassVar[str] = "peak_cnn"
    model: ClassVar[str] = "peak_cnn"
    model_fields: ClassVar[tuple[str, ...]] = ("width",)

    num_frames: int = 1
    sampler: str = "neutral_to_peak"
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0
    official: bool = True
    crop: Literal["five", "random", "none"] = "five"

    @property
    def official_split(self) -> bool:
        """Whether the split that a dataset prescribes is used, where there is one."""
        return self.official


def peak_tasks(tasks: Iterable[Task]) -> list[Task]:
    """The same trainings of the single-frame CNN: one for every fold and seed of these tasks.

    The frame is the peak that the protocol names; of a dataset without annotated peaks it is the
    last or the middle one, as in the protocol.
    """
    found = {}
    for task in tasks:
        found.setdefault((task.seed, task.fold), _with_peak(task))
    return list(found.values())


def _with_peak(task: Task) -> Task:
    own = {"num_frames", "sampler", "loss", "label_smoothing", "variant"}
    same = {
        item.name: getattr(task.protocol, item.name)
        for item in fields(Protocol)
        if item.name not in own
    }
    protocol = PeakProtocol(**same, variant=NAME, official=task.protocol.official_split)
    return replace(task, protocol=protocol, variant=NAME)


def run_peak_cnn(
    tasks: Iterable[Task],
    store: FrameStore,
    folder: Path,
    *,
    preset: str,
    device: str = "cpu",
    init: str = "",
) -> list[Run]:
    """Train the single-frame CNN for these tasks, or read its finished runs.

    `folder` is where the paper's own runs on this store go; those of the CNN go beside it. It
    starts as the tasks do, or from other initial weights where `init` names them.
    """
    place = folder.parents[1] / PeakProtocol.slug / folder.name
    planned = peak_tasks(tasks)
    if init:
        planned = [with_init(task, init) for task in planned]
    return run_tasks(planned, store, place, preset=preset, device=device)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status, 2 if the data or a name is not right."""
    parsed = _parser().parse_args(arguments)
    try:
        sys.stdout.write(f"{_report(parsed)}\n")
    except (DatasetError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _report(parsed: argparse.Namespace) -> str:
    paper, dataset = load_protocol(parsed.paper), parsed.dataset
    plan = paper.resolve(parsed.preset, dataset, next(iter(paper.variants)))
    root = parsed.root or None
    store = open_store(
        dataset,
        source="real" if root else "synthetic",
        data_root=root,
        size=plan.store_size,
        fraction=plan.fraction,
        faces=plan.faces,
    )
    asked = {"preset": plan.folds, "all": tuple(range(1, plan.num_folds + 1))}[parsed.folds]
    paper, folds = fit_protocol(paper, asked, store)
    tasks = plan_tasks(paper, parsed.preset, dataset, [plan.variant], folds, (0,), parsed.device)
    folder = results_folder(paper.slug, dataset, store.source, parsed.preset, parsed.results_dir)
    scores, left_out = _score_starts(tasks, store, folder, plan, parsed)
    shown = pd.concat(scores, names=["starts from"]).to_string(float_format="{:.1f}".format)
    report = check_store(store, data_root=root, num_folds=paper.num_folds)
    title = f"A CNN on the peak frame alone, {store.source} data, preset {parsed.preset}, per cent"
    return "\n".join([f"{report}\n", f"{title}:", shown, *left_out])


def _score_starts(tasks, store, folder, plan, parsed) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Scores by kind of initial weights, and why a kind is left out."""
    starts = {"random weights": "random", f"{plan.init} weights": ""}  # "": as the paper's models
    scores, left_out = {}, []
    for start, init in starts.items():
        try:
            runs = run_peak_cnn(
                tasks, store, folder, preset=parsed.preset, device=parsed.device, init=init
            )
        except WeightsError as error:  # torchvision has none of this CNN
            left_out.append(f"{start}: not run, {error}")
            continue
        scores[start] = score_runs(runs, store.classes, plan.select)
    return scores, left_out


def score_runs(runs: Iterable[Run], classes: tuple[str, ...], select: str) -> pd.DataFrame:
    """WAR and UAR of runs in per cent, pooled over folds, with 95 % intervals over subjects.

    Index metric; columns value, low, high and n, the number of test clips.
    """
    predictions = pd.concat(
        [run.predictions.assign(seed=run.record["seed"]) for run in runs], ignore_index=True
    )
    wanted = {"WAR": stats.war_of, "UAR": stats.uar_of}
    found = stats.bootstrap_intervals(predictions, classes, wanted, select=select)
    rows = {name: [100 * x for x in (i.value, i.low, i.high)] for name, i in found.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])
    return table.assign(n=predictions["clip_id"].nunique()).rename_axis("metric")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dferlib.training.single_frame", description=__doc__
    )
    parser.add_argument("dataset", help=f"one of the paper's, or {OWN_CLIPS}: your own clips")
    parser.add_argument("root", nargs="?", default="", help="its folder; none: the stand-in")
    parser.add_argument("--paper", default="stcam", help="whose folds and schedule are used")
    parser.add_argument("--preset", default="quick")
    choices = {"default": "preset", "choices": ("preset", "all")}
    parser.add_argument("--folds", **choices, help="those that the preset runs, or all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results-dir", default="")
    return parser


if __name__ == "__main__":
    sys.exit(main())
