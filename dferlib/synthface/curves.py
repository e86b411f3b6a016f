"""Where the features go: action units move the face's landmark curves.

Nothing on the face is a vertex. Lids, brows, lips and folds are curves with a handful of
parameters, an action unit changes those parameters, and everything visible (relief, colour,
landmarks, masks) is evaluated around the curves. Read `move_face` to see what an action unit does.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dferlib.synthface.action_units import AU_INDEX
from dferlib.synthface.identity import Identity


class ActiveAUs:
    """Reads intensities (B, A, 2) by action-unit number."""

    def __init__(self, aus: Tensor):
        self._sides = aus
        self._mean = (aus[..., 0] + aus[..., 1]) / 2

    def side(self, au: int) -> Tensor:
        """Intensity on both sides (B, 2)."""
        return self._sides[:, AU_INDEX[au]]

    def mean(self, au: int) -> Tensor:
        """Mean intensity (B,), for what both sides share."""
        return self._mean[:, AU_INDEX[au]]


@dataclass(frozen=True)
class Curves:
    """Parameters of the landmark curves: (B, 2) by side, or (B,) where both sides share one."""

    # eyes
    eye_y: Tensor  # height of the line through the corners
    upper_lid: Tensor  # opening above that line
    lower_lid: Tensor  # opening below it
    lid_crease: Tensor  # distance of the crease above the upper lid
    # brows
    brow_inner_y: Tensor
    brow_middle_y: Tensor
    brow_outer_y: Tensor
    brow_inner_x: Tensor
    # nose
    alae_lift: Tensor
    nose_width: Tensor
    # mouth
    corner_x: Tensor
    corner_y: Tensor  # above the middle of the mouth
    middle_lift: Tensor  # (B,) the middle pushed up by the chin
    upper_opening: Tensor  # (B,)
    lower_opening: Tensor  # (B,)
    opening_power: Tensor  # (B,) .4 boxy, .5 an ellipse, .62 pointed at the corners
    upper_square: Tensor  # (B,) lateral raise of the upper lip
    upper_lip: Tensor  # (B,) thickness of the red part
    lower_lip: Tensor  # (B,)
    dimple: Tensor
    # jaw, cheeks, folds
    jaw_drop: Tensor  # (B,)
    nasolabial: Tensor
    cheek: Tensor
    # wrinkles, 0 to about 1.2
    glabella: Tensor
    nose_root: Tensor
    lower_lid_bulge: Tensor
    crow_feet: Tensor
    forehead_inner: Tensor
    forehead_outer: Tensor
    chin_boss: Tensor  # (B,)


def move_face(identity: Identity, aus: Tensor) -> Curves:
    """Evaluate the curves of faces (B) under action units (B, A, 2)."""
    au = ActiveAUs(aus)
    parts = _eyes(identity, au) | _brows(identity, au) | _nose_and_cheeks(identity, au)
    parts |= _mouth_corners(identity, au) | _lips(identity, au) | _wrinkles(identity, au)
    return Curves(**parts)


def _halves(identity: Identity, column: int) -> Tensor:
    """Split an innate asymmetry (B,) over both sides (B, 2)."""
    offset = identity.asymmetry[:, column]
    return torch.stack([-0.5 * offset, 0.5 * offset], 1)


def _eyes(identity: Identity, au: ActiveAUs) -> dict[str, Tensor]:
    squint = 0.32 * au.side(6) + 0.38 * au.side(7) + 0.22 * au.side(9)
    squint = (squint + 0.16 * au.side(4) + 0.10 * au.side(12)).clamp(0, 0.75)
    widen = au.side(5)
    upper = 1 - 0.75 * squint + 0.70 * widen * (1 - 0.35 * au.side(7)) + 0.08 * au.side(2)
    upper = upper - 0.14 * au.side(15) * au.side(1)  # the tired lids of sadness
    lower = 1 - 0.60 * au.side(7) - 0.55 * au.side(6) - 0.35 * au.side(9)
    lower = (lower + 0.22 * widen * (1 - au.side(7))).clamp_min(0.1)
    lower_lid = identity.lower_aperture[:, None] * lower
    upper_lid = identity.upper_aperture[:, None] * upper
    closed = au.side(43).clamp(0, 1)
    crease = (1 - 0.30 * widen) * (1 + 0.9 * closed) * (1 - 0.3 * au.side(4))
    return {
        "eye_y": identity.eye_y[:, None] + _halves(identity, 0),
        "upper_lid": upper_lid + (0.004 - lower_lid - upper_lid) * closed,
        "lower_lid": lower_lid,
        "lid_crease": identity.lid_crease[:, None] * crease.clamp_min(0.1),
    }


def _brows(identity: Identity, au: ActiveAUs) -> dict[str, Tensor]:
    rest = identity.brow_y[:, None] + _halves(identity, 1)
    arch, tilt = identity.brow_arch[:, None], identity.brow_tilt[:, None]
    au1, au2, au4, au9 = au.side(1), au.side(2), au.side(4), au.side(9)
    # The frontalis wins over the corrugator where both act: brows of fear stay up, but together.
    inner = 0.105 * au1 - 0.132 * au4 * (1 - 0.82 * au1.clamp(0, 1)) - 0.035 * au9
    middle = 0.052 * au1 + 0.078 * au2 - 0.088 * au4 * (1 - 0.50 * au1.clamp(0, 1))
    outer = 0.088 * au2 - 0.012 * au1 - 0.030 * au4 * (1 - 0.6 * au1.clamp(0, 1))
    return {
        "brow_inner_y": rest - tilt + inner + 0.01 * au.side(5),
        "brow_middle_y": rest + 0.8 * arch + middle - 0.028 * au9 - 0.006 * au.side(6),
        "brow_outer_y": rest + 0.35 * arch + tilt + outer - 0.012 * au.side(6),
        "brow_inner_x": identity.brow_inner_x[:, None] - 0.050 * au4 + 0.004 * au2,
    }


def _nose_and_cheeks(identity: Identity, au: ActiveAUs) -> dict[str, Tensor]:
    fold = 1.10 * au.side(12) + 0.90 * au.side(9) + 0.85 * au.side(10) + 0.30 * au.side(6)
    fold = fold + 0.45 * au.side(20) + 0.45 * au.side(15) + 0.45 * au.side(14)
    fold = fold + 0.20 * au.side(17) + 0.20 * au.side(27)
    cheek = 0.75 * au.side(6) + 0.70 * au.side(12) + 0.30 * au.side(9) + 0.25 * au.side(10)
    return {
        "alae_lift": 0.042 * au.side(9) + 0.016 * au.side(10) + 0.006 * au.side(12),
        "nose_width": identity.nose_width[:, None] * (1 + 0.13 * au.side(12) + 0.10 * au.side(9)),
        "nasolabial": fold.clamp(0, 1.45) + 0.35 * identity.age[:, None],
        "cheek": cheek.clamp(0, 1.4),
    }


def _mouth_corners(identity: Identity, au: ActiveAUs) -> dict[str, Tensor]:
    au12, au14 = au.side(12), au.side(14)
    out = 0.124 * au12 + 0.075 * au.side(20) + 0.034 * au14 + 0.012 * au.side(10)
    pulled_in = 0.085 * au.side(18) + 0.022 * au.side(23) + 0.015 * au.side(24)
    # The zygomaticus wins over the jaw: a laughing mouth stays wide.
    by_jaw = (0.046 * au.side(26) + 0.050 * au.side(27)) * (1 - 0.8 * au12.clamp(0, 1))
    pulled_in = pulled_in + by_jaw + 0.008 * au.side(17)
    up = 0.098 * au12 + 0.060 * au14 * (1 - 0.5 * au12.clamp(0, 1)) + 0.012 * au.side(9)
    down = 0.100 * au.side(15) + 0.012 * au.side(20) + 0.022 * au.side(17)
    down = down + 0.058 * au.side(26) + 0.095 * au.side(27) + 0.014 * au.side(16)
    dimple = 0.65 * au12 + 1.25 * au14 + 0.6 * au.side(20) + 0.7 * au.side(15)
    return {
        "corner_x": identity.mouth_half_width[:, None] + _halves(identity, 3) + out - pulled_in,
        "corner_y": identity.mouth_corner_y[:, None] + _halves(identity, 2) + up - down,
        "dimple": dimple.clamp(0, 1.4),
    }


def _lips(identity: Identity, au: ActiveAUs) -> dict[str, Tensor]:
    m = au.mean
    parted = (m(25) + m(26) + m(27) + 0.5 * m(10) + 0.8 * m(16)).clamp(0, 1)
    upper = (
        0.010 * m(25)
        + 0.024 * m(10)
        + 0.030 * m(10) * m(25)
        + 0.052 * m(12) * m(25)
        + 0.020 * m(9) * m(10)
    )
    upper = upper + 0.036 * m(27) + 0.020 * m(26) * m(25) + 0.012 * m(16) * m(25)
    lower = 0.026 * m(25) + 0.055 * m(16) + 0.128 * m(26) + 0.245 * m(27) + 0.014 * m(10)
    lower = lower + 0.052 * m(12) * m(25) + 0.048 * m(20) * m(25) - 0.010 * m(17)
    pressed = 0.52 * m(23) + 0.58 * m(24) + 0.22 * m(20) + 0.25 * m(12) + 0.12 * m(27)
    pressed = pressed.clamp(0, 0.8)
    lower_share = (1 - 0.9 * pressed + 0.12 * m(17) - 0.25 * m(24)).clamp_min(0.2)
    round_mouth = (0.7 * m(26) + m(27)).clamp(0, 1)
    stretched = m(20).clamp(0, 1)
    opening_power = 0.62 - 0.14 * round_mouth - 0.20 * stretched * (1 - round_mouth)
    return {
        "middle_lift": 0.042 * m(17) * (1 - 0.3 * m(26)) + 0.030 * m(10),
        "upper_opening": upper * parted * (1 - 0.9 * m(24)).clamp_min(0),
        "lower_opening": lower.clamp_min(0) * parted,
        "opening_power": opening_power,
        "upper_square": 0.5 * m(10),
        "upper_lip": identity.upper_lip * (1 - pressed - 0.10 * m(10) + 0.25 * m(18)),
        "lower_lip": identity.lower_lip * (lower_share + 0.25 * m(18)),
        "jaw_drop": (0.125 * m(26) + 0.26 * m(27) - 0.02 * m(17)).clamp(-0.02, 0.32),
    }


def _wrinkles(identity: Identity, au: ActiveAUs) -> dict[str, Tensor]:
    age = identity.age[:, None]
    squeeze = au.side(6) + 0.8 * au.side(7)
    return {
        "glabella": (au.side(4) + 0.4 * au.side(9)).clamp(0, 1.2),
        "nose_root": au.side(9).clamp(0, 1.2),
        "lower_lid_bulge": squeeze.clamp(0, 1.2),
        "crow_feet": (0.9 * au.side(6) + 0.3 * au.side(7)).clamp(0, 1) * (0.4 + 0.8 * age)
        + 0.1 * age,
        "forehead_inner": au.side(1).clamp(0, 1.2),
        "forehead_outer": au.side(2).clamp(0, 1.2),
        "chin_boss": au.mean(17).clamp(0, 1.2),
    }
