"""The relief surface, its camera and its landmarks agree with each other."""

import pytest
import torch

from dferlib.synthface import (
    EXPRESSIONS,
    default_light,
    expression_aus,
    sample_identities,
    seeded_generator,
)
from dferlib.synthface.camera import WHOLE, cast_rays, march, project, rotation, to_pixels
from dferlib.synthface.head import (
    AXIS_X,
    AXIS_Z,
    make_grid,
    stretch_jaw,
    surface_coordinates,
    unstretch_jaw,
)
from dferlib.synthface.render import DEFAULT_CAMERA, surface_points
from dferlib.synthface.shading import turn_light
from dferlib.synthface.texture import build_still, build_texture


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def test_rotation_is_a_rotation_and_turns_as_documented():
    turn = rotation(torch.tensor([[0.3, 0.0, 0.0], [0.0, 0.3, 0.0], [0.2, -0.4, 0.5]]))
    identity = torch.eye(3).expand(3, 3, 3)
    assert torch.allclose(turn @ turn.transpose(1, 2), identity, atol=1e-6)
    assert turn[0, 0, 2] > 0.2, "positive yaw turns the face to the viewer's right"
    assert turn[1, 1, 2] < -0.2, "positive pitch turns it down"


def test_projection_inverts_the_rays():
    camera = torch.tensor([[0.1, -0.2, 1.3]]).repeat(2, 1)
    turn = rotation(torch.tensor([[0.3, -0.1, 0.2]]).repeat(2, 1))
    window = torch.tensor([WHOLE, (0.45, 0.6, 0.5, 0.3)])
    rays = cast_rays(camera, turn, window, 32)
    points = rays.origin[:, :, None, None] + 0.9 * rays.direction
    pixels = to_pixels(project(points.flatten(2), camera, turn), window, 32)
    row, column = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    expected = torch.stack([column, row], -1).expand(2, 32, 32, 2)
    assert torch.allclose(pixels.reshape(2, 32, 32, 2), expected, atol=1e-3)


def test_texture_coordinates_name_the_surface_point():
    grid = make_grid(33, 25, torch.device("cpu"))
    radius = 1.1
    u, v, rho = surface_coordinates(
        (radius * grid.sin).expand(33, 25),
        grid.y[:, None].expand(33, 25),
        (radius * grid.cos).expand(33, 25),
    )
    assert torch.allclose(u[0], torch.linspace(-1, 1, 25), atol=1e-4)
    assert torch.allclose(v[:, 0], torch.linspace(-1, 1, 33), atol=1e-4)
    assert torch.allclose(rho, torch.tensor(radius), atol=1e-5)


def test_jaw_stretch_has_an_inverse():
    y = torch.linspace(1.0, -1.4, 40)[None]
    drop = torch.tensor([[0.2]])
    assert torch.allclose(unstretch_jaw(stretch_jaw(y, drop), drop), y, atol=1e-6)


def _textured(count: int, height: int, width: int):
    people = sample_identities(count, 5)
    generator = seeded_generator("test geometry")
    names = [EXPRESSIONS[i % len(EXPRESSIONS)] for i in range(count)]
    aus = torch.stack([expression_aus(name, 0.9, generator) for name in names])
    turn = rotation(torch.zeros(count, 3))
    grid = make_grid(height, width, torch.device("cpu"))
    light = turn_light(default_light(count), turn)
    still = build_still(people, grid, truth=False)
    texture = build_texture(people, aus, torch.zeros(count, 2), light, grid, still)
    return people, texture, grid, turn


def test_rays_through_landmarks_meet_the_surface_there():
    size = 96
    people, texture, grid, turn = _textured(8, 257, 185)
    camera = torch.tensor([DEFAULT_CAMERA]).repeat(8, 1)
    points = surface_points(people, texture, grid)
    window = torch.tensor([WHOLE]).repeat(8, 1)
    pixels = to_pixels(project(points, camera, turn), window, size)
    pixels = pixels.round().long().clamp(0, size - 1)
    rays = cast_rays(camera, turn, window, size)
    hits = march(texture.radius, rays, 18, 4)
    met = rays.origin[:, :, None, None] + rays.direction * hits.distance[:, None]
    frame = torch.arange(8)[:, None].expand(8, 68)
    found = met[frame, :, pixels[..., 1], pixels[..., 0]].transpose(1, 2)
    # A pixel is .027 wide; the inner landmarks face the viewer, the jaw's lie on the rim.
    error = (found - points).norm(dim=1)[:, 17:]
    assert error.median() < 0.02
    assert error.quantile(0.95) < 0.06


def test_march_agrees_with_the_triangles_of_the_same_surface():
    """The front depth at a few hundred pixels, by brute force over a mesh of the relief."""
    _, texture, grid, turn = _textured(1, 129, 97)
    camera = torch.tensor([DEFAULT_CAMERA])
    size = 24
    rays = cast_rays(camera, turn, torch.tensor([WHOLE]), size)
    hits = march(texture.radius, rays, 18, 4)
    radius = texture.radius[0].clamp_min(0)
    points = torch.stack(
        [radius * grid.sin, grid.y[:, None].expand_as(radius), radius * grid.cos], -1
    )
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, :-1], points[1:, 1:]
    corners = torch.cat([torch.stack(t, -2).reshape(-1, 3, 3) for t in ((a, c, b), (b, c, d))])
    origin = rays.origin[0]
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    start = origin - corners[:, 0]
    q = torch.linalg.cross(start, edge1)
    agree = []
    for row in range(2, size, 3):
        for column in range(2, size, 3):
            way = rays.direction[0, :, row, column]
            p = torch.linalg.cross(way.expand_as(edge2), edge2)
            inverse = 1 / (p * edge1).sum(-1)
            s, t = (p * start).sum(-1) * inverse, (q @ way) * inverse
            distance = (q * edge2).sum(-1) * inverse
            met = (s >= 0) & (t >= 0) & (s + t <= 1) & (distance > 0)
            if met.any() and hits.covered[0, row, column]:
                agree.append(distance[met].min() * 7 - hits.distance[0, row, column] * 7)
    agree = torch.stack(agree).abs()
    assert len(agree) > 20
    assert agree.median() < 0.005
    assert agree.quantile(0.9) < 0.05


def test_ellipse_axes_are_those_of_the_documented_map():
    grid = make_grid(9, 11, torch.device("cpu"))
    assert torch.allclose((grid.sin / AXIS_X) ** 2 + (grid.cos / AXIS_Z) ** 2, torch.ones(11))
