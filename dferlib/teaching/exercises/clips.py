"""Lesson 2: from frames to clips."""

from __future__ import annotations

import numpy as np

from dferlib.datasets.samplers import neutral_to_peak, one_per_segment
from dferlib.teaching.exercise import Exercise, Mistake

_RNG = np.random.default_rng(2)
_CLIPS = tuple((_RNG.integers(0, 256, (4, 3, 3, 3), dtype=np.uint8),) for _ in range(2))


def middle_of_segments(n: int, k: int) -> list[int]:
    """Return the middle frame of each of k segments of n frames, rounded down."""
    return one_per_segment(n, -1, k)[0].tolist()


def _starts(n: int, k: int) -> list[int]:
    return [i * n // k for i in range(k)]


def _rounded_up(n: int, k: int) -> list[int]:
    return [(i * n // k + (i + 1) * n // k) // 2 for i in range(k)]


def movement(clip: np.ndarray) -> np.ndarray:
    """Return the last frame minus the first, signed, of a clip (T, H, W, 3)."""
    return clip[-1].astype(float) - clip[0].astype(float)


def _neighbours(clip: np.ndarray) -> np.ndarray:
    return clip[-1].astype(float) - clip[-2].astype(float)


EXERCISES = (
    Exercise(
        key="clips.1",
        expected=neutral_to_peak(25, 24, 5)[0],
        mistakes=(
            Mistake(
                [0, 5, 10, 15, 20],
                "Those are the starts of five equal parts. Neutral-to-peak "
                "ends at the peak, frame 24: four equal steps.",
            ),
            Mistake(
                [1, 7, 13, 19, 25],
                "You count from 1. Frames are numbered from 0, so the last is 24.",
            ),
        ),
        hint="Frames 0 and 24 are among them; the three others divide the way into equal steps.",
        well="Five frames have four gaps, of six frames each.",
    ),
    Exercise(
        key="clips.2",
        expected=middle_of_segments,
        mistakes=(
            Mistake(_starts, "Those are the first frames of the parts; take the middle of each."),
            Mistake(
                _rounded_up,
                "Where a part has an even number of frames there are two middles; "
                "take the earlier: (low + high - 1) // 2, as `high` is the next part's.",
            ),
        ),
        hint="Part i reaches from i * n // k up to, but without, (i + 1) * n // k.",
        well="With rng the package draws any frame of the part: the same clip, a little different "
        "each time.",
        calls=((25, 5), (30, 5), (7, 3), (100, 8)),
    ),
    Exercise(
        key="clips.3",
        expected=movement,
        mistakes=(
            Mistake(
                lambda clip: clip[-1] - clip[0],
                "Pixels are uint8, from 0 to 255: 10 - 20 "
                "gives 246 there. Turn the frames into floats first.",
            ),
            Mistake(
                lambda clip: np.abs(movement(clip)),
                "Without its sign darker and brighter cannot be told apart; leave the abs out.",
            ),
            Mistake(
                _neighbours,
                "That is the step between the last two frames. The person's own "
                "neutral face is the first one.",
            ),
        ),
        hint="The last frame minus the first, both as floats.",
        well="What is left is what moved; who it is has gone, for the most part.",
        calls=_CLIPS,
    ),
)
