"""Who a face belongs to: shape, skin, brows, eyes, lips, hair, glasses and beard.

Every trait is drawn on its own, so that nothing but the identity separates two subjects. Lengths
are head units (about 10 cm) in the head's own axes: x to the viewer's right, y up, z to the
viewer, with the face's middle near the origin, the eyes at y = .115 and the mouth at y = -.555.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

NUM_UNIFORM = 64

SKIN_RAMP = (  # reflectance, from very fair to very dark
    (0.93, 0.75, 0.66),
    (0.88, 0.68, 0.56),
    (0.80, 0.60, 0.47),
    (0.70, 0.49, 0.36),
    (0.56, 0.37, 0.26),
    (0.42, 0.27, 0.19),
    (0.30, 0.19, 0.135),
)
HAIR_COLORS = (  # black, dark, brown, light brown, blond, red, grey
    (0.05, 0.04, 0.035),
    (0.10, 0.065, 0.045),
    (0.20, 0.12, 0.07),
    (0.33, 0.21, 0.12),
    (0.55, 0.40, 0.22),
    (0.35, 0.14, 0.07),
    (0.45, 0.44, 0.43),
)
GREY_HAIR = len(HAIR_COLORS) - 1
DARK_HAIR_COLORS = 3  # the first three also occur with dark skin
IRIS_COLORS = (  # the first three are browns and occur with every skin
    (0.16, 0.09, 0.05),
    (0.25, 0.15, 0.07),
    (0.10, 0.06, 0.04),
    (0.25, 0.32, 0.40),
    (0.28, 0.33, 0.22),
    (0.35, 0.42, 0.48),
)


class Normal(NamedTuple):
    """How a trait is drawn: from a normal distribution, clamped to [low, high]."""

    mean: float
    spread: float
    low: float
    high: float


@dataclass(frozen=True)
class Identity:
    """Traits of B faces; each field is a tensor whose first axis is B."""

    # head
    face_width: Annotated[Tensor, Normal(1, 0.05, 0.88, 1.12)]  # factor
    face_length: Annotated[Tensor, Normal(1, 0.035, 0.92, 1.08)]  # factor
    jaw_width: Annotated[Tensor, Normal(1, 0.08, 0.82, 1.18)]  # factor at the jaw angle
    chin_width: Annotated[Tensor, Normal(1, 0.15, 0.7, 1.35)]  # factor
    chin_forward: Annotated[Tensor, Normal(0, 0.03, -0.06, 0.06)]
    forehead_forward: Annotated[Tensor, Normal(0, 0.03, -0.06, 0.06)]
    cheekbone: Annotated[Tensor, Normal(0.03, 0.02, -0.01, 0.07)]
    cheek_hollow: Annotated[Tensor, Normal(0.02, 0.015, 0, 0.05)]
    muzzle: Annotated[Tensor, Normal(0.05, 0.02, 0, 0.09)]
    ear_size: Annotated[Tensor, Normal(0.5, 0.3, 0, 1)]
    # eyes
    eye_x: Annotated[Tensor, Normal(0.318, 0.014, 0.285, 0.35)]
    eye_y: Annotated[Tensor, Normal(0.115, 0.012, 0.09, 0.14)]
    eye_half_width: Annotated[Tensor, Normal(0.150, 0.009, 0.13, 0.17)]
    upper_aperture: Annotated[Tensor, Normal(0.066, 0.008, 0.050, 0.086)]
    lower_aperture: Annotated[Tensor, Normal(0.040, 0.006, 0.028, 0.055)]
    eye_tilt: Annotated[Tensor, Normal(0.06, 0.06, -0.07, 0.2)]
    lid_crease: Annotated[Tensor, Normal(0.052, 0.016, 0.015, 0.085)]
    lid_fold: Annotated[Tensor, Normal(1, 0.3, 0.3, 1.6)]
    iris_radius: Annotated[Tensor, Normal(0.062, 0.002, 0.057, 0.067)]
    socket_depth: Annotated[Tensor, Normal(0.065, 0.02, 0.02, 0.11)]
    eye_bag: Annotated[Tensor, Normal(0.35, 0.25, 0, 1)]
    # brows
    brow_y: Annotated[Tensor, Normal(0.330, 0.018, 0.295, 0.37)]
    brow_inner_x: Annotated[Tensor, Normal(0.125, 0.022, 0.085, 0.17)]
    brow_outer_x: Annotated[Tensor, Normal(0.515, 0.022, 0.46, 0.56)]
    brow_arch: Annotated[Tensor, Normal(0.05, 0.02, 0.005, 0.095)]
    brow_thickness: Annotated[Tensor, Normal(0.038, 0.010, 0.020, 0.060)]
    brow_density: Annotated[Tensor, Normal(0.82, 0.12, 0.5, 1)]
    brow_tilt: Annotated[Tensor, Normal(0, 0.015, -0.03, 0.03)]
    brow_ridge: Annotated[Tensor, Normal(0.025, 0.015, 0, 0.06)]
    # nose
    nose_length: Annotated[Tensor, Normal(0, 0.022, -0.045, 0.045)]  # longer than the mean by this
    nose_height: Annotated[Tensor, Normal(0.215, 0.028, 0.15, 0.28)]
    nose_width: Annotated[Tensor, Normal(1, 0.13, 0.75, 1.35)]
    nose_bridge: Annotated[Tensor, Normal(1, 0.2, 0.6, 1.5)]
    nose_tip: Annotated[Tensor, Normal(1, 0.25, 0.5, 1.5)]
    nose_hump: Annotated[Tensor, Normal(0, 0.02, -0.03, 0.05)]
    nostril: Annotated[Tensor, Normal(1, 0.15, 0.7, 1.3)]
    # mouth
    mouth_half_width: Annotated[Tensor, Normal(0.262, 0.018, 0.22, 0.305)]
    mouth_y: Annotated[Tensor, Normal(-0.555, 0.014, -0.585, -0.525)]
    upper_lip: Annotated[Tensor, Normal(0.052, 0.013, 0.026, 0.082)]
    lower_lip: Annotated[Tensor, Normal(0.066, 0.013, 0.040, 0.100)]
    cupid_bow: Annotated[Tensor, Normal(1, 0.35, 0.2, 1.8)]
    mouth_corner_y: Annotated[Tensor, Normal(0, 0.009, -0.02, 0.02)]
    lip_redness: Annotated[Tensor, Normal(0.5, 0.18, 0.1, 0.95)]
    # skin
    freckles: Annotated[Tensor, Normal(0.2, 0.25, 0, 1)]
    redness: Annotated[Tensor, Normal(0.5, 0.25, 0, 1)]
    mottling: Annotated[Tensor, Normal(0.5, 0.2, 0.1, 1)]
    gloss: Annotated[Tensor, Normal(0.45, 0.2, 0.1, 1)]
    # hair
    hairline: Annotated[Tensor, Normal(0.74, 0.05, 0.63, 0.86)]
    hair_volume: Annotated[Tensor, Normal(0.09, 0.035, 0.02, 0.18)]
    sideburn_y: Annotated[Tensor, Normal(-0.1, 0.17, -0.4, 0.15)]

    # drawn otherwise; see `_complete`
    age: Tensor  # 0 about 18 years, 1 about 75
    male: Tensor  # 0 or 1
    skin: Tensor  # (B, 3)
    hair: Tensor  # (B, 3)
    brow_color: Tensor  # (B, 3)
    iris: Tensor  # (B, 3)
    long_hair: Tensor  # 0, or .6 to 1
    bald: Tensor  # 0 or 1
    bangs: Tensor  # 0 or 1
    hair_side: Tensor  # side parting, -.3 to .3
    curl: Tensor  # 0 straight to 1 curly
    beard: Tensor  # 0, or .5 to 1
    moustache: Tensor
    stubble: Tensor
    glasses: Tensor  # 0 or 1
    glasses_half_width: Tensor
    glasses_half_height: Tensor
    glasses_roundness: Tensor  # exponent of the superellipse; 2 is round
    glasses_rim: Tensor
    glasses_color: Tensor  # (B, 3)
    lashes: Tensor
    clothes: Tensor  # (B, 3)
    mole: Tensor  # (B, 4): x, y, radius, present
    noise_offset: Tensor  # (B, 2)
    asymmetry: Tensor  # (B, 6): eye y, brow y, corner y, corner x, nose x, jaw x

    def __len__(self) -> int:
        return self.age.shape[0]

    def take(self, index: Tensor | slice) -> "Identity":
        """Choose faces by index; one face may be taken many times, once for each of its frames."""
        return Identity(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def to(self, device: str | torch.device) -> "Identity":
        """Move all traits to a device."""
        return Identity(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


NORMAL_TRAITS: dict[str, Normal] = {
    f.name: f.type.__metadata__[0] for f in fields(Identity) if hasattr(f.type, "__metadata__")
}


def seeded_generator(*key: int | str) -> torch.Generator:
    """Make the random generator that belongs to a key, independent of all other keys."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def sample_identities(
    n: int, seed: int, start: int = 0, device: str | torch.device = "cpu"
) -> Identity:
    """Draw identities start ... start + n - 1 of a seed.

    Identity i depends only on (seed, i): not on n, on start or on the identities before it.

    Args:
        n: number of identities, at least 1.
        seed: any integer; different seeds give different people.
        start: index of the first identity.
        device: where the tensors go; drawing is done on the CPU, so that it is the same everywhere.

    Raises:
        ValueError: if n is below 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    normal, uniform = [], []
    for index in range(start, start + n):
        generator = seeded_generator("identity", seed, index)
        normal.append(torch.randn(len(NORMAL_TRAITS) + 9, generator=generator))
        uniform.append(torch.rand(NUM_UNIFORM, generator=generator))
    return _complete(torch.stack(normal), torch.stack(uniform)).to(device)


def _complete(normal: Tensor, uniform: Tensor) -> Identity:
    """Turn (B, .) normal and uniform draws into traits that belong together."""
    traits: dict[str, Tensor] = {}
    for column, (name, law) in enumerate(NORMAL_TRAITS.items()):
        traits[name] = (law.mean + law.spread * normal[:, column]).clamp(law.low, law.high)
    draw = _Draws(uniform)
    traits["age"] = draw()
    traits["male"] = draw.chance(0.5)
    traits["asymmetry"] = 0.005 * normal[:, -6:]
    _shape_by_sex_and_age(traits)
    _choose_colors(traits, draw, normal[:, -9:-6])
    _choose_hair(traits, draw)
    _choose_extras(traits, draw)
    return Identity(**traits)


class _Draws:
    """Hands out the columns of a (B, n) table of uniform numbers, one after the other."""

    def __init__(self, uniform: Tensor):
        self._columns = iter(uniform.unbind(1))

    def __call__(self) -> Tensor:
        return next(self._columns)

    def chance(self, probability: float | Tensor) -> Tensor:
        return (self() < probability).float()

    def triple(self) -> Tensor:
        return torch.stack([self(), self(), self()], 1)


def _shape_by_sex_and_age(traits: dict[str, Tensor]) -> None:
    man = traits["male"] - 0.5
    age = traits["age"]
    traits["brow_thickness"] = (traits["brow_thickness"] + 0.010 * man).clamp(0.020, 0.062)
    traits["brow_ridge"] = traits["brow_ridge"] + 0.022 * man
    traits["jaw_width"] = traits["jaw_width"] + 0.09 * man
    traits["upper_lip"] = (traits["upper_lip"] - 0.010 * man - 0.010 * age).clamp_min(0.022)
    traits["lower_lip"] = (traits["lower_lip"] - 0.010 * man - 0.008 * age).clamp_min(0.034)
    traits["lip_redness"] = traits["lip_redness"] - 0.22 * man
    traits["eye_bag"] = (traits["eye_bag"] + 0.4 * (age - 0.5)).clamp(0, 1)
    traits["ear_size"] = (traits["ear_size"] + 0.3 * (age - 0.5)).clamp(0, 1)


def _choose(palette: Sequence[Sequence[float]], index: Tensor) -> Tensor:
    return torch.tensor(palette)[index.long().clamp(0, len(palette) - 1)]


def _choose_colors(traits: dict[str, Tensor], draw: _Draws, tint: Tensor) -> None:
    tone = draw() * (len(SKIN_RAMP) - 1)
    low = tone.floor()
    share = (tone - low)[:, None]
    skin = _choose(SKIN_RAMP, low) * (1 - share) + _choose(SKIN_RAMP, low + 1) * share
    traits["skin"] = (skin + 0.015 * tint).clamp(0.08, 0.97)
    dark = tone > 2.5
    hair = torch.where(dark, draw() * DARK_HAIR_COLORS, draw() * GREY_HAIR).floor()
    turned_grey = draw.chance(((traits["age"] - 0.5) * 1.4).clamp(0, 1)) > 0
    hair = torch.where(turned_grey, torch.full_like(hair, GREY_HAIR), hair)
    traits["hair"] = _choose(HAIR_COLORS, hair) * (0.8 + 0.4 * draw())[:, None]
    traits["brow_color"] = traits["hair"] * (0.45 + 0.3 * draw())[:, None]
    iris = torch.where(dark, draw() * 3, draw() * len(IRIS_COLORS)).floor()
    traits["iris"] = _choose(IRIS_COLORS, iris) * (0.8 + 0.4 * draw())[:, None]


def _choose_hair(traits: dict[str, Tensor], draw: _Draws) -> None:
    male = traits["male"]
    traits["bald"] = draw.chance((0.06 + 0.22 * traits["age"]) * male)
    has_hair = 1 - traits["bald"]
    traits["long_hair"] = draw.chance(0.12 + 0.55 * (1 - male)) * has_hair * (0.6 + 0.4 * draw())
    traits["hair_side"] = (draw() * 2 - 1) * 0.3
    traits["bangs"] = draw.chance(0.10 + 0.15 * (1 - male)) * has_hair
    traits["curl"] = draw() * draw()
    beard = draw()
    traits["beard"] = male * (beard < 0.22).float() * (0.5 + 0.5 * draw())
    traits["moustache"] = male * (beard < 0.30).float() * (0.5 + 0.5 * draw())
    traits["stubble"] = male * (beard > 0.30).float() * (0.2 + 0.5 * draw())


def _choose_extras(traits: dict[str, Tensor], draw: _Draws) -> None:
    traits["glasses"] = draw.chance(0.22)
    traits["glasses_half_width"] = 0.20 + 0.04 * draw()
    traits["glasses_half_height"] = 0.13 + 0.05 * draw()
    traits["glasses_roundness"] = 2 + 3 * draw()
    traits["glasses_rim"] = 0.008 + 0.011 * draw()
    bright = torch.where(draw() < 0.7, torch.tensor(0.08), torch.tensor(0.5))
    traits["glasses_color"] = draw.triple() * bright[:, None]
    traits["lashes"] = 0.5 + 0.5 * draw() * (1.2 - 0.6 * traits["male"])
    traits["clothes"] = draw.triple() * 0.7 + 0.05
    where = (draw() * 0.9 - 0.45, 0.1 - draw() * 0.9, 0.004 + draw() * 0.010, draw.chance(0.4))
    traits["mole"] = torch.stack(where, 1)
    traits["noise_offset"] = torch.stack([draw(), draw()], 1) * 2
