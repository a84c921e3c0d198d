import numpy as np
import pytest
import torch

from gen3d.density_grid import sample_density
from gen3d.errors import Degenerate
from gen3d.threshold import automatic_threshold
from gen3d_export.sampling import sample_surface
from gen3d_export.surface import isosurface


def colorless(points):
    return torch.zeros_like(points)


def bumpy(points):
    x, y, z = points.T * 2
    bumps = 0.06 * torch.sin(7 * x + 1) * torch.sin(8 * y) * torch.sin(6 * z + 2)
    return points.norm(dim=-1) - 0.3 - bumps


def handle(points):
    """A ball with a wire around it that is thinner than a coarse cell, and that the coarse grid meets nowhere else."""
    ring = (torch.stack([points[:, :2].norm(dim=-1) - 0.4, points[:, 2] - 0.01], dim=-1)).norm(dim=-1) - 0.008
    spoke = torch.where(points[:, 0] > 0, points[:, 1:].sub(0.01).norm(dim=-1), 1.0) - 0.008
    return torch.minimum(torch.minimum(points.norm(dim=-1) - 0.2, ring), torch.maximum(spoke, points[:, 0] - 0.4))


@pytest.fixture
def counting(shape):
    """The class, for fields that count the points they are asked for."""

    class Counting(shape):
        asked = 0

        def density(self, points):
            self.asked += len(points)
            return super().density(points)

    return Counting


@pytest.mark.parametrize(
    ("distance", "keywords"),
    [
        (bumpy, {"voxel_size": 1 / 60}),
        (bumpy, {"peak": 20.0, "softness": 0.02, "voxel_size": 1 / 60}),
        (bumpy, {"voxel_size": 1 / 20}),
        (handle, {"voxel_size": 1 / 200}),
        (lambda p: p[:, 0], {"half": (0.5, 0.31, 0.17)}),
    ],
)
def test_the_surface_is_that_of_the_dense_grid(counting, distance, keywords):
    field = counting(distance, colorless, **keywords)
    dense = sample_density(field, 128)
    points, field.asked = field.asked, 0
    level = automatic_threshold(dense)
    sparse, _ = sample_surface(field, 128, level)
    assert field.asked < points / 2
    expected, mesh = isosurface(dense, level), isosurface(sparse, level)
    assert len(mesh.faces) == len(expected.faces)
    span = np.isin(np.round(mesh.vertices, 5), np.round(expected.vertices, 5)).mean()
    assert span > 0.999
    np.testing.assert_allclose(mesh.bounds, expected.bounds, atol=1e-4)


@pytest.mark.parametrize("keywords", [{}, {"peak": 20.0, "softness": 0.03}])
def test_the_threshold_is_that_of_the_dense_grid(shape, keywords):
    field = shape(bumpy, colorless, **keywords)
    _, level = sample_surface(field, 128)
    assert level == pytest.approx(automatic_threshold(sample_density(field, 128)), rel=0.05)


def test_a_coarse_grid_is_sampled_as_it_is(ball):
    np.testing.assert_array_equal(sample_surface(ball(), 32)[0].density, sample_density(ball(), 32).density)


def test_what_only_the_fine_grid_meets_is_found(shape):
    speck = shape(lambda p: (p - 1 / 64).norm(dim=-1) - 0.014, colorless)
    grid, level = sample_surface(speck, 128, 30.0)
    assert (grid.density > level).sum() > 10


def test_no_surface_is_the_dense_grids_error(ball):
    with pytest.raises(Degenerate, match="automatic threshold finds no surface"):
        sample_surface(ball(peak=0.3), 128)


def test_what_is_not_finite_is_an_error(shape):
    field = shape(lambda p: torch.where(p[:, 0] > 0.4, torch.nan, p.norm(dim=-1) - 0.3), colorless)
    with pytest.raises(Degenerate, match="not finite"):
        sample_surface(field, 64)
