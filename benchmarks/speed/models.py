"""How fast every network is read for, tested and trained, beside the plain way and the limit.

    python -m benchmarks speed                         # every network, quick and paper input
    python -m benchmarks speed stcam hacn --sizes quick
    python -m benchmarks speed stcam --dry             # a toy on the CPU; writes nothing

For each network and input, in turns in one process: a forward pass, a training step on a batch that
is there already, reading batches, and an epoch over a few of them. Beside them stand the plain way
(`benchmarks/speed/plain.py`; the logits are compared first) and two limits: the step on a resident
batch for the epoch, a large matrix product for the step, whose multiplications are counted, three
times those of a forward pass. On a GPU a compiled step, and one whose kernels cuDNN chooses by
timing, which is not deterministic, are timed, too. A case that is stored for this commit and device
is left out, so that the same command goes on after it was stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.speed import plain, timing
from benchmarks.speed.cases import SIZES, Case, find_case
from dferlib.datasets.batches import NORMALISATIONS, Batch, ClipLoader
from dferlib.device import (
    autocast,
    choose_precision,
    freed_memory_kept,
    lay_out_clip,
    lay_out_model,
    set_threads,
)
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json
from dferlib.models import list_models
from dferlib.training.pace import LEAD
from dferlib.training.train import start, train_epoch

TOLERANCE = 1e-3  # of a logit in float32, between the plain way and ours
BATCHES = {"cpu": 3, "cuda": 40}  # of an epoch


@dataclass(frozen=True)
class Way:
    """A way of doing a training step: precision, layout, and what only a GPU has."""

    precision: str
    layout: str
    compiled: bool = False
    chosen: bool = False  # cuDNN times its kernels and takes the fastest

    @property
    def name(self) -> str:
        """What it is called in the record."""
        extra = [", compiled"] * self.compiled + [", kernels by timing"] * self.chosen
        return f"{self.precision} {self.layout}{''.join(extra)}"


def ways_on(device: torch.device) -> list[Way]:
    """The ways that are timed on a device; bf16 where it has units for it."""
    ways = [Way("float32", "contiguous"), Way("float32", "channels_last")]
    if choose_precision("auto", device) == "bf16":
        ways += [Way("bf16", "contiguous"), Way("bf16", "channels_last")]
    if device.type == "cuda":
        fastest = Way("bf16", "channels_last")
        ways += [replace(fastest, chosen=True), replace(fastest, compiled=True)]
    return ways


def forward_of(model: nn.Module, clip: Tensor, way: Way) -> Callable[[], Tensor]:
    """A forward pass in evaluation mode."""

    @torch.no_grad()
    def forward() -> Tensor:
        with autocast(clip.device, way.precision):
            return model.eval()(lay_out_clip(clip, way.layout))

    return forward


def step_of(model: nn.Module, clip: Tensor, target: Tensor, way: Way) -> Callable[[], None]:
    """A training step that nothing waits for."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)
    network = torch.compile(model) if way.compiled else model

    def step() -> None:
        torch.backends.cudnn.benchmark = way.chosen
        torch.backends.cudnn.deterministic = not way.chosen
        with autocast(clip.device, way.precision):
            logits = network.train()(lay_out_clip(clip, way.layout))
            loss = F.cross_entropy(logits, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def time_model(case: Case, clip: Tensor, target: Tensor, turns: dict) -> dict:
    """Forward passes and steps of all ways in turn, and how far plain logits are from ours."""
    device = clip.device
    model = case.build().to(device)
    looped = plain.loop_over_frames(model, len(clip))
    optimizer = torch.optim.SGD(looped.parameters(), lr=1e-6, momentum=0.9)
    usual = Way("float32", "contiguous")
    apart = forward_of(looped, clip, usual)() - forward_of(model, clip, usual)()
    if (difference := apart.abs().max().item()) > TOLERANCE:
        raise RuntimeError(f"{case.name}: the plain way's logits differ by {difference:g}")
    forwards = {"plain": forward_of(looped, clip, usual)}
    steps = {"plain": lambda: plain.plain_step(looped.train(), optimizer, clip, target)}
    for way in ways_on(device):
        twin = case.build().to(device)
        lay_out_model(twin, way.layout)
        steps[way.name] = step_of(twin, clip, target, way)
        if not way.compiled and not way.chosen:
            forwards[way.name] = forward_of(twin, clip, way)
    found = {"forward": timing.take_turns(forwards, device, **turns)}
    found["step"] = timing.take_turns(steps, device, **turns)
    seed_free_kernels()
    return {"largest_difference": difference, **found}


def seed_free_kernels() -> None:
    """Back to the kernels of trainings, which are deterministic."""
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True


def fastest(steps: dict, precision: str) -> Way:
    """The way that a training takes: its precision, and channels-last where that is worth it."""
    contiguous = steps[Way(precision, "contiguous").name]["median"]
    last = steps[Way(precision, "channels_last").name]["median"]
    return Way(precision, "channels_last" if last < LEAD * contiguous else "contiguous")


class Resident:
    """A loader whose batches are one and the same, which is there already."""

    def __init__(self, loader: ClipLoader, batch: Batch, count: int) -> None:
        self.device, self.store = loader.device, loader.store
        self.batch, self.count = batch, count

    def training(self, clips: np.ndarray, seed: int, epoch: int) -> Iterator[Batch]:
        """So many times the batch."""
        yield from itertools.repeat(self.batch, self.count)


def time_data(case: Case, loader: ClipLoader, way: Way, turns: dict) -> dict:
    """Reading all batches of a loader, and training on them: plain, ours, and resident."""
    device, size = loader.device, loader.batch_size
    clips = np.arange(len(loader.store.manifest))
    recipe = case.recipe.override(batch_size=size, passes=1, precision=way.precision)
    rows = np.floor(loader.draw().frames).astype(np.int64)
    target = torch.zeros(size, dtype=torch.long, device=device)
    model = case.build()
    first = next(iter(loader.training(clips, 0, 0)))
    count = sum(1 for _ in loader.training(clips, 0, 0))
    resident = Resident(loader, first, count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain.write_frames(loader.store, rows, folder)
        kind = NORMALISATIONS[recipe.normalise]
        files = plain.FrameFiles(folder, rows, recipe.input_size, kind)
        looped = plain.loop_over_frames(case.build().to(device), size)
        optimizer = torch.optim.SGD(looped.parameters(), lr=1e-6, momentum=0.9)

        def epoch(source) -> None:
            state = start(model, source, len(clips), recipe, way.layout)
            lay_out_model(state.model, way.layout)
            train_epoch(state, source, clips, recipe, 0)

        reading = {
            "plain": lambda: list(plain.read_in_workers(files, size)),
            "ours": lambda: [batch.clip for batch in loader.training(clips, 0, 0)],
        }
        found = {"data": timing.take_turns(reading, device, **turns)}
        epochs = {
            "plain": lambda: plain.plain_epoch(
                looped, optimizer, plain.read_in_workers(files, size), target
            ),
            "ours": lambda: epoch(loader),
            "resident": lambda: epoch(resident),
        }
        found["epoch"] = timing.take_turns(epochs, device, **turns)
    return {"batches": count, **found}


def compare(record: dict, macs: int, way: Way) -> dict:
    """How many times as fast as the plain way, and which share of the limits; ratios of medians."""
    rate = record["gmacs_a_second"][way.precision]
    step, epoch = record["step"][way.name]["median"], record["epoch"]
    plain_of = {kind: record[kind]["plain"]["median"] for kind in ("forward", "step")}
    both = {kind: plain_of[kind] / record[kind][way.name]["median"] for kind in plain_of}
    for kind in ("data", "epoch"):
        both[kind] = record[kind]["plain"]["median"] / record[kind]["ours"]["median"]
    return {
        "way": way.name,
        "times_as_fast": {kind: round(value, 2) for kind, value in both.items()},
        "share_of_product": round(macs / step / 1e9 / rate, 3),
        "share_of_resident": round(epoch["resident"]["median"] / epoch["ours"]["median"], 3),
    }


@freed_memory_kept()
def measure(case: Case, device: torch.device, batch_size: int, batches: int, turns: dict) -> dict:
    """The whole record of a case."""
    before = timing.load()
    loader = case.loader(batches, batch_size, device)
    clip = loader.gather(np.arange(batch_size))
    target = torch.arange(batch_size, device=device) % 7
    precisions = {way.precision for way in ways_on(device)}
    kinds = {"float32": torch.float32, "bf16": torch.bfloat16}
    rates = {p: round(timing.product_rate(device, kinds[p]), 1) for p in sorted(precisions)}
    record = {"model": case.model, "size": case.size, "options": case.options}
    record |= {"clip": list(case.shape), "clips": batch_size, "gmacs_a_second": rates}
    record |= {"recipe_clips": case.recipe.batch_size, "gmacs_a_clip": case.macs() / 1e9}
    record |= time_model(case, clip, target, turns)
    # on a GPU the preset `gpu` trains at the paper's input, in the device's own precision
    asked = "auto" if device.type == "cuda" else case.recipe.precision
    way = fastest(record["step"], choose_precision(asked, device))
    record |= time_data(case, loader, way, turns)
    record |= {"ours": compare(record, 3 * batch_size * case.macs(), way)}
    return record | {"load_before": before, "load_after": timing.load(), **timing.machine(device)}


def is_stored(path: Path) -> bool:
    """Whether a record of this commit lies there."""
    if not path.is_file():
        return False
    made = json.loads(path.read_text(encoding="utf-8"))["provenance"]
    return made["git_commit"] == provenance()["git_commit"]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks speed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("models", nargs="*", choices=[[], *list_models()], help="default: all")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=10, help="for each table of ways")
    parser.add_argument("--again", action="store_true", help="measure what is stored, too")
    parser.add_argument("--dry", action="store_true", help="a toy on the CPU; writes nothing")
    parser.add_argument("--out", type=Path, help="default: results/speed in the project")
    given = parser.parse_args(arguments)
    device = torch.device("cpu" if given.dry else given.device)
    set_threads()
    folder = given.out or (project_root() or Path.cwd()) / "results" / "speed"
    turns = {"seconds": given.seconds}
    if given.dry:
        turns = {"seconds": 0, "rounds": (1, 1)}
    for model, size in itertools.product(given.models or list_models(), given.sizes):
        path = folder / f"{model}-{size}-{device.type}.json"
        if not given.dry and not given.again and is_stored(path):
            continue
        case = find_case(model, size, toy=given.dry)
        clips = case.clips(device)
        record = measure(case, device, clips, 1 if given.dry else BATCHES[device.type], turns)
        if not given.dry:
            write_json(path, record)
        print(f"{case.name}: {line_of(record)}", flush=True)
    return 0


def line_of(record: dict) -> str:
    """The record in a line."""
    ours = record["ours"]
    times = ", ".join(f"{kind} {value:g}" for kind, value in ours["times_as_fast"].items())
    return (
        f"{ours['way']}, times as fast as plain: {times}; {ours['share_of_product']:.0%} of the "
        f"matrix product, loop {ours['share_of_resident']:.0%} of a resident batch; load "
        f"{record['load_before']['mean']} to {record['load_after']['mean']}"
    )


if __name__ == "__main__":
    sys.exit(main())
