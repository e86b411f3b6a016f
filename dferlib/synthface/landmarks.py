"""The 68 landmarks of the iBUG scheme, from the same curves that paint the face."""

import torch
from torch import Tensor

from dferlib.synthface.brows import brow_curve
from dferlib.synthface.camera import project, rotation
from dferlib.synthface.curves import Curves, move_face
from dferlib.synthface.eyes import lower_lid, upper_lid
from dferlib.synthface.head import jaw_shift, silhouette, stretch_jaw
from dferlib.synthface.identity import Identity
from dferlib.synthface.mouth import lip_curves
from dferlib.synthface.nose import ROOT_Y, WING_X, tip_y

JAW, BROWS, NOSE, EYES, MOUTH = (
    slice(*r) for r in ((0, 17), (17, 27), (27, 36), (36, 48), (48, 68))
)
LEFT_BROW, RIGHT_BROW = slice(17, 22), slice(22, 27)  # the viewer's left; outer to inner, and back

# Rest heights down one side of the jaw, and the share of the head's half-width at each.
JAW_POINTS = (
    (0.10, 0.97),
    (-0.07, 0.97),
    (-0.24, 0.97),
    (-0.41, 0.97),
    (-0.57, 0.96),
    (-0.71, 0.94),
    (-0.83, 0.88),
    (-0.93, 0.66),
    (-0.985, 0.0),
)
BROW_POINTS = (1.0, 0.78, 0.54, 0.28, 0.02)  # outer to inner
EYE_POINTS = (-0.36, 0.36)  # along the eye, for both lids
OUTER_LIP_POINTS = (0.64, 0.27)  # across the mouth
INNER_LIP_POINTS = 0.50
INNER_CORNER = 0.88
BRIDGE_POINTS = (0.0, 0.33, 0.66, 1.0)  # from root to tip
NOSE_RISE = (0.0, 0.25, 0.6, 1.0, 0.4, 0.5, 0.6, 0.5, 0.4)  # of the nine, in heights of the nose


def landmark_positions(identity: Identity, curves: Curves) -> Tensor:
    """Positions (B, 68, 2) on the head's front: x and `face_y`, as features are placed."""
    parts = [
        _jaw(identity, curves),
        _brows(identity, curves),
        _nose(identity, curves),
        _eyes(identity, curves),
        _mouth(identity, curves),
    ]
    return torch.cat(parts, 1)


def locate(identity: Identity, aus: Tensor, pose: Tensor, camera: Tensor) -> Tensor:
    """Places (B, 68, 2) of the landmarks in the camera's picture, without rendering anything.

    They lie on the smooth head, and the nose's before it: near enough to put a box around a face.
    """
    curves = move_face(identity, aus)
    x, face_y = (part.contiguous() for part in landmark_positions(identity, curves).unbind(-1))
    width, middle, depth = silhouette(identity, curves.jaw_drop, face_y)
    across = ((x - jaw_shift(identity, face_y)) / width).clamp(-0.999, 0.999)
    z = middle + depth * torch.sqrt(1 - across * across)
    z[:, NOSE] += identity.nose_height[:, None] * z.new_tensor(NOSE_RISE)
    points = torch.stack([across * width, face_y * identity.face_length[:, None], z], 1)
    return project(points, camera, rotation(pose))


def _both(x: Tensor, y: Tensor) -> Tensor:
    """Points (B, 2, N, 2) from x >= 0 and y (B, 2, N): the viewer's left side gets negative x."""
    sign = x.new_tensor([-1.0, 1.0])[:, None]
    return torch.stack(torch.broadcast_tensors(x * sign, y), -1)


def _mirror(sides: Tensor) -> Tensor:
    """Chain the left side's points (B, 2, N, 2) with the right side's in reverse order."""
    return torch.cat([sides[:, 0], sides[:, 1].flip(1)], 1)


def _jaw(identity: Identity, curves: Curves) -> Tensor:
    table = torch.tensor(JAW_POINTS, device=identity.age.device)
    rest = table[:, 0].expand(len(identity), -1)
    y = stretch_jaw(rest, curves.jaw_drop[:, None])
    width, _, _ = silhouette(identity, curves.jaw_drop, y)
    x = width * table[:, 1]
    shift = jaw_shift(identity, y)
    left, right = torch.stack([shift - x, y], -1), torch.stack([shift + x, y], -1)
    return torch.cat([left, right[:, :-1].flip(1)], 1)


