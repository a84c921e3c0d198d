"""Pictures of triangles: coverage, depth, normals, colours, and what hides what."""

import math

import pytest
import torch
import trimesh
from torch import Tensor

from gen3d import BadInput, Cameras, Schedule, Step, Surface, Unavailable, Views
from gen3d.testing import toy_stage
from gen3d_mesh import screen as screen_module
from gen3d_mesh.backends import choose
from gen3d_mesh.raster import Raster
from gen3d_mesh.screen import nearest_faces, project
from plain_surface import FOV, PlainSurface, bound, front, pixel_size, square, tilted_box

STEP = Step(0, 1)
ALL = frozenset({"image", "alpha", "depth", "normal"})


def draw(surface: PlainSurface, cameras: Cameras, **keywords: object) -> Views:
    return bound(Raster(**keywords))(surface, cameras, STEP, ALL)


def soup(count: int) -> tuple[Tensor, Tensor]:
    """Triangles of all sizes that cut through each other."""
    generator = torch.Generator().manual_seed(3)
    middle = torch.rand(count, 1, 3, generator=generator) - 0.5
    size = torch.logspace(-2, 0, count)[:, None, None]
    vertices = middle + size * (torch.rand(count, 3, 3, generator=generator) - 0.5)
    return vertices.view(-1, 3), torch.arange(3 * count).view(-1, 3)


def cast(vertices: Tensor, faces: Tensor, cameras: Cameras) -> Tensor:
    """The nearest face on each ray that shows its outer side, numbered view by view, by Moeller and Trumbore 1997."""
    origins, directions = (rays.flatten(0, 2).double() for rays in cameras.rays())
    a, b, c = vertices.double()[faces].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    facing = -directions @ normal.T
    offset = origins[:, None] - a
    distance = (offset * normal).sum(-1) / facing
    moment = torch.linalg.cross(directions[:, None].expand_as(offset), offset)
    u, v = (moment * (c - a)).sum(-1) / -facing, (moment * (b - a)).sum(-1) / facing
    hit = (facing > 0) & (distance > 0) & (u >= 0) & (v >= 0) & (u + v <= 1)
    nearest = distance.masked_fill(~hit, torch.inf).min(1)
    view = torch.arange(len(origins)) // (cameras.height * cameras.width)
    return torch.where(nearest.values.isfinite(), nearest.indices + view * len(faces), -1)


def test_it_draws_surfaces() -> None:
    assert isinstance(PlainSurface(*square()), Surface)
    assert Raster.draws is Surface


def test_each_pixel_sees_what_its_ray_meets_first() -> None:
    vertices, faces = soup(300)
    cameras = Cameras.orbit(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.1, -0.4, 0.9]), 1.7, FOV, 24, 30)
    found = nearest_faces(project(vertices, faces, cameras))
    expected = cast(vertices, faces, cameras)
    assert (expected >= 0).float().mean() > 0.2
    assert (found == expected).float().mean() > 0.999  # rays that graze an edge


def test_what_is_tested_at_a_time_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = project(*soup(200), front(20, 2))
    whole = nearest_faces(screen)
    monkeypatch.setattr(screen_module, "CANDIDATES", 100)
    assert torch.equal(nearest_faces(screen), whole)


def test_no_pixel_falls_between_two_triangles() -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.6)
    screen = project(torch.tensor(ball.vertices).float(), torch.tensor(ball.faces), front(96))
    covered = (nearest_faces(screen) >= 0).view(96, 96)
    for line in (*covered, *covered.T):
        seen = line.nonzero()
        assert not len(seen) or len(seen) == seen[-1] - seen[0] + 1


