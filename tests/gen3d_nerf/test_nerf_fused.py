"""The Triton kernels of the hash grid against plain PyTorch: compiled on a GPU, interpreted on a CPU."""

import re
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

import gen3d_nerf
from gen3d import Unavailable, rng
from gen3d_nerf import backends
from gen3d_nerf.backends import Grid, choose
from gen3d_nerf.encoding import HashEncoding
from gen3d_nerf.levels import hierarchy, size
from gen3d_nerf.lookup import Arithmetic, lookup
from gen3d_nerf.plain import Plain
from kernels import DEVICES, GPU, INTERPRETED, passed_in_the_interpreter, ptx

TOLERANCE = 1e-5 if INTERPRETED else 1e-4  # relative to the largest: compiled, products and sums are rounded once
LEVELS = hierarchy(5, 3, 30, 8)
on_every_device = pytest.mark.parametrize("device", DEVICES)


@pytest.mark.skipif(INTERPRETED, reason="this is what it starts")
@pytest.mark.timeout(400)  # on a busy machine
def test_every_kernel_in_the_interpreter() -> None:
    assert passed_in_the_interpreter(__file__) >= 10


def fused(device: str, *, smooth: bool = False) -> Arithmetic:
    from gen3d_nerf.fused import Fused  # imports Triton

    return Fused.of(LEVELS, smooth, torch.device(device))


