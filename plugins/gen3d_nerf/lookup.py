"""Lookup in a multiresolution hash table, differentiable twice, whoever does the arithmetic."""

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Arithmetic(Protocol):
    """Interpolation on the levels of a table, and what its gradients are: `Plain`, or `Fused` on CUDA.

    Places lie in the unit cube, one axis after the other: "3 points".
    """

    def values(self, table: Tensor, where: Tensor) -> Tensor:
        """Both features of every level, level after level: "points features"."""
        ...

    def to_table(self, gradient: Tensor, where: Tensor, entries: int) -> Tensor:
        """What each of so many entries receives of a gradient on the features."""
        ...

    def slope(self, gradient: Tensor, table: Tensor, where: Tensor) -> Tensor:
        """How the sum of the features, weighted with the gradient, changes with the place: "3 points"."""
        ...

    def from_slope(self, upstream: Tensor, gradient: Tensor, table: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        """What a gradient on the slope is for the weights that it was taken with, and for the table."""
        ...


def lookup(
    table: Float[Tensor, "entries 2"], places: Float[Tensor, "points 3"], grid: Arithmetic
) -> Float[Tensor, "points features"]:
    """Both features of every level, level after level, at places in the unit cube.

    Twice differentiable with respect to the table, which is what a loss on normals asks for; the second derivative with
    respect to the places is left out.
    """
    where = places.T.contiguous()
    features: Tensor = _Values.apply(table, where.detach(), grid)  # type: ignore[no-untyped-call]
    if where.requires_grad:
        features = _ByPlace.apply(features, table, where, grid)  # type: ignore[no-untyped-call]
    return features


class _Values(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, where: Tensor, grid: Arithmetic) -> Tensor:
        ctx.save_for_backward(where)
        ctx.grid, ctx.entries = grid, len(table)
        return grid.values(table, where)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.grid.to_table(gradient, ctx.saved_tensors[0], ctx.entries), None, None


class _ByPlace(torch.autograd.Function):
    """The features as they are. A function of its own: who asks for one of the two gradients does not pay for both."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, table: Tensor, where: Tensor, grid: Arithmetic) -> Tensor:
        ctx.save_for_backward(table, where)
        ctx.grid = grid
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        table, where = ctx.saved_tensors
        slope = _Slope.apply(gradient, table, where.detach(), ctx.grid)  # type: ignore[no-untyped-call]
        return gradient, None, slope, None


class _Slope(torch.autograd.Function):
    """How a weighted sum of the features changes with the place: linear in the weights, and in the table."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, table: Tensor, where: Tensor, grid: Arithmetic) -> Tensor:
        ctx.save_for_backward(gradient, table, where)
        ctx.grid = grid
        return grid.slope(gradient, table, where)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return *ctx.grid.from_slope(upstream, *ctx.saved_tensors), None, None
