"""What a model costs: parameters, multiply-accumulates (MACs), latency.

1 MAC = 2 FLOPs (one multiplication, one addition). Matrix products and convolutions are counted,
also those inside attention and recurrent layers; additions, activations and poolings are not, which
is what papers do.
"""

from __future__ import annotations

import copy
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Cost:
    """Parameters of a model, and MACs of one forward pass for one clip."""

    parameters: int
    macs: int

    @property
    def flops(self) -> int:
        """Floating-point operations, two for each MAC."""
        return 2 * self.macs


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a forward pass: median and quartiles over the repeats."""

    median: float
    low: float
    high: float
    device: str
    threads: int


def count_cost(model: nn.Module, shape: tuple[int, ...]) -> Cost:
    """Count parameters and the MACs of one clip of `shape`, (3, T, H, W) without the batch.

    A copy of the model without memory ("meta" device) runs in evaluation mode, so that nothing is
    computed and the model stays as it was. ValueError where a layer needs real values to run.
    """
    parameters = sum(p.numel() for p in model.parameters())
    ghost = copy.deepcopy(model).to("meta").eval()
    clip = torch.empty(1, *shape, device="meta")
    counter = FlopCounterMode(display=False)
    with _countable(), counter:
        try:
            ghost(clip)
        except (NotImplementedError, RuntimeError) as error:
            raise ValueError(
                f"{type(model).__name__} cannot be counted at clip shape {tuple(shape)}: {error}"
            ) from error
    return Cost(parameters, counter.get_total_flops() // 2)


@torch.no_grad()
def latency(
    model: nn.Module, shape: tuple[int, ...], *, batch_size: int = 1, repeats: int = 10
) -> Latency:
    """Time forward passes in evaluation mode on the model's device, after two warm-up passes.

    `shape` is (3, T, H, W); the times are for a whole batch. The model's mode is restored.
    """
    device = next(model.parameters()).device
    clip = torch.zeros(batch_size, *shape, device=device)
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        times = [_time_once(model, clip) for _ in range(repeats + 2)][2:]
    finally:
        for module, mode in modes.items():
            module.training = mode
    ordered = sorted(times)
    low, high = ordered[len(times) // 4], ordered[(3 * len(times)) // 4]
    return Latency(statistics.median(times), low, high, str(device), torch.get_num_threads())


def frame_times(
    models: Mapping[str, nn.Module],
    shape: tuple[int, ...],
    *,
    batch_size: int = 4,
    repeats: int = 5,
) -> pd.DataFrame:
    """Time training steps and forward passes of several models, in ms for one frame.

    `shape` is (3, T, H, W). A training step is forward, cross-entropy, backward and a step of SGD
    with momentum, in float32; testing is a forward pass in evaluation mode. The models take turns,
    so that a machine that slows down slows all of them; the first turn is a warm-up. Columns model,
    phase ("training", "testing"), ms (median), low and high (quartiles). The models stay as they
    were.
    """
    twins = {name: copy.deepcopy(model) for name, model in models.items()}
    steps = {name: _training_step(model) for name, model in twins.items()}
    found: dict[tuple[str, str], list[float]] = {}
    for turn in range(repeats + 1):
        for name, model in twins.items():
            device = next(model.parameters()).device
            clip = torch.zeros(batch_size, *shape, device=device)
            taken = {"training": _time_once(steps[name], clip)}
            with torch.no_grad():
                taken["testing"] = _time_once(model.eval(), clip)
            for phase, ms in taken.items() if turn else ():
                found.setdefault((name, phase), []).append(ms / (batch_size * shape[1]))
    rows = []
    for (name, phase), times in found.items():
        low, median, high = np.percentile(times, (25, 50, 75))
        rows.append({"model": name, "phase": phase, "ms": median, "low": low, "high": high})
    return pd.DataFrame(rows)


def _training_step(model: nn.Module) -> Callable[[torch.Tensor], None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def step(clip: torch.Tensor) -> None:
        target = torch.zeros(len(clip), dtype=torch.long, device=clip.device)
        loss = F.cross_entropy(model.train()(clip), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def _time_once(model: Callable[[torch.Tensor], object], clip: torch.Tensor) -> float:
    started = time.perf_counter()
    model(clip)
    if clip.device.type == "cuda":
        torch.cuda.synchronize(clip.device)
    return 1000 * (time.perf_counter() - started)


@contextmanager
def _countable() -> Iterator[None]:
    """Switch off the fused kernels that the counter does not see, and restore them."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about TF32 on absent Intel GPUs
            with (
                torch.no_grad(),
                sdpa_kernel(SDPBackend.MATH),
                torch.backends.mkldnn.flags(enabled=False),
            ):
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def trace_shapes(model: nn.Module, shape: tuple[int, ...], names: Sequence[str]) -> pd.DataFrame:
    """Return the output shape of the named submodules for one clip of `shape`, in that order.

    Columns name and shape ("192 x 7 x 28 x 28", without the batch). Runs without memory, as
    `count_cost` does.
    """
    ghost = copy.deepcopy(model).to("meta").eval()
    found: dict[str, str] = {}

    def note(name: str):
        def hook(_module, _inputs, output) -> None:
            found[name] = " x ".join(str(side) for side in output.shape[1:])

        return hook

    for name in names:
        ghost.get_submodule(name).register_forward_hook(note(name))
    with torch.no_grad():
        ghost(torch.empty(1, *shape, device="meta"))
    return pd.DataFrame({"name": list(names), "shape": [found[name] for name in names]})
