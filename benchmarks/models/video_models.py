"""How fast clips are read and put through Former-DFER, beside the plain way of doing both.

    python benchmarks/models/video_models.py --size 112 --clips 16

The plain way is what much public code does: one JPEG a frame, opened, decoded, resized and
normalised by one Python call each, and a loop that calls the backbone once for every frame number.
Ours gathers the frames of a batch from the store at once and folds them into the batch of the
backbone. Both ways are measured in turn in the same process, on the same clips and weights, in
float32 and evaluation mode; the logits are checked to be the same. Freed memory is kept between
calls, as in training and prediction. The ratios are of the medians.
They are kept in results/speed/video_models-<size>px.json.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from dferlib.datasets import open_store
from dferlib.datasets.batches import IMAGENET_MEAN, IMAGENET_STD, ClipLoader
from dferlib.datasets.store import FrameStore
from dferlib.device import freed_memory_kept
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json
from dferlib.models import create_model


def write_jpegs(store: FrameStore, clips: np.ndarray, folder: Path) -> list[list[Path]]:
    """Write the frames of these clips as one JPEG each; returns their paths, clip by clip."""
    written = []
    for clip in clips:
        offset, count = store.manifest[["offset", "n_frames"]].iloc[clip]
        paths = [folder / f"{clip}_{index:04d}.jpg" for index in range(count)]
        for index, path in enumerate(paths):
            Image.fromarray(np.asarray(store.frames[offset + index])).save(path, quality=95)
        written.append(paths)
    return written


def load_frame(path: Path, size: int) -> Tensor:
    """One frame (3, size, size), normalised: one call of everything."""
    with Image.open(path) as image:
        image = image.convert("RGB").resize((size, size))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(value)[:, None, None] for value in (IMAGENET_MEAN, IMAGENET_STD))
    return (pixels - mean) / std


def plain_batch(paths: list[list[Path]], frames: np.ndarray, size: int) -> Tensor:
    """A batch (B, 3, T, size, size), frame by frame."""
    clips = []
    for clip, chosen in zip(paths, frames, strict=True):
        clips.append(torch.stack([load_frame(clip[index], size) for index in chosen], dim=1))
    return torch.stack(clips)


def plain_forward(model: nn.Module, clip: Tensor) -> Tensor:
    """Former-DFER's logits with the backbone called once for every frame number of a batch."""
    vectors = [model.backbone(clip[:, :, t]) for t in range(clip.shape[2])]
    tokens = torch.stack(vectors, dim=1)
    tokens = torch.cat([model.class_token.expand(len(clip), -1, -1), tokens], dim=1)
    tokens = tokens + model.positions[:, : tokens.shape[1]]
    for layer in model.layers:
        tokens, _ = layer(tokens, None, False)
    return model.head(tokens[:, 0])


def compare(plain: Callable[[], object], ours: Callable[[], object], repeats: int) -> dict:
    """Seconds of both in turn, the first turn not counted: medians, quartiles and the ratio."""
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    for turn in range(repeats + 1):
        for name, function in (("plain", plain), ("ours", ours)):
            started = time.perf_counter()
            function()
            if turn:
                times[name].append(time.perf_counter() - started)
    result: dict = {"repeats": repeats}
    for name, values in times.items():
        ordered = sorted(values)
        result[name] = {
            "median_s": round(statistics.median(values), 4),
            "low_s": round(ordered[len(values) // 4], 4),
            "high_s": round(ordered[3 * len(values) // 4], 4),
        }
    result["ratio"] = round(result["plain"]["median_s"] / result["ours"]["median_s"], 2)
    return result


@freed_memory_kept()
def measure(store: FrameStore, size: int, number: int, repeats: int) -> dict:
    """Compare reading, forward, and forward with backward, on the first clips of the store."""
    clips = np.arange(min(number, len(store.manifest)))
    loader = ClipLoader(store, "dynamic_sampling", 16, size, number, torch.device("cpu"))
    frames = loader.draw().frames[clips] - store.manifest["offset"].to_numpy()[clips, None]
    batch = loader.gather(clips)
    torch.manual_seed(0)
    model = create_model("former_dfer", 7, input_size=size)
    target = torch.zeros(len(clips), dtype=torch.long)

    def step(forward: Callable[[Tensor], Tensor]) -> None:
        model.zero_grad()
        torch.nn.functional.cross_entropy(forward(batch), target).backward()

    with tempfile.TemporaryDirectory() as folder:
        paths = write_jpegs(store, clips, Path(folder))
        rows = {
            "read a batch": compare(
                lambda: plain_batch(paths, frames, size), lambda: loader.gather(clips), repeats
            )
        }
    model.eval()
    with torch.no_grad():
        apart = (plain_forward(model, batch) - model(batch)).abs().max().item()
        if apart > 1e-3:
            raise RuntimeError(f"the two ways differ by {apart:g}; they have to compute the same")
        rows["forward"] = compare(
            lambda: plain_forward(model, batch), lambda: model(batch), repeats
        )
    rows["forward and backward"] = compare(
        lambda: step(lambda clip: plain_forward(model, clip)), lambda: step(model), repeats
    )
    return {"clips": len(clips), "frames": 16, "largest_difference": apart, "rows": rows}


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=112, help="side of the frames")
    parser.add_argument("--store-size", type=int, default=128, help="side of the stored frames")
    parser.add_argument("--clips", type=int, default=8, help="clips in a batch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fraction", type=float, default=0.002, help="of the DFEW stand-in")
    parser.add_argument("--out", type=Path, help="default: results/speed in the project")
    options = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    store = open_store(
        "dfew", source="synthetic", size=options.store_size, fraction=options.fraction
    )
    record = measure(store, options.size, options.clips, options.repeats)
    for name, row in record["rows"].items():
        plain, ours = row["plain"]["median_s"], row["ours"]["median_s"]
        print(f"{name}: plain {plain:.3f} s, ours {ours:.3f} s, {row['ratio']:.2f} times as fast")
    record |= {"model": "former_dfer", "size": options.size, "store_size": options.store_size}
    record |= {"load_before": load}
    record |= {"threads": torch.get_num_threads(), "provenance": provenance()}
    if load is not None and load > 0.5:
        print(f"the machine was busy: load {load:.1f} before the measurement")
    folder = options.out or (project_root() or Path()) / "results" / "speed"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"video_models-{options.size}px.json", record)


if __name__ == "__main__":
    main()
