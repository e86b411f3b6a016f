"""What spoils a picture: background, occluders, frames that show something else, blur, noise, DCT.

`plan_nuisances` draws a clip's nuisances from its key; `spoil` applies them to a batch of frames of
any clips. Strengths and places are fractions of the image, so that a clip looks alike at any size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from dferlib.synthface.difficulty import Difficulty
from dferlib.synthface.streams import chance, number, stream, uniform

SUBJECT, STRANGER, NOBODY = 0, 1, 2  # what a frame shows
GREY = 0.42  # plain background
REFERENCE_SIZE = 64  # pixels; blur is given for an image of this size
LONGEST_GAP = 0.3  # share of the clip that may show something else
NOISE_TILE = 256
BLOCK = 8  # of the cosine transform
STEP, STEP_SLOPE = 0.02, 0.03  # quantisation at zero frequency, and more for each frequency


@dataclass(frozen=True, eq=False)
class Nuisances:
    """Nuisances of T frames; each tensor's first axis is T.

    `shows` (T,) is SUBJECT, STRANGER or NOBODY; `occluder` (T, 6) centre x, y and half axes in
    half image widths, angle in rad, and 1 or 0 for there or not; `occluder_color` (T, 3); `blur`,
    `noise`, `compression` (T,) as in `Difficulty`; `noise_shift` (T, 2) picks the noise.
    """

    shows: Tensor
    occluder: Tensor
    occluder_color: Tensor
    blur: Tensor
    noise: Tensor
    noise_shift: Tensor
    compression: Tensor

    def take(self, frames: Tensor | Sequence[int] | slice) -> "Nuisances":
        """Choose frames."""
        return Nuisances(**{f.name: getattr(self, f.name)[frames] for f in fields(self)})

    def to(self, device: str | torch.device) -> "Nuisances":
        """Move all tensors to a device."""
        return Nuisances(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def join_nuisances(parts: Sequence[Nuisances]) -> Nuisances:
    """Put the frames of several clips behind each other."""
    names = [field.name for field in fields(Nuisances)]
    return Nuisances(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def plan_nuisances(
    n_frames: int, apex: int, difficulty: Difficulty, key: tuple, skin: Tensor
) -> Nuisances:
    """Draw the nuisances of a clip with the given key; `skin` (3,) is the colour of a hand.

    The apex frame always shows the subject.
    """
    occluder, color = _occluder(n_frames, difficulty, key, skin)
    image = stream(*key, "image")
    strengths = torch.rand(3, generator=image)
    blur = difficulty.blur * float(strengths[0]) ** 2  # most clips are nearly sharp
    return Nuisances(
        shows=_shows(n_frames, apex, difficulty, key),
        occluder=occluder,
        occluder_color=color,
        blur=torch.full((n_frames,), blur),
        noise=torch.full((n_frames,), difficulty.noise * float(strengths[1])),
        noise_shift=torch.randint(NOISE_TILE, (n_frames, 2), generator=image),
        compression=torch.full((n_frames,), difficulty.compression * float(strengths[2])),
    )


def _shows(n_frames: int, apex: int, difficulty: Difficulty, key: tuple) -> Tensor:
    generator = stream(*key, "irrelevant")
    happens, somebody = chance(generator, difficulty.irrelevant), chance(generator, 0.5)
    share, place = number(generator), number(generator)
    shows = torch.full((n_frames,), SUBJECT)
    length = max(1, int(LONGEST_GAP * share * n_frames))
    starts = [s for s in range(n_frames - length + 1) if not s <= apex < s + length]
    if happens and starts and n_frames > 1:
        start = starts[int(place * len(starts))]
        shows[start : start + length] = STRANGER if somebody else NOBODY
    return shows


def _occluder(
    n_frames: int, difficulty: Difficulty, key: tuple, skin: Tensor
) -> tuple[Tensor, Tensor]:
    """A blob that moves through some of the frames, a hand or a thing."""
    generator = stream(*key, "occluder")
    happens, hand = chance(generator, difficulty.occlusion), chance(generator, 0.5)
    centre, speed = uniform(generator, -0.7, 0.7, 2), uniform(generator, -0.3, 0.3, 2)
    axes, angle = uniform(generator, 0.18, 0.43, 2), uniform(generator, 0, math.pi, 1)
    color = uniform(generator, 0.05, 0.6, 1) * uniform(generator, 0.8, 1.2, 3)
    start, length = number(generator, 0, 0.6), number(generator, 0.3, 1)
    t = torch.linspace(0, 1, n_frames)[:, None]
    there = ((t >= start) & (t <= start + length)).float() * happens
    fixed = torch.cat([axes, angle]).expand(n_frames, 3)
    if hand:
        color = 0.8 * skin
    return torch.cat([centre + speed * t, fixed, there], dim=1), color.expand(n_frames, 3)


def draw_background(size: int, strength: float, key: tuple) -> Tensor:
    """Background of a clip, (3, size, size): soft light and hard blocks around a colour of its own.

    `strength` 0 is plain grey. The picture is the same at any size.
    """
    generator = stream(*key, "background")
    level, tint = uniform(generator, 0.15, 0.7, 1), uniform(generator, -0.06, 0.06, 3)
    soft = _coarse(generator, 4, 4, size, "bicubic")
    blocks = _coarse(generator, 7, 5, size, "nearest") * number(generator)
    picture = ((level + tint)[:, None, None] + 0.5 * soft + 0.35 * blocks).clamp(0.02, 1)
    return torch.lerp(torch.full_like(picture, GREY), picture, strength)


def _coarse(generator: torch.Generator, rows: int, columns: int, size: int, mode: str) -> Tensor:
    grey = uniform(generator, -0.35, 0.35, 1, 1, rows, columns)
    color = uniform(generator, -0.1, 0.1, 1, 3, rows, columns)
    smooth = {"align_corners": False} if mode == "bicubic" else {}
    return F.interpolate(grey + color, size=(size, size), mode=mode, **smooth)[0]


def spoil(image: Tensor, background: Tensor, nuisances: Nuisances) -> Tensor:
    """Apply the nuisances to images (B, 3, S, S) in [0, 1]; `background` is shown where nobody is.

    In the order of a camera: what is in front of it, the lens, the sensor, the compression.
    """
    nobody = nuisances.shows == NOBODY
    image = torch.where(nobody[:, None, None, None], background, image)
    image = occlude(image, nuisances.occluder, nuisances.occluder_color)
    image = blur(image, nuisances.blur * image.shape[-1] / REFERENCE_SIZE)
    image = add_noise(image, nuisances.noise, nuisances.noise_shift)
    return compress(image.clamp(0, 1), nuisances.compression).clamp(0, 1)


def occlude(image: Tensor, shape: Tensor, color: Tensor) -> Tensor:
    """Draw a soft-edged superellipse over each image; shapes (B, 6), colours (B, 3)."""
    if not bool(shape[:, 5].any()):
        return image
    axis = torch.linspace(-1, 1, image.shape[-1], device=image.device)
    x, y, half_x, half_y, angle, there = shape[:, :, None, None].unbind(1)
    dx, dy = axis[None, None, :] - x, axis[None, :, None] - y
    along = (dx * angle.cos() + dy * angle.sin()) / half_x
    across = (dy * angle.cos() - dx * angle.sin()) / half_y
    edge = ((1.1 - along.abs() ** 3 - across.abs() ** 3) / 0.3).clamp(0, 1)
    cover = (there * edge * edge * (3 - 2 * edge))[:, None]
    shaded = color[:, :, None, None] * (1 - 0.3 * dy)[:, None]
    return torch.lerp(image, shaded, cover)


def blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image (B, C, S, S) with its own Gaussian, s.d. `sigma` (B,) in pixels.

    Two matrix products with banded rows: exact, and no kernel length to choose.
    """
    if not bool((sigma > 0).any()):
        return image
    place = torch.arange(image.shape[-1], device=image.device, dtype=image.dtype)
    distance = (place[:, None] - place[None, :]) / sigma.clamp_min(0.05)[:, None, None]
    weights = torch.exp(-0.5 * distance**2)
    weights = (weights / weights.sum(dim=2, keepdim=True))[:, None]
    return weights @ image @ weights.transpose(2, 3)


