"""Random numbers that depend on a name alone: one generator for each clip, subject and purpose.

A clip's head motion must not change because another clip, or another nuisance of the same clip,
drew more numbers before it. So nothing shares a generator.
"""

import hashlib

import torch
from torch import Tensor


def stream(*key: object) -> torch.Generator:
    """Return a CPU generator seeded by the key's text, as in `stream(seed, clip, "pose")`."""
    text = "/".join(str(part) for part in key)
    seed = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(seed, "big") >> 1)


def uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Draw uniform numbers of the given shape from [low, high)."""
    return low + (high - low) * torch.rand(*shape, generator=generator)


def number(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    """Draw one uniform number from [low, high)."""
    return float(uniform(generator, low, high, 1))


def chance(generator: torch.Generator, probability: float) -> bool:
    """Tell whether an event of this probability happens; draws one number in any case."""
    return number(generator) < probability


def smooth_noise(
    generator: torch.Generator, n_frames: int, channels: int, frames_per_knot: int
) -> Tensor:
    """Draw slowly changing noise (T, channels): unit normal knots, straight lines between them."""
    knots = n_frames // frames_per_knot + 2
    values = torch.randn(1, channels, knots, generator=generator)
    lines = torch.nn.functional.interpolate(
        values, size=n_frames, mode="linear", align_corners=True
    )
    return lines[0].T
