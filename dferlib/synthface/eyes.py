"""The eyes: lids, crease, lashes, iris and the wrinkles around them.

Along an eye runs `along`, -1 at the inner corner and 1 at the outer one; `above` is the height over
the line through both corners. The two lids are curves over `along`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dferlib.synthface.curves import Curves
from dferlib.synthface.fields import bump, each, mix, planes, power, rgb, smoothstep, spot
from dferlib.synthface.head import Window
from dferlib.synthface.identity import Identity

WINDOW = (0.58, -0.24, 1.05)  # top, bottom, angle; shared with the brows
IRIS_ABOVE = 0.010  # the iris sits above the corner line, under the upper lid
PUPIL = 0.40  # share of the iris radius


def upper_lid(along: Tensor, opening: Tensor) -> Tensor:
    """Height of the upper lid's edge; its peak lies on the inner side."""
    q = (1 - along * along).clamp_min(0)
    t = (along + 0.16 * q).clamp(-1.25, 1.25)
    inside = 1 - t * t
    return opening * power(inside, 0.8) - 0.05 * (-inside).clamp_min(0)


def lower_lid(along: Tensor, opening: Tensor) -> Tensor:
    """Height of the lower lid's edge; its trough lies on the outer side."""
    q = (1 - along * along).clamp_min(0)
    t = (along - 0.14 * q).clamp(-1.25, 1.25)
    return -opening * power(1 - t * t, 0.85)


@dataclass(frozen=True)
class Eyes:
    """Both eyes of B faces on their window."""

    window: Window
    along: Tensor
    above: Tensor
    below_upper: Tensor  # distance below the upper lid's edge, negative above it
    above_lower: Tensor
    opening: Tensor  # 1 where the eyeball shows
    height: Tensor  # relief to add
    dark: Tensor  # share of light lost around the eye: thin, darker skin
    shade: Tensor  # factor on the colour: crease, bags
    lashes: Tensor  # factor on the colour


def build_eyes(window: Window, identity: Identity, curves: Curves) -> Eyes:
    """Evaluate lids, relief and shades of both eyes."""
    offset = window.ax - each(identity.eye_x)
    along = offset / each(identity.eye_half_width)
    above = window.face_y - window.sides(curves.eye_y) - each(identity.eye_tilt) * offset
    below_upper = upper_lid(along, window.sides(curves.upper_lid)) - above
    above_lower = above - lower_lid(along, window.sides(curves.lower_lid))
    corners = smoothstep(1 - along.abs(), -0.02, 0.10)
    gap = torch.minimum(below_upper, above_lower)
    opening = smoothstep(gap, -0.35 * window.texel, 0.75 * window.texel) * corners

    bag = _bag(identity, curves, window, along, above_lower)
    crease = _crease(curves, window, along, below_upper)
    height = _socket(window, identity, offset, above) - 0.011 * bag - 0.022 * opening
    height = height - 0.020 * crease * each(identity.lid_fold)
    height = height + _lid_relief(window, curves, along, below_upper, above_lower)
    height = height - _crow_feet(window, curves, offset - each(identity.eye_half_width))
    dark = 0.16 * spot(offset, above, 0.21, 0.11)
    dark = dark + 0.12 * each(identity.eye_bag) * spot(offset + 0.03, above + 0.085, 0.14, 0.05)
    lost = 0.22 * crease * each(identity.lid_fold).clamp(0, 1) + 0.22 * bag
    lashes = _lashes(identity, along, below_upper, above_lower)
    return Eyes(
        window, along, above, below_upper, above_lower, opening, height, dark, 1 - lost, lashes
    )


def _socket(window: Window, identity: Identity, offset: Tensor, above: Tensor) -> Tensor:
    depth = each(identity.socket_depth)
    hollow = depth * spot(offset + 0.05, window.face_y - each(identity.eye_y) - 0.015, 0.175, 0.105)
    inner = 0.05 * spot(window.ax - 0.135, window.face_y - 0.12, 0.06, 0.085)
    ball = (0.050 + 0.3 * depth) * spot(offset, above - 0.005, 0.135, 0.075)
    return ball - hollow - inner


def _lid_relief(
    window: Window, curves: Curves, along: Tensor, below_upper: Tensor, above_lower: Tensor
) -> Tensor:
    """Rims of both lids, and the bulge under the eye of AU 6 and 7."""
    ends = smoothstep(1 - along.abs(), 0, 0.2)
    rims = 0.012 * bump(above_lower + 0.012, 0.012) + 0.014 * bump(below_upper + 0.014, 0.016)
    bulge = 0.018 * window.sides(curves.lower_lid_bulge)
    return rims * ends + bulge * spot(along, above_lower + 0.030, 1.0, 0.024)


