import numpy as np
import pytest
import torch
import trimesh

from gen3d.errors import Degenerate
from gen3d_export.bake import bake, bleed, vertex_colors
from gen3d_export.paint import FieldPaint, SurfacePaint
from gen3d_export.unwrap import Unwrapped, unwrap
from plain_surface import PlainSurface


@pytest.fixture
def sphere(center, radius):
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    mesh.apply_translation(center.numpy())
    return mesh


def color_at(mesh: Unwrapped, texture, direction, center):
    """The texture where the surface lies in a direction from the centre."""
    away = mesh.vertices - center.numpy()
    u, v = mesh.uv[(away @ np.asarray(direction)).argmax()]
    size = len(texture)
    return texture[min(int((1 - v) * size), size - 1), min(int(u * size), size - 1)]


def test_colours_are_where_they_belong(ball, sphere, center):
    mesh = unwrap(sphere, 128)
    texture = bake(FieldPaint(ball(), 20.0), mesh, 128)
    for direction, color in {
        (1, 0, 0): (1, 0, 0),
        (0, 1, 0): (0, 1, 0),
        (0, 0, 1): (0, 0, 1),
        (-1, 0, 0): (0, 1, 1),
    }.items():
        np.testing.assert_allclose(color_at(mesh, texture, direction, center), color, atol=1e-6)


def test_a_known_colour_survives(shape, sphere):
    known = torch.tensor([0.25, 0.5, 0.75])
    field = shape(lambda p: p.norm(dim=-1) - 0.5, lambda p: known.expand(len(p), 3))
    np.testing.assert_allclose(
        bake(FieldPaint(field, 20.0), unwrap(sphere, 64), 64), np.broadcast_to(known, (64, 64, 3)), atol=1e-6
    )


def test_what_lies_in_empty_space_is_not_baked(ball, sphere, center, radius):
    """Outside of the surface a field's colour is whatever it was initialised to: black, here."""
    field = ball(peak=2000.0, softness=0.001)
    field.color = lambda p: ((p - center).norm(dim=-1, keepdim=True) < radius + 0.008).float().expand(-1, 3)
    texture = bake(FieldPaint(field, 1000.0), unwrap(sphere, 64), 64)
    assert texture.min() > 0.99


def test_soft_fields_show_what_a_camera_sees(shape):
    """Fog of density s below z = 0 whose colour grows with depth d: red is d / L, up to 3 / s = L inwards."""
    density, depth = 40.0, 3 / 40
    field = shape(lambda p: p[:, 2], lambda p: (-p[:, 2:] / depth).expand(-1, 3), peak=density, softness=1e-5)
    along = np.linspace(0, depth, 100_001)
    weight = np.exp(-density * along)
    expected = (weight * along / depth).sum() / weight.sum()
    points = np.array([[0.1, 0.2, 0]])
    color = vertex_colors(FieldPaint(field, density), points, np.array([[0.0, 0, 2]]))
    np.testing.assert_allclose(color, np.full((1, 3), expected), atol=0.03)


def test_colours_that_are_not_finite_are_an_error(shape):
    field = shape(lambda p: p[:, 2], lambda p: p * torch.nan)
    with pytest.raises(Degenerate, match=r"colours are not finite at 100\.0%"):
        vertex_colors(FieldPaint(field, 20.0), np.zeros((1, 3)), np.array([[0.0, 0, 1]]))


def test_a_vertex_left_in_empty_space_still_has_a_colour(ball):
    field = ball()
    color = vertex_colors(FieldPaint(field, 20.0), np.array([[0.45, 0.45, 0.45]]), np.array([[1.0, 0, 0]]))
    assert color.shape == (1, 3)
    assert color.sum() > 0


def test_a_texel_is_the_mean_of_its_quadrants(shape):
    square = Unwrapped(
        vertices=np.array([[0.0, -0.4, -0.4], [0, 0.4, -0.4], [0, 0.4, 0.4], [0, -0.4, 0.4]]),
        normals=np.tile([1.0, 0, 0], (4, 1)),
        uv=np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]),
        faces=np.array([[0, 1, 2], [0, 2, 3]]),
    )
    stripes = shape(lambda p: p[:, 0], lambda p: (p[:, 1:2] > -0.1).float().expand(-1, 3))
    texture = bake(FieldPaint(stripes, 20.0), square, 4)  # the edge halves the second column's texels
    np.testing.assert_allclose(texture[:, :, 0], np.tile([0, 0.5, 1, 1], (4, 1)), atol=1e-6)
    climb = shape(lambda p: p[:, 0], lambda p: (p[:, 2:] + 0.4).expand(-1, 3) / 0.8)
    assert bake(FieldPaint(climb, 20.0), square, 4)[:, 0, 0] == pytest.approx([0.875, 0.625, 0.375, 0.125], abs=1e-5)


def test_the_background_takes_the_nearest_colour():
    image, covered = np.full((9, 9, 3), np.nan), np.zeros((9, 9), dtype=bool)
    image[4, 1], image[4, 7] = [1, 0, 0], [0, 0, 1]
    covered[4, [1, 7]] = True
    filled = bleed(image, covered)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[:, :4], np.broadcast_to([1, 0, 0], (9, 4, 3)))
    np.testing.assert_array_equal(filled[:, 5:], np.broadcast_to([0, 0, 1], (9, 4, 3)))


def test_no_texel_is_left_unfilled(shape, sphere):
    white = shape(lambda p: p.norm(dim=-1) - 0.5, torch.ones_like)
    assert (bake(FieldPaint(white, 20.0), unwrap(sphere, 64), 64) == 1).all()


def test_a_surfaces_colours_are_looked_up_on_it(center, radius, sphere):
    """Its texture is black but near the surface; the mesh that is painted lies up to 0.016 below that."""

    class Ball(PlainSurface):
        def texture(self, points):
            return (((points - center).norm(dim=-1, keepdim=True) - radius).abs() < 0.006).float().expand(-1, 3)

    coarse = trimesh.creation.icosphere(subdivisions=1, radius=radius)
    coarse.apply_translation(center.numpy())
    fine = trimesh.creation.icosphere(subdivisions=5, radius=radius).apply_translation(center.numpy())
    paint = SurfacePaint(Ball.of(fine), fine)
    assert bake(paint, unwrap(coarse, 64), 64).min() == 1
    middles = np.asarray(coarse.triangles_center)
    depth = radius - np.linalg.norm(middles - center.numpy(), axis=1)
    assert depth.max() > 0.016
    offsets = paint.offsets(middles, np.asarray(coarse.face_normals))
    np.testing.assert_allclose(offsets, np.repeat(depth[:, None], 4, axis=1), atol=5e-4)
