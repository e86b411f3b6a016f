"""The slowest layers of the 3-D networks in one training step.

    python benchmarks/models/layers.py stcam c3d --width 0.25 --batch 16 --frames 7 --size 64

A step is forward, cross-entropy and backward, in float32, after one that is not counted. torch's
profiler gives the time that each kind of operation itself takes, for each shape of its inputs; a
convolution is named after the layers whose weights have that shape. Run it on an idle machine.
"""

from __future__ import annotations

import argparse

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import ProfilerActivity, profile

from dferlib.models import create_model, list_options

NETWORKS = ("stcam", "c3d", "c3d_lstm", "i3d", "p3d", "r2plus1d_18", "resnet3d_18")


def slowest(model: nn.Module, clips: torch.Tensor, rows: int) -> pd.DataFrame:
    """Profile one training step; the `rows` dearest pairs of operation and shapes.

    Columns operation, shapes, layers, calls, ms and share (per cent of the step).
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
        row = {"operation": event.key, "shapes": shapes[:2], "layers": ", ".join(named)}
        found.append(row | {"calls": event.count, "ms": event.self_cpu_time_total / 1000})
    table = pd.DataFrame(found)
    table["share"] = 100 * table["ms"] / table["ms"].sum()
    return table.nlargest(rows, "ms")


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=7)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()
    layout = torch.channels_last_3d if options.channels_last else torch.contiguous_format
    shape = (options.batch, 3, options.frames, options.size, options.size)
    for name in options.networks:
        # of a network of several clips, each is one
        clips = {"num_clips": options.frames} if "num_clips" in list_options(name) else {}
        model = create_model(name, 7, width=options.width, **clips).to(memory_format=layout)
        table = slowest(model, torch.randn(shape).to(memory_format=layout), options.rows)
        print(f"\n{name}, width {options.width}, clips {shape}")
        print(table.to_string(index=False, float_format="{:.1f}".format, max_colwidth=60))


if __name__ == "__main__":
    main()
