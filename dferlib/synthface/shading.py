"""Light on the relief: normals, wrapped diffuse and weak specular light, cavities, cast shadows."""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from dferlib.synthface.camera import rotate
from dferlib.synthface.fields import (
    blur,
    dot,
    each,
    fill_between,
    normalize,
    planes,
    rgb,
    smoothstep,
)
from dferlib.synthface.head import Grid, surface_coordinates

WRAP = (0.34, 0.20, 0.16)  # how far red, green and blue light creep round the skin's edge
SHADOW_REACH = (0.06, 0.13, 0.24, 0.42)  # where shadow rays look for an obstacle, head units
SHADOW_DEPTH = 0.72  # share of the key light that a full cast shadow takes


@dataclass(frozen=True)
class Light:
    """Lights of B frames, directions in the world's axes (x right, y up, z to the viewer)."""

    key: Tensor  # (B, 3) towards the main light, any length
    fill: Tensor  # (B, 3)
    key_color: Tensor  # (B, 3)
    fill_color: Tensor  # (B, 3)
    ambient: Tensor  # (B, 3)

    def take(self, index: Tensor | slice) -> "Light":
        """Choose frames by index."""
        return Light(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


DEFAULT_LIGHT = {
    "key": (0.35, 0.55, 1.0),
    "fill": (-0.8, 0.1, 0.6),
    "key_color": (0.75, 0.73, 0.70),
    "fill_color": (0.18, 0.18, 0.20),
    "ambient": (0.28, 0.28, 0.30),
}


def default_light(batch: int, device: str | torch.device = "cpu") -> Light:
    """Make a studio's light for `batch` frames: key from the upper right, fill from the left."""
    made = {name: torch.tensor(value, device=device) for name, value in DEFAULT_LIGHT.items()}
    return Light(**{name: value.repeat(batch, 1) for name, value in made.items()})


@dataclass(frozen=True)
class HeadLight:
    """A light in the head's axes, with what every shader needs of it."""

    key: Tensor  # (B, 3) unit vectors
    fill: Tensor
    up: Tensor
    view: Tensor
    half: Tensor  # between key and view
    key_color: Tensor  # (B, 3, 1, 1)
    fill_color: Tensor
    ambient: Tensor
    frontal: Tensor  # (B, 3, 1, 1) light on a surface that faces the viewer


def turn_light(light: Light, turn: Tensor) -> HeadLight:
    """Express lights in the axes of heads turned by `turn` (B, 3, 3)."""
    back = turn.transpose(1, 2)
    key, fill = normalize(rotate(back, light.key)), normalize(rotate(back, light.fill))
    up, view = turn[:, 1].contiguous(), turn[:, 2].contiguous()
    key_color, fill_color = planes(light.key_color), planes(light.fill_color)
    ambient = planes(light.ambient)
    facing = dot(key, view).clamp_min(0)[:, None, None, None]
    frontal = 0.80 * key_color * (0.35 + 0.65 * facing) + 0.55 * fill_color + 0.75 * ambient
    half = normalize(key + view)
    return HeadLight(key, fill, up, view, half, key_color, fill_color, ambient, frontal)


def surface_normals(radius: Tensor, grid: Grid) -> Tensor:
    """Unit normals (B, 3, H, W) of the relief by central differences of its points."""
    x, z = radius * grid.sin, radius * grid.cos

    def along_u(p: Tensor) -> Tensor:
        return F.pad(p[..., 2:] - p[..., :-2], (1, 1, 0, 0), mode="replicate")

    def along_v(p: Tensor) -> Tensor:
        return F.pad(p[:, 2:] - p[:, :-2], (0, 0, 1, 1), mode="replicate")

    ux, uz, vx, vz = along_u(x), along_u(z), along_v(x), along_v(z)
    vy = grid.y[2] - grid.y[0]
    return normalize(torch.stack([vy * uz, vz * ux - vx * uz, -vy * ux], 1))


def cast_shadow(radius: Tensor, grid: Grid, key: Tensor) -> Tensor:
    """Share (B, H, W) of the key light that the relief itself hides, with a soft edge.

    From every second texel a few points towards the light are looked up; one that lies under the
    surface is in its shade, the deeper the darker.
    """
    coarse = radius[:, ::2, ::2]
    x, z = coarse * grid.sin[::2], coarse * grid.cos[::2]
    y = grid.y[::2, None].expand(x.shape)
    shadow = torch.zeros_like(x)
    for reach in SHADOW_REACH:
        px, py, pz = (p + reach * each(key[:, k]) for k, p in enumerate((x, y, z)))
        u, v, rho = surface_coordinates(px, py, pz)
        relief = F.grid_sample(
            radius[:, None],
            torch.stack([u, v], -1),
            align_corners=True,
            padding_mode="border",
        )[:, 0]
        depth = (relief - rho) / reach
        shadow = torch.maximum(shadow, ((depth - 0.10) / 0.40).clamp(0, 1))
    return fill_between(shadow)


def cavities(height: Tensor) -> Tensor:
    """Factor (B, H, W) on all light: dark in hollows of two sizes, a little bright on ridges."""
    rows = height.shape[1]
    fine, coarse = max(1, round(rows / 110)), max(2, round(rows / 34))
    wide = fill_between(blur(height[:, ::2, ::2], max(1, coarse // 2)))
    hollow = 6 * (blur(height, fine) - height).clamp(-0.03, 0.03)
    hollow = hollow + 2.4 * (wide - height).clamp(-0.12, 0.12)
    return (1 - 1.3 * hollow.clamp_min(0) + 0.15 * (-hollow).clamp_min(0)).clamp(0.3, 1.12)


@dataclass(frozen=True)
class Surface:
    """What a shader reads of the surface."""

    normals: Tensor  # (B, 3, H, W)
    open_sky: Tensor  # (B, H, W) factor on all light, from `cavities`
    shadow: Tensor  # (B, H, W) share of the key light lost
    gloss: Tensor  # (B, H, W) strength of skin highlights
    hair: Tensor  # (B, H, W) share of hair, which has highlights of its own
    strands: Tensor  # (B, H, W)


def shade(albedo: Tensor, surface: Surface, light: HeadLight) -> Tensor:
    """Light the colours (B, 3, H, W) of a surface."""
    normals = surface.normals
    to_key, to_fill, to_up, to_view, to_half = (
        dot(normals, d[:, :, None, None])
        for d in (light.key, light.fill, light.up, light.view, light.half)
    )
    wrap = rgb(*WRAP, albedo)
    diffuse = (to_key[:, None] + wrap).div_(1 + wrap).clamp_(min=0)
    diffuse *= 0.87 + 0.13 * diffuse
    unshaded = 1 - SHADOW_DEPTH * surface.shadow
    sky = (0.725 + 0.275 * to_up) * surface.open_sky
    received = diffuse.mul_(light.key_color).mul_((unshaded * surface.open_sky)[:, None])
    side = ((to_fill + 0.3) / 1.3).clamp_(min=0) * surface.open_sky
    received += side[:, None] * light.fill_color
    received += sky[:, None] * light.ambient

    p2 = to_half.clamp_min(0) * to_half.clamp_min(0)
    p4 = p2 * p2
    p8 = p4 * p4
    p12 = p8 * p4
    p40 = p12 * p12 * p12 * p4
    lit = smoothstep(to_key, 0.0, 0.1) * unshaded
    highlight = surface.gloss * (0.10 * p12 + 0.06 * p40)
    highlight = highlight + surface.hair * 0.12 * p8 * (0.7 + surface.strands)
    grazing = 1 - to_view.clamp(0, 1)
    highlight = highlight * lit + 0.06 * grazing * grazing * grazing
    return received.mul_(albedo).add_((highlight * surface.open_sky)[:, None] * light.key_color)
