"""The brows, the ridge they sit on, the frown lines between them and the forehead's lines."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dferlib.synthface.curves import Curves
from dferlib.synthface.fields import PORES, bump, each, noise, smoothstep, spot
from dferlib.synthface.head import Window
from dferlib.synthface.identity import Identity

PEAK = 0.58  # where along the brow its middle parameter applies
FOREHEAD_WINDOW = (0.84, 0.40, 0.95)  # top, bottom, angle
LINE_PERIOD = 0.088  # distance of the forehead's lines


def brow_curve(t: Tensor, inner: Tensor, middle: Tensor, outer: Tensor) -> Tensor:
    """Height of the brow's middle line: a parabola through t = 0, `PEAK` and 1."""
    a = (t - PEAK) * (t - 1) / PEAK
    b = t * (t - 1) / (PEAK * (PEAK - 1))
    c = t * (t - PEAK) / (1 - PEAK)
    return inner * a + middle * b + outer * c


@dataclass(frozen=True)
class Brows:
    """Both brows of B faces on the eyes' window."""

    hair: Tensor  # cover of brow hair, 0 to .95
    height: Tensor  # relief to add
    shade: Tensor  # factor on the colour: frown lines


def build_brows(window: Window, identity: Identity, curves: Curves) -> Brows:
    """Evaluate the brows, their ridge and the frown lines."""
    inner = window.sides(curves.brow_inner_x)
    t = (window.ax - inner) / (each(identity.brow_outer_x) - inner)
    middle_line = brow_curve(
        t.clamp(-0.15, 1.1),
        window.sides(curves.brow_inner_y),
        window.sides(curves.brow_middle_y),
        window.sides(curves.brow_outer_y),
    )
    frown = window.sides(curves.glabella)
    from_line = window.face_y - middle_line
    hair = _brow_hair(window, identity, t, from_line, frown)

    ridge_y = window.face_y - each(identity.brow_y)
    height = each(identity.brow_ridge) * spot(window.ax - 0.30, ridge_y, 0.24, 0.065)
    height = height - 0.02 * spot(window.x, window.face_y - 0.28, 0.07, 0.06)
    # A lowered brow pushes skin in front of the eye.
    hood = window.face_y - window.sides(curves.brow_middle_y) + 0.085
    fold = 0.035 * each(identity.lid_fold) * (0.3 + 0.9 * frown)
    height = height + fold * spot(window.ax - 0.32, hood, 0.17, 0.05)
    bulge_y = window.face_y - window.sides(curves.brow_inner_y) - 0.005
    height = height + 0.032 * frown * spot(window.ax - 0.10, bulge_y, 0.075, 0.055)
    lines = _frown_lines(window, identity, curves) * frown
    return Brows(hair, height - 0.030 * lines, 1 - (0.46 * lines).clamp(0, 0.8))


def _brow_hair(
    window: Window, identity: Identity, t: Tensor, from_line: Tensor, frown: Tensor
) -> Tensor:
    grain = noise(
        (window.ax + 1.2 * from_line) * 1.2,
        0.8 * from_line + 0.2 * window.ax,
        identity.noise_offset,
        PORES,
    )
    along = t.clamp(-0.15, 1.1)
    half = 1 - 0.62 * smoothstep(along, 0.35, 1.05)
    half = half * (0.75 + 0.25 * smoothstep(along, -0.05, 0.2)) * (1 + 0.15 * frown)
    across = 1 - (from_line / (each(identity.brow_thickness) * half)).abs() + 0.22 * grain
    cover = smoothstep(across, -0.30, 0.60)
    cover = cover * smoothstep(t + 0.04 * grain, -0.04, 0.12) * smoothstep(1.02 - t, 0, 0.15)
    return (cover * each(identity.brow_density) * (0.90 + 0.25 * grain)).clamp(0, 0.95)


def _frown_lines(window: Window, identity: Identity, curves: Curves) -> Tensor:
    """Two upright lines between the brows, bent towards them."""
    depth = each(0.75 + 0.5 * identity.age)
    rise = 0.03 * window.sides(curves.forehead_inner)
    x = window.ax - 0.055 + 0.05 * (window.face_y - 0.36)
    return depth * bump(x, 0.015) * bump(window.face_y - 0.335 - rise, 0.085)


@dataclass(frozen=True)
class Forehead:
    """The forehead of B faces on its window."""

    window: Window
    height: Tensor
    shade: Tensor


def build_forehead(window: Window, identity: Identity, curves: Curves) -> Forehead:
    """Evaluate the forehead's horizontal lines: AU 1 in the middle, AU 2 over the outer brows."""
    inner, outer = window.sides(curves.forehead_inner), window.sides(curves.forehead_outer)
    raised = (inner * bump(window.ax, 0.26) + outer * bump(window.ax - 0.36, 0.22)).clamp(0, 1)
    raised = raised + 0.12 * each(identity.age)
    # Lines follow the brows: bowed up by AU 2, down at the temples by AU 1 alone.
    across = window.ax / 0.5
    bow = 0.05 * (1 - across * across) * (1 - 1.2 * inner * (1 - outer))
    wobble = 0.01 * torch.sin(9 * window.x + 9 * each(identity.noise_offset[:, 0]))
    y = window.face_y - bow - 0.035 * raised + wobble
    wave = 0.5 + 0.5 * torch.cos((y - 0.585) * (2 * math.pi / LINE_PERIOD))
    lines = each(0.55 + 0.65 * identity.age) * raised * wave * wave * wave
    lines = lines * smoothstep(y, 0.455, 0.50) * smoothstep(0.745 - y, 0, 0.05)
    lines = lines * smoothstep(0.52 - window.ax, 0, 0.2)
    return Forehead(window, -0.0136 * lines, 1 - 0.16 * lines)
