import numpy as np
import pytest
import trimesh

from gen3d_export.occlusion import enlarge, occlusion, openness, smooth
from gen3d_export.target import Target, unit
from gen3d_export.unwrap import unwrap


def at(target, points, normals):
    return openness(target, target.project(np.asarray(points, dtype=float), unit(np.asarray(normals, dtype=float))))


def flat_target(mesh):
    """Every triangle with normals of its own."""
    faces = np.arange(3 * len(mesh.faces)).reshape(-1, 3)
    return Target(np.asarray(mesh.triangles).reshape(-1, 3), faces, np.repeat(mesh.face_normals, 3, axis=0))


def test_what_is_convex_sees_everything():
    sphere = trimesh.creation.icosphere(subdivisions=3)
    target = Target.of(sphere)
    open_ = at(target, sphere.triangles_center, sphere.face_normals)
    assert open_.min() > 0.999


def test_below_a_wide_wall_half_is_open():
    """At the foot of a wall on a floor a quarter of the directions, by cosine a half, meet the wall."""
    floor = trimesh.creation.box((4, 4, 0.1)).apply_translation([0, 0, -0.05])
    wall = trimesh.creation.box((0.1, 40, 40)).apply_translation([-0.05, 0, 0])
    target = flat_target(trimesh.util.concatenate([floor, wall]))
    places = np.stack([np.full(200, 0.08), np.linspace(-0.5, 0.5, 200), np.zeros(200)], axis=-1)
    assert at(target, places, np.tile([0, 0, 1.0], (200, 1))).mean() == pytest.approx(0.5, abs=0.02)


def test_in_front_of_a_disc_it_is_the_view_factor():
    """A disc of radius r at height h over a point takes r^2 / (r^2 + h^2) of the light."""
    floor = trimesh.creation.box((2, 2, 0.1)).apply_translation([0, 0, -0.05])
    disc = trimesh.creation.cylinder(0.3, 0.01, sections=64).apply_translation([0, 0, 0.405])
    target = flat_target(trimesh.util.concatenate([floor, disc]))
    places = np.stack([np.linspace(-0.01, 0.01, 200), np.zeros(200), np.zeros(200)], axis=-1)
    expected = 1 - 0.3**2 / (0.3**2 + 0.4**2)
    assert at(target, places, np.tile([0, 0, 1.0], (200, 1))).mean() == pytest.approx(expected, abs=0.02)


def test_what_is_far_away_does_not_darken():
    near = trimesh.creation.box((1, 1, 1))
    far = trimesh.creation.box((1, 1, 1)).apply_translation([0, 0, 40])
    open_ = at(flat_target(trimesh.util.concatenate([near, far])), [[0, 0, 0.5]], [[0, 0, 1]])
    assert open_ == pytest.approx(1)


def test_neighbours_take_the_noise_away_but_not_across_an_edge():
    target = flat_target(trimesh.creation.box((1, 1, 1)).subdivide().subdivide().subdivide().subdivide())
    hits = target.hits(np.arange(len(target.faces)), np.full((len(target.faces), 3), 1 / 3))
    top = hits.normals[:, 2] > 0.5
    noise = np.random.default_rng(0).normal(scale=0.1, size=len(top))
    result = smooth(hits, top * 1.0 + noise)
    assert np.std(result - top) < 0.05
    assert np.abs(result[top].mean() - 1) < 0.01
    assert smooth(hits, top * 1.0)[top].min() > 0.999


def test_the_picture_is_dark_in_the_groove_only():
    """Two balls beside each other: dark where they nearly touch, open on the far sides."""
    balls = [trimesh.creation.icosphere(subdivisions=3).apply_translation([x, 0, 0]) for x in (-1.02, 1.02)]
    mesh = trimesh.util.concatenate(balls)
    unwrapped = unwrap(mesh, 128)
    image = occlusion(unwrapped, Target.of(mesh), 128)
    assert image.shape == (128, 128)
    column = (unwrapped.uv[:, 0] * 128).astype(int).clip(0, 127)
    row = ((1 - unwrapped.uv[:, 1]) * 128).astype(int).clip(0, 127)
    values, gap = image[row, column], np.abs(unwrapped.vertices[:, 0])
    assert values[gap < 0.1].mean() < 0.4
    assert values[gap > 1.5].min() > 0.95
    np.testing.assert_array_equal(image, occlusion(unwrapped, Target.of(mesh), 128))


def test_enlarging_keeps_a_ramp():
    ramp = np.tile(np.arange(8.0), (8, 1))
    np.testing.assert_allclose(enlarge(ramp, 16)[3, 1:-1], (np.arange(1, 15) + 0.5) / 2 - 0.5)
