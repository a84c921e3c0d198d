import numpy as np
import pytest
import torch
import trimesh

from gen3d_export.bake import bake
from gen3d_export.even import conjugate_gradients, even_out
from gen3d_export.paint import SurfacePaint
from gen3d_export.seams import find_seams, lookup, mipmaps, steps
from gen3d_export.unwrap import Unwrapped, unwrap
from plain_surface import PlainSurface


def two_charts():
    """A square cut along x = 1 into two charts, the right one turned upside down and apart."""
    places = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0], [2, 0, 0], [2, 1, 0], [1, 1, 0]])
    left = np.array([[0.125, 0.25], [0.375, 0.25], [0.375, 0.75], [0.125, 0.75]])
    right = np.array([[0.875, 0.75], [0.625, 0.75], [0.625, 0.25], [0.875, 0.25]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    return Unwrapped(places, np.tile([0.0, 0, 1], (8, 1)), np.concatenate([left, right]), faces)


def test_seams_are_the_edges_whose_sides_lie_apart():
    seams = find_seams(two_charts(), 64)
    assert len(seams.first) == 32
    np.testing.assert_allclose(np.stack([seams.first[:, 0], seams.second[:, 0]]), [[0.375] * 32, [0.875] * 32])
    np.testing.assert_allclose(seams.first[:, 1], 1 - seams.second[:, 1])


def test_a_mesh_in_one_piece_has_none():
    mesh = two_charts()
    one = Unwrapped(mesh.vertices[:4], mesh.normals[:4], mesh.uv[:4], mesh.faces[:2])
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    assert not len(find_seams(one, 8).first)
    assert even_out(image, np.ones((8, 8), dtype=bool), find_seams(one, 8)) is image


def test_lookups_are_bilinear():
    image = np.random.default_rng(0).random((8, 8))
    uv = np.array([[1.5 / 8, 1 - 2.5 / 8], [2 / 8, 1 - 2.5 / 8], [0.0, 1.0]])
    expected = [image[2, 1], (image[2, 1] + image[2, 2]) / 2, image[0, 0]]
    np.testing.assert_allclose(lookup(uv, 8) @ image.ravel(), expected)


def test_mipmaps_are_means():
    image = np.random.default_rng(0).random((12, 12, 3))
    levels = mipmaps(image, 6)
    assert [len(level) for level in levels] == [12, 6, 3]
    np.testing.assert_allclose(levels[2][1, 2], image[4:8, 8:12].mean(axis=(0, 1)))


def test_conjugate_gradients_solve():
    matrix = np.diag([1.0, 2, 3, 4]) + 0.1
    solution = conjugate_gradients(lambda x: (matrix @ x.ravel()).reshape(2, 2), np.arange(4.0).reshape(2, 2))
    np.testing.assert_allclose(matrix @ solution.ravel(), np.arange(4), atol=1e-6)


def test_what_is_already_even_stays():
    image = np.full((64, 64, 3), 77, dtype=np.uint8)
    covered = np.zeros((64, 64), dtype=bool)
    covered[16:48, 8:24] = covered[16:48, 40:56] = True
    np.testing.assert_array_equal(even_out(image, covered, find_seams(two_charts(), 64)), image)


def test_a_step_is_met_half_way():
    image = np.full((64, 64, 3), 100, dtype=np.uint8)
    image[:, 32:] = 120
    covered = np.zeros((64, 64), dtype=bool)
    covered[16:48, 8:24] = covered[16:48, 40:56] = True
    seams = find_seams(two_charts(), 64)
    result = even_out(image, covered, seams)
    left, right = (lookup(side, 64) @ result.reshape(-1, 3).astype(float) for side in (seams.first, seams.second))
    assert np.abs(left - 110).mean() < 2
    assert np.abs(right - 110).mean() < 2
    assert np.abs(result[20:44, 8:12].astype(int) - 100).max() <= 1


@pytest.fixture(scope="module")
def knob():
    """A bumpy ball with waves of colour."""
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.3)
    mesh.vertices *= 1 + 0.1 * np.sin(20 * mesh.vertices[:, [1]]) * np.cos(17 * mesh.vertices[:, [0]])
    waves = torch.tensor([[10.0, 0, 1], [3, 12, 0], [0, 0, 8]])
    return mesh, PlainSurface.of(mesh, lambda p: 0.5 + 0.5 * torch.sin(p @ waves)), unwrap(mesh, 256, padding=4)


def test_seams_of_a_baked_mesh_are_even_in_all_mipmaps(knob, monkeypatch):
    """Measured, steps of 8 bits, mean (95th percentile), before and after, mipmaps 0 to 5:

    1.6 (4.7), 2.4 (6.8), 4.3 (12), 9.4 (30), 19 (57), 32 (83);
    0.4 (1.1), 0.8 (2.5), 1.9 (6.1), 5.0 (18), 12 (41), 27 (71), which is below the contrast of neighbouring texels.
    """
    mesh, surface, unwrapped = knob
    seams = find_seams(unwrapped, 256)

    def figures():
        image = bake(SurfacePaint(surface), unwrapped, mesh, 256).maps.base_color.astype(float)
        return np.array([(np.abs(step).mean(), np.quantile(np.abs(step), 0.95)) for step in steps(image, seams, 6)])

    even = figures()
    monkeypatch.setattr("gen3d_export.bake.even_out", lambda image, covered, seams: image)
    plain = figures()
    assert (even[:4, 0] < 0.6 * plain[:4, 0]).all()
    assert (even < plain).all()
    assert even[0, 0] < 0.6
    assert even[0, 1] < 1.5