@pytest.mark.parametrize("overlap", [0.02, 0.2, 0.48, 0.7, 0.95])
def test_an_upright_edge_covers_as_a_box_filter_says(overlap: float) -> None:
    """A square whose sides reach `overlap` of a pixel into column 4 and into its mirror image."""
    size = 20
    side = pixel_size(size) * 2 * (5 + overlap)
    alpha = draw(PlainSurface(*square(side)), front(size)).alpha[0, 10, :, 0]
    expected = torch.tensor([0.0] * 4 + [overlap] + [1.0] * 10 + [overlap] + [0.0] * 4)
    torch.testing.assert_close(alpha, expected, atol=2e-5, rtol=0)
    upwards = draw(PlainSurface(*square(side)), front(size)).alpha[0, :, 10, 0]
    torch.testing.assert_close(upwards, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("angle", [0.2, 0.6, 0.785, 1.3])
def test_the_covered_area_is_that_of_the_shape(angle: float) -> None:
    vertices, faces = square(0.9)
    turn = torch.tensor(trimesh.transformations.rotation_matrix(angle, [1, 0, 0])[:3, :3]).float()
    views = draw(PlainSurface(vertices @ turn.T, faces), front(32))
    assert views.alpha.sum().item() == pytest.approx((0.9 / pixel_size(32)) ** 2, rel=3e-3)
    assert views.alpha.min() >= 0
    assert views.alpha.max() <= 1


def test_triangles_smaller_than_pixels_have_the_outline_of_their_ball() -> None:
    """More than 10 triangles a pixel; the outline of a ball of radius r from distance d is a cone of sin = r / d."""
    ball = trimesh.creation.icosphere(subdivisions=5, radius=0.5)
    alpha = draw(PlainSurface.of(ball), front(32)).alpha
    radius = math.tan(math.asin(0.5 / 1.6)) / math.tan(FOV / 2) * 16
    assert alpha.sum().item() == pytest.approx(math.pi * radius**2, rel=2e-3)
    middle = torch.arange(32) - 15.5
    away = torch.hypot(middle[:, None], middle[None])
    expected = (radius - away + 0.5).clamp(0, 1)
    assert (alpha[0, ..., 0] - expected).abs().max() < 0.1


def test_colours_and_depth_are_those_of_the_point_that_is_seen() -> None:
    """The texture shows the place itself."""
    box = tilted_box()
    surface, cameras = PlainSurface.of(box, lambda points: points + 0.5), front(24, 2)
    views = draw(surface, cameras)
    owners = cast(surface.vertices.detach(), surface.faces, cameras).view(2, 24, 24)
    origins, directions = cameras.rays()
    inner = (views.alpha[..., 0] == 1) & (owners >= 0)
    assert inner.sum() > 150
    places = origins + views.depth * directions
    smooth = inner & ((views.image - 0.5 - places).abs().amax(-1) < 1e-4)
    assert smooth.sum() > 0.8 * inner.sum()  # the rest lies at edges inside the outline and is blended
    a, b, c = surface.vertices.detach()[surface.faces[owners[smooth] % 12]].unbind(1)
    off = ((places[smooth] - a) * torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1)).sum(1)
    assert off.abs().max() < 1e-5


def test_the_background_is_behind() -> None:
    views = draw(PlainSurface(*square(0.5)), front(16), background=[0.1, 0.2, 0.3], background_depth=7.0)
    torch.testing.assert_close(views.image[0, 0, 0], torch.tensor([0.1, 0.2, 0.3]))
    assert views.depth[0, 0, 0].item() == 7
    mixed = (views.alpha > 0.01) & (views.alpha < 0.99)
    alpha = views.alpha[mixed]
    torch.testing.assert_close(views.image[mixed[..., 0]][:, 0], alpha * 0.5 + (1 - alpha) * 0.1)


def test_normals_point_outwards_and_are_smooth() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    views = draw(PlainSurface.of(ball, lambda points: points), front(32, 2))
    inner = views.alpha[..., 0] == 1
    assert views.normal is not None
    expected = torch.nn.functional.normalize(views.image[inner], dim=1)
    assert (views.normal[inner] - expected).norm(dim=1).max() < 0.03
    assert bound(Raster())(PlainSurface.of(ball), front(8), STEP, frozenset({"image"})).normal is None
    assert (views.normal[views.alpha[..., 0] == 0] == 0).all()


def test_front_camera_has_y_on_its_right_and_z_upwards() -> None:
    vertices, faces = square(0.4)
    right_up = draw(PlainSurface(vertices + torch.tensor([0.0, 0.3, 0.3]), faces), front(16)).alpha[0, ..., 0]
    assert right_up[:8, 8:].sum() > 5
    assert right_up[8:].sum() == 0
    assert right_up[:, :8].sum() == 0


def test_the_nearer_surface_hides_the_farther_one_whatever_the_order() -> None:
    """A small red square before a large blue one; blended at the small one's edge, not transparent."""
    (near, faces), (far, _) = square(0.3, x=0.3), square(0.9)

    def color(points: Tensor) -> Tensor:
        return torch.where(points[:, :1] > 0.1, torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 1]))

    both = [(near, far), (far, near)]
    pictures = [draw(PlainSurface(torch.cat(pair), torch.cat([faces, faces + 4]), color), front(32)) for pair in both]
    assert torch.equal(pictures[0].image, pictures[1].image)
    assert pictures[0].image[0, 16, 16].tolist() == [1, 0, 0]
    inside = pictures[0].alpha[..., 0] == 1
    assert (pictures[0].image[inside].sum(1) - 1).abs().max() < 1e-5  # between red and blue, no white
    area = pictures[0].image[inside][:, 0].sum().item()
    assert area == pytest.approx((0.3 / pixel_size(32, 1.3)) ** 2, rel=0.02)


def test_only_outer_sides_are_drawn() -> None:
    vertices, faces = square()
    assert draw(PlainSurface(vertices, faces.flip(1)), front(16)).alpha.sum() == 0


def test_what_is_behind_or_at_the_camera_is_not_drawn() -> None:
    vertices, faces = square(0.5, x=1.7)
    assert draw(PlainSurface(vertices, faces), front(16)).alpha.sum() == 0
    long = torch.tensor([[3.0, -0.1, 0], [-1.0, 0.1, 0], [-1.0, 0.1, 0.2]])  # through the camera's plane
    views = draw(PlainSurface(torch.cat([long, square(0.2)[0]]), torch.tensor([[0, 1, 2], [3, 4, 5]])), front(16))
    assert views.image.isfinite().all()


