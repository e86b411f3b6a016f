"""The slowest layers of the 3-D networks in one training step, and what was tried on them.

    python -m benchmarks layers                      # all of them, the step of their quick preset
    python -m benchmarks layers stcam c3d --rows 12

A step is forward, cross-entropy and backward, in float32, after one that is not counted. torch's
profiler gives the time that each kind of operation itself takes, for each shape of its inputs; a
convolution is named after the layers whose weights have that shape. What was tried stands beside
it, in the same process and in turn: the other layout in memory, for all operations; the gradient
of the input, which a first layer does not need, and the gradient of the weights alone, for the
slowest convolutions. Tables are printed and kept in results/speed/layers-<network>.json with the
load of the machine: read ratios, not milliseconds, where it was busy.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed import timing
from benchmarks.speed.cases import find_case
from dferlib.device import LAYOUTS, freed_memory_kept, lay_out_clip, lay_out_model, set_threads
from dferlib.files import project_root, write_json

NETWORKS = ("stcam", "c3d", "c3d_lstm", "i3d", "p3d", "r2plus1d_18", "resnet3d_18")
CPU = torch.device("cpu")
TRIED = ("whole", "weights alone", "input alone")  # gradients of a convolution's backward pass


def slowest(model: nn.Module, clips: torch.Tensor) -> pd.DataFrame:
    """Profile one training step; a row for each pair of operation and shapes.

    Columns operation, shapes, layers, calls and ms.
    """
    labels = torch.zeros(len(clips), dtype=torch.long)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(clips), labels).backward()

    model.train()
    step()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as record:
        step()
    layers: dict[tuple[int, ...], list[str]] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d):
            layers.setdefault(tuple(module.weight.shape), []).append(name)
    found = []
    for event in record.key_averages(group_by_input_shape=True):
        shapes = [tuple(shape) for shape in event.input_shapes if shape]
        named = [name for shape in shapes for name in layers.get(shape, ())]
        row = {"operation": event.key, "shapes": str(shapes[:2]), "layers": ", ".join(named)}
        found.append(row | {"calls": event.count, "ms": event.self_cpu_time_total / 1000})
    return pd.DataFrame(found)


def both_layouts(name: str, rows: int, toy: bool) -> pd.DataFrame:
    """The dearest operations of a step in the usual layout, beside the same in the other.

    Columns operation, shapes, layers, calls, contiguous and channels_last (ms), and share (per cent
    of the contiguous step). What only the other layout does, as its copies, comes at the end.
    """
    case = find_case(name, "quick", toy=toy)
    clips = torch.randn(case.recipe.batch_size, *case.shape)
    tables = []
    for layout in LAYOUTS:
        model = case.build()
        lay_out_model(model, layout)
        found = slowest(model, lay_out_clip(clips, layout)).rename(columns={"ms": layout})
        tables.append(found.set_index(["operation", "shapes", "layers", "calls"]))
    table = tables[0].join(tables[1], how="outer").fillna(0.0).reset_index()
    table["share"] = 100 * table["contiguous"] / table["contiguous"].sum()
    dearest = table.nlargest(rows, "contiguous")
    rest = table.drop(dearest.index)
    return pd.concat([dearest, rest.nlargest(2, "channels_last")])


def backward_parts(name: str, count: int, toy: bool) -> list[dict]:
    """Seconds of the backward pass of the slowest convolutions, by which gradients are computed.

    `count` convolutions with the most multiplications, with the inputs that they have in a step.
    """
    case = find_case(name, "quick", toy=toy)
    model, seen = case.build().train(), []

    def keep(label, module, given, output) -> None:
        seen.append((label, module, given[0].detach(), output.detach()))

    for label, module in model.named_modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_hook(lambda m, x, y, label=label: keep(label, m, x, y))
    with torch.no_grad():
        model(torch.randn(case.recipe.batch_size, *case.shape))
    seen.sort(key=lambda item: -item[1].weight[0].numel() * item[3].numel())
    found = []
    for label, conv, given, output in seen[:count]:
        ways = {
            "whole": lambda c=conv, x=given, y=output: _backward(c, x, y, (True, True)),
            "weights alone": lambda c=conv, x=given, y=output: _backward(c, x, y, (False, True)),
            "input alone": lambda c=conv, x=given, y=output: _backward(c, x, y, (True, False)),
        }
        times = timing.take_turns(ways, CPU, seconds=1, rounds=(1, 5))
        row = {"layer": label, "weight": list(conv.weight.shape), "input": list(given.shape)}
        found.append(row | {way: times[way]["median"] for way in TRIED})
    return found


def _backward(conv: nn.Conv3d, x: torch.Tensor, y: torch.Tensor, wanted: tuple) -> None:
    torch.ops.aten.convolution_backward(
        y,
        x,
        conv.weight,
        None,
        conv.stride,
        conv.padding,
        conv.dilation,
        False,
        [0, 0, 0],
        conv.groups,
        [*wanted, False],
    )


def main(arguments: list[str] | None = None) -> int:
    """Print and keep a table for each network."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks layers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--dry", action="store_true", help="at toy size; writes nothing")
    parser.add_argument("--out", type=Path, help="default: results/speed in the project")
    options = parser.parse_args(arguments)
    set_threads()
    folder = options.out or (project_root() or Path.cwd()) / "results" / "speed"
    for name in options.networks:
        before = timing.load()
        with freed_memory_kept():
            table = both_layouts(name, options.rows, options.dry)
            parts = pd.DataFrame(backward_parts(name, 4, options.dry))
        print(f"\n{name}: ms of a step")
        print(table.to_string(index=False, float_format="{:.1f}".format, max_colwidth=60))
        print(parts.to_string(index=False, float_format="{:.4g}".format))
        record = {"network": name, "operations": table.to_dict("records")}
        record |= {"convolutions": parts.to_dict("records"), "load_before": before}
        record |= {"load_after": timing.load(), **timing.machine(CPU)}
        if not options.dry:
            write_json(folder / f"layers-{name}.json", record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
