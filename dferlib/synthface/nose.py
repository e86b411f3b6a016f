"""The nose: bridge, tip, wings and nostrils, and the wrinkles of AU 9."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dferlib.synthface.curves import Curves
from dferlib.synthface.fields import bump, each, mix, power, smoothstep, spot
from dferlib.synthface.head import Window
from dferlib.synthface.identity import Identity

ROOT_Y = 0.25
TIP_Y = -0.235
WING_X = 0.112  # of a nose of width 1
WINDOW = (0.36, -0.54, 0.52)  # top, bottom, angle


def tip_y(identity: Identity) -> Tensor:
    """Height (B,) of the nose tip at rest."""
    return TIP_Y - identity.nose_length


@dataclass(frozen=True)
class Nose:
    """The nose of B faces on its window."""

    window: Window
    height: Tensor  # relief to add
    shade: Tensor  # factor on the colour: nostrils and the groove around the wings
    tip_distance: Tensor  # vertical distance to the tip


def build_nose(window: Window, identity: Identity, curves: Curves) -> Nose:
    """Evaluate relief and shade of the nose."""
    tip = each(tip_y(identity))
    y = window.face_y - window.sides(curves.alae_lift) * smoothstep(-window.face_y, 0.05, 0.25)
    width = window.sides(curves.nose_width)
    x = (window.x - each(identity.asymmetry[:, 4])).abs()
    down = ((ROOT_Y - y) / (ROOT_Y - tip)).clamp(0, 1)  # 0 at the root, 1 at the tip
    below = y - tip
    height = _bridge(identity, x, down, below, width) + _tip_and_wings(identity, x, below, width)
    wrinkles = _wrinkles(window, identity, curves)
    height = height - 0.022 * wrinkles
    nostril = spot(
        x - 0.066 * width,
        below + 0.082 + 0.15 * (x - 0.066),
        0.034 * each(identity.nostril),
        0.0165,
    )
    wing_x, wing_y = (x - WING_X * width) / 0.9, below + 0.030
    ring = torch.sqrt(wing_x * wing_x + wing_y * wing_y + 1e-6) - 0.062
    groove = bump(ring, 0.012) * smoothstep(x - WING_X * width, -0.01, 0.04)
    shade = (1 - 0.80 * nostril.clamp(0, 1)) * (1 - 0.28 * groove) * (1 - 0.22 * wrinkles)
    return Nose(window, height, shade, below)


def _bridge(identity: Identity, x: Tensor, down: Tensor, below: Tensor, width: Tensor) -> Tensor:
    # Both lines run flat into the tip, or the profile ends in a beak.
    rise = (down / 0.92).clamp(0, 1)
    share = 0.35 * each(identity.nose_bridge)
    line = share * torch.sin(0.5 * math.pi * rise) + (1 - share) * rise * rise * (2 - rise)
    profile = each(identity.nose_height) * line
    profile = profile + each(identity.nose_hump) * bump(down - 0.42, 0.22)
    underside = smoothstep(below, -0.130, -0.005)
    half_width = mix(torch.full_like(down, 0.062), torch.full_like(down, 0.100), down)
    ridge = 1 / (1 + power(x / (half_width * power(width, 0.6)), 2.6))
    return profile * underside * ridge * smoothstep(0.36 - x, 0, 0.2)


def _tip_and_wings(identity: Identity, x: Tensor, below: Tensor, width: Tensor) -> Tensor:
    tip = 0.036 * each(identity.nose_tip) * spot(x, below + 0.01, 0.085 * width, 0.075)
    wings = 0.085 * spot(x - WING_X * width, below + 0.032, 0.046 * torch.sqrt(width), 0.048)
    septum = 0.03 * spot(x, below + 0.075, 0.035, 0.04)
    return tip + wings + septum


def _wrinkles(window: Window, identity: Identity, curves: Curves) -> Tensor:
    """Bunny lines across the root and down the sides of the nose."""
    depth = each(0.65 + 0.65 * identity.age) * window.sides(curves.nose_root)
    wave = 0.5 + 0.5 * torch.cos((window.face_y - 0.17) * (2 * math.pi / 0.060))
    across = wave * wave * spot(window.x, window.face_y - 0.14, 0.10, 0.10)
    slant = window.ax - 0.10 - 0.5 * (0.10 - window.face_y)
    along = 0.8 * bump(slant, 0.015) * bump(window.face_y - 0.03, 0.07)
    return depth * (across + along)
