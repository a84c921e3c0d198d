"""Trilinear lookup in channel-planar grids that carry a halo of zeros, faster on a CPU than `grid_sample`.

One-dimensional gathers and scatters of one channel are the quickest indexed operations that PyTorch has on a CPU, and
the eight corners of a cell need no index arithmetic of their own: each is the same index into a shifted view.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

_PIECE = 1 << 16  # points at a time on a CPU


class Corners(NamedTuple):
    """Where points lie between voxel centres.

    Args:
        base: flat index of the corner with the lowest coordinates, in a grid with its halo.
        x: share of the way to the corner after it, along the first axis.
        y: the same along the second.
        z: the same along the third.
    """

    base: Int[Tensor, " points"]
    x: Float[Tensor, " points"]
    y: Float[Tensor, " points"]
    z: Float[Tensor, " points"]


def corners(places: Float[Tensor, "3 points"], resolution: int) -> Corners:
    """The corners around places counted in voxels from the centre of the halo: voxel i has its centre at i + 1.

    Places further out are moved into the halo, where every value is 0.
    """
    lower = places.clamp(0, resolution + 1)
    whole = lower.floor().clamp_(max=resolution)
    side = resolution + 2
    x, y, z = whole.long().unbind(0)
    return Corners(z.add(y, alpha=side).add_(x, alpha=side * side), *lower.sub_(whole).unbind(0))


def lookup(grid: Float[Tensor, "channels side side side"], where: Corners) -> Float[Tensor, "channels points"]:
    """Interpolated values; the gradient with respect to the grid leaves its halo at 0."""
    values: Tensor = _Lookup.apply(grid, *where)  # type: ignore[no-untyped-call]
    return values


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, grid: Tensor, base: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        ctx.save_for_backward(base, x, y, z)
        ctx.shape = grid.shape
        out = grid.new_empty(len(grid), len(base))
        channels = [_shifted(channel, grid.shape[-1]) for channel in grid.flatten(1)]
        for values, *where in _pieces(out, base, x, y, z):
            for views, value in zip(channels, values, strict=True):
                _interpolate(views, Corners(*where), value)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        total = gradient.new_zeros(ctx.shape)
        channels = [_shifted(channel, ctx.shape[-1]) for channel in total.flatten(1)]
        for upstream, base, *shares in _pieces(gradient, *ctx.saved_tensors):
            for views, value in zip(channels, upstream, strict=True):
                for view, part in zip(views, _spread(value, shares), strict=True):
                    view.scatter_add_(0, base, part)
        for axis in (1, 2, 3):
            total.select(axis, 0).zero_()
            total.select(axis, -1).zero_()
        return total, None, None, None, None


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The tensors cut along points on a CPU, so that what a piece touches stays in the cache."""
    piece = _PIECE if tensors[0].device.type == "cpu" else max(tensors[0].shape[-1], 1)
    return zip(*(torch.split(tensor, piece, dim=-1) for tensor in tensors), strict=True)


def _interpolate(views: list[Tensor], where: Corners, out: Tensor) -> None:
    at = [view.index_select(0, where.base) for view in views]
    edges = [torch.lerp(at[i], at[i + 1], where.z) for i in range(0, 8, 2)]
    torch.lerp(torch.lerp(edges[0], edges[1], where.y), torch.lerp(edges[2], edges[3], where.y), where.x, out=out)


def _shifted(channel: Tensor, side: int) -> list[Tensor]:
    """One view a corner, in the order of binary xyz, such that the same flat index reads that corner."""
    return [channel[(x * side + y) * side + z :] for x, y, z in product((0, 1), repeat=3)]


def _spread(upstream: Tensor, shares: list[Tensor]) -> list[Tensor]:
    """What each corner receives, in the order of `_shifted`."""
    parts = [upstream]
    for share in shares:
        upper = [part * share for part in parts]
        parts = [half for part, up in zip(parts, upper, strict=True) for half in (part - up, up)]
    return parts
