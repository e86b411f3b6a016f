"""How a face moves through a clip: Action Units, head, gaze, light and camera, frame by frame.

An expression follows one of the courses of `courses`. Over it lie what a subject's face does at
rest, speech, blinks, a flash of another expression, and movement that means nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor

from dferlib.synthface import (
    ACTION_UNITS,
    AU_INDEX,
    EXPRESSIONS,
    Light,
    default_light,
    expression_aus,
)
from dferlib.synthface.courses import UNKNOWN, find_onset, follow_course
from dferlib.synthface.difficulty import Difficulty
from dferlib.synthface.streams import chance, number, smooth_noise, stream

MAX_AU = 1.15
HALF_HEIGHT = 1.6  # of the camera: head and shoulders, from which the face is cut out

REST_AUS = (1, 2, 4, 5, 7, 10, 12, 14, 15, 17, 20, 23)
REST_SHARE = 0.35  # of them that a subject has
LIP_PARTS, JAW_DROP, LIP_PUCKER, LIP_STRETCH, EYES_CLOSED = 25, 26, 18, 20, 43
BLINK = (0.5, 1.0, 0.85, 0.45, 0.15)  # lid closure in consecutive frames at 25 fps
SYLLABLES = (2.0, 4.0)  # a second
SPEECH = 0.8  # opening of the mouth when talking

POSE_SPREAD = (0.45, 0.18, 0.12)  # s.d. of yaw, pitch, roll between clips, rad
POSE_SWAY = (0.16, 0.09, 0.06)  # and within a clip
MAX_POSE = 1.0
LIGHT_SPREAD = (0.8, 0.5, 0.2)


@dataclass(frozen=True, eq=False)
class ClipPlan:
    """Everything the renderer needs for the T frames of a clip; each tensor's first axis is T.

    `aus` (T, A, 2) in the order of ACTION_UNITS, sides as in `expression_aus`; `pose` (T, 3) yaw,
    pitch, roll in rad; `camera` (T, 3) centre x, y and half height; `gaze` (T, 2); `light` holds
    (T, 3) tensors. `onset` is the first frame in which the expression is seen, `apex` the frame of
    its height; both are -1 where there is none (a neutral clip).
    """

    aus: Tensor
    pose: Tensor
    camera: Tensor
    gaze: Tensor
    light: Light
    onset: int = UNKNOWN
    apex: int = UNKNOWN

    def __len__(self) -> int:
        return len(self.aus)

    def take(self, frames: Tensor | Sequence[int] | slice) -> "ClipPlan":
        """Choose frames; onset and apex keep counting in the whole clip."""
        parts = {name: getattr(self, name)[frames] for name in _MOTION}
        return replace(self, light=_map_light(lambda x: x[frames], self.light), **parts)

    def to(self, device: str | torch.device) -> "ClipPlan":
        """Move all tensors to a device."""
        parts = {name: getattr(self, name).to(device) for name in _MOTION}
        return replace(self, light=_map_light(lambda x: x.to(device), self.light), **parts)

    def with_aus(self, aus: Tensor) -> "ClipPlan":
        """Replace the AUs (T, A, 2)."""
        return replace(self, aus=aus)


_MOTION = ("aus", "pose", "camera", "gaze")


def join_plans(plans: Sequence[ClipPlan]) -> ClipPlan:
    """Put the frames of several clips behind each other; the result has no onset and no apex."""
    parts = {name: torch.cat([getattr(plan, name) for plan in plans]) for name in _MOTION}
    light = _map_light(lambda *x: torch.cat(x), *(plan.light for plan in plans))
    return ClipPlan(**parts, light=light)


def _map_light(change: Callable[..., Tensor], *lights: Light) -> Light:
    names = [field.name for field in fields(Light)]
    return Light(**{name: change(*(getattr(light, name) for light in lights)) for name in names})


# ------------------------------------------------------------------------------------ clips


def plan_clip(
    course: str,
    label: str,
    n_frames: int,
    difficulty: Difficulty,
    key: tuple,
    subject: tuple,
    fps: float = 25,
) -> ClipPlan:
    """Plan all frames of a clip. `course` names one of `courses.SPANS`, `label` the expression.

    Everything depends on `key`, the clip's name, and on `subject`, the subject's name, which alone
    decides the resting face. Both are tuples that `stream` takes. ValueError for an unknown course.
    """
    weights, span = follow_course(course, n_frames, key)
    neutral = label == "neutral"
    peak = expression_aus(label, _intensity(difficulty, key), stream(*key, "peak"))
    aus = weights[..., None] * peak
    aus = torch.maximum(aus, _distraction(weights, difficulty, key))
    shown = (aus.amax(dim=(1, 2)) / peak.max().clamp_min(1e-6)).clamp(max=1)
    rest = resting_aus(difficulty.rest, subject)
    aus = aus + rest * (1 - 0.5 * shown)[:, None, None]  # an expression overrules a habit
    aus = torch.maximum(aus, _speech(n_frames, fps, difficulty, key))
    aus = aus + _au_noise(n_frames, difficulty, key)
    aus[:, AU_INDEX[EYES_CLOSED]] = torch.maximum(
        aus[:, AU_INDEX[EYES_CLOSED]], _blink(n_frames, span.apex, difficulty, key)[:, None]
    )
    return ClipPlan(
        aus=aus.clamp(0, MAX_AU),
        **_head(n_frames, difficulty, key),
        light=_light(n_frames, difficulty, key),
        onset=UNKNOWN if neutral else find_onset(weights),
        apex=UNKNOWN if neutral else span.apex,
    )


neutral_to_peak = partial(plan_clip, "neutral_to_peak")
neutral_peak_neutral = partial(plan_clip, "neutral_peak_neutral")
in_the_wild = partial(plan_clip, "in_the_wild")


def resting_aus(strength: float, subject: tuple) -> Tensor:
    """A subject's resting face (A, 2): a few AUs, each up to `strength`.

    One subject's neutral face so resembles another's weak expression, which is why a subject's own
    neutral frame helps to read the peak.
    """
    draws = torch.rand(2, len(REST_AUS), generator=stream(*subject, "rest"))
    aus = torch.zeros(len(ACTION_UNITS), 2)
    values = torch.where(draws[0] < REST_SHARE, strength * draws[1], torch.zeros(()))
    aus[[AU_INDEX[au] for au in REST_AUS]] = values[:, None]
    return aus


def _intensity(difficulty: Difficulty, key: tuple) -> float:
    return number(stream(*key, "intensity"), difficulty.intensity_low, difficulty.intensity_high)


def _distraction(weights: Tensor, difficulty: Difficulty, key: tuple) -> Tensor:
    """A short flash of some expression where the clip's own is not shown, (T, A, 2)."""
    generator = stream(*key, "distraction")
    happens = chance(generator, difficulty.distraction)
    label = EXPRESSIONS[int(number(generator) * (len(EXPRESSIONS) - 1))]
    intensity = number(generator, 0.3, 0.6)
    centre, width = number(generator, 0.1, 0.9), number(generator, 0.08, 0.16)
    if not happens:
        return torch.zeros(())
    t = torch.linspace(0, 1, len(weights))
    bump = torch.exp(-(((t - centre) / width) ** 4))[:, None] * (1 - weights).clamp(0, 1)
    return bump[..., None] * expression_aus(label, intensity, generator)


