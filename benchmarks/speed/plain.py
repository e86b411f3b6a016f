"""The plain way that public code reads clips and trains on them, written for comparison.

One JPEG a frame, opened, decoded, resized and normalised by a Python call each, in two worker
processes of torch's loader; a backbone that is called for one frame number of the clips after the
other; loss and hits fetched from the device in every step. It computes what the package computes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, Dataset

from dferlib.datasets.pixels import Normalisation
from dferlib.datasets.store import FrameStore
from dferlib.models.parts.frames import FrameModel

WORKERS = 2
QUALITY = 95  # of the JPEGs


class FrameFiles(Dataset):
    """Clips (3, T, size, size) from one JPEG a frame; `rows` (N, T) number the frames."""

    def __init__(
        self, folder: Path, rows: np.ndarray, size: int, normalisation: Normalisation
    ) -> None:
        self.folder, self.rows, self.size = folder, rows, size
        self.normalisation = normalisation

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, clip: int) -> Tensor:
        return torch.stack([self.frame(row) for row in self.rows[clip].tolist()], dim=1)

    def frame(self, row: int) -> Tensor:
        """One frame (3, size, size): one call of everything."""
        with Image.open(frame_path(self.folder, row)) as image:
            image = image.convert("RGB").resize((self.size, self.size))
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        mean, std = (torch.tensor(v)[:, None, None] for v in self.normalisation[:2])
        found = (pixels - mean) / std
        return found.flip(0) if self.normalisation.blue_first else found


def frame_path(folder: Path, row: int) -> Path:
    """Where the JPEG of a frame lies."""
    return folder / f"{row:06d}.jpg"


def write_frames(store: FrameStore, rows: np.ndarray, folder: Path) -> None:
    """Write the frames of these rows as one JPEG each."""
    for row in np.unique(rows).tolist():
        Image.fromarray(np.array(store.frames[row])).save(frame_path(folder, row), quality=QUALITY)


def read_in_workers(files: FrameFiles, batch_size: int, workers: int = WORKERS) -> Iterator[Tensor]:
    """Batches (B, 3, T, size, size), read by worker processes; the last one may be smaller."""
    # a worker that spins threads of its own would take the core from the other
    loader = DataLoader(files, batch_size, num_workers=workers, worker_init_fn=_one_thread)
    yield from loader


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)


def loop_over_frames(model: nn.Module, clips: int) -> nn.Module:
    """A copy of the model whose 2-D backbone sees one frame number of `clips` clips at a time.

    A model of whole clips is copied as it is.
    """
    twin = copy.deepcopy(model)
    if not isinstance(twin, FrameModel):
        return twin
    whole = twin.backbone.forward

    def looped(frames: Tensor, *rest, **named):
        parts = frames.unflatten(0, (clips, -1)).unbind(1)
        found = [whole(part.contiguous(), *rest, **named) for part in parts]
        return tree_map(lambda *times: torch.stack(times, 1).flatten(0, 1), *found)

    twin.backbone.forward = looped
    return twin


def plain_step(model: nn.Module, optimizer: torch.optim.Optimizer, clip: Tensor, target: Tensor):
    """A training step that looks at its loss and hits; returns both."""
    logits = model(clip)
    loss = F.cross_entropy(logits, target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item(), (logits.argmax(1) == target).sum().item()


def plain_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[Tensor], target: Tensor
) -> None:
    """Train on all batches; their classes are the first of `target`."""
    device = target.device
    for clip in batches:
        plain_step(model.train(), optimizer, clip.to(device), target[: len(clip)])
