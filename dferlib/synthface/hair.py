"""Ears, hair on the head, beard and stubble, and long hair behind the head."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from dferlib.synthface.fields import (
    BLOTCHES,
    GRAIN,
    PORES,
    STRANDS,
    bump,
    each,
    mix,
    noise,
    planes,
    smoothstep,
    spot,
)
from dferlib.synthface.head import CROWN_Y, Grid, HeadBase, Window
from dferlib.synthface.identity import Identity
from dferlib.synthface.mouth import Mouth
from dferlib.synthface.nose import tip_y

EAR_ANGLE, EAR_Y = 1.60, 0.02
LONG_HAIR_Z = -0.30  # long hair hangs in this plane of the head


@dataclass(frozen=True)
class Hair:
    """Ears and hair of B heads on the whole texture; no action unit moves them."""

    cover: Tensor  # (B, H, W) share of hair
    height: Tensor  # (B, H, W) relief of the hair
    ear: Tensor  # (B, H, W) relief of the ears
    ear_shade: Tensor  # (B, H, W) factor on the colour
    strands: Tensor  # (B, H, W) brightness of the strands

    def take(self, index: Tensor) -> "Hair":
        """Choose heads by index."""
        return Hair(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def build_hair(base: HeadBase, grid: Grid, identity: Identity) -> Hair:
    """Evaluate ears, hairline and hair volume."""
    ear, ear_shade, ear_area = _ears(base, grid, identity)
    angle = grid.angle.expand(base.x.shape)
    curl = each(identity.curl)
    straight = noise(0.8 * angle, 0.35 * base.face_y, identity.noise_offset, STRANDS)
    locks = noise(0.9 * angle, 0.9 * base.face_y, identity.noise_offset, BLOTCHES)
    curls = noise(1.3 * angle, 1.7 * base.face_y, identity.noise_offset, GRAIN)
    strands = mix(straight, curls, curl)
    above = base.face_y - _hairline(base, grid, identity)
    uncovered = ear_area * (1 - each(identity.long_hair)).clamp(0, 1)
    cover = smoothstep(above + 0.045 * strands + 0.03 * locks, -0.03, 0.07)
    cover = cover * each(1 - identity.bald) * (1 - uncovered)
    volume = each(identity.hair_volume) * smoothstep(above, -0.02, 0.34)
    # Over and before the ears it lies close, unless it is long.
    beside = smoothstep(grid.angle.abs(), 0.9, 1.2) * (1 - smoothstep(base.face_y, 0.05, 0.60))
    beside = beside * (1 - smoothstep(grid.angle.abs(), 1.75, 2.1))
    volume = volume * (1 - 0.75 * beside * each(1 - identity.long_hair))
    height = volume * (1 + 0.25 * locks) + 0.016 * smoothstep(above, 0, 0.12)
    height = height + (0.014 + 0.02 * curl) * strands
    return Hair(cover, height, ear, ear_shade, 0.38 * strands + 0.22 * locks)


def _ears(base: HeadBase, grid: Grid, identity: Identity) -> tuple[Tensor, Tensor, Tensor]:
    """Relief, shade and area of the ears: flaps that open to the front."""
    angle = grid.angle.abs()
    size = each(identity.ear_size)
    y = (base.face_y - EAR_Y) / 0.26
    outline = smoothstep(1.12 - y.abs(), 0, 0.80) * (0.85 + 0.15 * y.clamp(-1, 1))
    # The flap leans back: its upper part lies further behind.
    lean = angle - EAR_ANGLE - 0.05 * y
    flap = smoothstep(lean, -0.26, 0.06) * smoothstep(0.24 - lean, 0, 0.14)
    area = flap * outline
    hollow = bump(lean + 0.05, 0.10) * bump(y + 0.05, 0.52)
    relief = (0.105 + 0.075 * size) * area - 0.055 * hollow
    shade = 1 - 0.42 * hollow - 0.15 * bump(lean + 0.20, 0.05) * outline
    return relief, shade, smoothstep(area, 0.15, 0.5)


def _hairline(base: HeadBase, grid: Grid, identity: Identity) -> Tensor:
    """Height (B, 1, W) above which hair grows, by angle."""
    angle = grid.angle.abs()
    temple, side = smoothstep(angle, 0.74, 1.12), smoothstep(angle, 1.02, 1.32)
    back = smoothstep(angle, 1.75, 2.0)
    x = base.x[:, base.x.shape[1] // 4]  # the shape is taken from one row of the forehead
    recede = 0.06 * identity.age * identity.male * (1 - identity.bangs)
    line = (identity.hairline + recede)[:, None] + 0.04 * torch.cos(3 * x)
    line = line + 0.045 * (1 - identity.bangs[:, None]) * bump(x.abs() - 0.40, 0.14)
    line = line + 0.25 * identity.hair_side[:, None] * x - 0.62 * temple
    line = mix(line, identity.sideburn_y[:, None], side)
    line = mix(line, torch.full_like(line, -0.6), back)
    bangs = 0.14 * identity.bangs[:, None] * (1 - 0.5 * smoothstep(angle, 0.5, 0.9))
    return (line - bangs)[:, None]


def hair_relief(hair: Hair, features: Tensor) -> Tensor:
    """Lay the hair over the relief of the features."""
    skin = features + hair.ear
    return skin * (1 - 0.85 * hair.cover) + hair.cover * hair.height


def crown_fade(base: HeadBase) -> Tensor:
    """Weights (B, H, 1) of the relief that vanish at the pole of the map."""
    return smoothstep(CROWN_Y - base.skin_y, 0, 0.16)


@dataclass(frozen=True)
class Beard:
    """Facial hair on the mouth's window."""

    stubble: Tensor
    cover: Tensor


