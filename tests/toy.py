"""A frame store of coloured noise that any model learns in seconds, for tests."""

from pathlib import Path

import numpy as np
import pandas as pd

from dferlib.datasets.store import FrameStore

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


def make_store(
    subjects: int = 12, length: int = 9, size: int = 36, noise: float = 20
) -> FrameStore:
    """One clip per subject and class; its colour, growing over the frames, is its class."""
    rng = np.random.default_rng(0)
    colours = np.array([[c & 1, c >> 1 & 1, c >> 2 & 1] for c in range(6)]) * 120
    rows, frames = [], []
    for subject in range(subjects):
        for label, colour in enumerate(colours):
            growth = np.linspace(0, 1, length)[:, None, None, None]
            clip = 60 + growth * colour + rng.normal(0, noise, (length, size, size, 3))
            rows.append((f"S{subject:02d}/{CLASSES[label]}", f"S{subject:02d}", CLASSES[label]))
            frames.append(clip.clip(0, 255).astype(np.uint8))
    manifest = pd.DataFrame(rows, columns=["clip_id", "subject", "label"])
    manifest["n_frames"], manifest["offset"] = length, np.arange(len(rows)) * length
    manifest["fps"], manifest["apex"], manifest["onset"] = 25.0, length - 1, 0
    manifest["split"], manifest["dataset"], manifest["source"] = "", "oulu", "synthetic"
    return FrameStore(
        manifest=manifest,
        frames=np.concatenate(frames),
        key="toy",
        path=Path("toy"),
        size=size,
        dataset="oulu",
        source="synthetic",
        classes=CLASSES,
        pixels="toy",
    )
