import numpy as np
import pytest
import torch
import trimesh

from gen3d.errors import Degenerate
from gen3d_export.bake import bake, vertex_colors
from gen3d_export.paint import FieldPaint, SurfacePaint
from gen3d_export.tangents import from_tangent_space
from gen3d_export.target import unit
from gen3d_export.texture import LINEAR, look_up
from gen3d_export.unwrap import Unwrapped, smooth_normals, unwrap
from plain_surface import PlainSurface

SQUARE = Unwrapped(
    vertices=np.array([[0.0, -0.4, -0.4], [0, 0.4, -0.4], [0, 0.4, 0.4], [0, -0.4, 0.4]]),
    normals=np.tile([1.0, 0, 0], (4, 1)),
    uv=np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]),
    faces=np.array([[0, 1, 2], [0, 2, 3]]),
)


@pytest.fixture(scope="module")
def plain():
    """A ball around 0, and its charts: unwrapping takes its time."""
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.25)
    return mesh, unwrap(mesh, 128)


@pytest.fixture
def sphere(plain, center):
    """The same around the centre of the soft ball."""
    mesh, charts = plain
    moved = Unwrapped(charts.vertices + center.numpy(), charts.normals, charts.uv, charts.faces)
    return mesh.copy().apply_translation(center.numpy()), moved


def whole(mesh: Unwrapped) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)


def color_at(mesh: Unwrapped, texture, direction, center):
    """The texture where the surface lies in a direction from the centre."""
    away = mesh.vertices - center.numpy()
    u, v = mesh.uv[(away @ np.asarray(direction)).argmax()]
    size = len(texture)
    return texture[min(int((1 - v) * size), size - 1), min(int(u * size), size - 1)]


def test_colours_are_where_they_belong(ball, sphere, center):
    dense, mesh = sphere
    texture = bake(FieldPaint(ball(), 20.0), mesh, dense, 128).maps.base_color
    for direction, color in {
        (1, 0, 0): (255, 0, 0),
        (0, 1, 0): (0, 255, 0),
        (0, 0, 1): (0, 0, 255),
        (-1, 0, 0): (0, 255, 255),
    }.items():
        assert color_at(mesh, texture, direction, center).tolist() == pytest.approx(
            color, abs=8
        )  # seams are evened out


def test_a_known_srgb_colour_comes_out_as_exactly_that_byte(shape, plain):
    dense, mesh = plain
    known = np.array([13, 127, 201], dtype=np.uint8)
    color = torch.tensor(known / 255, dtype=torch.float32)
    field = shape(lambda p: p.norm(dim=-1) - 0.25, lambda p: color.expand(len(p), 3))
    texture = bake(FieldPaint(field, 20.0), mesh, dense, 64).maps.base_color
    np.testing.assert_array_equal(texture, np.broadcast_to(known, (64, 64, 3)))


def test_what_lies_in_empty_space_is_not_baked(ball, sphere, center, radius):
    """Outside of the surface a field's colour is whatever it was initialised to: black, here."""
    dense, mesh = sphere
    field = ball(peak=2000.0, softness=0.001)
    field.color = lambda p: ((p - center).norm(dim=-1, keepdim=True) < radius + 0.008).float().expand(-1, 3)
    assert bake(FieldPaint(field, 1000.0), mesh, dense, 64).maps.base_color.min() > 252


def test_soft_fields_show_what_a_camera_sees(shape):
    """Fog of density s below z = 0 whose colour grows with depth d: red is d / L, up to 3 / s = L inwards."""
    density, depth = 40.0, 3 / 40
    field = shape(lambda p: p[:, 2], lambda p: (-p[:, 2:] / depth).expand(-1, 3), peak=density, softness=1e-5)
    along = np.linspace(0, depth, 100_001)
    weight = np.exp(-density * along)
    expected = (weight * along / depth).sum() / weight.sum()
    ground = trimesh.Trimesh([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], [[0, 1, 2]], process=False)
    points = np.array([[0.1, 0.2, 0]])
    color = vertex_colors(FieldPaint(field, density), points, np.array([[0.0, 0, 2]]), ground)
    np.testing.assert_allclose(color, np.full((1, 3), expected), atol=0.03)


def test_colours_that_are_not_finite_are_an_error(shape, plain):
    dense, mesh = plain
    field = shape(lambda p: p[:, 2], lambda p: p * torch.nan)
    with pytest.raises(Degenerate, match=r"colours are not finite at 100\.0%"):
        bake(FieldPaint(field, 20.0), mesh, dense, 16)


def test_a_vertex_left_in_empty_space_has_the_nearest_surfaces_colour(ball, sphere):
    outside = np.array([[0.45, -0.1, 0.08]])
    color = vertex_colors(FieldPaint(ball(), 20.0), outside, np.array([[1.0, 0, 0]]), sphere[0])
    np.testing.assert_allclose(color, [[1, 0, 0]], atol=1e-6)