def _speech(n_frames: int, fps: float, difficulty: Difficulty, key: tuple) -> Tensor:
    """Mouth AUs of somebody who talks, (T, A, 2)."""
    generator = stream(*key, "speech")
    if not chance(generator, difficulty.talking):
        return torch.zeros(())
    rate, phase = number(generator, *SYLLABLES), number(generator, 0, 2 * math.pi)
    t = torch.arange(n_frames) / fps
    louder = 0.6 + 0.4 * smooth_noise(generator, n_frames, 1, 3)[:, 0].clamp(-1, 1)
    opening = SPEECH * louder * (0.5 + 0.5 * torch.sin(2 * math.pi * rate * t + phase))
    shape = smooth_noise(generator, n_frames, 2, 4)
    aus = torch.zeros(n_frames, len(ACTION_UNITS), 2)
    aus[:, AU_INDEX[LIP_PARTS]] = 0.8 * opening[:, None]
    aus[:, AU_INDEX[JAW_DROP]] = 0.55 * opening[:, None]
    aus[:, AU_INDEX[LIP_PUCKER]] = (0.5 * shape[:, :1]).clamp(0, 0.6)
    aus[:, AU_INDEX[LIP_STRETCH]] = (0.2 * shape[:, 1:]).clamp(0, 0.3)
    return aus


