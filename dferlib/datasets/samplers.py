"""Which frames of a clip a model sees; vectorised over clips, with chance from `rng` alone.

A sampler takes `n_frames` and `apex` (N,), `num_frames` and `rng`, and its own options by keyword.
It returns frame numbers within each clip (N, T): whole numbers, floats for positions between two
frames, and -1 after the last frame of a clip that has fewer than the longest (see `batches`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dferlib.datasets.manifest import DatasetError

VIDEO_FRAMES = 105  # CEFLNet §4.1: every video is brought to so many frames,
STARTS = 30  # a window starts in one of the first 30,
WINDOW = 75  # takes 75 frames,
SPAN = 15  # and is split into clips of 15
TEST_START = 15


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


def windowed_clips(
    n_frames: ArrayLike,
    apex: ArrayLike,
    num_frames: int = 35,
    rng: np.random.Generator | None = None,
    *,
    num_clips: int = 7,
) -> np.ndarray:
    """Sample num_frames / num_clips frames from each of `num_clips` short clips (CEFLNet §4.1).

    The video is brought to 105 frames (`resampled_frames`). A window of 75 starts in one of its
    first 30, without `rng` at the sixteenth, and holds clips of 15 frames (`span_starts`). From
    each of them `rng` draws different frames, in order; without it they lie evenly from the first
    on: 0, 3, 6, 9, 12 for five. `n_frames` and `apex` are (N,), the apex is not used; returns
    frame numbers (N, num_frames), clip after clip, int64. DatasetError for empty clips, and for
    `num_frames` that are no multiple of `num_clips` or more than 15 for each.
    """
    count = np.atleast_1d(np.asarray(n_frames, dtype=np.int64))
    _check(count, np.atleast_1d(np.asarray(apex, dtype=np.int64)), num_frames)
    spans = span_starts(num_clips)
    each, rest = divmod(num_frames, num_clips)
    if rest or each > SPAN:
        raise DatasetError(
            f"num_frames is {num_frames} for {num_clips} clips; each clip needs the same number "
            f"of frames, 1 to {SPAN}"
        )
    shape = (len(count), num_clips, each)
    if rng is None:
        start = np.full((len(count), 1, 1), TEST_START)
        inner = np.broadcast_to(np.arange(each) * SPAN // each, shape)
    else:
        start = rng.integers(0, STARTS, (len(count), 1, 1))
        order = rng.random((len(count), num_clips, SPAN)).argsort(axis=2)
        inner = np.sort(order[:, :, :each], axis=2)
    places = (start + spans[:, None] + inner).reshape(len(count), num_frames)
    return resampled_frames(count, places)


def span_starts(num_clips: int = 7) -> np.ndarray:
    """Where the clips of 15 frames start in a window of 75 (num_clips,): 0, 10, .. 60 for seven.

    Starts are evenly spaced and rounded, halves up; a single clip is the middle one. DatasetError
    for fewer than one.
    """
    if num_clips < 1:
        raise DatasetError(f"num_clips is {num_clips}; at least 1 clip must be sampled")
    room = WINDOW - SPAN
    if num_clips == 1:
        return np.array([room // 2])
    gaps = num_clips - 1
    return (2 * room * np.arange(num_clips) + gaps) // (2 * gaps)


def resampled_frames(n_frames: ArrayLike, places: ArrayLike) -> np.ndarray:
    """Return the frames of videos (N,) at these places (N, P), 0 to 104, of their 105 frames.

    A shorter video is stretched, each place taking the nearest frame (halves up); of a longer one
    the 105 in the middle are kept (CEFLNet §4.1: interpolation and clipping).
    """
    count = np.asarray(n_frames, dtype=np.int64)[:, None]
    places, gaps = np.asarray(places, dtype=np.int64), VIDEO_FRAMES - 1
    stretched = (2 * places * (count - 1) + gaps) // (2 * gaps)
    return np.where(count > VIDEO_FRAMES, (count - VIDEO_FRAMES) // 2 + places, stretched)


def one_per_segment(
    n_frames: ArrayLike,
    apex: ArrayLike,
    num_frames: int = 5,
    rng: np.random.Generator | None = None,
    *,
    test_frames: Literal["middle", "all"] = "middle",
) -> np.ndarray:
    """Sample one frame from each of `num_frames` parts (HACN §3.1, ECNN-FSA §2.1).

    Part k of an n-frame clip reaches from frame floor(k n / num_frames) to the one before the next
    part. With `rng` any frame of it is drawn; without, it is the middle one, rounded down, or with
    `test_frames` "all" the whole clip is returned. A clip with fewer frames than parts gives all
    of them and repeats the last. `n_frames` and `apex` are (N,), the apex is not used; returns
    frame numbers (N, num_frames), int64, or (N, longest clip) with -1 after the end of the others.
    DatasetError for empty clips and another `test_frames`.
    """
    count = np.atleast_1d(np.asarray(n_frames, dtype=np.int64))
    _check(count, np.atleast_1d(np.asarray(apex, dtype=np.int64)), num_frames)
    if test_frames not in ("middle", "all"):
        raise DatasetError(f"test_frames is {test_frames!r}; allowed are middle, all")
    total = count[:, None]
    if rng is None and test_frames == "all":
        every = np.arange(count.max())
        return np.where(every < total, every, -1)
    order = np.arange(num_frames)
    low, high = order * total // num_frames, (order + 1) * total // num_frames
    if rng is None:
        inside = (low + high - 1) // 2
    else:
        share = rng.random((len(count), num_frames))
        inside = low + (share * (high - low)).astype(np.int64)
    return np.where(total < num_frames, np.minimum(order, total - 1), inside)


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