def _bag(
    identity: Identity, curves: Curves, window: Window, along: Tensor, above_lower: Tensor
) -> Tensor:
    """Furrow below the lower lid: innate, and deeper when the cheek comes up."""
    innate = identity.eye_bag * (0.35 + 0.65 * identity.age)
    squeeze = window.sides(curves.lower_lid_bulge)
    depth = each(innate) + 0.9 * squeeze.clamp(0, 1)
    return depth * spot(along + 0.15, above_lower + 0.062, 0.85, 0.016)


def _crease(curves: Curves, window: Window, along: Tensor, below_upper: Tensor) -> Tensor:
    distance = window.sides(curves.lid_crease)
    shape = power((1 - along * along).clamp(0, 1), 0.4)
    line = bump(-below_upper - distance * shape, 0.012)
    return line * smoothstep(1.08 - along.abs(), 0, 0.3) * smoothstep(distance, 0.012, 0.03)


def _crow_feet(window: Window, curves: Curves, beyond: Tensor) -> Tensor:
    x, y = beyond - 0.02, window.face_y - window.sides(curves.eye_y)
    angle = torch.atan((y + 0.01) / (x + 0.03).clamp_min(0.01))
    distance = torch.sqrt(x * x + y * y + 1e-6)
    rays = 0.5 + 0.5 * torch.cos(8.5 * angle + 0.6)
    reach = smoothstep(distance, 0.01, 0.05) * smoothstep(0.16 - distance, 0, 0.08)
    strength = 0.011 * window.sides(curves.crow_feet)
    return strength * rays * rays * reach * smoothstep(x, -0.02, 0.02)


def _lashes(identity: Identity, along: Tensor, below_upper: Tensor, above_lower: Tensor) -> Tensor:
    strength = each(identity.lashes)
    upper = bump(below_upper + 0.004, 0.0085 + 0.005 * strength)
    upper = upper * smoothstep(1.06 - along.abs(), 0, 0.16)
    upper = upper * (0.55 + 0.45 * smoothstep(along, -0.8, 0.5))
    lower = 0.42 * bump(above_lower, 0.007) * smoothstep(1.02 - along.abs(), 0, 0.2)
    return 1 - (0.95 * strength * upper + 0.8 * lower).clamp(0, 0.93)


def eyeball_color(
    eyes: Eyes, identity: Identity, gaze: Tensor, key: Tensor, lit: Tensor, key_color: Tensor
) -> Tensor:
    """Colour (B, 3, h, w) of what shows between the lids.

    Args:
        eyes: from `build_eyes`.
        identity: B faces.
        gaze: (B, 2) shift of both irises to the viewer's right and up, head units.
        key: (B, 3) direction of the key light in the head's axes, for the glint.
        lit: (B, 3, 1, 1) light that falls into the face.
        key_color: (B, 3, 1, 1).
    """
    window, soft = eyes.window, eyes.window.texel
    mirror = torch.where(window.right_share > 0.5, 1.0, -1.0)
    dx = window.ax - each(identity.eye_x) - mirror * each(gaze[:, 0]) + 0.004
    dy = eyes.above - each(gaze[:, 1]) - IRIS_ABOVE
    distance = torch.sqrt(dx * dx + dy * dy + 1e-8)
    radius = each(identity.iris_radius)
    iris = smoothstep(radius - distance, -0.5 * soft, 0.5 * soft)
    pupil = smoothstep(PUPIL * radius - distance, -0.5 * soft, 0.5 * soft)
    rim = bump(distance - 0.97 * radius, 0.010) * iris
    ring = 0.75 + 0.45 * bump(distance - 0.65 * radius, 0.02)

    veins = 1 - 0.18 * bump(eyes.along.abs() - 1, 0.35)
    white = torch.stack([0.80 * torch.ones_like(veins), 0.77 * veins, 0.74 * veins], 1)
    white = white * (1 - 0.10 * bump(eyes.along + 1, 0.35))[:, None]
    color = mix(white, planes(identity.iris) * ring[:, None], iris[:, None])
    color = color * ((1 - 0.45 * rim) * (1 - 0.93 * pupil))[:, None]
    shadow = 1 - 0.55 * bump(eyes.below_upper, 0.028) - 0.12 * bump(eyes.above_lower, 0.014)
    shadow = shadow * (1 - 0.30 * smoothstep(eyes.along.abs(), 0.55, 1.0))
    color = color * shadow.clamp_min(0.1)[:, None] * lit

    gx, gy = dx * mirror - 0.028 * each(key[:, 0]), dy - 0.012 - 0.02 * each(key[:, 1])
    glint = smoothstep(0.014 - torch.sqrt(gx * gx + gy * gy + 1e-8), -0.5 * soft, 0.4 * soft)
    color = color + 0.75 * glint[:, None] * key_color.clamp(0, 1)
    caruncle = 0.7 * spot(eyes.along + 0.95, eyes.above, 0.10, 0.03)
    flesh = planes(identity.skin) * rgb(0.85, 0.5, 0.48, color) * lit * 0.8
    return mix(color, flesh, caruncle[:, None])
