from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gen3d_volume.composite import Packing, optical_depth_before, sum_along_rays, weights

GOLDEN = Path(__file__).parents[1] / "golden" / "sds_vsd" / "volrend.npz"


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    with np.load(GOLDEN, allow_pickle=False) as file:
        return {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}


def packing_of(published: dict[str, Tensor]) -> Packing:
    return Packing.of(published["ray_indices"], int(published["n_rays"]))


def test_rays_without_samples_have_their_place() -> None:
    packing = Packing.of(torch.tensor([1, 1, 1, 3]), 5)
    assert packing.offsets.tolist() == [0, 0, 3, 3, 4, 4]
    assert sum_along_rays(torch.tensor([1.0, 2.0, 3.0, 4.0]), packing).tolist() == [0, 6, 0, 4, 0]


def test_weights_equal_those_of_nerfacc(published: dict[str, Tensor]) -> None:
    depths = published["sigmas"] * (published["t_ends"] - published["t_starts"])
    result, left = weights(depths, packing_of(published))
    torch.testing.assert_close(result, published["weights"], rtol=0, atol=1e-12)
    torch.testing.assert_close(1 - left[:, None], published["opacities"], rtol=0, atol=1e-12)


def test_pictures_and_gradients_equal_those_of_nerfacc(published: dict[str, Tensor]) -> None:
    sigmas, rgbs = (published[name].clone().requires_grad_() for name in ("sigmas", "rgbs"))
    packing, starts, ends = packing_of(published), published["t_starts"], published["t_ends"]
    result, left = weights(sigmas * (ends - starts), packing)
    colors = torch.stack([sum_along_rays(result * channel, packing) for channel in rgbs.unbind(1)], dim=1)
    depth = sum_along_rays(result * (starts + ends) / 2, packing)[:, None]
    torch.testing.assert_close(colors, published["colors"], rtol=0, atol=1e-12)
    torch.testing.assert_close(depth, published["depths_sum"], rtol=0, atol=1e-12)
    wanted = {"colors": colors, "opacities": 1 - left[:, None], "depths": depth}
    torch.stack([(published[f"cot_{name}"] * value).sum() for name, value in wanted.items()]).sum().backward()
    torch.testing.assert_close(sigmas.grad, published["grad_sigmas"], rtol=0, atol=1e-11)
    torch.testing.assert_close(rgbs.grad, published["grad_rgbs"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("function", [weights, sum_along_rays])
def test_gradients_equal_finite_differences(function: Callable[[Tensor, Packing], Tensor]) -> None:
    depths = torch.rand(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    packing = Packing.of(torch.tensor([0, 0, 0, 0, 2, 2, 2, 3, 4, 4, 4, 4]), 6)
    assert torch.autograd.gradcheck(lambda values: function(values, packing), depths)


def test_weights_and_the_rest_make_one_in_float32() -> None:
    depths = 3 * torch.rand(50_000, generator=torch.Generator().manual_seed(0))
    packing = Packing.of(torch.arange(500).repeat_interleave(100), 500)
    result, left = weights(depths, packing)
    torch.testing.assert_close(sum_along_rays(result, packing) + left, torch.ones(500), rtol=0, atol=1e-6)
    assert result.min() >= 0
    assert left.min() >= 0


def test_a_hundred_thousand_opaque_rays_do_not_spoil_the_last() -> None:
    """What a running sum in float32 would: the last ray's depths vanish beside the sum of all before."""
    rays = torch.arange(100_001).repeat_interleave(2)
    depths = torch.full((len(rays),), 500.0)
    depths[-2:] = torch.tensor([0.25, 0.5])
    before = optical_depth_before(depths, Packing.of(rays, 100_001))
    assert before[-2:].tolist() == pytest.approx([0, 0.25], abs=1e-7)
