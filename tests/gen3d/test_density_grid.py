import numpy as np
import pytest
import torch

from gen3d.density_grid import sample_density
from gen3d.errors import Degenerate
from soft_shapes import Shape, soft_ball


def test_nodes_hold_the_density_of_their_place():
    field = soft_ball(softness=0.1)
    grid = sample_density(field, 20)
    node = np.array([7, 12, 15])
    place = torch.tensor(grid.origin + node * grid.spacing, dtype=torch.float32)
    assert grid.density[tuple(node)] == pytest.approx(float(field.density(place[None])), rel=1e-4)


def test_the_box_is_covered_and_closed_by_an_empty_layer():
    field = Shape(lambda p: p[:, 0] * 0 - 1, torch.zeros_like, half=(0.5, 0.25, 0.3))
    grid = sample_density(field, 20)
    assert grid.spacing == pytest.approx(0.05)
    assert grid.density.shape == (23, 13, 15)
    np.testing.assert_allclose(grid.origin, [-0.55, -0.3, -0.35], atol=1e-6)
    border = grid.density.copy()
    border[1:-1, 1:-1, 1:-1] = 0
    assert border.sum() == 0
    assert (grid.density[1:-1, 1:-1, 1:-1] > 0).all()


def test_chunks_do_not_show(monkeypatch):
    whole = sample_density(soft_ball(), 24)
    monkeypatch.setattr("gen3d.density_grid.CHUNK", 1000)
    np.testing.assert_allclose(sample_density(soft_ball(), 24).density, whole.density, rtol=1e-5, atol=1e-9)


def test_a_density_that_is_not_finite_is_an_error():
    field = Shape(lambda p: torch.where(p[:, 0] > 0.25, torch.nan, p[:, 1]), torch.zeros_like)
    with pytest.raises(Degenerate, match=r"not finite at 2\d\.\d%"):
        sample_density(field, 16)
