from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gen3d import RadianceField, Stage, Unsupported
from gen3d.testing import ToyField, toy_cameras
from gen3d_volume.normals import NORMALS, analytic_normals, finite_normals
from gen3d_volume.volume import Volume
from gen3d_voxel.voxel import Voxel

Bind = Callable[..., tuple[Volume, Stage]]


@pytest.fixture
def around() -> Tensor:
    """Points on a ball of the toy's radius."""
    directions = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    return 0.3 * torch.nn.functional.normalize(directions, dim=1)


@pytest.mark.parametrize("normals_of", NORMALS.values(), ids=NORMALS)
def test_of_a_ball_they_point_outwards(normals_of: Callable[[RadianceField, Tensor], Tensor], around: Tensor) -> None:
    normals = normals_of(ToyField(radius=0.3), around)
    assert torch.cosine_similarity(normals, around).min() > 0.95  # a voxel is wider than the toy's surface
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(50), rtol=0, atol=0.01)


@pytest.mark.parametrize("normals_of", NORMALS.values(), ids=NORMALS)
def test_they_fade_deep_inside(normals_of: Callable[[RadianceField, Tensor], Tensor], around: Tensor) -> None:
    assert normals_of(ToyField(radius=0.45), around / 6).norm(dim=1).max() < 0.1


def test_differences_have_a_gradient_that_turns_them() -> None:
    field = Voxel(8, "rgb", box=0.5)
    field.raw_density.copy_(torch.linspace(2, -2, 8)[:, None, None].expand(8, 8, 8))  # falls along x
    point = torch.tensor([[0.01, 0.02, -0.03]])
    normal = finite_normals(field, point)
    torch.testing.assert_close(normal, torch.tensor([[1.0, 0, 0]]), rtol=0, atol=1e-3)
    (gradient,) = torch.autograd.grad(normal[0, 1], field.density_grid)
    with torch.no_grad():
        field.density_grid.add_(gradient, alpha=0.1)
    assert finite_normals(field, point)[0, 1] > 0.01


def test_without_gradients_the_analytic_ones_are_the_same(around: Tensor) -> None:
    field = ToyField()
    trained = analytic_normals(field, around)
    with torch.no_grad():
        looked_at = analytic_normals(field, around)
    assert trained.requires_grad
    assert not looked_at.requires_grad
    assert torch.equal(trained, looked_at)


def test_the_renderer_draws_either(bind: Bind) -> None:
    pictures = []
    for normals in NORMALS:
        field = ToyField()
        field.voxel_size = 0.01
        renderer, stage = bind(field, normals=normals, occupancy=20)
        pictures.append(renderer(field, toy_cameras(1, 12), stage.step(0), frozenset({"normal"})).normal)
    torch.testing.assert_close(*pictures, rtol=0, atol=0.1)


def test_a_field_without_a_gradient_by_position_is_refused(bind: Bind) -> None:
    with pytest.raises(Unsupported, match="Voxel has no gradient by position") as caught:
        bind(Voxel(8, "rgb"), normals="analytic")
    assert "finite" in caught.value.remedy
