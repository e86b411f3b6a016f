"""When an expression comes and goes: the three courses that the datasets of the papers have.

From neutral to the peak (CK+, Oulu-CASIA), neutral to peak to neutral (MMI, BU-4DFE), and an
expression that may begin and end outside the clip (AFEW, DFEW). In each, every AU follows its own
onset and offset, late or early by its own share of the rise, but all of them are at their height
in the apex frame, which is therefore known exactly.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dferlib.synthface import ACTION_UNITS
from dferlib.synthface.streams import number, stream

UNKNOWN = -1  # apex and onset of a clip that has none
ONSET_LEVEL = 0.1  # share of the height at which an expression counts as begun
SAG = 0.06  # of the height, over the clip's length: the apex stays the one highest frame


@dataclass(frozen=True)
class Span:
    """When an expression comes and goes, in frames; it may begin before the clip and end after."""

    begin: float
    full: float
    fading: float
    gone: float
    apex: int


def _span_to_peak(n_frames: int, generator: torch.Generator) -> Span:
    last = n_frames - 1
    begin = number(generator, 0.0, 0.25) * last
    full = number(generator, 0.75, 1.0) * last
    return Span(begin, full, math.inf, math.inf, last)


def _span_there_and_back(n_frames: int, generator: torch.Generator) -> Span:
    last = n_frames - 1
    apex = round(number(generator, 0.3, 0.7) * last)
    hold, rise, fall = (
        number(generator, *pair) * last for pair in ((0.02, 0.1), *[(0.15, 0.3)] * 2)
    )
    begin, gone = max(0.0, apex - hold - rise), min(float(last), apex + hold + fall)
    return Span(begin, max(begin, apex - hold), min(gone, apex + hold), gone, apex)


def _span_anywhere(n_frames: int, generator: torch.Generator) -> Span:
    last = n_frames - 1
    apex = round(number(generator, 0.15, 0.85) * last)
    before, after, rise, fall = (
        number(generator, *pair) * last for pair in (*[(0.05, 0.3)] * 2, *[(0.1, 0.3)] * 2)
    )
    full, fading = apex - before, apex + after
    return Span(full - rise, full, fading, fading + fall, apex)


SPANS: dict[str, Callable[[int, torch.Generator], Span]] = {
    "neutral_to_peak": _span_to_peak,
    "neutral_peak_neutral": _span_there_and_back,
    "in_the_wild": _span_anywhere,
}


def au_weights(span: Span, n_frames: int, generator: torch.Generator) -> Tensor:
    """Course of every AU, (T, A) in [0, 1].

    Each AU starts up to two fifths of the rise late and is complete up to three tenths of it
    early, and likewise when it fades. All are 1 in the apex frame and below it elsewhere.
    """
    t = torch.arange(n_frames, dtype=torch.float32)[:, None]
    late, early, linger, leave = torch.rand(4, len(ACTION_UNITS), generator=generator)
    rise, fall = span.full - span.begin, span.gone - span.fading
    up = _ramp(t, span.begin + 0.4 * late * rise, span.full - 0.3 * early * rise)
    weights = up
    if math.isfinite(span.gone):
        weights = up * (
            1 - _ramp(t, span.fading + 0.4 * linger * fall, span.gone - 0.3 * leave * fall)
        )
    return weights * (1 - SAG * (t - span.apex).abs() / n_frames)


def _ramp(t: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Smooth step from 0 at `start` to 1 at `end`."""
    x = ((t - start) / (end - start).clamp_min(1e-3)).clamp(0, 1)
    # a clip of one frame has no room for a rise: it shows the expression
    x = torch.where(t >= end, torch.ones_like(x), x)
    return x * x * (3 - 2 * x)


def find_onset(weights: Tensor) -> int:
    """First frame in which the mean course of the AUs (T, A) reaches a tenth of its height."""
    mean = weights.mean(dim=1)
    return int(torch.nonzero(mean >= ONSET_LEVEL * mean.max())[0])


def follow_course(course: str, n_frames: int, key: tuple) -> tuple[Tensor, Span]:
    """Draw a clip's weights (T, A) and their span; ValueError lists the courses."""
    generator = stream(*key, "course")
    try:
        span = SPANS[course](n_frames, generator)
    except KeyError:
        raise ValueError(f"unknown course {course!r}; there are {', '.join(SPANS)}") from None
    return au_weights(span, n_frames, generator), span


def onset_and_apex(course: str, label: str, n_frames: int, key: tuple) -> tuple[int, int]:
    """Onset and apex frame of the clip that `plan_clip` would make, without making it."""
    if label == "neutral":
        return UNKNOWN, UNKNOWN
    weights, span = follow_course(course, n_frames, key)
    return find_onset(weights), span.apex
