"""Gradients of pictures by vertices: against finite differences, against a formula, and by what they lead to."""

import math

import pytest
import torch
import trimesh
from torch import Tensor

from gen3d import Cameras, Step, Views
from gen3d_mesh.raster import Raster
from plain_surface import FOV, PlainSurface, bound, front, pixel_size, tilted_box

STEP = Step(0, 1)
OUTPUTS = frozenset({"image", "alpha", "depth", "normal"})


def draw(surface: PlainSurface, cameras: Cameras) -> Views:
    return bound(Raster())(surface, cameras, STEP, OUTPUTS)


def test_the_gradient_of_every_vertex_is_that_of_finite_differences() -> None:
    """A box in two views: opacity, colours, depth and normals, at outlines and inside, each pixel with its weight."""
    box = tilted_box()
    cameras = Cameras.orbit(torch.tensor([0.3, 1.9]), 0.2, 1.6, FOV, 14)
    weights = torch.rand(2, 14, 14, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    vertices = torch.tensor(box.vertices)
    surface = PlainSurface(vertices, torch.tensor(box.faces), lambda points: (3 * points).sin() * 0.5 + 0.5)

    def losses() -> Tensor:
        views = draw(surface, cameras)
        return torch.stack([(getattr(views, name) * weights).sum() for name in ("alpha", "image", "depth", "normal")])

    found = [torch.autograd.grad(loss, surface.vertices, retain_graph=True)[0] for loss in losses()]
    expected = torch.zeros(4, vertices.numel(), dtype=torch.float64)
    with torch.no_grad():
        for index in range(vertices.numel()):
            sides = []
            for shift in (1e-6, -1e-6):
                surface.vertices.flatten()[index] += shift
                sides.append(losses())
                surface.vertices.flatten()[index] -= shift
            expected[:, index] = (sides[0] - sides[1]) / 2e-6
    assert all(gradient.abs().max() > 0.1 for gradient in found)
    torch.testing.assert_close(torch.stack(found).flatten(1), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("subdivisions", [2, 5])
def test_the_covered_area_grows_with_the_ball_as_it_should(subdivisions: int) -> None:
    """Triangles of several pixels, and of a tenth of one: d area / d scale = 2 area for a shape that is flat."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.5)
    surface, cameras = PlainSurface.of(ball), front(32)
    draw(surface, cameras).alpha.sum().backward()
    along = (surface.vertices.grad * surface.vertices.detach()).sum().item()
    sine = 0.5 / 1.6  # area = pi (f tan asin(r / d))^2, whose derivative by ln r is 2 area / (1 - (r / d)^2)
    area = math.pi * (math.tan(math.asin(sine)) / math.tan(FOV / 2) * 16) ** 2
    assert along == pytest.approx(2 * area / (1 - sine**2), rel=0.04)


def test_a_ball_moves_to_where_a_picture_shows_it() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.3)
    cameras = front(24, 2)
    place = torch.tensor([0.05, 0.15, -0.1])
    target = draw(PlainSurface.of(ball.copy().apply_translation(place.numpy())), cameras).alpha.detach()
    shift = torch.zeros(3, requires_grad=True)
    surface = PlainSurface.of(ball)
    optimizer = torch.optim.Adam([shift], lr=0.02)
    start = surface.vertices.detach().clone()
    for _ in range(35):
        surface.vertices.grad = None
        with torch.no_grad():
            surface.vertices.copy_(start + shift)
        (draw(surface, cameras).alpha - target).square().mean().backward()
        shift.grad = surface.vertices.grad.sum(0)
        optimizer.step()
    torch.testing.assert_close(shift.detach(), place, atol=0.01, rtol=0)


def test_the_corners_of_a_box_move_to_those_of_a_larger_one() -> None:
    box, cameras = tilted_box(), Cameras.orbit(torch.arange(6) * 1.0, 0.3, 1.6, FOV, 20)
    target = draw(PlainSurface.of(box.copy().apply_scale(1.2)), cameras).alpha.detach()
    surface = PlainSurface.of(box)
    optimizer = torch.optim.Adam([surface.vertices], lr=0.01)
    before = None
    for _ in range(40):
        optimizer.zero_grad()
        loss = (draw(surface, cameras).alpha - target).square().mean()
        before = before or loss.item()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02 * before
    corners = torch.tensor(box.vertices).float() * 1.2
    assert (surface.vertices.detach() - corners).norm(dim=1).mean() < 0.5 * pixel_size(20)


def test_what_hides_another_part_gets_the_gradient_of_its_outline() -> None:
    """A red ball before a blue wall: to show less red, its outline shrinks, though alpha is 1 everywhere."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.3)
    wall = trimesh.creation.box((0.1, 4, 4), transform=trimesh.transformations.translation_matrix([-1, 0, 0]))
    both = trimesh.util.concatenate([ball, wall])

    def color(points: Tensor) -> Tensor:
        return torch.where(points[:, :1] > -0.5, torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 1]))

    surface = PlainSurface.of(both, color)
    views = draw(surface, front(24))
    assert views.alpha.min() == 1
    views.image[..., 0].sum().backward()
    count = len(ball.vertices)
    outward = (surface.vertices.grad[:count] * surface.vertices.detach()[:count]).sum().item()
    area = views.image[..., 0].sum().item()
    assert outward == pytest.approx(2 * area, rel=0.15)
    assert surface.vertices.grad[count:].abs().max() < 1e-3
