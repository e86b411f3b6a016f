"""How much faster CEFLNet trains when all frames are one batch, against a loop over the frames.

    python benchmarks/models/ceflnet.py                      # the paper's input, two threads
    python benchmarks/models/ceflnet.py --size 112 --repeats 2

The loop sends clip after clip and position after position through the backbone, as most public code
for clips does. Both have the same weights and the same Adam step, and take turns, so that a machine
that slows down slows both. A turn is two steps, of which the second counts: in training a step
follows its like. Training keeps the memory that a step frees (`device.freed_memory_kept`), so both
do; --handed-back measures without that, in a process of its own, since kept memory cannot be unkept.

With several videos a step the loop's batches fill the processor as well, and one batch cannot be
faster than the processor multiplies: the speed of the loop in multiplications of the convolutions
is printed beside that of a large matrix product. Prints medians, ratios and how far the predictions
are apart, and keeps them in results/ceflnet/speed-batch<videos>.json (or -handed-back.json).
"""

import argparse
import statistics
import time
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from dferlib.analysis.cost import count_cost
from dferlib.device import autocast, choose_precision, freed_memory_kept, lay_out_clip
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json
from dferlib.models import create_model
from dferlib.models.ceflnet import CEFLNet

BARS = {"batch, float32": 1.3, "batch, bf16 channels-last": 3.0}
LAYOUT = {"float32": "contiguous", "bf16": "channels_last"}
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
        loss = F.cross_entropy(model(lay_out_clip(clip, LAYOUT[precision])), target)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if clip.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def product_speed(device: torch.device, side: int = 4096, repeats: int = 7) -> float:
    """GMACs a second of the fastest of some float32 matrix products."""
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return side**3 / min(times) / 1e9


@torch.no_grad()
def probabilities(model: nn.Module, clip: Tensor, precision: str) -> Tensor:
    """Class probabilities in evaluation mode."""
    model.eval()
    with autocast(clip.device, precision):
        return model(lay_out_clip(clip, LAYOUT[precision])).float().softmax(1)


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
    with tqdm(total=given.repeats * len(ways), desc="steps") as bar:
        for _ in range(given.repeats):
            for name, (net, precision) in ways.items():
                one_step(net.train(), optimizer, clip, target, precision)
                seconds[name].append(one_step(net, optimizer, clip, target, precision))
                bar.update()
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {name: medians["loop, float32"] / value for name, value in medians.items()}
    # of a training step: forward, and twice that backward
    macs = 3 * given.batch * count_cost(model, tuple(clip.shape[1:])).macs
    return {
        "gmacs_a_second": {
            "loop, float32": round(macs / medians["loop, float32"] / 1e9, 1),
            "batch, float32": round(macs / medians["batch, float32"] / 1e9, 1),
            "matrix product, float32": round(product_speed(device), 1),
        },
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
    parser.add_argument("--handed-back", action="store_true", help="freed memory is not kept")
    parser.add_argument("--out", type=Path, help="default: results/ceflnet in the project")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with nullcontext() if given.handed_back else freed_memory_kept():
        record = measure(given)
    for name, seconds in record["median_seconds"].items():
        ratio, apart = record["times_as_fast"][name], record["largest_difference_of_a_probability"]
        bar = record["bars"].get(name)
        against = "" if bar is None else f"  (bar {bar}: {'met' if ratio >= bar else 'missed'})"
        print(f"{name:28} {seconds:8.3f} s  {ratio:5.2f} times{against}  apart {apart[name]:.1e}")
    for name, speed in record["gmacs_a_second"].items():
        print(f"{name:28} {speed:8.1f} GMACs a second")
    folder = given.out or (project_root() or Path.cwd()) / "results" / "ceflnet"
    folder.mkdir(parents=True, exist_ok=True)
    record |= {k: v for k, v in vars(given).items() if k != "out"}
    name = f"speed-batch{given.batch}{'-handed-back' * given.handed_back}.json"
    write_json(folder / name, record | {"provenance": provenance()})


if __name__ == "__main__":
    main()
