import pytest
import torch
from torch.nn.functional import grid_sample, pad

from gen3d_voxel import trilinear
from gen3d_voxel.trilinear import corners, lookup

RESOLUTION = 5


@pytest.fixture(autouse=True, params=[1 << 16, 64], ids=["whole", "pieces"])
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are looked up in pieces, which must not show."""
    monkeypatch.setattr(trilinear, "_PIECE", request.param)


@pytest.fixture
def grid() -> torch.Tensor:
    values = torch.randn(3, *(RESOLUTION,) * 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return pad(values, (1,) * 6).requires_grad_()


@pytest.fixture
def places() -> torch.Tensor:
    """In voxels from the halo's centre: inside, within half a voxel of the faces, on lattice points, far outside."""
    spread = torch.rand(3, 200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    lattice = torch.tensor([[1.0, 5.0, 3.0], [1.0, 5.0, 0.0], [2.5, 6.0, 4.0]], dtype=torch.float64)
    return torch.cat([spread * (RESOLUTION + 3) - 1, lattice], dim=1)


def by_grid_sample(grid: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    normalised = (2 * (places - 0.5) / RESOLUTION - 1).T.flip(-1)[None, None, None]
    inner = grid[:, 1:-1, 1:-1, 1:-1]
    return grid_sample(inner[None], normalised, padding_mode="zeros", align_corners=False).flatten(1)[:3].view(3, -1)


def test_equals_grid_sample_with_zero_padding(grid: torch.Tensor, places: torch.Tensor) -> None:
    torch.testing.assert_close(lookup(grid, corners(places, RESOLUTION)), by_grid_sample(grid, places))


def test_gradient_equals_that_of_grid_sample(grid: torch.Tensor, places: torch.Tensor) -> None:
    upstream = torch.randn(3, places.shape[1], generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    ours, theirs = (
        torch.autograd.grad((sampled * upstream).sum(), grid)[0]
        for sampled in (lookup(grid, corners(places, RESOLUTION)), by_grid_sample(grid, places))
    )
    torch.testing.assert_close(ours, theirs)
    assert theirs.abs().sum() > 0


def test_the_halo_gets_no_gradient(grid: torch.Tensor, places: torch.Tensor) -> None:
    (gradient,) = torch.autograd.grad(lookup(grid, corners(places, RESOLUTION)).sum(), grid)
    inner = gradient[:, 1:-1, 1:-1, 1:-1]
    assert inner[:, 0].any()  # beside it
    assert torch.equal(gradient, pad(inner, (1,) * 6))


def test_gradient_equals_finite_differences(grid: torch.Tensor, places: torch.Tensor) -> None:
    where = corners(places[:, :20], RESOLUTION)

    def of_inside(inner: torch.Tensor) -> torch.Tensor:
        return lookup(pad(inner, (1,) * 6), where)

    inner = grid.detach()[:1, 1:-1, 1:-1, 1:-1].clone().requires_grad_()
    assert torch.autograd.gradcheck(of_inside, inner)