def build_beard(
    mouth: Mouth, identity: Identity, grain: Tensor, hair: Tensor, face_share: Tensor
) -> Beard:
    """Evaluate beard, moustache and stubble; all maps are those of the mouth's window."""
    window = mouth.window
    ax, y = window.ax, window.face_y
    corner = window.ax / mouth.across.clamp_min(1e-4)
    area = smoothstep(-window.skin_y, 0.40, 0.62) * smoothstep(0.99 - hair, 0, 0.2)
    area = area * smoothstep(face_share, 0.2, 0.8)
    across, down = ax / (1.02 * corner), (y - each(identity.mouth_y) + 0.04) / 0.115
    across, down = across * across, down * down
    around_mouth = 1 - 0.92 * torch.exp(-across * across - down * down)
    jaw = smoothstep(ax - 0.14 - 0.9 * (y + 0.62), -0.06, 0.10) + smoothstep(-y, 0.70, 0.78)
    area = area * jaw.clamp(0, 1) * around_mouth * (3 * window.taper).clamp(0, 1)

    above = y - mouth.lips.upper_top
    reach = ax / (1.06 * corner)
    reach = reach * reach
    reach = reach * reach
    lip = torch.exp(-reach * reach) * smoothstep(above, -0.02, 0.012)
    edge = 0.045 + 0.045 * (1 - mouth.across.clamp(0, 1)) + 0.02 * grain[:, GRAIN]
    lip = lip * smoothstep(edge - above, -0.01, 0.035)
    lip = lip * smoothstep(each(tip_y(identity)) - 0.09 - y, -0.01, 0.02)
    lip = lip * (1 - 0.3 * bump(window.x, 0.02))

    pores = grain[:, PORES]
    stubble = each(identity.stubble) * (area + 0.8 * lip).clamp(0, 1) * (0.55 + 0.25 * pores)
    full = each(identity.beard)
    beard = full * area * smoothstep(0.18 * pores + 0.2 * grain[:, GRAIN] + 1.2 * full, 0.1, 0.8)
    moustache = each(identity.moustache) * lip * smoothstep(0.25 * pores + 1.0, 0.1, 0.8)
    return Beard(stubble, (beard + moustache).clamp(0, 0.95))


def beard_color(color: Tensor, beard: Beard, identity: Identity, grain: Tensor) -> Tensor:
    """Add stubble and beard to a window of colour."""
    color = mix(color, 0.55 * color + 0.06, (0.55 * beard.stubble)[:, None])
    texture = 0.85 + 0.30 * grain[:, PORES] + 0.15 * grain[:, GRAIN]
    return mix(color, planes(identity.hair) * texture[:, None], beard.cover[:, None])


def head_hair_color(color: Tensor, hair: Hair, identity: Identity) -> Tensor:
    """Add the hair of the head to the whole texture."""
    strands = planes(identity.hair) * (1 + hair.strands)[:, None]
    return mix(color * hair.ear_shade[:, None], strands, hair.cover[:, None])


def long_hair_layer(
    identity: Identity, x: Tensor, y: Tensor, facing: Tensor, lit: Tensor
) -> tuple[Tensor, Tensor]:
    """Colour (B, 3, S, S) and cover (B, S, S) of long hair where rays meet its plane at (x, y).

    `facing` (B, S, S) is the cosine between ray and plane normal: seen along its edge the plane
    would be a line, so it fades.
    """
    width = each(0.80 + 1.1 * identity.hair_volume + 0.05 * identity.long_hair)
    strands = noise(0.9 * x, 0.3 * y, identity.noise_offset, STRANDS)
    tips = noise(0.9 * x, 0.2 * y, identity.noise_offset, STRANDS)
    across = (x / width).clamp(-1.5, 1.5)
    side = across * across
    over = ((y - 0.25) / 1.10).clamp_min(0)
    outline = 1 - side * across.abs() - over * over
    cover = smoothstep(outline + 0.03 * strands, 0, 0.10)
    end = y + 0.85 + 0.9 * each(identity.long_hair - 0.6) - 0.25 * (1 - side.clamp(0, 1))
    cover = cover * smoothstep(end + 0.12 * tips, 0, 0.14)
    cover = cover * each((identity.long_hair > 0).float()) * smoothstep(facing, 0.25, 0.55)
    shade = 0.50 + 0.25 * strands
    # Hair darkens towards the neck, where the head shades it.
    shade = shade * (0.55 + 0.45 * smoothstep(across.abs(), 0.55, 0.95))
    return planes(identity.hair) * shade[:, None] * lit, cover


def chin_spot(window: Window) -> Tensor:
    """Area of the chin that reddens."""
    return spot(window.x, window.skin_y + 0.85, 0.15, 0.10)
