"""Drawing a second time rather than keeping: the same picture and the same gradient."""

import pytest
import torch
from torch import Tensor

from gen3d import Cameras, Schedule
from gen3d.testing import toy_stage
from gen3d_nerf.hash_grid import HashGrid
from gen3d_volume.volume import Volume


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_gradient_is_the_same_where_density_is_noisy_too(noise: float) -> None:
    cameras = Cameras.orbit(0.3, 0.2, 1.6, 0.8, 12)
    weights = torch.rand(1, 12, 12, 3, generator=torch.Generator().manual_seed(0))
    images: list[Tensor] = []
    gradients: list[list[Tensor]] = []
    for recompute in (False, True):
        field = HashGrid(levels=2, table_log2=6, finest=16, width=8, voxel_size=0.1, density_noise=Schedule.of(noise))
        renderer = Volume(chunk=50, recompute=recompute)
        stage = toy_stage({})
        stage.representation, stage.renderer = field, renderer
        field.bind(stage)
        renderer.bind(stage)
        field.at(stage.step(3))
        renderer.at(stage.step(3))
        views = renderer(field, cameras, stage.step(3), frozenset({"normal"}))
        assert views.normal is not None
        (weights * views.image + views.depth + views.normal).sum().backward()
        images.append(views.image.detach())
        gradients.append([p.grad for p in field.parameters() if p.grad is not None])
    assert torch.equal(*images)
    assert gradients[0]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one)
