"""What a model costs: parameters, multiply-accumulates (MACs), latency, memory.

1 MAC = 2 FLOPs (one multiplication, one addition). Matrix products and convolutions are counted,
also those inside attention and recurrent layers; additions, activations and poolings are not, which
is what most papers do. Some counters add single elements (`layerwise_macs`), so that digits of one
paper differ from those of another for the same network.
"""

from __future__ import annotations

import copy
import statistics
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from dferlib.device import freed_memory_kept
from dferlib.models import create_model, list_models, paper_input


@dataclass(frozen=True)
class Cost:
    """Parameters of a model, and MACs of one forward pass for one clip."""

    parameters: int
    macs: int


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
    counter = FlopCounterMode(display=False)
    with _countable(), counter:
        _run_without_memory(copy.deepcopy(model).to("meta").eval(), shape)
    return Cost(parameters, counter.get_total_flops() // 2)


# What layer-wise counters of 2021 (ptflops) add for a layer, from its input and output
_ELEMENTS: tuple[tuple[tuple[type[nn.Module], ...], Callable], ...] = (
    ((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), lambda _, x, y: 2 * x.numel()),
    ((nn.ReLU,), lambda _, x, y: y.numel()),
    ((nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AvgPool3d), lambda _, x, y: x.numel()),
    ((nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), lambda _, x, y: x.numel()),
    ((nn.Conv2d, nn.Conv3d), lambda m, x, y: 0 if m.bias is None else y.numel()),
)


def layerwise_macs(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Count the MACs of one clip as CEFLNet's Tables 8 and 9 do, whose digits this gives.

    On top of `count_cost`: two for each element that enters a batch norm, one for each that leaves
    a ReLU, enters a pooling, or gets the bias of a convolution. Only layers that are modules are
    seen. A frame of 224 px costs ResNet-18 without its classifier 1,813,561,344 by `count_cost` and
    1,821,664,768 by this rule.
    """
    ghost, extra = copy.deepcopy(model).to("meta").eval(), [0]

    def add(module, inputs, output) -> None:
        for kinds, count in _ELEMENTS:
            if isinstance(module, kinds):
                extra[0] += count(module, inputs[0], output)

    for module in ghost.modules():
        module.register_forward_hook(add)
    with _countable():
        _run_without_memory(ghost, shape)
    return count_cost(model, shape).macs + extra[0]


def _run_without_memory(ghost: nn.Module, shape: tuple[int, ...]) -> None:
    try:
        ghost(torch.empty(1, *shape, device="meta"))
    except (NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"{type(ghost).__name__} cannot be counted at clip shape {tuple(shape)}: {error}"
        ) from error


@torch.no_grad()
@freed_memory_kept()
def latency(
    model: nn.Module,
    shape: tuple[int, ...],
    *,
    batch_size: int = 1,
    repeats: int = 10,
    warmup: int = 2,
) -> Latency:
    """Time forward passes in evaluation mode on the model's device, after `warmup` others.

    `shape` is (3, T, H, W); the times are for a whole batch. The model's mode is restored. A model
    without values ("meta" device) is timed on the CPU as a copy with some: times do not depend on
    them.
    """
    if next(model.parameters()).is_meta:
        model = _with_values(model)
    device = next(model.parameters()).device
    clip = torch.zeros(batch_size, *shape, device=device)
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        times = [_time_once(model, clip) for _ in range(repeats + warmup)][warmup:]
    finally:
        for module, mode in modes.items():
            module.training = mode
    ordered = sorted(times)
    low, high = ordered[len(times) // 4], ordered[(3 * len(times)) // 4]
    return Latency(statistics.median(times), low, high, str(device), torch.get_num_threads())


@freed_memory_kept()
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


def _with_values(ghost: nn.Module) -> nn.Module:
    model = copy.deepcopy(ghost).to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.01)
        for buffer in model.buffers():
            buffer.fill_(1)
    return model


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

    Columns name and shape ("192 x 7 x 28 x 28", without the batch; of the first of several
    outputs). Runs without memory, as `count_cost` does.
    """
    ghost = copy.deepcopy(model).to("meta").eval()
    found: dict[str, str] = {}

    def note(name: str):
        def hook(_module, _inputs, output) -> None:
            output = output[0] if isinstance(output, tuple) else output
            found[name] = " x ".join(str(side) for side in output.shape[1:])

        return hook

    for name in names:
        ghost.get_submodule(name).register_forward_hook(note(name))
    with torch.no_grad():
        ghost(torch.empty(1, *shape, device="meta"))
    return pd.DataFrame({"name": list(names), "shape": [found[name] for name in names]})


def shape_texts(model: nn.Module, shape: tuple[int, ...], names: Sequence[str]) -> dict[str, str]:
    """Return what `trace_shapes` finds as a dict, and the clip's own shape under "input"."""
    traced = trace_shapes(model, shape, names)
    return {"input": " x ".join(map(str, shape)), **dict(traced.itertuples(index=False))}


class _Alive(TorchDispatchMode):
    """Follows which storages are alive, and the most bytes they had together."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def note(self, tree: object) -> None:
        """Take account of the tensors in a result."""
        for tensor in tree_leaves(tree):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in self.sizes:
                    weakref.finalize(storage, self._free, id(storage))
                    self.sizes[id(storage)] = storage.nbytes()
                    self.now += storage.nbytes()
                    self.peak = max(self.peak, self.now)

    def _free(self, key: int) -> None:
        self.now -= self.sizes.pop(key)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.note(result)
        return result


def peak_memory(
    model: nn.Module, shape: tuple[int, ...], *, batch_size: int = 1, training: bool = False
) -> int:
    """Return the most bytes that tensors take together in one pass over clips of `shape`.

    Weights, the input and everything between are counted in float32, in a forward pass, or with
    `training` also in the backward pass after it. Nothing is computed, and the result does not
    depend on the machine: what kernels and allocators need on top of it is not in it.
    """
    ghost = copy.deepcopy(model).to("meta").train(training)
    alive = _Alive()
    alive.note([*ghost.parameters(), *ghost.buffers()])
    with warnings.catch_warnings(), torch.set_grad_enabled(training), alive:
        warnings.simplefilter("ignore", UserWarning)
        result = ghost(torch.empty(batch_size, *shape, device="meta"))
        if training:
            result.sum().backward()
    return alive.peak


def cost_table(
    models: Mapping[str, tuple[nn.Module, tuple[int, ...]]],
    *,
    repeats: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Put the costs of several models side by side: one row for each name -> (model, clip shape).

    Columns model, clip, parameters, macs (`count_cost`), macs_layerwise, memory and
    training_memory in bytes for one clip and, with `repeats`, ms, ms_low and ms_high of a forward
    pass on the model's device, the CPU for a model without values.
    """
    rows = []
    for name, (model, shape) in tqdm(models.items(), desc="counting", disable=not progress):
        spent = count_cost(model, shape)
        row = {"model": name, "clip": " x ".join(map(str, shape)), "parameters": spent.parameters}
        row |= {"macs": spent.macs, "macs_layerwise": layerwise_macs(model, shape)}
        row["memory"] = peak_memory(model, shape)
        row["training_memory"] = peak_memory(model, shape, training=True)
        if repeats:
            times = latency(model, shape, repeats=repeats, warmup=1)
            row |= {"ms": times.median, "ms_low": times.low, "ms_high": times.high}
        rows.append(row)
    return pd.DataFrame(rows)


def package_models(num_classes: int = 7) -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Return every model of the package with the clip (3, T, H, W) that its paper gives it.

    Weights have no values ("meta" device), so that this takes no memory.
    """
    with torch.device("meta"):
        return {
            name: (create_model(name, num_classes), paper_input(name)) for name in list_models()
        }
