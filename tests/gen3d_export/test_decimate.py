import time

import numpy as np
import pytest
import trimesh

from gen3d.density_grid import Grid
from gen3d_export.decimate import decimate
from gen3d_export.repair import repair
from gen3d_export.surface import isosurface
from gen3d_export.unwrap import unwrap

ball = trimesh.creation.icosphere


def scattered(mesh, count, spread=0.5):
    """Copies of a mesh at random places."""
    places = np.random.default_rng(0).uniform(-spread, spread, (count, 1, 3))
    faces = mesh.faces + len(mesh.vertices) * np.arange(count)[:, None, None]
    return trimesh.Trimesh((mesh.vertices + places).reshape(-1, 3), faces.reshape(-1, 3), process=False)


def noisy_grid(side, values):
    return Grid(np.pad(values, 1), np.zeros(3), 1 / side, 0.5 / side)


@pytest.mark.parametrize("triangles", [4000, 500, 12])
def test_the_budget_is_kept_on_a_closed_surface(triangles):
    mesh = decimate(ball(subdivisions=4), triangles)
    assert 0.9 * triangles <= len(mesh.faces) <= triangles
    assert mesh.is_watertight
    assert mesh.volume > (0.3 if triangles < 100 else 0.95) * 4 / 3 * np.pi


def test_what_is_within_the_budget_stays_as_it_is():
    assert decimate(box := trimesh.creation.box(), 12) is box


def test_the_budget_is_kept_even_by_a_sponge():
    density = np.random.default_rng(0).random((24, 24, 24))
    mesh = isosurface(
        noisy_grid(24, density + np.roll(density, 1, 0) + np.roll(density, 1, 1) + np.roll(density, 1, 2)), 2.0
    )
    assert len(mesh.faces) > 10_000
    small = decimate(mesh, 500)
    assert 100 < len(small.faces) <= 500
    assert small.is_watertight
    assert small.extents == pytest.approx(mesh.extents, abs=0.2)


@pytest.mark.parametrize("triangles", [1500, 700, 300])
def test_noise_stays_closed_and_manifold(triangles):
    """Quadrics fold thin parts flat and let others touch: triangles back to back go, and what touches comes apart."""
    axis = np.linspace(-1, 1, 20)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    noise = np.random.default_rng(1).normal(size=x.shape)
    density = 1 / (1 + np.exp(8 * (np.sqrt(x**2 + y**2 + z**2) - 0.7) - noise))
    small = decimate(repair(isosurface(noisy_grid(20, density), 0.5)), triangles)
    assert len(small.faces) <= triangles
    assert small.is_watertight
    assert small.is_winding_consistent
    assert len(np.unique(np.sort(small.faces, axis=1), axis=0)) == len(small.faces)
    assert np.linalg.norm(small.vertex_normals, axis=1) == pytest.approx(1)


def test_an_open_surface_stays_open_and_keeps_its_rim():
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    sheet = trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)
    for _ in range(5):
        sheet = sheet.subdivide()
    small = decimate(sheet, 100)
    assert len(small.faces) <= 100
    np.testing.assert_allclose(small.extents, sheet.extents, atol=0.02)
    np.testing.assert_allclose(small.face_normals, np.broadcast_to([0, 0, 1], (len(small.faces), 3)), atol=1e-6)


@pytest.mark.parametrize("triangles", [2000, 300])
def test_of_too_many_pieces_the_largest_stay(triangles, caplog):
    big = ball(subdivisions=3, radius=0.2).apply_translation([0.8, 0, 0])
    mesh = trimesh.util.concatenate([scattered(ball(subdivisions=0, radius=0.02), 1000), big])
    small = decimate(mesh, triangles)
    assert 0.5 * triangles < len(small.faces) <= triangles
    assert small.bounds[1][0] == pytest.approx(1, abs=0.02)
    assert small.is_watertight
    assert "too few triangles for 1001 pieces" in caplog.text


def soups():
    rng = np.random.default_rng(0)
    points = rng.random((500_000, 3))
    return {
        "million": lambda: ball(subdivisions=8),
        "pieces": lambda: scattered(ball(subdivisions=1, radius=0.02), 10_000),
        "soup": lambda: trimesh.Trimesh(points, rng.integers(0, 20_000, (1_000_000, 3)), process=False),
        "loose": lambda: trimesh.Trimesh(points, rng.integers(0, 500_000, (1_000_000, 3)), process=False),
    }


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", ["million", "pieces", "soup", "loose"])
def test_no_mesh_takes_longer_than_three_minutes(name):
    from gen3d_export.source_mesh import SourceMesh
    from gen3d_export.source_surface import source_surface

    mesh = soups()[name]()
    started = time.monotonic()
    whole = source_surface(
        SourceMesh(mesh.vertices, mesh.faces, None, None, None, np.zeros(len(mesh.faces), dtype=int))
    )
    small = decimate(whole, 20_000)
    charted = unwrap(small, 1024, 4)
    assert time.monotonic() - started < 180
    assert 0 < len(small.faces) <= 20_000
    assert len(charted.faces) == len(small.faces)
    assert charted.uv.min() >= 0
    assert charted.uv.max() <= 1
