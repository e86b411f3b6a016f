"""From identities and action units to images, landmarks and masks."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dferlib.synthface.accessories import add_glasses, shoulders_layer
from dferlib.synthface.action_units import ACTION_UNITS
from dferlib.synthface.camera import (
    DISTANCE,
    WHOLE,
    Hits,
    Rays,
    cast_rays,
    march,
    meet_plane,
    project,
    rotation,
    to_pixels,
)
from dferlib.synthface.fields import blur, double, halve, mix, planes, power, smoothstep
from dferlib.synthface.hair import LONG_HAIR_Z, long_hair_layer
from dferlib.synthface.head import Grid, make_grid, surface_point
from dferlib.synthface.identity import Identity
from dferlib.synthface.landmarks import landmark_positions
from dferlib.synthface.shading import Light, default_light, turn_light
from dferlib.synthface.texture import Still, Texture, build_still, build_texture

FACE_VERSION = "4"  # part of every cache key: raise it whenever pixels change

DEFAULT_CAMERA = (0.0, -0.12, 1.3)
DEFAULT_BACKGROUND = 0.5
GAMMA = 1.35
SHOULDER = 0.12  # how strongly bright light is compressed
MASK_NOTICE, MASK_FULL = 0.03, 0.12  # relative change of colour that starts to count, and fully
MASK_DARK = 0.15  # brightness below which changes are no longer scaled up
RELIEF_TO_COLOR = 2.5  # a shift of the surface by .04 counts as a change of colour by .1


@dataclass(frozen=True)
class Quality:
    """How finely a frame is computed."""

    grid: tuple[int, int]  # rows and columns of the texture; odd
    supersample: bool  # compute twice as many pixels each way and average
    steps: int  # linear steps of the ray march
    refinements: int


QUALITIES = {
    "fast": Quality((129, 97), True, 12, 3),
    "standard": Quality((257, 185), True, 14, 3),
    "fine": Quality((401, 289), True, 18, 4),
}


@dataclass(frozen=True)
class Rendered:
    """Frames and, if asked for, what is known about them."""

    image: Tensor  # (B, 3, S, S) in [0, 1], display-referred RGB
    landmarks: Tensor | None  # (B, 68, 2) x, y in pixels, iBUG order; (0, 0) is a pixel's middle
    mask: Tensor | None  # (B, S, S) in [0, 1]: what the action units change


def render(
    identity: Identity,
    aus: Tensor,
    *,
    size: int = 128,
    pose: Tensor | None = None,
    camera: Tensor | None = None,
    light: Light | None = None,
    gaze: Tensor | None = None,
    background: Tensor | None = None,
    window: Tensor | None = None,
    quality: str = "standard",
    truth: bool = False,
    still: Still | None = None,
) -> Rendered:
    """Render B frames in one batch; each comes out as if it were alone, bit for bit on a CPU.

    Args:
        identity: B faces; use `Identity.take` to repeat one face for its frames.
        aus: intensities (B, A, 2) in the order of `ACTION_UNITS`, viewer-left and viewer-right.
        size: S, height and width of the image in pixels.
        pose: (B, 3) yaw, pitch, roll in radians; positive yaw turns the face to the viewer's
            right, positive pitch down, positive roll counter-clockwise. Default: frontal.
        camera: (B, 3) middle x, middle y and half-height of the view in head units (10 cm).
        light: see `Light`. Default: `default_light`.
        gaze: (B, 2) shift of the irises to the viewer's right and up; .05 is a strong glance.
        background: (B, 3, S, S) image in [0, 1], what the window shows of it. Default: grey.
        window: (B, 4) the part of the picture that is drawn, see `camera`. Default: all of it.
        quality: "fast" suits about 72 px, "standard" 128, "fine" 224 and more.
        truth: also return landmarks and mask.
        still: from `make_still`, taken for the B frames, so that it is built once a person.

    Raises:
        ValueError: if the quality is unknown or a tensor has the wrong shape.
    """
    if quality not in QUALITIES:
        raise ValueError(f"unknown quality {quality!r}; choose from: {', '.join(QUALITIES)}")
    setting, batch, device = QUALITIES[quality], len(identity), aus.device
    _check_shape("aus", aus, (batch, len(ACTION_UNITS), 2))
    pose = _given("pose", pose, (batch, 3), (0.0, 0.0, 0.0), device)
    camera = _given("camera", camera, (batch, 3), DEFAULT_CAMERA, device)
    gaze = _given("gaze", gaze, (batch, 2), (0.0, 0.0), device)
    window = _given("window", window, (batch, 4), WHOLE, device)
    light = default_light(batch, device) if light is None else light
    background = _given_background(background, batch, size, device)

    turn = rotation(pose)
    grid = make_grid(*setting.grid, device)
    still = build_still(identity, grid, truth) if still is None else still
    texture = build_texture(identity, aus, gaze, turn_light(light, turn), grid, still)
    rays = cast_rays(camera, turn, window, size)
    hits = march(texture.radius, rays, setting.steps, setting.refinements)
    behind = _behind(from_display(background), identity, rays, light)
    image = _look_up(texture.color, hits, behind, setting.supersample)
    image = _dress(image, identity, rays, hits, light, 2 * camera[:, 2] * window[:, 2] / size)
    if not truth:
        return Rendered(to_display(image), None, None)
    marks = project(surface_points(identity, texture, grid), camera, turn)
    mask = _mask(texture, still, grid, hits)
    return Rendered(to_display(image), to_pixels(marks, window, size), mask)


def make_still(identity: Identity, quality: str) -> Still:
    """Build what B faces keep in all their frames, truth included; for `render`'s `still`."""
    grid = make_grid(*QUALITIES[quality].grid, identity.age.device)
    return build_still(identity, grid, truth=True)


