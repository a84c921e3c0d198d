"""Lookup in the hash table, against an obvious implementation and against numbers of published codes."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import gen3d_nerf.plain
from gen3d_nerf.levels import Level, hierarchy, size
from gen3d_nerf.lookup import lookup as look_up
from gen3d_nerf.plain import Plain

GOLDEN = Path(__file__).parents[1] / "golden" / "sds_vsd"


def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}


def close(ours: Tensor, theirs: Tensor, tolerance: float) -> bool:
    return bool((ours - theirs).abs().max() <= tolerance * theirs.abs().max())


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def places(count: int) -> Tensor:
    """Some of them on corners of the cube."""
    inside = torch.rand(count, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.cat([torch.tensor([*product((0.0, 1.0), repeat=3)], dtype=torch.float64), inside])


def lookup(table: Tensor, x: Tensor, levels: list[Level], smooth: bool) -> Tensor:
    return look_up(table, x, Plain(levels, smooth))


def obvious(table: Tensor, x: Tensor, levels: list[Level], smooth: bool) -> Tensor:
    out = []
    for level in levels:
        at = x * level.scale + 0.5
        cell = at.detach().floor().long()
        share = at - cell
        share = share * share * (3 - 2 * share) if smooth else share
        total = torch.zeros(len(x), 2, dtype=x.dtype)
        for corner in product((0, 1), repeat=3):
            i, j, k = (cell + torch.tensor(corner)).unbind(1)
            dense = i + j * level.stride + k * level.stride**2
            index = dense if level.stride else i ^ (j * 2654435761) ^ (k * 805459861)
            weight = torch.where(torch.tensor(corner) == 1, share, 1 - share).prod(1)
            total = total + weight[:, None] * table[level.first + index % level.entries]
        out.append(total)
    return torch.cat(out, dim=1)


@pytest.mark.parametrize("smooth", [False, True])
def test_values_and_gradients_are_the_obvious_ones(smooth: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gen3d_nerf.plain, "_PIECE", 40)
    levels = hierarchy(5, 3, 30, 8)
    assert {bool(level.stride) for level in levels} == {False, True}
    table, x = numbers(size(levels), 2).requires_grad_(), places(100).requires_grad_()
    upstream = numbers(108, 10, seed=2)
    ours, theirs = (look(table, x, levels, smooth) for look in (lookup, obvious))
    torch.testing.assert_close(ours, theirs)
    found = [torch.autograd.grad((values * upstream).sum(), [table, x]) for values in (ours, theirs)]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("smooth", [False, True])
def test_gradients_of_a_slope_are_the_obvious_ones(smooth: bool) -> None:
    levels = hierarchy(3, 3, 12, 8)
    table, x, upstream = (value.requires_grad_() for value in (numbers(size(levels), 2), places(20), numbers(28, 6)))

    def of_slope(values: Tensor) -> tuple[Tensor, ...]:
        (slope,) = torch.autograd.grad((values * upstream).sum(), x, create_graph=True)
        return torch.autograd.grad((slope * numbers(28, 3, seed=3)).sum(), [table, upstream])

    for one, other in zip(*(of_slope(look(table, x, levels, smooth)) for look in (lookup, obvious)), strict=True):
        torch.testing.assert_close(one, other)


def test_single_precision_and_no_points_at_all() -> None:
    levels = hierarchy(16, 16, 2048, 10)
    table, x = numbers(size(levels), 2), places(200)
    single = lookup(table.float(), x.float(), levels, smooth=False)
    assert single.dtype == torch.float32
    assert close(single.double(), lookup(table, x, levels, smooth=False), 1e-3)  # 2048 cells leave 13 bits of a cell
    assert lookup(table, x[:0], levels, smooth=False).shape == (0, 32)


@pytest.mark.parametrize("smooth", [False, True])
def test_the_kernel_of_prolificdreamer(smooth: bool) -> None:
    theirs = {key.removeprefix("B_half_"): value for key, value in golden("hashgrid_ngp_half").items()}
    first = theirs["offsets"].tolist()
    levels = []
    for number, resolution in enumerate(theirs["resolutions"].tolist()):
        entries, stride = first[number + 1] - first[number], resolution + 1
        dense = stride if stride**3 <= entries else 0
        levels.append(Level(float(theirs["scales"][number]), dense, entries, first[number]))
    assert {bool(level.stride) for level in levels} == {False, True}
    inside = torch.arange(len(theirs["x"])) != 3
    table, x = theirs["table"].requires_grad_(), theirs["x"][inside].double().requires_grad_()
    kind = "smoothstep" if smooth else "linear"
    out = lookup(table, x, levels, smooth)
    assert close(out, theirs[f"{kind}_out"][inside], 1e-5)
    by_table, by_x = torch.autograd.grad((out * theirs["cotangent"][inside]).sum(), [table, x])
    assert close(by_table, theirs[f"{kind}_grad_table"], 1e-5)
    assert close(by_x, theirs[f"{kind}_grad_x"][inside], 1e-5)


def test_the_torch_encoding_of_nerfstudio() -> None:
    theirs = {key.removeprefix("A_"): value for key, value in golden("hashgrid").items()}
    entries, table = 1 << int(theirs["log2_hashmap_size"]), theirs["table"].requires_grad_()
    by_table, by_x = torch.zeros_like(table), torch.zeros_like(theirs["x"])
    for number, scale in enumerate(theirs["scalings"].double().tolist()):
        x = (theirs["x"] - 0.5 / scale).requires_grad_()  # they have no half cell
        out = lookup(table, x, [Level(scale, 0, entries, number * entries)], smooth=False)
        columns = slice(2 * number, 2 * number + 2)
        assert close(out, theirs["out"][:, columns], 1e-12)
        more = torch.autograd.grad((out * theirs["cotangent"][:, columns]).sum(), [table, x])
        by_table, by_x = by_table + more[0], by_x + more[1]
    assert close(by_table, theirs["grad_table"], 1e-12)
    assert close(by_x[4:], theirs["grad_x"][4:], 1e-12)  # the first four lie on corners, where there is no derivative


@pytest.mark.parametrize(
    ("name", "of"), [("A", (4, 4, 32, 9)), ("B", (6, 16, 512, 10)), ("ts_default", (16, 16, 4096, 19))]
)
def test_levels_are_laid_out_as_in_tinycudann(name: str, of: tuple[int, int, int, int]) -> None:
    ours = hierarchy(*of)
    for level, (scale, resolution, entries, first, hashed) in zip(
        ours, golden("hashgrid")[f"tcnn_layout_{name}"].tolist(), strict=True
    ):
        assert level.scale == pytest.approx(scale, rel=1e-6)
        assert (level.entries, level.first) == (entries, first)
        assert level.stride == (0 if hashed else resolution)


def test_one_level_is_a_hierarchy_too() -> None:
    (level,) = hierarchy(1, 16, 2048, 19)
    assert (level.scale, level.stride, level.entries) == (15.0, 16, 4096)