def test_a_texel_is_the_mean_of_its_quadrants(shape):
    stripes = shape(lambda p: p[:, 0], lambda p: (p[:, 1:2] > -0.1).float().expand(-1, 3))
    # The edge halves the second column's texels.
    texture = bake(FieldPaint(stripes, 20.0), SQUARE, whole(SQUARE), 4).maps.base_color
    np.testing.assert_array_equal(texture[:, :, 0], np.tile([0, 128, 255, 255], (4, 1)))
    climb = shape(lambda p: p[:, 0], lambda p: (p[:, 2:] + 0.4).expand(-1, 3) / 0.8)
    column = bake(FieldPaint(climb, 20.0), SQUARE, whole(SQUARE), 4).maps.base_color[:, 0, 0]
    np.testing.assert_array_equal(column, np.round(np.array([0.875, 0.625, 0.375, 0.125]) * 255))


def test_bands_do_not_show(ball, sphere, monkeypatch):
    dense, mesh = sphere
    one = bake(FieldPaint(ball(), 20.0), mesh, dense, 64, normal_map=True)
    monkeypatch.setattr("gen3d_export.bake.BAND", 1000)
    other = bake(FieldPaint(ball(), 20.0), mesh, dense, 64, normal_map=True)
    np.testing.assert_array_equal(one.maps.base_color, other.maps.base_color)
    np.testing.assert_array_equal(one.maps.normal, other.maps.normal)


def test_a_surfaces_colours_are_looked_up_on_it(center, radius):
    """Its texture is black but near the surface; the mesh that is painted lies up to 0.016 below that."""

    class Ball(PlainSurface):
        def texture(self, points):
            return (((points - center).norm(dim=-1, keepdim=True) - radius).abs() < 0.001).float().expand(-1, 3)

    coarse = trimesh.creation.icosphere(subdivisions=1, radius=radius).apply_translation(center.numpy())
    fine = trimesh.creation.icosphere(subdivisions=5, radius=radius).apply_translation(center.numpy())
    assert bake(SurfacePaint(Ball.of(fine)), unwrap(coarse, 64), fine, 64).maps.base_color.min() == 255


def test_shaders_get_the_dense_meshes_normals_back():
    """A bumpy ball of 5120 triangles on one of 320: with the map, normals are those of the bumps."""
    dense = trimesh.creation.icosphere(subdivisions=4, radius=0.4)
    dense.vertices *= 1 + 0.03 * np.sin(dense.vertices * 15).prod(axis=1, keepdims=True)
    dense = trimesh.Trimesh(dense.vertices, dense.faces, process=False)
    coarse = trimesh.creation.icosphere(subdivisions=2, radius=0.4)
    baked = bake(SurfacePaint(PlainSurface.of(dense)), unwrap(coarse, 256), dense, 256, normal_map=True)
    mesh, rng = baked.mesh, np.random.default_rng(0)
    face = rng.integers(len(mesh.faces), size=4000)
    weights = rng.dirichlet([2, 2, 2], 4000)[..., None]
    point, normal, uv, tangent = (
        (values[mesh.faces[face]] * weights).sum(axis=1)
        for values in (mesh.vertices, mesh.normals, mesh.uv, baked.tangents)
    )
    shaded = from_tangent_space(look_up(baked.maps.normal, uv, LINEAR) * 2 - 1, normal, tangent)
    target = SurfacePaint(PlainSurface.of(dense)).target(dense).project(point, unit(normal)).normals

    def error(one):
        return np.degrees(2 * np.arcsin(np.linalg.norm(unit(one) - target, axis=1) / 2))

    assert error(normal).mean() > 4
    assert error(shaded).mean() < 0.6
    assert np.quantile(error(shaded), 0.99) < 2


def test_on_the_dense_mesh_itself_the_normal_map_is_flat(plain):
    dense, mesh = plain
    maps = bake(SurfacePaint(PlainSurface.of(dense)), mesh, dense, 64, normal_map=True).maps
    assert np.abs(maps.normal.astype(int) - [128, 128, 255]).max() <= 2
    np.testing.assert_allclose(smooth_normals(dense), unit(np.asarray(dense.vertices)), atol=0.02)


def test_occlusion_is_packed_with_the_constants(plain):
    dense, mesh = plain
    orm = bake(SurfacePaint(PlainSurface.of(dense)), mesh, dense, 64, occlusion=True).maps.orm
    assert orm[..., 0].min() >= 253
    assert (orm[..., 1] == round(0.9 * 255)).all()
    assert (orm[..., 2] == 0).all()
    assert bake(SurfacePaint(PlainSurface.of(dense)), mesh, dense, 64).maps.orm is None