def test_a_view_does_not_depend_on_the_others() -> None:
    surface, cameras = PlainSurface.of(tilted_box(), lambda points: points), front(24, 3)
    together = draw(surface, cameras)
    for view in range(3):
        alone = draw(surface, cameras[view])
        for name in ("image", "alpha", "depth", "normal"):
            torch.testing.assert_close(getattr(together, name)[view], getattr(alone, name)[0], atol=1e-6, rtol=1e-5)


def test_pictures_need_not_be_square() -> None:
    wide = draw(PlainSurface.of(tilted_box()), Cameras.orbit(0.4, 0.2, 1.6, FOV, 16, 40)).alpha
    tall = draw(PlainSurface.of(tilted_box()), Cameras.orbit(0.4, 0.2, 1.6, FOV, 16)).alpha
    torch.testing.assert_close(wide[:, :, 12:28], tall)


def test_a_random_background_is_for_training_only() -> None:
    renderer, stage = Raster(random_background=Schedule.of({"50%": 0.0, 0: 1.0})), toy_stage({})
    renderer.bind(stage)
    surface, cameras = PlainSurface(*square(0.2)), front(8)
    corners = [renderer(surface, cameras, Step(index, 9), frozenset()).image[0, 0, 0] for index in (0, 0, 1)]
    assert torch.equal(corners[0], corners[1])
    assert not torch.equal(corners[0], corners[2])
    others = [(stage.reference_at(8), STEP), (cameras, Step(8, 9))]
    assert all(renderer(surface, seen, at, frozenset()).image[0, 0, 0].tolist() == [1, 1, 1] for seen, at in others)
    with torch.no_grad():
        assert renderer(surface, cameras, STEP, frozenset()).image[0, 0, 0].tolist() == [1, 1, 1]


def test_a_background_is_learnt_by_the_direction() -> None:
    renderer = bound(Raster(background="network"))
    (weights,) = renderer.param_groups().values()
    views = renderer(PlainSurface(*square(0.5)), front(8, 2), STEP, frozenset())
    views.image[:, 0].sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in weights)
    assert views.image[views.alpha[..., 0] == 0].std(0).min() > 1e-3
    assert (views.image[views.alpha[..., 0] == 1] == 0.5).all()  # behind the square


def test_a_white_ball_is_lit_from_the_lamp() -> None:
    """By the formula, at the points and with the normals of the ball itself."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    surface, cameras = PlainSurface.of(ball), front(32, 2)
    renderer = bound(Raster(shading=1.0, textureless=1.0, ambient=0.2, diffuse=0.7))
    views = renderer(surface, cameras, STEP, ALL)
    light = renderer.shading.light(cameras, STEP)
    assert light is not None
    origins, directions = cameras.rays()
    points = origins + views.depth * directions
    towards = torch.nn.functional.normalize(light.position[:, None, None] - points, dim=-1)
    normals = torch.nn.functional.normalize(points, dim=-1)
    expected = 0.2 + 0.7 * (normals * towards).sum(-1).clamp_min(0)
    inner = views.alpha[..., 0] == 1
    assert (views.image[..., 0] - expected)[inner].abs().max() < 0.02
    assert views.image[inner][:, 0].std() > 0.1


def test_light_reaches_the_shape_in_training_only() -> None:
    surface, cameras = PlainSurface.of(tilted_box()), front(16)
    lit, plain = (bound(Raster(shading=share)) for share in (1.0, 0.0))
    inner = plain(surface, cameras, STEP, frozenset()).alpha == 1
    shaded = lit(surface, cameras, STEP, frozenset())
    assert shaded.normal is None
    (gradient,) = torch.autograd.grad((shaded.image * inner).sum(), surface.vertices)
    assert gradient.any()
    with torch.no_grad():
        assert torch.equal(*(one(surface, cameras, STEP, frozenset()).image for one in (lit, plain)))


def test_what_is_no_colour_is_bad_input() -> None:
    for color in ([1.0, 1.0], [0.0, 0.0, 2.0]):
        with pytest.raises(BadInput, match="background"):
            Raster(background=color)


def test_a_backend_that_is_not_installed_is_said() -> None:
    assert choose("torch") is nearest_faces
    try:
        import pytorch3d  # noqa: F401
    except ImportError:
        assert choose("auto") is nearest_faces
        with pytest.raises(Unavailable, match="pytorch3d is not installed"):
            Raster(backend="pytorch3d")


@pytest.mark.parametrize("shape", [(24, 24), (20, 30), (30, 20)])
def test_pytorch3d_sees_the_same_faces(shape: tuple[int, int]) -> None:
    pytest.importorskip("pytorch3d")
    cameras = Cameras.orbit(torch.tensor([0.0, 1.0]), 0.3, 1.7, FOV, *shape)
    screen = project(*soup(200), cameras)
    same = choose("pytorch3d")(screen) == nearest_faces(screen)
    assert same.float().mean() > 0.999
