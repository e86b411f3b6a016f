"""The whole head as a texture: radius and lit colour over height and angle.

Read it from top to bottom: curves, smooth head, features in their windows, relief, colour, light.
What an identity keeps whatever its action units do (`Still`) is built once for all its frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dferlib.synthface import brows, eyes, hair, mouth, nose, skin
from dferlib.synthface.action_units import ACTION_UNITS
from dferlib.synthface.curves import Curves, move_face
from dferlib.synthface.fields import GRAIN, PORES, each, mix, planes, rgb, smoothstep, spot
from dferlib.synthface.head import CROWN_Y, Grid, HeadBase, Window, build_head
from dferlib.synthface.identity import Identity
from dferlib.synthface.shading import (
    HeadLight,
    Surface,
    cast_shadow,
    cavities,
    shade,
    surface_normals,
)

EYEBALL = 0.5  # grey of an eye as the mask compares it, wherever it looks


@dataclass(frozen=True)
class Texture:
    """Relief and colour of B heads."""

    radius: Tensor  # (B, H, W)
    color: Tensor  # (B, 3, H, W) linear light
    paint: Tensor  # (B, 3, H, W) colour before light, as the mask compares it
    curves: Curves


@dataclass(frozen=True)
class Still:
    """What B faces keep whatever their action units do; `at_rest` only where truth is asked for."""

    hair: hair.Hair
    radius_at_rest: Tensor | None  # (B, H, W)
    paint_at_rest: Tensor | None  # (B, 3, H, W)

    def take(self, index: Tensor) -> "Still":
        """Choose faces by index; one may be taken many times, once for each of its frames."""
        rest = (self.radius_at_rest, self.paint_at_rest)
        return Still(
            self.hair.take(index), *(part if part is None else part[index] for part in rest)
        )


def join_stills(parts: Sequence[Still]) -> Still:
    """Put several batches of faces behind each other; all with the face at rest."""
    locks = [vars(part.hair) for part in parts]
    joined = hair.Hair(**{name: torch.cat([part[name] for part in locks]) for name in locks[0]})
    radius = torch.cat([part.radius_at_rest for part in parts])
    return Still(joined, radius, torch.cat([part.paint_at_rest for part in parts]))


@dataclass(frozen=True)
class Features:
    """All features of B heads, evaluated in their windows."""

    eyes: eyes.Eyes
    brows: brows.Brows
    forehead: brows.Forehead
    nose: nose.Nose
    cheeks: skin.Cheeks
    mouth: mouth.Mouth
    hair: hair.Hair


@dataclass(frozen=True)
class _Layers:
    """A moved face before any light falls on it."""

    curves: Curves
    base: HeadBase
    features: Features
    radius: Tensor
    albedo: Tensor
    facial_hair: Tensor
    inside: Tensor  # colour of the mouth's inside, on its window


def build_still(identity: Identity, grid: Grid, truth: bool) -> Still:
    """Build what B faces keep; with `truth` also the face at rest, which the mask compares with."""
    no_drop = torch.zeros_like(identity.age)
    locks = hair.build_hair(build_head(identity, no_drop, grid), grid, identity)
    if not truth:
        return Still(locks, None, None)
    rest = torch.zeros(len(identity), len(ACTION_UNITS), 2, device=identity.age.device)
    layers = _lay(identity, rest, grid, locks)
    return Still(locks, layers.radius, _paint_openings(layers))


def _lay(identity: Identity, aus: Tensor, grid: Grid, locks: hair.Hair) -> _Layers:
    curves = move_face(identity, aus)
    base = build_head(identity, curves.jaw_drop, grid)
    features = _build_features(base, grid, identity, curves, locks)
    relief = hair.hair_relief(features.hair, _feature_relief(base, features))
    radius = base.radius + relief / grid.stretch * hair.crown_fade(base)
    radius = radius * (base.skin_y < CROWN_Y)
    radius[:, 0] = -1  # the pole is closed: no ray enters from above
    albedo, facial_hair = _paint(base, features, identity)
    inside = mouth.inside_color(features.mouth, identity, curves)
    return _Layers(curves, base, features, radius, albedo, facial_hair, inside)


def build_texture(
    identity: Identity, aus: Tensor, gaze: Tensor, light: HeadLight, grid: Grid, still: Still
) -> Texture:
    """Build the textures of B faces under action units (B, A, 2), gaze (B, 2) and light."""
    layers = _lay(identity, aus, grid, still.hair)
    base, features, radius = layers.base, layers.features, layers.radius
    gloss = each(identity.gloss) * (1 - features.hair.cover)
    lips = features.mouth.upper_red + features.mouth.lower_red
    maps = features.mouth.window.maps
    gloss[maps] = gloss[maps] * (1 - 0.7 * layers.facial_hair) * (1 + 0.7 * lips)
    shadow = cast_shadow(radius, grid, light.key)
    open_sky = cavities(radius * grid.stretch) * _under_chin(base)
    surface = Surface(
        surface_normals(radius, grid),
        open_sky,
        shadow,
        gloss,
        features.hair.cover,
        features.hair.strands,
    )
    color = shade(layers.albedo, surface, light)
    _fill_openings(color, layers, identity, gaze, light, shadow)
    return Texture(radius, color.clamp_(0, 1.5), _paint_openings(layers), layers.curves)


def _build_features(
    base: HeadBase, grid: Grid, identity: Identity, curves: Curves, locks: hair.Hair
) -> Features:
    eye_window = Window(base, grid, *eyes.WINDOW)
    return Features(
        eyes.build_eyes(eye_window, identity, curves),
        brows.build_brows(eye_window, identity, curves),
        brows.build_forehead(Window(base, grid, *brows.FOREHEAD_WINDOW), identity, curves),
        nose.build_nose(Window(base, grid, *nose.WINDOW), identity, curves),
        skin.build_cheeks(Window(base, grid, *skin.WINDOW), identity, curves),
        mouth.build_mouth(Window(base, grid, *mouth.WINDOW), identity, curves),
        locks,
    )


def _feature_relief(base: HeadBase, features: Features) -> Tensor:
    relief = torch.zeros_like(base.x)
    parts = (
        (features.eyes.window, features.eyes.height + features.brows.height),
        (features.forehead.window, features.forehead.height),
        (features.nose.window, features.nose.height),
        (features.cheeks.window, features.cheeks.height),
        (features.mouth.window, features.mouth.height),
    )
    for window, height in parts:
        relief[window.maps] += height * window.taper
    return relief


def _under_chin(base: HeadBase) -> Tensor:
    """The head keeps light of the sky from the neck."""
    return 1 - 0.40 * (1 - base.face_share) * smoothstep(base.face_y, -1.65, -1.05)


def _paint(base: HeadBase, features: Features, identity: Identity) -> tuple[Tensor, Tensor]:
    """Colour of the surface before light, and the cover of facial hair on the mouth's window."""
    grain = skin.skin_grain(base, identity)
    color = skin.base_color(identity, grain)
    window = features.cheeks.window
    pores = grain[:, PORES][window.maps]
    color[window.images] = skin.cheek_color(color[window.images], features.cheeks, identity, pores)

    window, shade_of_nose = features.nose.window, features.nose.shade
    warm = 0.5 * each(identity.redness) * spot(window.x, features.nose.tip_distance, 0.12, 0.10)
    part = skin.redden(color[window.images], window.taper * warm)
    color[window.images] = part * shade_of_nose[:, None]
    color[features.forehead.window.images] *= features.forehead.shade[:, None]

    window, eye = features.eyes.window, features.eyes
    part = color[window.images] * (1 - eye.dark[:, None] * rgb(0.8, 1.0, 0.9, color))
    part = part * (eye.shade * features.brows.shade)[:, None]
    color[window.images] = part

    window = features.mouth.window
    part, facial_hair = _paint_mouth(color[window.images], features, identity, grain, base)
    color[window.images] = part
    window = features.eyes.window
    brow_color = planes(identity.brow_color)
    color[window.images] = mix(color[window.images], brow_color, features.brows.hair[:, None])
    color = hair.head_hair_color(color, features.hair, identity)
    color[window.images] *= features.eyes.lashes[:, None]
    return color.clamp(0.005, 1), facial_hair


