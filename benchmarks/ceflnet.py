"""How much faster CEFLNet trains when all frames are one batch, against a loop over the frames.

    python benchmarks/ceflnet.py                      # the paper's input, two threads
    python benchmarks/ceflnet.py --size 112 --repeats 2

The loop sends clip after clip and position after position through the backbone, as most public code
for clips does. Both have the same weights and the same Adam step, and take turns, so that a machine
that slows down slows both. Prints medians, ratios and how far the predictions are apart, and keeps
them in results/ceflnet/speed-batch<videos>.json.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from dferlib.evaluate import autocast, choose_precision, memory_format
from dferlib.models import create_model
from dferlib.models.ceflnet import CEFLNet
from dferlib.runs import project_root, provenance, write_json

BARS = {"batch, float32": 1.3, "batch, bf16 channels-last": 3.0}
TOLERANCE = {"batch, float32": 1e-5, "batch, bf16 channels-last": 0.02}  # of a class's probability


class FrameLoop(nn.Module):
    """CEFLNet with its frames sent one position of one clip after the other."""

    def __init__(self, model: CEFLNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor) -> Tensor:
        """Return logits (B, K) of clips (B, 3, T, H, W)."""
        model = self.model
        n, vectors = model.num_clips, []
        K = clip.shape[2] // n
        for i in range(n):
            f = torch.stack([model.backbone(clip[:, :, i * K + k]) for k in range(K)], 1)
            attended, _ = model.sal(f, False)
            vectors.append(model.lrl(f, attended)[0])
        features, _ = model.eian(torch.stack(vectors, 1))
        return model.head(features)


def one_step(model: nn.Module, optimizer, clip: Tensor, target: Tensor, precision: str) -> float:
    """Seconds of one training step."""
    started = time.perf_counter()
    with autocast(clip.device, precision):
        loss = F.cross_entropy(model(memory_format(clip, precision)), target)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if clip.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


@torch.no_grad()
def probabilities(model: nn.Module, clip: Tensor, precision: str) -> Tensor:
    """Class probabilities in evaluation mode."""
    model.eval()
    with autocast(clip.device, precision):
        return model(memory_format(clip, precision)).float().softmax(1)


def measure(given: argparse.Namespace) -> dict:
    """Time all ways to do a step, and compare what they predict."""
    device = torch.device(given.device)
    torch.manual_seed(0)
    model = create_model("ceflnet", 6, width=given.width).to(device)
    clip = torch.randn(given.batch, 3, 35, given.size, given.size, device=device)
    target = torch.arange(given.batch, device=device) % 6
    loop = FrameLoop(model)
    ways = {"loop, float32": (loop, "float32"), "batch, float32": (model, "float32")}
    fast = choose_precision("auto", device) == "bf16"
    if fast:
        ways["batch, bf16 channels-last"] = (model, "bf16")
    found = {name: probabilities(net, clip, kind) for name, (net, kind) in ways.items()}
    apart = {name: float((p - found["loop, float32"]).abs().max()) for name, p in found.items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tqdm(total=(given.repeats + 1) * len(ways), desc="steps") as bar:
        for turn in range(given.repeats + 1):
            for name, (net, precision) in ways.items():
                taken = one_step(net.train(), optimizer, clip, target, precision)
                seconds[name] += [taken] if turn else []  # the first turn warms up
                bar.update()
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {name: medians["loop, float32"] / value for name, value in medians.items()}
    return {
        "seconds": {name: [round(s, 3) for s in times] for name, times in seconds.items()},
        "median_seconds": {name: round(value, 3) for name, value in medians.items()},
        "times_as_fast": {name: round(value, 2) for name, value in ratios.items()},
        "largest_difference_of_a_probability": apart,
        "bars": {name: bar for name, bar in BARS.items() if name in ways},
        "tolerance": {name: value for name, value in TOLERANCE.items() if name in ways},
        "bf16_units": fast,
    }


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument("--batch", type=int, default=8, help="videos a step")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="default: results/ceflnet in the project")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    record = measure(given)
    for name, seconds in record["median_seconds"].items():
        ratio, apart = record["times_as_fast"][name], record["largest_difference_of_a_probability"]
        bar = record["bars"].get(name)
        against = "" if bar is None else f"  (bar {bar}: {'met' if ratio >= bar else 'missed'})"
        print(f"{name:28} {seconds:8.3f} s  {ratio:5.2f} times{against}  apart {apart[name]:.1e}")
    folder = given.out or (project_root() or Path.cwd()) / "results" / "ceflnet"
    folder.mkdir(parents=True, exist_ok=True)
    record |= {k: v for k, v in vars(given).items() if k != "out"}
    write_json(folder / f"speed-batch{given.batch}.json", record | {"provenance": provenance()})


if __name__ == "__main__":
    main()
