"""Cheeks, nasolabial folds, and the colour of the skin."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dferlib.synthface.curves import Curves
from dferlib.synthface.fields import (
    BLOTCHES,
    GRAIN,
    PORES,
    bump,
    each,
    mix,
    planes,
    power,
    rgb,
    sample_noise,
    smoothstep,
    spot,
)
from dferlib.synthface.head import HeadBase, Window
from dferlib.synthface.identity import Identity
from dferlib.synthface.nose import tip_y

WINDOW = (0.30, -1.00, 1.1)  # top, bottom, angle


@dataclass(frozen=True)
class Cheeks:
    """Cheeks and folds of B faces on their window."""

    window: Window
    height: Tensor
    shade: Tensor


def build_cheeks(window: Window, identity: Identity, curves: Curves) -> Cheeks:
    """Evaluate muzzle, cheekbones, raised cheeks and the fold from nose to mouth corner."""
    ax, y = window.ax, window.face_y
    height = each(identity.muzzle) * spot(window.x, window.skin_y + 0.52, 0.27, 0.22)
    height = height + each(identity.cheekbone) * spot(ax - 0.44, y + 0.07, 0.17, 0.13)
    height = height - each(identity.cheek_hollow) * spot(ax - 0.46, y + 0.42, 0.15, 0.17)
    raised = window.sides(curves.cheek)
    height = height + 0.072 * raised * spot(ax - 0.38, y + 0.150 - 0.055 * raised, 0.16, 0.110)

    start = each(tip_y(identity) + 0.05) + window.sides(curves.alae_lift)
    down = ((start - y) / (start - each(identity.mouth_y) + 0.10)).clamp(0, 1.15)
    wing_x = 0.165 * window.sides(curves.nose_width)
    fold_x = mix(wing_x, window.sides(curves.corner_x) + 0.085, power(down, 0.75))
    fold_x = fold_x + 0.03 * torch.sin(math.pi * down.clamp(0, 1)) * raised
    beyond = ax - fold_x
    depth = window.sides(curves.nasolabial)
    depth = depth * smoothstep(down, 0, 0.16) * smoothstep(1.0 - down, 0, 0.45)
    # Sharp on the cheek's side, soft on the lip's: a symmetric groove looks like a gash.
    groove = depth * torch.where(beyond > 0, bump(beyond, 0.026), bump(beyond, 0.062))
    height = height - 0.020 * groove + 0.028 * depth * bump(beyond - 0.075, 0.06)
    return Cheeks(window, height, 1 - 0.22 * groove)


def skin_grain(base: HeadBase, identity: Identity) -> Tensor:
    """Noise of the skin (B, 3, H, W): blotches, grain and pores, fixed to the skin."""
    channels = slice(BLOTCHES, PORES + 1)
    return sample_noise(1.2 * base.x, 1.2 * base.skin_y, identity.noise_offset, channels)


def base_color(identity: Identity, grain: Tensor) -> Tensor:
    """Colour (B, 3, H, W) of bare skin before redness and spots."""
    mottling = each(identity.mottling)
    spread = mottling * (0.05 * grain[:, BLOTCHES] + 0.035 * grain[:, GRAIN])
    return planes(identity.skin) * (1 + spread + 0.015 * grain[:, PORES])[:, None]


def redden(color: Tensor, amount: Tensor) -> Tensor:
    """Take green and blue out of a colour by `amount` (B, h, w)."""
    return color * (1 - amount[:, None] * rgb(0.02, 0.20, 0.20, color))


def cheek_color(color: Tensor, cheeks: Cheeks, identity: Identity, pores: Tensor) -> Tensor:
    """Add blush, freckles, a mole and the folds' shade to a window of colour."""
    window = cheeks.window
    blush = 0.55 * each(identity.redness) * spot(window.ax - 0.38, window.face_y + 0.16, 0.19, 0.16)
    color = redden(color, window.taper * blush) * cheeks.shade[:, None]
    area = spot(window.ax - 0.3, window.face_y + 0.1, 0.3, 0.22)
    freckles = each(identity.freckles) * smoothstep(pores, 0.42, 0.62) * area
    color = color * (1 - 0.38 * freckles[:, None] * rgb(0.6, 1.0, 1.1, color))
    x, y, radius, present = identity.mole.unbind(1)
    dx, dy = window.x - each(x), window.skin_y - each(y)
    mole = smoothstep(each(radius) - torch.sqrt(dx * dx + dy * dy), -0.008, 0.006)
    return color * (1 - 0.6 * (mole * each(present))[:, None])
