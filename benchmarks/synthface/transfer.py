"""What faces that were learnt on a stand-in are worth on others: train there, test on other trees.

    # on the trees that the project writes in the owners' layouts
    python benchmarks/synthface/transfer.py
    # on labelled clips or photographs of one's own, in a folder for each class
    python benchmarks/synthface/transfer.py --own photographs=FOLDER

The plain network of `difficulty.py` learns peak frames of a stand-in's crops, grey, 64 px, and
names the peak frames of trees that their readers cut out: those of the generator, whose faces come
from the same renderer but are found, cut and compressed like real ones, and any folder given.
Classes that the training lacks are left out. The network is weak, and a few photographs choose
nothing: the numbers are there to notice when a change of the faces makes them worse. Results go to
results/faces/transfer.json.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from difficulty import LUMA, Training, augment, small_network
from torch import nn

from dferlib.datasets import open_store
from dferlib.datasets.standins.plans import plan_standin
from dferlib.datasets.standins.trees import write_ckplus, write_oulu
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json
from dferlib.synthface import FACE_VERSION
from dferlib.synthface.scene import film

WRITERS = {"oulu": write_oulu, "ckplus": write_ckplus}
SIZE = 64
GROUP = 24  # clips rendered at once
SUFFIXES = {".jpg", ".jpeg", ".png"}


def to_grey(frames: np.ndarray) -> torch.Tensor:
    """Frames uint8 (N, S, S, 3) as the network sees them: each (1, S, S) of mean 0 and s.d. 1."""
    grey = torch.from_numpy(frames.astype(np.float32) @ np.array(LUMA, np.float32))[:, None]
    mean, spread = grey.mean((2, 3), keepdim=True), grey.std((2, 3), keepdim=True)
    return (grey - mean) / spread.clamp_min(1)


def standin_peaks(name: str, clips: int, faces: str) -> tuple[torch.Tensor, np.ndarray]:
    """Peak frames of evenly chosen clips of a stand-in, cut out by `faces`, and labels."""
    plan = plan_standin(name, faces=faces)
    rows = np.unique(np.linspace(0, len(plan.manifest) - 1, clips).round().astype(int))
    chosen, frames = plan.manifest.iloc[rows], []
    peaks = np.where(chosen["apex"] >= 0, chosen["apex"], chosen["n_frames"] - 1)
    for start in range(0, len(rows), GROUP):
        pairs = zip(rows[start : start + GROUP], peaks[start : start + GROUP], strict=True)
        frames.append(film([plan.scene(row).take([int(peak)]) for row, peak in pairs], SIZE)[0])
    return to_grey(np.concatenate(frames)), chosen["label"].to_numpy()


def tree_peaks(dataset: str, root: Path, faces: str) -> tuple[torch.Tensor, np.ndarray]:
    """Peak frames of a tree, cut out by its reader, and labels; the middle where none is known."""
    store = open_store(dataset, source="real", data_root=root, size=SIZE, faces=faces)
    clips = store.manifest
    peaks = np.where(clips["apex"] >= 0, clips["apex"], clips["n_frames"] // 2)
    frames = np.asarray(store.frames[(clips["offset"] + peaks).to_numpy()])
    return to_grey(frames), clips["label"].to_numpy()


def learn(images: torch.Tensor, labels: torch.Tensor, classes: int, seed: int) -> nn.Module:
    """Train the plain network as `difficulty.py` does."""
    torch.manual_seed(seed)
    setting = Training()
    net = small_network(1, classes, setting.dropout)
    optimizer = torch.optim.AdamW(net.parameters(), setting.lr, weight_decay=setting.weight_decay)
    steps = setting.epochs * (len(images) // setting.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, setting.lr, total_steps=steps)
    for _ in range(setting.epochs):
        order = torch.randperm(len(images)).split(setting.batch_size)
        for batch in order[: steps // setting.epochs]:
            scores = net(augment(images[batch], setting.shift))
            loss = F.cross_entropy(scores, labels[batch], label_smoothing=0.1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def score(
    nets: list[nn.Module], classes: list[str], images: torch.Tensor, labels: np.ndarray
) -> dict:
    """Right answers of the networks together, overall and per class as "right of n"."""
    known = np.isin(labels, classes)
    images, labels = images[torch.from_numpy(known)], labels[known]
    scores = sum(net(part).softmax(1) for net in nets for part in (images, images.flip(3)))
    right = pd.Series(np.array(classes)[scores.argmax(1).numpy()] == labels)
    groups = right.groupby(labels)
    by_class = {name: f"{int(part.sum())} of {len(part)}" for name, part in groups}
    return {"accuracy": round(float(right.mean()), 4), "n": len(right), "right": by_class}


def as_clips(photographs: Path, root: Path) -> Path:
    """Copy a folder of classes; a photograph that lies in one becomes a clip of one frame."""
    for path in sorted(photographs.rglob("*")):
        inside = path.relative_to(photographs)
        if path.suffix.lower() in SUFFIXES and len(inside.parts) == 2:
            inside = inside.with_suffix("") / path.name
        if path.is_file() and len(inside.parts) > 1:
            (root / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, root / inside)
    return root


def main() -> None:
    """Train, test on every tree, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", default="pretraining", help="a stand-in")
    parser.add_argument("--clips", type=int, default=1600, help="of it")
    parser.add_argument("--seeds", type=int, default=3, help="networks, whose answers are averaged")
    parser.add_argument("--faces", default="align=upright", help="how both are cut out")
    parser.add_argument("--subjects", type=int, default=10, help="of each generator tree")
    parser.add_argument("--own", nargs="*", default=[], help="NAME=FOLDER of one's own")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = standin_peaks(chosen.train, chosen.clips, chosen.faces)
    classes = sorted(set(labels))
    target = torch.tensor([classes.index(label) for label in labels])
    nets = [learn(images, target, len(classes), seed) for seed in range(chosen.seeds)]
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for name, write in WRITERS.items():
            root = Path(place) / name
            write(root, subjects=chosen.subjects, seed=7)
            found[f"generator tree {name}"] = score(
                nets, classes, *tree_peaks(name, root, chosen.faces)
            )
        for entry in chosen.own:
            name, _, folder = entry.partition("=")
            root = as_clips(Path(folder), Path(place) / f"own-{name}")
            found[name] = score(nets, classes, *tree_peaks("folder", root, chosen.faces))
    print(json.dumps(found, indent=1))
    given = {"train": chosen.train, "clips": chosen.clips, "seeds": chosen.seeds}
    given["faces"] = chosen.faces
    record = {**given, "face_version": FACE_VERSION, "tests": found, "provenance": provenance()}
    write_json((project_root() or Path()) / "results" / "faces" / "transfer.json", record)


if __name__ == "__main__":
    main()
