"""Pose, perspective camera, and the rays' way to the relief surface.

The world has x to the viewer's right, y up, z to the viewer; the camera looks along -z from
`DISTANCE`. A pose turns the head about `PIVOT`, near the top of the neck.

A window is the part of the camera's picture that is drawn: a square as centre x, centre y and side
in sides of the picture, x to the right and y down from its upper left corner, turned clockwise by
an angle in radians. It shows exactly what cutting it out of the whole picture would.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dferlib.synthface.fields import each
from dferlib.synthface.head import surface_coordinates

DISTANCE = 7.0
WHOLE = (0.5, 0.5, 1.0, 0.0)  # the window that is the whole picture
PIVOT = (0.0, -0.45, -0.15)
BOUND_RADII = (0.98, 1.60, 1.26)  # an ellipsoid around every head
BOUND_MIDDLE = (0.0, -0.22, 0.0)


def rotation(pose: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) = Rz Ry Rx of (B, 3) yaw, pitch, roll in radians.

    Positive yaw turns the face to the viewer's right, positive pitch down, positive roll
    counter-clockwise.
    """
    yaw, pitch, roll = (angle.contiguous() for angle in pose.unbind(1))
    cy, sy = torch.cos(yaw), torch.sin(yaw)
    cx, sx = torch.cos(pitch), torch.sin(pitch)
    cz, sz = torch.cos(roll), torch.sin(roll)
    rows = [
        (cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx),
        (sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx),
        (-sy, cy * sx, cy * cx),
    ]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def rotate(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Turn vectors (B, 3, ...) by matrices (B, 3, 3); written out, so that order is fixed."""
    shape = (-1, 3) + (1,) * (vectors.dim() - 2)
    x, y, z = (matrix[:, :, k].reshape(shape) for k in range(3))
    return x * vectors[:, 0:1] + y * vectors[:, 1:2] + z * vectors[:, 2:3]


@dataclass(frozen=True)
class Rays:
    """One ray a pixel: `origin + t * direction` in the head's axes."""

    origin: Tensor  # (B, 3)
    direction: Tensor  # (B, 3, S, S)
    world_x: Tensor  # (B, S, S) where the ray meets the plane z = 0 of the world
    world_y: Tensor  # (B, S, S)


def in_picture(window: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Places x, y (B, S, S) in the picture of the pixels of windows (B, 4)."""
    step = (torch.arange(size, device=window.device) + 0.5) / size - 0.5
    x, y, side, angle = (each(part) for part in window.unbind(1))
    cos, sin = torch.cos(angle), torch.sin(angle)
    across, down = side * step[None, None, :], side * step[None, :, None]
    return x + (cos * across - sin * down), y + (sin * across + cos * down)


def cast_rays(camera: Tensor, turn: Tensor, window: Tensor, size: int) -> Rays:
    """Make the rays of (B, 3) cameras (middle x, middle y, half-height) through S x S pixels.

    The pixels are those of the windows (B, 4) of the cameras' pictures.
    """
    x, y = in_picture(window, size)
    middle_x, middle_y, half = (each(c) for c in camera.unbind(1))
    world_x, world_y = middle_x + half * (2 * x - 1), middle_y + half * (1 - 2 * y)
    eye = torch.stack([camera[:, 0], camera[:, 1], torch.full_like(camera[:, 0], DISTANCE)], 1)
    across, up = world_x - each(eye[:, 0]), world_y - each(eye[:, 1])
    direction = torch.stack([across, up, torch.full_like(across, -DISTANCE)], 1)
    back = turn.transpose(1, 2)
    pivot = camera.new_tensor(PIVOT)
    return Rays(rotate(back, eye - pivot) + pivot, rotate(back, direction), world_x, world_y)


def project(points: Tensor, camera: Tensor, turn: Tensor) -> Tensor:
    """Project points (B, 3, N) of the head to places x, y (B, N, 2) in the camera's picture."""
    pivot = points.new_tensor(PIVOT)[:, None]
    x, y, z = (rotate(turn, points - pivot) + pivot).unbind(1)
    middle_x, middle_y, half = (c[:, None] for c in camera.unbind(1))
    nearer = DISTANCE / (DISTANCE - z)
    across = (x - middle_x) * nearer / half
    down = (middle_y - y) * nearer / half
    return (torch.stack([across, down], -1) + 1) / 2


def to_pixels(places: Tensor, window: Tensor, size: int) -> Tensor:
    """Turn places (B, N, 2) in the picture into pixels of windows (B, 4) drawn with `size` pixels.

    (0, 0) is the first pixel's middle. Inverse of `in_picture`.
    """
    x, y, side, angle = (part[:, None] for part in window.unbind(1))
    right, below = places[..., 0] - x, places[..., 1] - y
    cos, sin = torch.cos(angle), torch.sin(angle)
    across, down = cos * right + sin * below, cos * below - sin * right
    return (torch.stack([across, down], -1) / side[..., None] + 0.5) * size - 0.5


@dataclass(frozen=True)
class Hits:
    """Where rays meet the surface: texture coordinates, and whether they do."""

    u: Tensor  # (B, S, S)
    v: Tensor
    distance: Tensor  # t along the ray
    covered: Tensor  # bool


def march(radius: Tensor, rays: Rays, steps: int, refinements: int) -> Hits:
    """Find where each ray first dips under the relief `radius` (B, H, W).

    Linear steps through the front of the bounding ellipsoid bracket the surface, regula falsi
    closes in on it.
    """
    near, far, inside = _bounds(rays)
    relief = radius[:, None]

    def depth_at(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, y, z = (each(rays.origin[:, k]) + rays.direction[:, k] * t for k in range(3))
        u, v, rho = surface_coordinates(x, y, z)
        grid = torch.stack([u, v], -1)
        found = F.grid_sample(relief, grid, align_corners=True, padding_mode="border")
        return rho - found[:, 0], u, v

    low, high, low_depth = near, far, torch.full_like(near, 0.3)
    high_depth = torch.ones_like(near)
    found = torch.zeros_like(near, dtype=torch.bool)
    for step in range(1, steps + 1):
        t = near + (far - near) * (step / steps)
        depth, _, _ = depth_at(t)
        hit = (depth < 0) & ~found
        high, high_depth = torch.where(hit, t, high), torch.where(hit, depth, high_depth)
        found = found | hit
        low, low_depth = torch.where(found, low, t), torch.where(found, low_depth, depth)
    t, u, v = high, None, None
    for _ in range(refinements):
        share = low_depth / (low_depth - high_depth).clamp_min(1e-5)
        t = low + (high - low) * share.clamp(0.05, 0.95)
        depth, u, v = depth_at(t)
        under = depth < 0
        high, high_depth = torch.where(under, t, high), torch.where(under, depth, high_depth)
        low, low_depth = torch.where(under, low, t), torch.where(under, low_depth, depth)
    return Hits(u, v, t, found & inside)


def _bounds(rays: Rays) -> tuple[Tensor, Tensor, Tensor]:
    """Ray parameters of the front of the bounding ellipsoid, and whether the ray meets it."""
    a = b = 0.0
    c = -1.0
    for k, (radius, middle) in enumerate(zip(BOUND_RADII, BOUND_MIDDLE, strict=True)):
        origin = each((rays.origin[:, k] - middle) / radius)
        direction = rays.direction[:, k] / radius
        a = a + direction * direction
        b = b + direction * origin
        c = c + origin * origin
    discriminant = b * b - a * c
    half = torch.sqrt(discriminant.clamp_min(0)) / a
    middle = -b / a
    # The back third of the ellipsoid holds no first hit.
    return middle - half, middle + 0.35 * half, discriminant > 0


def meet_plane(rays: Rays, z: float) -> tuple[Tensor, Tensor, Tensor]:
    """Head coordinates x, y and distance (B, S, S) where rays meet a plane of constant z."""
    t = (z - each(rays.origin[:, 2])) / rays.direction[:, 2]
    x = each(rays.origin[:, 0]) + rays.direction[:, 0] * t
    y = each(rays.origin[:, 1]) + rays.direction[:, 1] * t
    return x, y, t
