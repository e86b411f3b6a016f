"""The mouth: lips, opening, teeth, tongue, dimples, and the chin below it.

Across the mouth runs `across`, 0 in the middle and 1 at a corner. Four curves over it bound the
lips: the top of the upper lip, its lower edge, the lower lip's upper edge and its bottom.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dferlib.synthface.curves import Curves
from dferlib.synthface.fields import GRAIN, bump, each, mix, noise, power, rgb, smoothstep, spot
from dferlib.synthface.head import Window
from dferlib.synthface.identity import Identity

WINDOW = (-0.26, -1.40, 1.25)  # top, bottom, angle
CHIN_Y = -0.84
UPPER_TEETH_Y = -0.030  # edge of the upper teeth below the mouth's height at rest


@dataclass(frozen=True)
class LipCurves:
    """Heights of the four curves, and of the line that bends through the corners."""

    middle: Tensor
    upper_top: Tensor
    upper_edge: Tensor
    lower_edge: Tensor
    lower_bottom: Tensor


def lip_curves(across: Tensor, identity: Identity, curves: Curves, corner_y: Tensor) -> LipCurves:
    """Evaluate the lips' curves at `across` (B, ...), with the corner height of each point's side.

    Works on maps (B, h, w) and on landmarks (B, 2, n) alike.
    """
    t = across.clamp(0, 1)
    t2 = t * t
    arch = (1 - t2).clamp_min(1e-4)
    middle = each(identity.mouth_y) + corner_y * t2 + each(curves.middle_lift) * arch
    middle = middle - 0.004 * bump(t, 0.22) + 0.35 * corner_y * (across - 1).clamp(0, 0.5)
    shape = power(arch, each(curves.opening_power))
    lateral = 1 + each(curves.upper_square) * bump(t - 0.55, 0.3)
    upper_edge = middle + each(curves.upper_opening) * shape * lateral
    lower_edge = middle - each(curves.lower_opening) * shape
    bow = each(identity.cupid_bow)
    peaks = 1 + 0.22 * bow * bump(t - 0.26, 0.16) - 0.16 * bow * bump(t, 0.11)
    upper_top = upper_edge + each(curves.upper_lip) * power(arch, 0.72) * peaks
    lower_bottom = lower_edge - each(curves.lower_lip) * power(arch, 0.55)
    return LipCurves(middle, upper_top, upper_edge, lower_edge, lower_bottom)


@dataclass(frozen=True)
class Mouth:
    """The mouth of B faces on its window."""

    window: Window
    lips: LipCurves
    across: Tensor
    opening: Tensor  # 1 where the inside shows
    line: Tensor  # the dark line between closed lips
    upper_red: Tensor
    lower_red: Tensor
    dimple: Tensor
    height: Tensor


def build_mouth(window: Window, identity: Identity, curves: Curves) -> Mouth:
    """Evaluate lips, opening and relief of the mouth."""
    soft, y = window.texel, window.face_y
    across = window.ax / window.sides(curves.corner_x)
    lips = lip_curves(across, identity, curves, window.sides(curves.corner_y))
    gap = lips.upper_edge - lips.lower_edge
    inside = torch.minimum(lips.upper_edge - y, y - lips.lower_edge)
    opening = smoothstep(inside, -0.2 * soft, 0.7 * soft) * smoothstep(1 - across, -0.01, 0.05)
    opening = opening * smoothstep(gap, 0.008, 0.02)
    from_middle = y - (lips.upper_edge + lips.lower_edge) / 2
    line = bump(from_middle, 0.010 + 0.25 * gap.clamp(0, 0.02)) * (1 - opening)
    line = line * smoothstep(1 - across, -0.12, 0.06)
    ends = smoothstep(1 - across, -0.02, 0.06)
    upper = smoothstep(lips.upper_top - y, -0.5 * soft, 0.9 * soft)
    upper = upper * smoothstep(y - lips.upper_edge, -0.5 * soft, 0.5 * soft) * ends
    lower = smoothstep(y - lips.lower_bottom, -0.6 * soft, 1.2 * soft)
    lower = lower * smoothstep(lips.lower_edge - y, -0.5 * soft, 0.5 * soft) * ends
    beyond = window.ax - window.sides(curves.corner_x)
    dimple = window.sides(curves.dimple) * spot(beyond - 0.024, y - lips.middle, 0.024, 0.050)

    height = _lip_relief(window, curves, lips, across) - 0.09 * opening
    height = height - 0.030 * line * smoothstep(1 - across, -0.1, 0.3)
    height = height + _around_lips(window, identity, curves, lips) - 0.034 * dimple
    height = height + _corner_relief(window, curves, lips, beyond)
    return Mouth(window, lips, across, opening, line, upper, lower, dimple, height)


def _lip_relief(window: Window, curves: Curves, lips: LipCurves, across: Tensor) -> Tensor:
    """The roll of both lips."""
    y = window.face_y
    fullness = each(0.5 + 0.5 * (curves.upper_lip / 0.05).clamp(0, 1.2))
    ends = smoothstep(1 - across, -0.08, 0.45)
    up = (y - lips.upper_edge) / (lips.upper_top - lips.upper_edge + 0.004)
    down = (lips.lower_edge - y) / (lips.lower_edge - lips.lower_bottom + 0.004)
    up, down = up.clamp(-0.3, 1.4), down.clamp(-0.3, 1.4)
    upper = 0.034 * bump(up - 0.45, 0.55) * smoothstep(up, -0.3, 0.1)
    lower = 0.046 * bump(down - 0.42, 0.50) * smoothstep(down, -0.3, 0.1)
    return fullness * ends * (upper + lower * each(1 + 0.35 * curves.chin_boss))


def _around_lips(window: Window, identity: Identity, curves: Curves, lips: LipCurves) -> Tensor:
    """Philtrum, the fold under the lower lip, the chin boss."""
    x, y, boss = window.x, window.face_y, each(curves.chin_boss)
    above = y - lips.upper_top
    height = 0.010 * spot(window.ax - 0.05, above - 0.06, 0.022, 0.055)
    height = height - 0.020 * spot(x, above - 0.075, 0.028, 0.055)
    fold = 0.028 + 0.022 * boss
    height = height - fold * spot(x, y - lips.lower_bottom + 0.045, 0.17, 0.032)
    chin_y = window.skin_y - CHIN_Y - 0.035 * boss
    chin = (0.045 + 0.035 * boss) * spot(x, chin_y, 0.15 * each(identity.chin_width), 0.085)
    dents = noise(1.7 * x, 1.7 * window.skin_y, identity.noise_offset, GRAIN)
    return height + chin + 0.012 * boss * dents * spot(x, chin_y, 0.15, 0.09)


def _corner_relief(window: Window, curves: Curves, lips: LipCurves, beyond: Tensor) -> Tensor:
    """Skin that piles up beside a dimpled or stretched corner."""
    pile = window.sides(curves.dimple)
    return 0.024 * pile * spot(beyond - 0.080, window.face_y - lips.middle, 0.045, 0.075)


def lip_color(mouth: Mouth, identity: Identity, skin: Tensor, grain: Tensor) -> Tensor:
    """Colour (B, 3, h, w) of the lips."""
    red = identity.lip_redness[:, None, None, None]
    pale = skin * rgb(0.88, 0.60, 0.58, skin)
    full = skin * rgb(0.80, 0.38, 0.40, skin) + rgb(0.04, 0.0, 0.01, skin)
    return mix(pale, full, red) * (1 - 0.14 * mouth.upper_red + 0.05 * grain)[:, None]


def inside_color(mouth: Mouth, identity: Identity, curves: Curves) -> Tensor:
    """Colour (B, 3, h, w) of what shows between the lips, before light.

    The upper teeth are fixed to the skull and the lower ones to the jaw; the lips uncover them.
    """
    window, lips, soft = mouth.window, mouth.lips, mouth.window.texel
    x, y, t = window.x, window.face_y, mouth.across.clamp(0, 1)
    height = lips.upper_edge - lips.lower_edge
    depth = torch.sqrt((lips.upper_edge - y).clamp_min(0) * (y - lips.lower_edge).clamp_min(0))
    dark = (1 - 0.6 * smoothstep(depth, 0.0, 0.06))[:, None]
    color = rgb(0.17, 0.045, 0.045, x) * dark
    tongue = spot(x, y - lips.lower_edge - 0.25 * height, 0.13, 0.30 * height.clamp_min(0) + 0.012)
    tongue = 0.65 * tongue * each(smoothstep(curves.lower_opening, 0.05, 0.12))
    color = mix(color, rgb(0.50, 0.20, 0.19, x), tongue[:, None])

    mouth_y = each(identity.mouth_y)
    # A smile shows the side teeth as well.
    smile = each(((curves.corner_y[:, 0] + curves.corner_y[:, 1]) / 2).clamp(0, 0.1))
    upper_end = mouth_y + UPPER_TEETH_Y + (0.020 + 0.3 * smile) * t * t
    upper = smoothstep(y - upper_end, -0.5 * soft, 0.5 * soft)
    lower_end = mouth_y - 0.040 - 0.95 * each(curves.jaw_drop)
    lower = 0.85 * smoothstep(lower_end - y, -0.5 * soft, 0.5 * soft)
    tooth = 0.056 * (1 - 0.15 * t)
    shade = 1 - 0.55 * smoothstep(window.ax, 0.10, 0.30)
    white = rgb(0.95, 0.92, 0.84, x)
    bright = _gaps(window.ax, tooth) * shade * (1 - 0.35 * bump(lips.upper_edge - y, 0.014))
    color = mix(color, white * bright[:, None], upper[:, None])
    bright = _gaps(window.ax, torch.full_like(tooth, 0.040)) * shade
    bright = bright * (1 - 0.4 * bump(y - lips.lower_edge, 0.02))
    return mix(color, white * 0.85 * bright[:, None], lower[:, None])


def _gaps(x: Tensor, tooth_width: Tensor) -> Tensor:
    """Thin darker lines between the teeth."""
    wave = 0.5 + 0.5 * torch.cos(x / tooth_width * (2 * math.pi))
    wave = wave * wave
    wave = wave * wave
    return 1 - 0.22 * wave * wave
