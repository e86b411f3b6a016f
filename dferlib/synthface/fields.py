"""The few small functions from which every part of the face is painted.

Shapes: B frames, H x W texels. A quantity of a frame is (B,), of a frame and side (B, 2) with the
viewer's left first, of a texel (B, H, W). All lengths are head units, about 10 cm.

A frame must come out bit for bit the same alone and within a batch. Torch computes `pow`, `atan2`,
`asinh` and `sigmoid` differently in a vector register and in the tail of an array, so that the
result depends on where a texel lies in memory; `exp`, `log`, `sqrt`, `sin`, `cos` and `atan` do
not. That is why `power`, `sigmoid` and `asinh` are written out here, and why sums over a short
axis are written as additions.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

TILE_SIZE = 256
TILE_PERIOD = 2.0  # head units after which the noise repeats
FARTHEST = -40.0  # exponent of what counts as nothing: exp is ninety times as slow near denormals


def each(values: Tensor) -> Tensor:
    """Give a (B,) quantity the shape (B, 1, 1) of a map."""
    return values[:, None, None]


def planes(colors: Tensor) -> Tensor:
    """Give (B, 3) colours the shape (B, 3, 1, 1) of an image."""
    return colors[:, :, None, None]


def rgb(red: float, green: float, blue: float, like: Tensor) -> Tensor:
    """Make a constant colour (1, 3, 1, 1) on the device of `like`."""
    return torch.tensor([red, green, blue], dtype=like.dtype, device=like.device).view(1, 3, 1, 1)


def mix(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Go from `a` (t = 0) to `b` (t = 1)."""
    return ((b - a) * t).add_(a)


def smoothstep(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    t = ((x - low) / (high - low)).clamp_(0, 1)
    return (t * t).mul_((t * -2).add_(3))


def bump(x: Tensor, width: float | Tensor) -> Tensor:
    """Gaussian bump of height 1 at x = 0, 1/e at x = width."""
    scaled = x / width
    return scaled.mul_(scaled).neg_().clamp_(min=FARTHEST).exp_()


def spot(x: Tensor, y: Tensor, width: float | Tensor, height: float | Tensor) -> Tensor:
    """Elliptic Gaussian spot of height 1 at the origin."""
    a, b = x / width, y / height
    return (a.mul_(a) + b.mul_(b)).neg_().clamp_(min=FARTHEST).exp_()


def power(x: Tensor, exponent: float | Tensor) -> Tensor:
    """x ** exponent for x >= 0, independent of the position in memory (see the module's head)."""
    return torch.exp(exponent * torch.log(x.clamp_min(1e-7)))


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), independent of the position in memory."""
    return 1 / (1 + torch.exp(-x))


def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine, independent of the position in memory."""
    size = x.abs()
    return torch.sign(x) * torch.log(size + torch.sqrt(size * size + 1))


