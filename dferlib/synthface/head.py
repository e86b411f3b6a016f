"""The head without its features: a relief map over height and angle.

The surface is a radius for every height y and angle phi around the vertical axis, in units of an
ellipse (AXIS_X, AXIS_Z): the point is (r AXIS_X sin phi, y, r AXIS_Z cos phi). The columns of the
texture are spaced by phi = sinh(ANGLE_BEND u) / 2, so that the front of the face gets most.

Three heights are used. y is the texture's own. `face_y` divides by the face's length; features are
placed by it. `skin_y` moves along with the jaw; what belongs to the chin is placed by that.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dferlib.synthface.fields import asinh, each, sigmoid, smoothstep
from dferlib.synthface.identity import Identity

Y_TOP, Y_BOTTOM = 1.46, -1.85
AXIS_X, AXIS_Z = 0.72, 0.85
MAX_ANGLE = 2.3  # radians; the back of the head beyond it repeats the last column
ANGLE_BEND = math.asinh(2 * MAX_ANGLE)
CROWN_Y = 1.36
SIDE_BLEND = 0.035  # width over which left and right parameters blend at the mid-line
JAW_HINGE_Y = -0.10  # below it the silhouette stretches when the jaw drops
JAW_LENGTH = 0.90
NECK_BLEND = 0.06
NECK_Z = -0.17

# Silhouette from crown to chin: y, half-width, front z, back z. The last row shrinks to nothing,
# else a blade of the face's cross-section hangs below the chin.
PROFILE = (
    (1.36, 0.05, 0.05, -0.05),
    (1.26, 0.30, 0.30, -0.40),
    (1.18, 0.44, 0.48, -0.60),
    (1.06, 0.565, 0.655, -0.78),
    (0.90, 0.655, 0.785, -0.90),
    (0.70, 0.708, 0.855, -0.96),
    (0.50, 0.728, 0.885, -0.98),
    (0.33, 0.733, 0.895, -0.97),
    (0.12, 0.733, 0.855, -0.92),
    (-0.10, 0.718, 0.845, -0.84),
    (-0.33, 0.672, 0.855, -0.70),
    (-0.55, 0.600, 0.862, -0.50),
    (-0.70, 0.525, 0.845, -0.33),
    (-0.82, 0.435, 0.825, -0.21),
    (-0.91, 0.345, 0.775, -0.14),
    (-0.98, 0.260, 0.640, -0.10),
    (-1.04, 0.165, 0.390, -0.06),
    (-1.10, 0.020, 0.020, -0.02),
)
JAW_ROWS = (0,) * 10 + (0.25, 0.8, 1, 0.75, 0.4, 0.2, 0, 0)  # share of the jaw-width trait
CHIN_ROWS = (0,) * 12 + (0.15, 0.6, 1, 1, 1, 0)
FOREHEAD_ROWS = (0, 0, 0.3, 0.8, 1, 0.7, 0.3) + (0,) * 11


@dataclass(frozen=True)
class Grid:
    """Axes of a texture with H rows and W columns."""

    y: Tensor  # (H,)
    angle: Tensor  # (W,)
    sin: Tensor  # (W,) times AXIS_X
    cos: Tensor  # (W,) times AXIS_Z
    stretch: Tensor  # (W,) head units per unit of radius

    @property
    def size(self) -> tuple[int, int]:
        return self.y.shape[0], self.angle.shape[0]


def make_grid(height: int, width: int, device: torch.device) -> Grid:
    """Make the axes of a texture; odd sizes keep every second texel on both borders."""
    u = torch.linspace(-1, 1, width, device=device)
    angle = torch.sinh(ANGLE_BEND * u) / 2
    sin, cos = AXIS_X * torch.sin(angle), AXIS_Z * torch.cos(angle)
    stretch = torch.sqrt(sin * sin + cos * cos)
    y = torch.linspace(Y_TOP, Y_BOTTOM, height, device=device)
    return Grid(y, angle, sin, cos, stretch)


def surface_coordinates(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Map points to texture coordinates u, v in [-1, 1] and their radius."""
    across, along = x / AXIS_X, z / AXIS_Z
    radius = torch.sqrt(across * across + along * along)
    # The half-angle form needs only `atan`; straight behind the head it would divide by zero.
    angle = 2 * torch.atan(across / (radius + along).clamp_min(1e-6))
    u = asinh(2 * angle) / ANGLE_BEND
    v = (Y_TOP - y) / (Y_TOP - Y_BOTTOM) * 2 - 1
    return u, v, radius


