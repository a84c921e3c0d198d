from pathlib import Path

import numpy as np
import pytest
import trimesh

from gen3d_export.tangents import from_tangent_space, to_tangent_space, with_tangents
from gen3d_export.target import unit
from gen3d_export.unwrap import Unwrapped

GOLDEN = Path(__file__).parents[1] / "golden" / "mikktspace" / "bumpy_ball.npz"


def degrees(one, other):
    """Largest angle between rows."""
    return np.degrees(2 * np.arcsin(np.linalg.norm(unit(one) - unit(other), axis=-1) / 2)).max()


def strip(uv, vertices=None):
    """Two triangles of a square that faces +Z, and another two beside it on +X."""
    places = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0], [1, 1, 0], [2, 1, 0]])
    faces = np.array([[0, 1, 4], [0, 4, 3], [1, 2, 5], [1, 5, 4]])
    return Unwrapped(places, np.tile([0.0, 0, 1], (6, 1)), uv(places[:, :2] / 2), faces)


def ball_with_coordinates():
    """A ball without its poles, cut open where the longitude u jumps."""
    mesh = trimesh.creation.uv_sphere(count=[24, 24])
    points = np.asarray(mesh.vertices)
    uv = np.stack([np.arctan2(points[:, 1], points[:, 0]) / 7 + 0.5, points[:, 2] / 2 + 0.5], axis=-1)
    kept = (np.abs(points[mesh.faces][..., 2]).max(axis=1) < 0.9) & (np.ptp(uv[mesh.faces][..., 0], axis=1) < 0.5)
    return Unwrapped(points, unit(points), uv, mesh.faces[kept])


@pytest.mark.parametrize(
    ("uv", "tangent"),
    [
        (lambda xy: xy, [1, 0, 0, 1]),
        (lambda xy: xy @ [[0, 1], [-1, 0]], [0, -1, 0, 1]),
        (lambda xy: xy * [-1, 1] + [1, 0], [-1, 0, 0, -1]),
        (lambda xy: xy * [3, 0.2], [1, 0, 0, 1]),
        (lambda xy: xy @ [[1, 0], [0.5, 1]], [1, 0, 0, 1]),
    ],
)
def test_tangents_of_a_plane_point_where_u_grows(uv, tangent):
    """The last one is sheared, u = x + y/2 and v = y: T is where u grows while v stands still."""
    mesh, tangents = with_tangents(strip(uv))
    np.testing.assert_allclose(tangents, np.tile(tangent, (len(mesh.vertices), 1)), atol=1e-12)
    assert len(mesh.vertices) == 6


def test_where_the_texture_is_mirrored_vertices_are_split():
    mesh, tangents = with_tangents(strip(lambda xy: np.abs(xy - [0.5, 0])))
    assert len(mesh.vertices) == 8
    left = mesh.faces[:2].ravel()
    right = mesh.faces[2:].ravel()
    np.testing.assert_allclose(tangents[left], np.tile([-1, 0, 0, -1], (6, 1)), atol=1e-12)
    np.testing.assert_allclose(tangents[right], np.tile([1, 0, 0, 1], (6, 1)), atol=1e-12)


def test_on_a_ball_they_are_the_gradient_of_the_coordinates():
    """u is the longitude: T points east, and B = w N x T north, up to the size of a triangle."""
    mesh, tangents = with_tangents(ball_with_coordinates())
    east = np.cross([0, 0, 1], mesh.vertices)
    assert degrees(tangents[:, :3], east) < 8  # at the cut's edge, where triangles lie on one side
    assert np.degrees(np.arccos((unit(tangents[:, :3]) * unit(east)).sum(axis=1).clip(-1, 1))).mean() < 1
    assert (tangents[:, 3] == 1).all()
    np.testing.assert_allclose((tangents[:, :3] * mesh.normals).sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(tangents[:, :3], axis=1), 1)


def test_they_are_those_of_the_reference():
    data = np.load(GOLDEN)
    corners = [data[name].astype(float) for name in ("positions", "normals", "uv")]
    mesh = Unwrapped(*corners, np.arange(len(corners[0])).reshape(-1, 3))
    split, tangents = with_tangents(mesh)
    (t1, t2) = (corners[2].reshape(-1, 3, 2)[:, i] - corners[2].reshape(-1, 3, 2)[:, 0] for i in (1, 2))
    sound = (t1[:, 0] * t2[:, 1] != t1[:, 1] * t2[:, 0]).repeat(3)
    assert 0.85 < sound.mean() < 1
    ours, theirs = tangents[split.faces].reshape(-1, 4)[sound], data["tangents"][sound]
    np.testing.assert_array_equal(ours[:, 3], theirs[:, 3])
    assert 0.3 < (theirs[:, 3] < 0).mean() < 0.7
    assert degrees(ours[:, :3], theirs[:, :3]) < 0.05


def test_a_mesh_without_any_texture_area_still_has_frames():
    mesh, tangents = with_tangents(strip(lambda xy: xy * 0))
    np.testing.assert_allclose(np.linalg.norm(tangents[:, :3], axis=1), 1)
    np.testing.assert_allclose((tangents[:, :3] * mesh.normals).sum(axis=1), 0, atol=1e-12)
    assert set(np.unique(tangents[:, 3])) <= {-1.0, 1.0}


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_into_the_tangents_frame_and_back(sign):
    """Frames as interpolation leaves them: neither of length 1 nor perpendicular."""
    rng = np.random.default_rng(0)
    normals = unit(rng.normal(size=(100, 3))) * rng.uniform(0.7, 1, (100, 1))
    tangents = unit(np.cross(normals, rng.normal(size=(100, 3)))) + 0.2 * rng.normal(size=(100, 3))
    tangents = np.concatenate([tangents, np.full((100, 1), sign)], axis=1)
    directions = unit(unit(normals) + 0.4 * unit(rng.normal(size=(100, 3))))
    local = to_tangent_space(directions, normals, tangents)
    np.testing.assert_allclose(np.linalg.norm(local, axis=1), 1)
    assert degrees(from_tangent_space(local, normals, tangents), directions) < 1e-4


def test_what_looks_away_is_drawn_as_grazing():
    local = to_tangent_space(np.array([[0.6, 0, -0.8]]), np.array([[0.0, 0, 1]]), np.array([[1.0, 0, 0, 1]]))
    np.testing.assert_allclose(local, unit(np.array([[0.6, 0, 0.05]])))
