import math

import numpy as np
import pytest
import torch

from gen3d.density_grid import Grid, sample_density
from gen3d.errors import Degenerate
from gen3d.threshold import automatic_threshold
from gen3d_export.surface import isosurface
from soft_shapes import CENTER, soft_ball

CELLS = 64


def silhouette_radius(field):
    """Distance from the centre at which a ray loses half of its light, by fine quadrature."""
    along = torch.linspace(-0.4, 0.4, 4001)
    for impact in np.arange(0.45, 0, -0.001):
        points = CENTER + torch.stack([along, torch.full_like(along, impact), torch.zeros_like(along)], dim=-1)
        if float(field.density(points).sum()) * 0.8 / 4000 > math.log(2):
            return impact
    return 0.0


@pytest.mark.parametrize(
    ("peak", "softness"), [(15, 0.04), (30, 0.08), (50, 0.02), (300, 0.01), (3000, 0.003), (100_000, 0.02)]
)
def test_the_surface_is_where_the_silhouette_is(peak, softness):
    field = soft_ball(peak=float(peak), softness=softness)
    grid = sample_density(field, CELLS)
    mesh = isosurface(grid, automatic_threshold(grid))
    expected = silhouette_radius(field)
    assert expected > 0.2
    assert np.ptp(mesh.vertices, axis=0).mean() / 2 == pytest.approx(expected, abs=1 / CELLS)


def test_faint_haze_around_the_object_is_not_part_of_it():
    """An untrained voxel field is fog: here it alone absorbs almost half of the light."""
    clear = sample_density(soft_ball(peak=20.0, softness=0.03), CELLS)
    hazy = Grid(clear.density + 0.65, clear.origin, clear.spacing, clear.detail)
    expected = isosurface(clear, automatic_threshold(clear)).extents
    np.testing.assert_allclose(isosurface(hazy, automatic_threshold(hazy)).extents, expected, atol=1 / CELLS)


def test_haze_alone_is_an_empty_object():
    fog = Grid(np.pad(np.full((32, 32, 32), 0.6), 1), np.zeros(3), 1 / 32, 1 / 32)
    with pytest.raises(Degenerate, match=r"0\.6 at the faces"):
        automatic_threshold(fog)


def test_scaling_space_scales_the_level():
    grid = sample_density(soft_ball(peak=40.0, softness=0.02), CELLS)
    half = Grid(grid.density * 2, grid.origin / 2, grid.spacing / 2, grid.detail / 2)
    assert automatic_threshold(half) == pytest.approx(2 * automatic_threshold(grid), rel=1e-5)


def test_an_empty_object_is_an_error_with_figures():
    grid = sample_density(soft_ball(peak=0.3), 32)
    with pytest.raises(Degenerate) as raised:
        automatic_threshold(grid)
    assert "more than 14% opaque" in str(raised.value)
    assert "never exceeds 0.3 (" in str(raised.value)
    assert "the automatic threshold" in str(raised.value)
    assert "threshold" in raised.value.remedy
    assert raised.value.exit_code == 5
