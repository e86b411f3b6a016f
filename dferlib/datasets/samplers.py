"""Which frames of a clip a model sees; vectorised over clips, with chance from `rng` alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dferlib.datasets.manifest import DatasetError


def neutral_to_peak(
    n_frames: ArrayLike,
    apex: ArrayLike,
    num_frames: int = 7,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Sample from first frame (neutral) to peak: both ends, the others evenly between (STCAM §4.1).

    `n_frames` and `apex` are (N,); an apex of -1 means the last frame. Returns frame numbers (N,
    num_frames) within each clip, int64 and never decreasing; a clip with fewer frames repeats some.
    With `rng` each inner frame moves by a uniform integer of at most half the sampling step, so
    that the order holds; both ends stay where they are. `num_frames` of 1 gives the peak.
    DatasetError for empty clips and an apex outside its clip.
    """
    count = np.atleast_1d(np.asarray(n_frames, dtype=np.int64))
    peak = np.atleast_1d(np.asarray(apex, dtype=np.int64))
    _check(count, peak, num_frames)
    peak = np.where(peak < 0, count - 1, peak)[:, None]
    if num_frames == 1:
        return peak
    gaps = num_frames - 1
    # Integers throughout: halves round up, which commutes with whole steps, so jittered neighbours
    # cannot cross.
    frames = (2 * peak * np.arange(num_frames) + gaps) // (2 * gaps)
    if rng is not None and num_frames > 2:
        half = np.broadcast_to(peak // (2 * gaps), (len(count), num_frames - 2))
        frames[:, 1:-1] += rng.integers(-half, half, endpoint=True)
    return frames


def _check(count: np.ndarray, peak: np.ndarray, num_frames: int) -> None:
    if num_frames < 1:
        raise DatasetError(f"num_frames is {num_frames}; at least 1 frame must be sampled")
    if count.shape != peak.shape:
        raise DatasetError(f"n_frames has shape {count.shape}, apex {peak.shape}; they must agree")
    bad = np.flatnonzero((count < 1) | (peak < -1) | (peak >= count))
    if len(bad):
        clip = bad[0]
        raise DatasetError(
            f"clip {clip} has {count[clip]} frames and its apex at {peak[clip]}; "
            "it needs a frame, and an apex in it or -1"
        )