def _paint_mouth(
    color: Tensor, features: Features, identity: Identity, grain: Tensor, base: HeadBase
) -> tuple[Tensor, Tensor]:
    lips = features.mouth
    window = lips.window
    local = grain[window.images]
    chin = 0.25 * each(identity.redness) * hair.chin_spot(window)
    color = skin.redden(color, window.taper * chin)
    beard = hair.build_beard(
        lips, identity, local, features.hair.cover[window.maps], base.face_share[window.maps]
    )
    color = color * (1 - 0.25 * (lips.dimple * lips.dimple).clamp(0, 1))[:, None]
    color = hair.beard_color(color, beard, identity, local)
    red = mouth.lip_color(lips, identity, planes(identity.skin), local[:, GRAIN])
    color = mix(color, red, 0.88 * (lips.upper_red + lips.lower_red).clamp(0, 1)[:, None])
    line = lips.line * smoothstep(1 - lips.across, -0.12, 0.1)
    return color * (1 - 0.62 * line)[:, None], beard.cover


def _fill_openings(
    color: Tensor,
    layers: _Layers,
    identity: Identity,
    gaze: Tensor,
    light: HeadLight,
    shadow: Tensor,
) -> None:
    """Put eyeballs and the mouth's inside into the lit colour, in place."""
    features = layers.features
    window = features.eyes.window
    lit = light.frontal * (1 - 0.4 * shadow[window.maps])[:, None]
    ball = eyes.eyeball_color(features.eyes, identity, gaze, light.key, lit, light.key_color)
    color[window.images] = mix(color[window.images], ball, features.eyes.opening[:, None])
    window = features.mouth.window
    opening = features.mouth.opening[:, None]
    color[window.images] = mix(color[window.images], layers.inside * light.frontal, opening)


def _paint_openings(layers: _Layers) -> Tensor:
    """The unlit colour with plain eyeballs and the mouth's inside; overwrites the albedo."""
    color, features = layers.albedo, layers.features
    window = features.eyes.window
    ball = torch.full_like(color[:1, :, :1, :1], EYEBALL)
    color[window.images] = mix(color[window.images], ball, features.eyes.opening[:, None])
    window = features.mouth.window
    opening = features.mouth.opening[:, None]
    color[window.images] = mix(color[window.images], layers.inside, opening)
    return color