def normalize(vectors: Tensor) -> Tensor:
    """Scale vectors along axis 1, of size 3, to length 1."""
    x, y, z = vectors.unbind(1)
    return vectors / torch.sqrt(x * x + y * y + z * z).clamp_min(1e-8)[:, None]


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar product along axis 1, of size 3."""
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]


def blur(image: Tensor, radius: int, passes: int = 2) -> Tensor:
    """Box-blur maps (B, H, W) with replicated borders, `radius` texels to each side."""
    for _ in range(passes):
        image = _box(F.pad(image, (radius, radius, 0, 0), mode="replicate"), radius, 2)
        image = _box(F.pad(image, (0, 0, radius, radius), mode="replicate"), radius, 1)
    return image


def _box(padded: Tensor, radius: int, dim: int) -> Tensor:
    """Running means along an axis; sums of slices are several times as fast as pooling."""
    count = padded.shape[dim] - 2 * radius
    total = padded.narrow(dim, 0, count) + padded.narrow(dim, 1, count)
    for start in range(2, 2 * radius + 1):
        total += padded.narrow(dim, start, count)
    return total / (2 * radius + 1)


def double(image: Tensor) -> Tensor:
    """Double the size of images (B, C, H, W), bilinear between pixel middles.

    Written out, because `interpolate` splits its loops by the number of threads, and the last bits
    with them.
    """

    def stretch(before: Tensor, here: Tensor, after: Tensor, dim: int) -> Tensor:
        pair = torch.stack([0.25 * before + 0.75 * here, 0.75 * here + 0.25 * after], dim + 1)
        return pair.flatten(dim, dim + 1)

    padded = F.pad(image, (0, 0, 1, 1), mode="replicate")
    image = stretch(padded[:, :, :-2], image, padded[:, :, 2:], 2)
    padded = F.pad(image, (1, 1, 0, 0), mode="replicate")
    return stretch(padded[..., :-2], image, padded[..., 2:], 3)


def halve(image: Tensor) -> Tensor:
    """Average blocks of 2 x 2 pixels of images (B, C, H, W)."""
    rows = image[:, :, ::2] + image[:, :, 1::2]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def fill_between(coarse: Tensor) -> Tensor:
    """Refine maps (B, h, w) to (B, 2h - 1, 2w - 1) by putting means between neighbours."""
    B, h, w = coarse.shape
    rows = coarse.new_empty(B, 2 * h - 1, w)
    rows[:, ::2], rows[:, 1::2] = coarse, (coarse[:, 1:] + coarse[:, :-1]) / 2
    full = coarse.new_empty(B, 2 * h - 1, 2 * w - 1)
    full[..., ::2], full[..., 1::2] = rows, (rows[..., 1:] + rows[..., :-1]) / 2
    return full


def _noise_layer(across: int, down: int, generator: torch.Generator) -> Tensor:
    knots = torch.randn(1, 1, down, across, generator=generator)
    knots = torch.cat([knots, knots[..., :1]], -1)  # the last knot equals the first: a tile
    knots = torch.cat([knots, knots[..., :1, :]], -2)
    size = (TILE_SIZE, TILE_SIZE)
    return F.interpolate(knots, size=size, mode="bilinear", align_corners=True)[0, 0]


@lru_cache(maxsize=8)
def noise_tile(device: str) -> Tensor:
    """Make the noise tile (4, 256, 256) in [-1, 1]: blotches, grain, pores, vertical strands."""
    generator = torch.Generator().manual_seed(20_240_229)

    def layers(*parts: tuple[float, int, int]) -> Tensor:
        return sum(share * _noise_layer(nx, ny, generator) for share, nx, ny in parts)

    tile = torch.stack(
        [
            layers((1, 6, 6), (0.6, 12, 12), (0.3, 24, 24)),
            layers((1, 24, 24), (0.6, 48, 48), (0.4, 96, 96)),
            layers((1, 96, 96), (0.7, 128, 128)),
            layers((1, 128, 10), (0.6, 64, 5), (0.5, 128, 24)),
        ]
    )
    tile = tile / tile.flatten(1).std(1)[:, None, None] / 2
    return tile.clamp(-1, 1).to(device)


BLOTCHES, GRAIN, PORES, STRANDS = range(4)


def sample_noise(x: Tensor, y: Tensor, offset: Tensor, channels: slice) -> Tensor:
    """Look up noise (B, C, H, W) at maps of coordinates, shifted by offsets (B, 2)."""
    tile = noise_tile(str(x.device))[None, channels]
    across = torch.remainder(x + each(offset[:, 0]), TILE_PERIOD) - 1
    down = torch.remainder(y + each(offset[:, 1]), TILE_PERIOD) - 1
    across, down = torch.broadcast_tensors(across, down)
    grid = torch.stack([across, down], -1)
    return F.grid_sample(tile.expand(x.shape[0], -1, -1, -1), grid, align_corners=True)


def noise(x: Tensor, y: Tensor, offset: Tensor, channel: int) -> Tensor:
    """Look up one kind of noise, (B, H, W)."""
    return sample_noise(x, y, offset, slice(channel, channel + 1))[:, 0]