def _au_noise(n_frames: int, difficulty: Difficulty, key: tuple) -> Tensor:
    """Slow changes of half of the AUs that mean nothing, (T, A, 1)."""
    generator = stream(*key, "au_noise")
    moves = torch.rand(len(ACTION_UNITS), generator=generator) < 0.5
    return (difficulty.au_noise * moves * smooth_noise(generator, n_frames, len(moves), 4))[
        ..., None
    ]


def _blink(n_frames: int, apex: int, difficulty: Difficulty, key: tuple) -> Tensor:
    """Closure of the lids (T,); they are open at the apex, which is to be the clearest frame."""
    generator = stream(*key, "blink")
    happens, start = chance(generator, difficulty.blink), int(number(generator) * n_frames)
    if start <= apex < start + len(BLINK):
        start = apex - len(BLINK)
    closure = torch.zeros(n_frames + len(BLINK))
    if happens and start >= 0:
        closure[start : start + len(BLINK)] = torch.tensor(BLINK)
    return closure[:n_frames]


# ---------------------------------------------------------------------------- head and light


def _head(n_frames: int, difficulty: Difficulty, key: tuple) -> dict[str, Tensor]:
    """Pose, camera and gaze."""
    generator = stream(*key, "head")
    held = torch.randn(3, generator=generator) * torch.tensor(POSE_SPREAD) * difficulty.pose
    sway = smooth_noise(generator, n_frames, 3, 8) * torch.tensor(POSE_SWAY)
    pose = held + sway * (difficulty.pose + 0.25 * difficulty.jitter)
    place = 0.05 * torch.randn(3, generator=generator)
    shake = 0.02 * smooth_noise(generator, n_frames, 3, 8)
    moved = difficulty.jitter * (place + shake).clamp(-0.15, 0.15)
    camera = torch.tensor([0.0, -0.12, HALF_HEIGHT]) + moved * torch.tensor([1.0, 1.0, HALF_HEIGHT])
    gaze = 0.02 * (0.3 + difficulty.pose) * smooth_noise(generator, n_frames, 2, 10)
    return {
        "pose": pose.clamp(-MAX_POSE, MAX_POSE),
        "camera": camera,
        "gaze": gaze.clamp(-0.05, 0.05),
    }


def _light(n_frames: int, difficulty: Difficulty, key: tuple) -> Light:
    """Light of a clip, the same in all its frames."""
    generator = stream(*key, "light")
    strength = difficulty.light
    light = default_light(n_frames, "cpu")
    moved = strength * torch.randn(3, generator=generator) * torch.tensor(LIGHT_SPREAD)
    draws = torch.randn(5, generator=generator).clamp(-2, 2)
    color = torch.exp(0.35 * strength * draws[0]) * (1 + 0.12 * strength * draws[1:4])
    key_from = light.key + moved
    key_from[:, 2] = key_from[:, 2].clamp_min(0.3)  # never from behind the head
    ambient = light.ambient * torch.exp(0.3 * strength * draws[4])
    return replace(light, key=key_from, key_color=light.key_color * color, ambient=ambient)
