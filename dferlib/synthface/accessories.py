"""Glasses in front of the face, shoulders below it."""

import torch
from torch import Tensor

from dferlib.synthface.camera import Hits, Rays, meet_plane
from dferlib.synthface.fields import BLOTCHES, each, mix, noise, planes, power, smoothstep
from dferlib.synthface.identity import Identity
from dferlib.synthface.shading import Light

GLASSES_Z = 0.93  # the plane of the head in which glasses sit
EAR_X = 0.76  # where the arms end, at z = 0
NOSE_SLACK = 0.04  # of a ray, whose unit is the distance of the camera


def add_glasses(
    image: Tensor, identity: Identity, rays: Rays, hits: Hits, light: Light, pixel: Tensor
) -> Tensor:
    """Draw glasses over images (B, 3, S, S); `pixel` (B,) is a pixel's width in head units."""
    x, y, distance = meet_plane(rays, GLASSES_Z)
    half_width, half_height = each(identity.glasses_half_width), each(identity.glasses_half_height)
    rim_width = each(identity.glasses_rim)
    across = x.abs() - each(identity.eye_x) - 0.015
    up = y - each(identity.eye_y) + 0.045
    roundness = each(identity.glasses_roundness)
    ring = power((across / half_width).abs(), roundness)
    ring = power(ring + power((up / half_height).abs(), roundness), 1 / roundness)
    soft = each(pixel) / half_height
    frame = smoothstep(rim_width / half_height - (ring - 1).abs(), -0.6 * soft, 0.6 * soft)
    arch = up - 0.06 - 0.02 * torch.cos(9 * x)
    bridge = smoothstep(0.8 * rim_width - arch.abs(), -0.01, 0.01) * (across < -half_width)
    surface = torch.where(hits.covered, hits.distance, torch.full_like(distance, 2.0))
    # The bridge of the nose reaches through the plane of the lenses and must not hide them.
    in_front = distance < surface + NOSE_SLACK
    frame = torch.maximum(frame, bridge) * in_front
    lens = smoothstep(1 - ring, 0, 0.1) * in_front * each(identity.glasses)
    hinge = each(identity.eye_x) + 0.015 + half_width
    for side in (-1.0, 1.0):
        temple = _temple(identity, rays, surface, side, hinge)
        frame = torch.maximum(frame, temple)
    image = image * (1 - 0.10 * lens[:, None]) + 0.03 * lens[:, None] * planes(light.key_color)
    color = planes(identity.glasses_color) * planes(light.key_color + light.ambient) * 0.8 + 0.02
    return mix(image, color, (frame * each(identity.glasses))[:, None])


def _temple(identity: Identity, rays: Rays, surface: Tensor, side: float, hinge: Tensor) -> Tensor:
    """Cover of the arm on one side, in the upright plane from the hinge back to the ear."""
    slope = (EAR_X - hinge) / GLASSES_Z
    origin = side * each(rays.origin[:, 0]) + slope * each(rays.origin[:, 2])
    rate = side * rays.direction[:, 0] + slope * rays.direction[:, 2]
    distance = (EAR_X - origin) / torch.where(rate.abs() < 1e-4, torch.full_like(rate, 1e-4), rate)
    y = each(rays.origin[:, 1]) + rays.direction[:, 1] * distance
    z = each(rays.origin[:, 2]) + rays.direction[:, 2] * distance
    arm = smoothstep(
        0.8 * each(identity.glasses_rim) - (y - each(identity.eye_y) - 0.015).abs(), -0.01, 0.01
    )
    return arm * (z < GLASSES_Z) * (z > 0) * (distance < surface) * (distance > 0)


def shoulders_layer(identity: Identity, rays: Rays, light: Light) -> tuple[Tensor, Tensor]:
    """Colour (B, 3, S, S) and cover (B, S, S) of clothes, drawn in the world's plane z = 0."""
    x, y = rays.world_x, rays.world_y
    out = x.abs()
    # Slope of the trapezius, then of the shoulder; a collar that opens in the middle.
    top = -1.36 - 0.30 * (out - 0.35).clamp_min(0) - 0.45 * (out - 0.85).clamp_min(0)
    collar = 0.20 * (1 - smoothstep(out, 0.18, 0.46))
    cover = smoothstep(top - collar - y, 0, 0.05)
    folds = noise(0.8 * x, 0.8 * y, identity.noise_offset, BLOTCHES)
    lit = planes(0.55 * light.key_color + 0.8 * light.ambient)
    shade = (0.8 + 0.25 * folds) * (0.75 + 0.25 * smoothstep(out, 0.3, 0.6))
    return planes(identity.clothes) * shade[:, None] * lit, cover
