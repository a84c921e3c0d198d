import numpy as np
import pytest
import torch
import trimesh

from gen3d.density_grid import Grid, sample_density
from gen3d.errors import Degenerate
from gen3d_export.surface import drop_floaters, extract_mesh, isosurface, mesh_of


def colorless(points):
    return torch.zeros_like(points)


def test_a_ball_keeps_its_place_size_and_orientation(ball, center, radius):
    mesh = extract_mesh(ball(), resolution=64)
    distance = np.linalg.norm(mesh.vertices - center.numpy(), axis=1)
    assert np.abs(distance - radius).max() < 1 / 64
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)
    outward = ((mesh.triangles_center - center.numpy()) * mesh.face_normals).sum(axis=1)
    assert (outward > 0).all()


@pytest.mark.parametrize("triangles", [20_000, 3000, 400])
def test_the_budget_is_kept_on_a_closed_surface(ball, radius, triangles):
    mesh = extract_mesh(ball(), triangles, resolution=64)
    assert 0.9 * min(triangles, 10_000) < len(mesh.faces) <= triangles
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)


def test_a_surface_at_the_edge_of_the_box_is_closed(shape):
    mesh = extract_mesh(shape(lambda p: p[:, 0], colorless), threshold=5.0, resolution=32)
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.extents, [0.5, 1, 1], atol=0.08)


def test_floaters_go_and_the_object_stays(shape):
    def distance(points):
        big = (points - 0.1).norm(dim=-1) - 0.25
        small = (points + 0.4).norm(dim=-1) - 0.04
        return torch.minimum(big, small)

    grid = sample_density(shape(distance, colorless), 64)
    mesh = isosurface(grid, 20.0)
    assert mesh.body_count == 2
    assert drop_floaters(mesh).body_count == 1
    np.testing.assert_allclose(drop_floaters(mesh).bounds, [[-0.15] * 3, [0.35] * 3], atol=1 / 64)


def test_two_large_pieces_both_stay(shape):
    mesh = extract_mesh(shape(lambda p: (p.abs() - 0.25).norm(dim=-1) - 0.12, colorless), resolution=48)
    assert mesh.body_count == 8


def test_hidden_cavities_are_filled(shape, radius):
    hollow = shape(lambda p: (p.norm(dim=-1) - radius + 0.04).abs() - 0.04, colorless, voxel_size=1 / 200)
    mesh = extract_mesh(hollow, resolution=64)
    assert mesh.body_count == 1
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)


def test_welding_an_isosurface_changes_nothing():
    """Values on the surface itself would give coincident vertices: no node may hold one."""
    axis = np.arange(12)
    exact = np.minimum.reduce(np.meshgrid(axis, axis, axis)).astype(float)  # full of nodes at the threshold of 2
    exact[:, :, 9:] = exact[:, 9:] = exact[9:] = 0
    mesh = isosurface(Grid(exact, np.zeros(3), 1.0, 0.0), 2.0)
    welded = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    assert len(welded.vertices) == len(mesh.vertices)
    assert mesh.is_watertight
    assert mesh.area_faces.min() > 0


def test_nothing_above_the_threshold_is_an_error_with_figures(ball):
    with pytest.raises(Degenerate, match=r"threshold is 50 and the density hardly exceeds 30"):
        extract_mesh(ball(peak=30.0), threshold=50.0, resolution=32)


def test_a_full_box_is_an_error_with_figures(shape):
    with pytest.raises(Degenerate, match=r"fills 100% of its box .* density reaches 100"):
        extract_mesh(shape(lambda p: p[:, 0] * 0 - 1, colorless), resolution=32)


def test_a_card_is_an_error_with_figures(shape):
    card = shape(lambda p: (p.abs() - torch.tensor([0.4, 0.4, 0.005])).amax(dim=-1), colorless, peak=500.0)
    with pytest.raises(Degenerate, match=r"flat: it measures 0\.8\d* x 0\.8\d* x 0\.0"):
        extract_mesh(card, resolution=96)


def test_dust_is_an_error(shape):
    def distance(points):
        return ((points * 8).frac().abs() - 0.5).norm(dim=-1) / 8 - 0.02

    with pytest.raises(Degenerate, match=r"dust: 512 loose pieces, the largest with 0\.\d% of the volume"):
        mesh_of(sample_density(shape(distance, colorless), 64), 30.0, 1000)
