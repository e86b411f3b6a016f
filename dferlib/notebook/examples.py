"""Clips that may stand for a dataset in a figure: whole, with a face in every frame, of one person.

A detector misses faces, films are cut, short clips repeat their last frame. All such clips stay in
every number; they only are no good examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dferlib.datasets.store import FrameStore

if TYPE_CHECKING:
    from dferlib.datasets.batches import ClipLoader

CUT = 3.0  # a step between frames, in median largest steps of a clip, that is no movement of a face
AMONG = 12  # clips of a class that are looked at


def flaws(store: FrameStore, rows: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """How bad an example each clip is (N,): 0 for none; frames without a face count most.

    `rows` are places in the manifest, `frames` (N, T, H, W, 3) their sampled frames. 8 for a frame
    in which no face was found, 4 for a break among the frames - a cut, or another person - 2 for
    fewer frames in the clip than are shown, 1 for a frame that has the box of another.
    """
    found = store.faces.set_index("clip_id").reindex(store.manifest["clip_id"].iloc[rows])
    lost, borrowed = (found[name].fillna(0).to_numpy() > 0 for name in ("none", "borrowed"))
    short = store.manifest["n_frames"].to_numpy()[rows] < frames.shape[1]
    cut = np.zeros(len(rows), dtype=bool)
    if frames.shape[1] > 1:
        steps = np.abs(np.diff(frames.astype(np.float32), axis=1)).mean((2, 3, 4)).max(1)
        cut = steps > CUT * np.median(steps)
    return 8 * lost + 4 * cut + 2 * short + borrowed


def choose_examples(
    store: FrameStore, loader: ClipLoader, rows: np.ndarray, classes: Sequence[str]
) -> np.ndarray:
    """A good example of each class among rows of the manifest, of other people where there are.

    Rows of classes that have no clip are missing. The same every time.
    """
    labels = store.manifest["label"].to_numpy()[rows]
    pools = [np.roll(np.flatnonzero(labels == k), -i)[:AMONG] for i, k in enumerate(classes)]
    asked = rows[np.concatenate(pools)]
    frames = loader.gather(asked).permute(0, 2, 3, 4, 1).numpy()
    bad = dict(zip(asked, flaws(store, asked, frames), strict=True))
    subjects, taken, chosen = store.manifest["subject"].to_numpy(), set(), []
    for pool in pools:
        if len(pool):
            best = min(rows[pool], key=lambda row: (bad[row], subjects[row] in taken))
            taken.add(subjects[best])
            chosen.append(best)
    return np.array(chosen)