def _brows(identity: Identity, curves: Curves) -> Tensor:
    t = torch.tensor(BROW_POINTS, device=identity.age.device)
    inner, outer = curves.brow_inner_x[..., None], identity.brow_outer_x[:, None, None]
    parameters = (curves.brow_inner_y, curves.brow_middle_y, curves.brow_outer_y)
    y = brow_curve(t, *(p[..., None] for p in parameters))
    return _mirror(_both(inner + t * (outer - inner), y))


def _nose(identity: Identity, curves: Curves) -> Tensor:
    tip = tip_y(identity)[:, None]
    lift = curves.alae_lift
    middle_lift = (lift[:, :1] + lift[:, 1:]) / 2
    x = identity.asymmetry[:, 4:5]
    t = torch.tensor(BRIDGE_POINTS, device=x.device)
    bridge_y = ROOT_Y - 0.05 + (tip + 0.05 - ROOT_Y) * t + middle_lift * t * t
    bridge = torch.stack([x.expand_as(bridge_y), bridge_y], -1)
    wing = WING_X * curves.nose_width
    below = tip - 0.075
    points = (
        (x - wing[:, :1], tip - 0.055 + lift[:, :1]),
        (x - 0.5 * wing[:, :1], below + lift[:, :1]),
        (x, below - 0.012 + middle_lift),
        (x + 0.5 * wing[:, 1:], below + lift[:, 1:]),
        (x + wing[:, 1:], tip - 0.055 + lift[:, 1:]),
    )
    base = torch.cat([torch.stack(p, -1) for p in points], 1)
    return torch.cat([bridge, base], 1)


def _eyes(identity: Identity, curves: Curves) -> Tensor:
    device = identity.age.device
    inside, outside = EYE_POINTS
    upper = torch.tensor([outside, inside], device=device)
    lower = torch.tensor([inside, outside], device=device)
    corners = torch.ones(1, device=device)
    along = torch.cat([corners, upper, -corners, lower])
    up = upper_lid(upper, curves.upper_lid[..., None])
    low = lower_lid(lower, curves.lower_lid[..., None])
    corner = torch.zeros_like(up[..., :1])
    above = torch.cat([corner, up, corner, low], -1)
    offset = identity.eye_half_width[:, None, None] * along
    x = identity.eye_x[:, None, None] + offset
    y = curves.eye_y[..., None] + above + identity.eye_tilt[:, None, None] * offset
    left, right = _both(x, y).unbind(1)
    # The left eye starts at its outer corner, the right one at its inner corner.
    right = right[:, [3, 2, 1, 0, 5, 4]]
    return torch.cat([left, right], 1)


def _mouth(identity: Identity, curves: Curves) -> Tensor:
    device = identity.age.device
    far, near = OUTER_LIP_POINTS
    across = torch.tensor(
        [1.0, far, near, 0.0, INNER_CORNER, INNER_LIP_POINTS], device=device
    ).expand(len(identity), 2, -1)
    lips = lip_curves(across, identity, curves, curves.corner_y[..., None])
    x = across * curves.corner_x[..., None]
    corner = _both(x[..., :1], lips.middle[..., :1])
    top = _both(x[..., 1:4], lips.upper_top[..., 1:4])
    bottom = _both(x[..., 1:4], lips.lower_bottom[..., 1:4])
    inner_corner = _both(x[..., 4:5], lips.middle[..., 4:5])
    inner_x = torch.cat([x[..., 5:], x[..., 3:4]], -1)

    def inner(edge: Tensor) -> Tensor:
        return _both(inner_x, torch.cat([edge[..., 5:], edge[..., 3:4]], -1))

    upper, lower = inner(lips.upper_edge), inner(lips.lower_edge)
    return torch.cat(
        [
            corner[:, 0],
            top[:, 0],
            top[:, 1, :2].flip(1),
            corner[:, 1],
            bottom[:, 1, :2],
            bottom[:, 0].flip(1),
            inner_corner[:, 0],
            upper[:, 0],
            upper[:, 1, :1],
            inner_corner[:, 1],
            lower[:, 1, :1],
            lower[:, 0].flip(1),
        ],
        1,
    )