@cache
def _noise_tile() -> Tensor:
    return torch.randn(3, NOISE_TILE, NOISE_TILE, generator=stream("sensor noise"))


def add_noise(image: Tensor, strength: Tensor, shift: Tensor) -> Tensor:
    """Add noise of s.d. `strength` (B,), each image at its own place (B, 2) of one large tile."""
    if not bool((strength > 0).any()):
        return image
    place = torch.arange(image.shape[-1], device=image.device)
    rows = (shift[:, :1] + place) % NOISE_TILE
    columns = (shift[:, 1:] + place) % NOISE_TILE
    noise = _noise_tile().to(image)[:, rows[:, :, None], columns[:, None, :]]
    return image + strength[:, None, None, None] * noise.transpose(0, 1)


def compress(image: Tensor, strength: Tensor) -> Tensor:
    """Quantise the 8x8 cosine transform of each image in [0, 1], as JPEG does; strength (B,)."""
    if not bool((strength > 0).any()):
        return image
    B, C, size, _ = image.shape
    pad = -size % BLOCK
    padded = F.pad(image, (0, pad, 0, pad), mode="replicate")
    count = padded.shape[-1] // BLOCK
    basis = _cosines().to(image)
    blocks = padded.reshape(B, C, count, BLOCK, count, BLOCK).transpose(3, 4)
    frequency = torch.arange(BLOCK, device=image.device, dtype=image.dtype)
    table = STEP + STEP_SLOPE * (frequency[:, None] + frequency[None, :])
    step = (strength.view(B, 1, 1, 1, 1, 1) * table).clamp_min(1e-4)
    rounded = (basis @ blocks @ basis.T / step).round() * step
    pixels = (basis.T @ rounded @ basis).transpose(3, 4).reshape(padded.shape)
    return pixels[..., :size, :size]


@cache
def _cosines() -> Tensor:
    """Orthonormal cosine transform, (8, 8)."""
    i = torch.arange(float(BLOCK))
    rows = torch.cos((2 * i[None, :] + 1) * i[:, None] * math.pi / (2 * BLOCK)) / 2
    rows[0] /= math.sqrt(2)
    return rows