def numbers(device: str, *shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(device)


def places(count: int, device: str) -> Tensor:
    """The corners of the cube first, then points on its faces, then any."""
    inside = torch.rand(max(count, 12), 3, generator=torch.Generator().manual_seed(1))
    inside[:4, 0], inside[4:8, 1], inside[8:12, 2] = 0.0, 1.0, 1.0
    corners = torch.tensor([*product((0.0, 1.0), repeat=3)])
    return torch.cat([inside[:1], corners, inside])[:count].to(device)


def close(ours: Tensor, theirs: Tensor) -> bool:
    assert ours.shape == theirs.shape
    return bool((ours - theirs).abs().max() <= TOLERANCE * theirs.abs().max())


def derivatives(grid: Arithmetic, table: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    """Values, both gradients, and what a loss on the slope gives to the table and to the weights of the features."""
    table, x = table.clone().requires_grad_(), x.clone().requires_grad_()
    upstream = numbers(str(x.device), len(x), 2 * len(LEVELS), seed=2).requires_grad_()
    values = lookup(table, x, grid)
    first = torch.autograd.grad((values * upstream).sum(), [table, x], create_graph=True)
    of_slope = (first[1] * numbers(str(x.device), len(x), 3, seed=3)).sum()
    return values, *first, *torch.autograd.grad(of_slope, [table, upstream])


@on_every_device
@pytest.mark.parametrize(("smooth", "count"), [(False, 1), (False, 130), (True, 130)])
def test_values_and_gradients_are_those_of_plain_torch(smooth: bool, count: int, device: str) -> None:
    assert {bool(level.stride) for level in LEVELS} == {False, True}
    table, x = numbers(device, size(LEVELS), 2), places(count, device)
    ours, theirs = (derivatives(grid, table, x) for grid in (fused(device, smooth=smooth), Plain(LEVELS, smooth)))
    for one, other in zip(ours, theirs, strict=True):
        assert close(one, other)


@on_every_device
def test_no_points_at_all(device: str) -> None:
    found = derivatives(fused(device), numbers(device, size(LEVELS), 2), places(0, device))
    assert [tuple(value.shape) for value in found] == [(0, 10), (size(LEVELS), 2), (0, 3), (size(LEVELS), 2), (0, 10)]
    assert not any(value.any() for value in found)


@on_every_device
def test_gradients_come_in_every_layout(device: str) -> None:
    """A linear layer's lie point by point, and those of a sum are one number, of stride 0."""
    table, x = numbers(device, size(LEVELS), 2).requires_grad_(), places(40, device)
    matrix = numbers(device, 10, 5, seed=4)
    for work in (lambda values: (values @ matrix).square().sum(), Tensor.sum):
        ours, theirs = (
            torch.autograd.grad(work(lookup(table, x, grid)), table)[0]
            for grid in (fused(device, smooth=True), Plain(LEVELS, smooth=True))
        )
        assert close(ours, theirs)


@on_every_device
@pytest.mark.parametrize("active", [0.0, 2.25, 5.0])
def test_levels_join_as_in_plain_torch(active: float, device: str) -> None:
    results = []
    for backend in ("torch", "triton"):
        encoding = HashEncoding(5, 3, 30, 8, smooth=True).to(device)
        encoding.start(rng.generator(0, "encoding"), backend)
        assert encoding.choice.name == backend
        encoding.active = active
        x = places(40, device).requires_grad_()
        out = encoding(x)
        upstream = numbers(device, *out.shape)
        results.append((out, *torch.autograd.grad((out * upstream).sum(), [x, encoding.table])))
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert close(ours, theirs)
    assert not results[1][0][:, 2 * max(1, int(active + 0.99)) :].any()


@on_every_device
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_table_in_half_precision_is_read_as_it_is(dtype: torch.dtype, device: str) -> None:
    if dtype is torch.bfloat16 and device == "cpu":
        pytest.skip("the interpreter has no numbers of that kind")
    table, x = numbers(device, size(LEVELS), 2).to(dtype).requires_grad_(), places(40, device)
    ours = lookup(table, x, fused(device))
    theirs = lookup(table.detach().float(), x, Plain(LEVELS, smooth=False))
    assert ours.dtype == torch.float32
    assert close(ours, theirs)
    (gradient,) = torch.autograd.grad(ours.sum(), table)
    assert gradient.dtype == dtype


@on_every_device
def test_a_place_that_is_no_number_shows_and_spoils_no_other(device: str) -> None:
    table, x = numbers(device, size(LEVELS), 2).requires_grad_(), places(20, device)
    broken = x.clone()
    broken[7] = torch.nan
    grid = fused(device)
    whole, some = lookup(table, x, grid), lookup(table, broken, grid)
    others = torch.arange(20, device=device) != 7
    assert torch.equal(some[others], whole[others])
    assert not some[7].isfinite().any()
    assert not torch.autograd.grad(some.sum(), table)[0].isfinite().all()


@on_every_device
def test_double_precision_is_left_to_plain_torch(device: str) -> None:
    grid = Grid.of(3, 3, 12, 8, smooth=False)
    table, x = numbers(device, size(grid.levels), 2), places(20, device)
    features = choose("triton", grid, table).features
    assert features(table.double(), x.double(), 3.0).dtype == torch.float64


@on_every_device
def test_a_kernel_that_computes_something_else_is_not_used(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gen3d_nerf.fused import Fused

    monkeypatch.setattr(Fused, "slope", lambda self, gradient, table, where: torch.zeros_like(where))
    backends._fault_of_triton.cache_clear()
    grid = Grid.of(3, 3, 12, 8, smooth=False)
    with pytest.raises(Unavailable, match="other numbers"):
        choose("triton", grid, numbers(device, size(grid.levels), 2))
    backends._fault_of_triton.cache_clear()


@pytest.mark.skipif(INTERPRETED, reason="compiles")
@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("name", ["values", "to_table", "slope", "from_slope"])
def test_compiles_to_what_its_comments_say(
    name: str, arch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both features in one load, in one addition where cards have it; no barrier, no register in local memory."""
    pytest.importorskip("triton")
    from gen3d_nerf import fused, kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    integers = dict.fromkeys(("count", "levels", "by_point", "by_feature"), "i32")
    constants = {"SMOOTH": True, "GROUP": 4, "POINTS": fused._POINTS}
    types = {**integers, "layout": "*i32", "active": "fp32"}
    text = ptx(getattr(kernels, name), types, constants, arch, fused._WARPS)
    reads, adds = (0 if name == "to_table" else 8), (8 if name in {"to_table", "from_slope"} else 0)
    assert len(re.findall(r"ld\.global\.v2\.b32", text)) == reads
    if arch == 90:
        assert len(re.findall(r"(?:red|atom)\.global\S*\.add\S*\.v2\.f32", text)) == adds
        assert "bar.sync" not in text
    assert ".local" not in text


@pytest.mark.parametrize("device", [GPU])
def test_the_published_grid(device: str) -> None:
    levels = hierarchy(16, 16, 2048, 19)
    table, x = numbers(device, size(levels), 2).requires_grad_(), places((1 << 16) + 3, device)
    from gen3d_nerf.fused import Fused

    matrix = numbers(device, 32, 8, seed=4)
    found = []
    for grid in (Fused.of(levels, smooth=True, device=torch.device(device)), Plain(levels, smooth=True)):
        values = lookup(table, x, grid)
        found.append((values, *torch.autograd.grad((values @ matrix).square().mean(), table)))
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).norm() <= 1e-3 * theirs.norm()  # 2048 cells leave 13 bits of a cell


def test_a_triton_that_cannot_be_imported_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    for name in ("fused", "kernels"):
        monkeypatch.delitem(sys.modules, f"gen3d_nerf.{name}", raising=False)
        monkeypatch.delattr(gen3d_nerf, name, raising=False)
    monkeypatch.setenv("TRITON_INTERPRET", "1")  # so that a CPU would do
    backends._fault_of_triton.cache_clear()
    grid = Grid.of(3, 3, 12, 8, smooth=False)
    with pytest.raises(Unavailable, match="triton fails: ModuleNotFoundError") as raised:
        choose("triton", grid, torch.zeros(size(grid.levels), 2))
    assert raised.value.exit_code == 3
    backends._fault_of_triton.cache_clear()


def test_auto_takes_the_first_that_works_and_says_what_is_wrong_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends, "_fault_of_triton", lambda device: "triton has no compiler")
    monkeypatch.setitem(sys.modules, "tinycudann", None)
    grid = Grid.of(3, 3, 12, 8, smooth=False)
    with FakeTensorMode():
        table = torch.zeros(size(grid.levels), 2, device="cuda")
    choice = choose("auto", grid, table)
    assert (choice.name, choice.expected) == ("torch", False)
    assert choice.why.startswith("triton has no compiler; tinycudann")
