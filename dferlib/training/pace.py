"""How clips and kernels lie in memory while a model trains, chosen by timing it once on a machine.

Which of the two layouts is faster depends on model, input, processor and threads, and no rule of
thumb holds. So a few steps of each are timed in turn, and what was found is kept in the cache:

    <cache>/pace/<model>-<hash of model, input, precision, hardware, threads, torch version>.json

Numbers differ between layouts by rounding, so a training goes on in the layout it began with, and
the same machine gives the same bits while its cache stays. A run's id does not hang on the layout;
its record names it. DFER_LAYOUT=contiguous or channels_last sets it without timing.
"""

from __future__ import annotations

import copy
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from dferlib.device import LAYOUTS, autocast, freed_memory_kept, lay_out_clip, lay_out_model
from dferlib.evidence.damage import DamagedFileError, read_record
from dferlib.evidence.provenance import processor_name
from dferlib.files import cache_folder, digest, write_json
from dferlib.models import create_model
from dferlib.protocols.recipe import Recipe

TIMED_VALUES = 1_000_000  # of one timed batch: eleven clips of 7 frames at 64 px, one at 224 px
TIMED_SECONDS = 2.0  # after which no further round is begun
ROUNDS = 4
SMALL = 30_000_000  # values seen in a whole training: below, timing would cost more than it gains
LEAD = 0.97  # what channels-last has to take of the other's time to be worth another rounding


@dataclass(frozen=True)
class Work:
    """What is timed: a network, the clips it reads, and where."""

    model: str
    options: dict[str, Any]
    num_classes: int
    num_frames: int
    input_size: int
    batch_size: int
    precision: str = "float32"
    device: str = "cpu"

    @property
    def values(self) -> int:
        """Numbers in one clip."""
        return 3 * self.num_frames * self.input_size**2


class Pace(NamedTuple):
    """The faster layout, and the seconds of a training step in it for every clip of a batch."""

    layout: str
    seconds: float


def work_of(recipe: Recipe, num_classes: int, device: str | torch.device) -> Work:
    """The work of a recipe's training."""
    return Work(
        recipe.model,
        recipe.model_options(),
        num_classes,
        recipe.num_frames,
        recipe.input_size,
        recipe.batch_size,
        recipe.precision,
        str(device),
    )


def choose_layout(work: Work, clips: int) -> str:
    """The layout for a training that sees so many clips in all: DFER_LAYOUT, or the faster one.

    Small trainings are not timed; they run contiguous.
    """
    chosen = os.environ.get("DFER_LAYOUT", "")
    if chosen and chosen not in LAYOUTS:
        raise ValueError(f"DFER_LAYOUT is {chosen!r}; allowed are {', '.join(LAYOUTS)}")
    if chosen:
        return chosen
    return measure_pace(work).layout if clips * work.values >= SMALL else LAYOUTS[0]


def measure_pace(work: Work) -> Pace:
    """The pace of this work on this machine, from the cache or timed now; takes a few seconds."""
    device = torch.device(work.device)
    gpu = device.type == "cuda"
    facts = {
        **asdict(work),
        "hardware": torch.cuda.get_device_name(device) if gpu else processor_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    path = cache_folder() / "pace" / f"{work.model}-{digest(facts)}.json"
    if path.is_file():
        return _read_pace(path)
    seconds = time_layouts(work)
    contiguous, channels_last = (seconds[name] for name in LAYOUTS)
    layout = LAYOUTS[channels_last < LEAD * contiguous]
    write_json(path, {**facts, "layout": layout, "seconds": seconds})
    return Pace(layout, seconds[layout])


def _read_pace(path: Path) -> Pace:
    """What was found before; DamagedFileError where that cannot be."""
    way_out = "Delete it: it is timed again"
    kept = read_record(path, {"layout": str, "seconds": dict}, way_out)
    if kept["layout"] not in LAYOUTS:
        raise DamagedFileError(
            path, f"is damaged: {kept['layout']!r} is no layout", way_out, "layout"
        )
    seconds = kept["seconds"].get(kept["layout"])
    if not isinstance(seconds, float) or not 0 < seconds < float("inf"):
        raise DamagedFileError(path, f"is damaged: {seconds!r} is no time", way_out, "seconds")
    return Pace(kept["layout"], seconds)


@freed_memory_kept()
def time_layouts(work: Work) -> dict[str, float]:
    """Seconds of forward and backward pass a clip, by layout: the fastest of rounds in turn.

    The batch is the recipe's, or as many clips of it as have a million values. The state of
    torch's random numbers is left as it was.
    """
    count = max(2, min(work.batch_size, TIMED_VALUES // work.values))
    device = torch.device(work.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model = create_model(work.model, work.num_classes, **work.options).to(device)
        shape = (count, 3, work.num_frames, work.input_size, work.input_size)
        clip = torch.randn(shape, device=device)
        models = {name: copy.deepcopy(model) for name in LAYOUTS}
        for name, each in models.items():
            lay_out_model(each, name)
        times: dict[str, list[float]] = {name: [] for name in LAYOUTS}
        begun = time.perf_counter()
        for turn in range(ROUNDS + 1):
            if turn > 1 and time.perf_counter() - begun > TIMED_SECONDS:
                break
            for name, each in models.items():
                times[name].append(_time_step(each, clip, name, work.precision))
    return {name: min(taken[1:]) / count for name, taken in times.items()}  # the first warms up


def _time_step(model: nn.Module, clip: torch.Tensor, layout: str, precision: str) -> float:
    target = torch.zeros(len(clip), dtype=torch.long, device=clip.device)
    started = time.perf_counter()
    model.zero_grad(set_to_none=True)
    with autocast(clip.device, precision):
        loss = F.cross_entropy(
            model.head(model.forward_features(lay_out_clip(clip, layout))), target
        )
    loss.backward()
    if clip.device.type == "cuda":
        torch.cuda.synchronize(clip.device)
    return time.perf_counter() - started
