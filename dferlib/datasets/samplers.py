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


def dynamic_sampling(
    n_frames: ArrayLike,
    apex: ArrayLike,
    num_frames: int = 16,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Sample pairs of consecutive frames, one from each of num_frames / 2 segments (STT §3.2).

    The places where a pair can start, n - 1 of them, are cut into segments of equal length. With
    `rng` a pair starts anywhere in its segment, without it in the middle, rounded down. Where there
    are fewer places than segments, `rng` draws sorted starts from all of them, and without it the
    first pair is repeated (also where they are as many). `n_frames` and `apex` are (N,), the apex
    is not used; returns frame numbers (N, num_frames), int64. A single frame is repeated.
    DatasetError for empty clips and an odd `num_frames`.
    """
    count = np.atleast_1d(np.asarray(n_frames, dtype=np.int64))
    _check(count, np.atleast_1d(np.asarray(apex, dtype=np.int64)), num_frames)
    if num_frames % 2:
        raise DatasetError(f"num_frames is {num_frames}; pairs of frames need an even number")
    segments = num_frames // 2
    places, order = (count - 1)[:, None], np.arange(segments)
    if rng is None:
        middle = (2 * order + 1) * places // (2 * segments)
        starts = np.where(places > segments, middle, 0)
    else:
        share = rng.random((len(count), segments))
        low, high = order * places // segments, (order + 1) * places // segments
        inside = low + (share * (high - low)).astype(np.int64)
        anywhere = np.sort((share * places).astype(np.int64), axis=1)
        starts = np.where(places >= segments, inside, anywhere)
    pairs = np.stack([starts, np.minimum(starts + 1, places)], axis=2)
    return pairs.reshape(len(count), num_frames)


def time_interpolation(
    n_frames: ArrayLike,
    apex: ArrayLike,
    num_frames: int = 16,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Spread positions evenly over the whole clip, between frames as well (TI in Table 3 of STT).

    Returns (N, num_frames) float64 in 0 .. n - 1; the loader mixes both neighbours of a position
    between two frames. Neither the apex nor `rng` changes anything: the positions are fixed.
    `num_frames` of 1 gives the middle. DatasetError for empty clips.
    """
    count = np.atleast_1d(np.asarray(n_frames, dtype=np.int64))
    _check(count, np.atleast_1d(np.asarray(apex, dtype=np.int64)), num_frames)
    last = (count - 1)[:, None]
    if num_frames == 1:
        return last / 2
    return last * np.arange(num_frames) / (num_frames - 1)


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