def _check_shape(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(value.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}, got {tuple(value.shape)}")


def _given(
    name: str,
    value: Tensor | None,
    shape: tuple[int, int],
    default: tuple[float, ...],
    device: torch.device,
) -> Tensor:
    if value is None:
        return torch.tensor(default, device=device).repeat(shape[0], 1)
    _check_shape(name, value, shape)
    return value


def _given_background(
    background: Tensor | None, batch: int, size: int, device: torch.device
) -> Tensor:
    if background is None:
        return torch.full((batch, 3, size, size), DEFAULT_BACKGROUND, device=device)
    _check_shape("background", background, (batch, 3, size, size))
    return background


def to_display(light: Tensor) -> Tensor:
    """Compress linear light to display values in [0, 1]."""
    light = light.clamp(0, 1.6)
    return power((light / (1 + SHOULDER * light)).clamp(0, 1), 1 / GAMMA)


def from_display(value: Tensor) -> Tensor:
    """Inverse of `to_display`."""
    value = power(value.clamp(0, 1), GAMMA)
    return value / (1 - SHOULDER * value)


def _behind(background: Tensor, identity: Identity, rays: Rays, light: Light) -> Tensor:
    """The background with long hair in front of it."""
    if not bool(identity.long_hair.any()):
        return background
    x, y, _ = meet_plane(rays, LONG_HAIR_Z)
    lit = planes(0.5 * light.key_color + light.ambient + 0.3 * light.fill_color)
    facing = rays.direction[:, 2].abs() / DISTANCE
    color, cover = long_hair_layer(identity, x, y, facing, lit)
    return mix(background, color, cover[:, None])


def _dress(
    image: Tensor, identity: Identity, rays: Rays, hits: Hits, light: Light, pixel: Tensor
) -> Tensor:
    """Put clothes below and glasses before the face; `pixel` (B,) is a pixel's width."""
    color, cover = shoulders_layer(identity, rays, light)
    neck = smoothstep(rays.world_x.abs() - 0.30 - 0.9 * (rays.world_y + 1.42), -0.05, 0.05)
    image = mix(image, color, (cover * neck)[:, None])
    if not bool(identity.glasses.any()):
        return image
    return add_glasses(image, identity, rays, hits, light, pixel)


def _look_up(color: Tensor, hits: Hits, behind: Tensor, supersample: bool) -> Tensor:
    """Colour of every pixel: the texture where a ray hits it, supersampled, else `behind`."""
    grid = torch.stack([hits.u, hits.v], 1)
    cover = hits.covered.to(color.dtype)[:, None]
    if supersample:
        grid, cover, behind = (double(t) for t in (grid, cover, behind))
    face = F.grid_sample(color, grid.permute(0, 2, 3, 1), align_corners=True, padding_mode="border")
    image = mix(behind, face, smoothstep(cover, 0.25, 0.75))
    return halve(image) if supersample else image


def surface_points(identity: Identity, texture: Texture, grid: Grid) -> Tensor:
    """Landmarks (B, 3, 68) on the relief, in the head's axes."""
    x, face_y = landmark_positions(identity, texture.curves).unbind(-1)
    u, v = surface_point(identity, texture.curves.jaw_drop, x.contiguous(), face_y.contiguous())
    grid_uv = torch.stack([u, v], -1)[:, None]
    axes = torch.stack([grid.sin, grid.cos])[:, None].expand(2, *grid.size)
    relief = torch.cat([texture.radius[:, None] * axes, texture.radius[:, None]], 1)
    sampled = F.grid_sample(relief, grid_uv, align_corners=True)[:, :, 0]
    y = face_y * identity.face_length[:, None]
    return torch.stack([sampled[:, 0], y, sampled[:, 1]], 1)


def _mask(texture: Texture, still: Still, grid: Grid, hits: Hits) -> Tensor:
    """What the action units change, seen through the frame's own pixels.

    Every second texel of the face is compared with the same face at rest: the change of colour
    before any light, and the shift of the surface. Pose, light, background and gaze therefore do
    not enter; a resting face has a mask of zeros.
    """
    paint, rest = (part[:, :, ::2, ::2] for part in (texture.paint, still.paint_at_rest))
    shift = (texture.radius - still.radius_at_rest)[:, ::2, ::2]
    # Relative to the brightness, or dark skin would seem to move less.
    color = (paint - rest).abs().amax(1) / (MASK_DARK + torch.maximum(paint, rest).amax(1))
    change = color + RELIEF_TO_COLOR * shift.abs() * grid.stretch[::2]
    change = blur(change, 1)
    change = ((change - MASK_NOTICE) / (MASK_FULL - MASK_NOTICE)).clamp(0, 1)
    uv = torch.stack([hits.u, hits.v], -1)
    seen = F.grid_sample(change[:, None], uv, align_corners=True, padding_mode="border")[:, 0]
    return seen * hits.covered