def _interpolate(table: Tensor, y: Tensor) -> Tensor:
    """Catmull-Rom interpolation of (B, K) profile columns at heights (B, N)."""
    knots = torch.tensor([row[0] for row in PROFILE], device=y.device)
    slope = torch.zeros_like(table)
    slope[:, 1:-1] = (table[:, 2:] - table[:, :-2]) / (knots[2:] - knots[:-2])
    above = len(PROFILE) - 1 - torch.searchsorted(knots.flip(0), y.contiguous())
    above = above.clamp(0, len(PROFILE) - 2)
    top, bottom = knots[above], knots[above + 1]
    t = ((top - y) / (top - bottom)).clamp(0, 1)
    step = bottom - top
    value0, value1 = table.gather(1, above), table.gather(1, above + 1)
    slope0, slope1 = slope.gather(1, above) * step, slope.gather(1, above + 1) * step
    t2 = t * t
    t3 = t2 * t
    return (
        (2 * t3 - 3 * t2 + 1) * value0
        + (t3 - 2 * t2 + t) * slope0
        + (3 * t2 - 2 * t3) * value1
        + (t3 - t2) * slope1
    )


def silhouette(
    identity: Identity, jaw_drop: Tensor, face_y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Half-width, middle z and half-depth of the head's ellipses at heights (B, N)."""
    rows = torch.tensor(PROFILE, device=face_y.device)
    jaw, chin, forehead = torch.tensor([JAW_ROWS, CHIN_ROWS, FOREHEAD_ROWS], device=face_y.device)
    width = rows[:, 1] * (1 + (identity.jaw_width - 1)[:, None] * jaw)
    width = width * (1 + 0.6 * (identity.chin_width - 1)[:, None] * chin)
    width = width * identity.face_width[:, None]
    front = rows[:, 2] + identity.chin_forward[:, None] * chin
    front = front + identity.forehead_forward[:, None] * forehead
    back = rows[:, 3].expand_as(front)

    drop = jaw_drop[:, None]
    rest_y = unstretch_jaw(face_y, drop)
    half_width, z_front, z_back = (_interpolate(t, rest_y) for t in (width, front, back))
    depth = ((z_front - z_back) / 2).clamp_min(0.03)
    middle = torch.minimum((z_front + z_back) / 2, 0.92 * depth)
    # An open mouth draws the cheeks in.
    hollow = smoothstep(-face_y, 0.2, 0.62) * smoothstep(1.08 + drop + face_y, 0, 0.4)
    return (half_width * (1 - 0.25 * drop * hollow)).clamp_min(0.03), middle, depth


def unstretch_jaw(face_y: Tensor, jaw_drop: Tensor) -> Tensor:
    """Height at rest of what the dropped jaw has carried to `face_y`."""
    shrunk = JAW_HINGE_Y + (face_y - JAW_HINGE_Y) * (JAW_LENGTH / (JAW_LENGTH + jaw_drop))
    return torch.where(face_y < JAW_HINGE_Y, shrunk, face_y)


def stretch_jaw(rest_y: Tensor, jaw_drop: Tensor) -> Tensor:
    """Inverse of `unstretch_jaw`."""
    moved = JAW_HINGE_Y + (rest_y - JAW_HINGE_Y) * ((JAW_LENGTH + jaw_drop) / JAW_LENGTH)
    return torch.where(rest_y < JAW_HINGE_Y, moved, rest_y)


def jaw_shift(identity: Identity, face_y: Tensor) -> Tensor:
    """Innate sideways offset (B, N) of everything below the eyes."""
    return identity.asymmetry[:, 5:6] * smoothstep(-face_y, 0.2, 0.9)


@dataclass(frozen=True)
class HeadBase:
    """The smooth head of B faces on a grid."""

    radius: Tensor  # (B, H, W) head and neck
    face_share: Tensor  # (B, H, W) 1 on the head, 0 on the neck
    x: Tensor  # (B, H, W) sideways position on the head
    face_y: Tensor  # (B, H, 1)
    skin_y: Tensor  # (B, H, 1)


def build_head(identity: Identity, jaw_drop: Tensor, grid: Grid) -> HeadBase:
    """Evaluate the smooth head: ellipses over the profile, joined to a neck."""
    face_y = grid.y / identity.face_length[:, None]
    # Hair stands on the skull: the crown is raised, so that it does not shrink to a bun.
    volume = (identity.hair_volume * (1 - identity.bald))[:, None]
    face_y = torch.where(face_y > 0.8, 0.8 + (face_y - 0.8) / (1 + 0.55 * volume), face_y)
    skin_y = face_y + jaw_drop[:, None] * smoothstep(-face_y, 0.50, 0.82)

    width, middle, depth = silhouette(identity, jaw_drop, face_y)
    face = _ellipse_radius(grid, width, middle, depth)
    face = face * smoothstep(unstretch_jaw(face_y, jaw_drop[:, None]), -1.11, -1.03)[..., None]

    neck_width = (0.395 + 0.080 * identity.male)[:, None] + 0.30 * smoothstep(-grid.y, 1.25, 1.9)
    neck = _ellipse_radius(grid, neck_width, torch.full_like(neck_width, NECK_Z), 0.92 * neck_width)
    # The neck grows out of the skull from inside, or its rim shows behind the jaw.
    neck = neck * smoothstep(-grid.y, 0.0, 0.55)[:, None] + 0.02

    share = (0.5 + 0.5 * (face - neck) / NECK_BLEND).clamp(0, 1)
    radius = neck + (face - neck) * share + NECK_BLEND * share * (1 - share)
    x = face * grid.sin + jaw_shift(identity, face_y)[..., None]
    return HeadBase(radius, share, x, face_y[..., None], skin_y[..., None])


def _ellipse_radius(grid: Grid, width: Tensor, middle: Tensor, depth: Tensor) -> Tensor:
    """Radius at which the ray of each angle leaves an ellipse; (B, H) parameters, (B, H, W) out."""
    width, middle, depth = width[..., None], middle[..., None], depth[..., None]
    across, along = grid.sin / width, grid.cos / depth
    offset = middle / depth
    a = across * across + along * along
    b = -along * offset
    c = offset * offset - 1
    return (torch.sqrt((b * b - a * c).clamp_min(1e-6)) - b) / a


def surface_point(
    identity: Identity, jaw_drop: Tensor, x: Tensor, face_y: Tensor
) -> tuple[Tensor, Tensor]:
    """Texture coordinates u, v of the points at (x, face_y) on the head's front, each (B, N)."""
    width, middle, depth = silhouette(identity, jaw_drop, face_y)
    across = ((x - jaw_shift(identity, face_y)) / width).clamp(-0.999, 0.999)
    z = middle + depth * torch.sqrt(1 - across * across)
    u, v, _ = surface_coordinates(across * width, face_y * identity.face_length[:, None], z)
    return u, v


class Window:
    """A rectangle of the texture in which a feature lives, with local coordinates.

    Its bounds depend on the grid alone: a window that followed the batch would make the last bits
    of a frame depend on its neighbours.
    """

    def __init__(self, base: HeadBase, grid: Grid, top: float, bottom: float, angle: float):
        height, width = grid.size
        per_row = (height - 1) / (Y_TOP - Y_BOTTOM)
        first = max(0, int((Y_TOP - top) * per_row))
        last = min(height, math.ceil((Y_TOP - bottom) * per_row) + 1)
        left = max(0, int((1 - math.asinh(2 * angle) / ANGLE_BEND) / 2 * (width - 1)))
        self.maps = (slice(None), slice(first, last), slice(left, width - left))
        self.images = (slice(None), *self.maps)
        self.taper = _taper(last - first, grid)[:, None] * _taper(width - 2 * left, grid)
        self.x = base.x[self.maps].contiguous()
        self.ax = torch.sqrt(self.x * self.x + 1e-6)
        self.face_y = base.face_y[:, first:last]
        self.skin_y = base.skin_y[:, first:last]
        self.right_share = sigmoid(self.x / SIDE_BLEND)
        self.texel = 1.35 * (Y_TOP - Y_BOTTOM) / height  # softness of edges

    def sides(self, values: Tensor) -> Tensor:
        """Spread (B, 2) viewer-left and viewer-right values over the window."""
        left, right = each(values[:, 0]), each(values[:, 1])
        return left + (right - left) * self.right_share


def _taper(count: int, grid: Grid) -> Tensor:
    """Weights that rise from and fall to 0 at the borders, so that a window leaves no seam."""
    index = torch.arange(count, device=grid.y.device, dtype=grid.y.dtype)
    rim = max(2.0, 0.16 * count)
    return smoothstep(index, 0, rim) * smoothstep(count - 1 - index, 0, rim)
