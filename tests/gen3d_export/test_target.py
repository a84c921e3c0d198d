import numpy as np
import pytest
import trimesh

from gen3d_export.nearest import Nearest, closest
from gen3d_export.target import Target, unit


@pytest.fixture(scope="module")
def ball():
    return Target.of(trimesh.creation.icosphere(subdivisions=4))


@pytest.mark.parametrize("radius", [0.97, 1.0, 1.03])
def test_points_near_the_surface_meet_it_along_their_normal(ball, radius):
    directions = unit(np.random.default_rng(0).normal(size=(500, 3)))
    hits = ball.project(directions * radius, directions)
    np.testing.assert_allclose(unit(hits.points), directions, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(hits.points, axis=1), 1, atol=3e-3)
    np.testing.assert_allclose(hits.normals, directions, atol=0.01)
    np.testing.assert_allclose(hits.weights.sum(axis=1), 1, atol=1e-6)


def test_the_side_that_looks_away_is_not_met():
    """A wall 0.02 thick: a point in it that looks up belongs to its upper side, though the lower one is nearer."""
    wall = Target.of(trimesh.creation.box((1, 1, 0.02)).subdivide().subdivide())
    hits = wall.project(np.array([[0.1, 0.1, -0.009]]), np.array([[0.0, 0, 1]]))
    np.testing.assert_allclose(hits.points, [[0.1, 0.1, 0.01]], atol=1e-6)


def test_what_is_out_of_reach_gets_the_closest_point(ball):
    directions = unit(np.random.default_rng(1).normal(size=(300, 3)))
    hits = ball.project(directions * 1.8, directions)
    np.testing.assert_allclose(np.linalg.norm(hits.points - directions, axis=1), 0, atol=0.04)  # a vertex


def test_far_from_the_origin_and_in_other_units_it_is_the_same(ball):
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=500).apply_translation([1e5, 0, 3e4])
    directions = unit(np.random.default_rng(2).normal(size=(200, 3)))
    middle = np.array([1e5, 0, 3e4])
    hits = Target.of(mesh).project(middle + directions * 505, directions)
    np.testing.assert_allclose(
        (hits.points - middle) / 500, ball.project(directions * 1.01, directions).points, atol=1e-4
    )


def test_the_closest_points_are_those_of_a_slow_search():
    rng = np.random.default_rng(3)
    mesh = trimesh.creation.box((1, 2, 0.5))  # few and long triangles
    points = rng.normal(size=(300, 3))
    faces, weights = Nearest(np.asarray(mesh.triangles))(points, np.zeros((300, 3)))
    found = np.einsum("nk,nkd->nd", weights, mesh.triangles[faces])
    every = closest(points[:, None], np.broadcast_to(mesh.triangles, (300, 12, 3, 3)))
    places = np.einsum("nfk,fkd->nfd", every, mesh.triangles)
    best = np.linalg.norm(places - points[:, None], axis=-1).min(axis=1)
    np.testing.assert_allclose(np.linalg.norm(found - points, axis=1), best, atol=1e-12)
    box = np.abs(points).clip(None, [0.5, 1, 0.25])
    outside = (np.abs(points) > [0.5, 1, 0.25]).any(axis=1)
    np.testing.assert_allclose(best[outside], np.linalg.norm(np.abs(points) - box, axis=1)[outside], atol=1e-12)


def test_the_closest_point_of_a_line_is_found():
    line = np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    weights = closest(np.array([[1.5, 3.0, 0]]), line)
    np.testing.assert_allclose(np.einsum("nk,nkd->nd", weights, line), [[1.5, 0, 0]])


def test_rays_are_blocked_within_their_length(ball):
    origins, directions = np.array([[0, 0, 1.1]] * 3), np.array([[0, 0, -1.0], [0, 0, 1], [0, 0, -1]])
    np.testing.assert_array_equal(ball.blocked(origins, directions, 0.5), [True, False, True])
    np.testing.assert_array_equal(ball.blocked(origins, directions, 0.01), [False, False, False])
