import pytest
import torch
from torch import Tensor

from gen3d import Unavailable, rng
from gen3d_nerf.backends import Backend
from gen3d_nerf.encoding import HashEncoding


def started(backend: Backend = "torch", smooth: bool = False) -> HashEncoding:
    encoding = HashEncoding(6, 4, 64, 10, smooth)
    encoding.start(rng.generator(0, "encoding"), backend)
    return encoding


@pytest.fixture
def places() -> Tensor:
    return torch.rand(50, 3, generator=torch.Generator().manual_seed(0))


def test_entries_start_small_and_of_the_stream() -> None:
    table = started().table
    assert table.abs().max() <= 1e-4
    assert table.std().item() == pytest.approx(1e-4 / 3**0.5, rel=0.05)
    assert torch.equal(table, started().table)


def test_levels_join_one_after_the_other(places: Tensor) -> None:
    encoding = started()
    every = encoding(places)
    assert every.shape == (50, encoding.width) == (50, 12)
    encoding.active = 2.25
    some = encoding(places)
    assert torch.equal(some[:, :4], every[:, :4])
    torch.testing.assert_close(some[:, 4:6], 0.25 * every[:, 4:6])
    assert not some[:, 6:].any()
    (gradient,) = torch.autograd.grad(some.square().sum(), encoding.table)
    assert not gradient[encoding.levels[3].first :].any()
    encoding.active = 0.0
    assert encoding(places)[:, :2].any()  # the first is always there


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing without CUDA")
def test_a_backend_that_is_not_here_is_named() -> None:
    with pytest.raises(Unavailable, match="tinycudann"):
        started("tinycudann")
    assert started("auto")(torch.zeros(1, 3)).shape == (1, 12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("smooth", [False, True])
def test_both_backends_give_the_same(places: Tensor, smooth: bool) -> None:
    pytest.importorskip("tinycudann")
    results = []
    for backend in ("torch", "tinycudann"):
        encoding = HashEncoding(6, 4, 64, 10, smooth).cuda()
        encoding.start(rng.generator(0, "encoding"), backend)
        encoding.active = 4.5
        x = places.cuda().requires_grad_()
        out = encoding(x)
        upstream = torch.linspace(-1, 1, out.numel(), device=out.device).view_as(out)
        (by_x,) = torch.autograd.grad((out * upstream).sum(), x, create_graph=True)
        (by_table,) = torch.autograd.grad((out * upstream).sum() + by_x.square().sum(), encoding.table)
        results.append((out, by_x, by_table))
    for one, other in zip(*results, strict=True):
        assert (one - other).norm() <= 1e-4 * one.norm()
