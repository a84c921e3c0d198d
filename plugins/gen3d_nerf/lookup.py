"""Trilinear lookup in a multiresolution hash table, forward and backward, without a table of weights.

The two features of an entry travel as one complex number: of all gathers and scatters that PyTorch has on a CPU, those
in one dimension are the quickest by far. The arithmetic is done on real numbers, two for each point.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d_nerf.levels import Level

_PIECE = 1 << 15  # points at a time on a CPU, so that what they touch stays in the cache


def lookup(
    table: Float[Tensor, "entries 2"], places: Float[Tensor, "points 3"], levels: Sequence[Level], smooth: bool
) -> Float[Tensor, "points features"]:
    """Both features of every level, level after level, at places in the unit cube.

    Twice differentiable with respect to the table, which is what a loss on normals asks for; the second derivative with
    respect to the places is left out.

    Args:
        smooth: interpolation with 3 f^2 - 2 f^3 in place of f, which makes the gradient continuous.
    """
    where = places.T.contiguous()
    features: Tensor = _Values.apply(table, where.detach(), levels, smooth)  # type: ignore[no-untyped-call]
    if where.requires_grad:
        features = _ByPlace.apply(features, table, where, levels, smooth)  # type: ignore[no-untyped-call]
    return features


class _Cell(NamedTuple):
    """What a piece of points meets on one level.

    Args:
        rows: the piece.
        number: of the level.
        level: the level itself.
        corners: entries around each point, within the level.
        shares: of the way to the upper corner along each axis, twice for each point.
        slopes: how fast the shares change with the place, or a number where that is everywhere the same.
    """

    rows: slice
    number: int
    level: Level
    corners: list[Int[Tensor, " points"]]
    shares: Float[Tensor, "3 twice_points"]
    slopes: Float[Tensor, "3 twice_points"] | list[float]

    def read(self, table: Float[Tensor, "entries 2"]) -> list[Float[Tensor, " twice_points"]]:
        """Both features at each corner."""
        entries = self._entries(table)
        return [torch.view_as_real(entries.index_select(0, corner)).flatten() for corner in self.corners]

    def add_to(self, table: Float[Tensor, "entries 2"], parts: list[Float[Tensor, " twice_points"]]) -> None:
        """Add to both features at each corner."""
        entries = self._entries(table)
        for corner, part in zip(self.corners, parts, strict=True):
            entries.scatter_add_(0, corner, torch.view_as_complex(part.view(-1, 2)))

    def part_of(self, features: Float[Tensor, "points features"]) -> Float[Tensor, " twice_points"]:
        """What belongs to this level and these points, point after point."""
        return torch.view_as_real(_pairs(features)[self.rows, self.number].contiguous()).flatten()

    def write(self, features: Float[Tensor, "points features"], values: Float[Tensor, " twice_points"]) -> None:
        """Put there what belongs to this level and these points."""
        _pairs(features)[self.rows, self.number] = torch.view_as_complex(values.view(-1, 2))

    def _entries(self, table: Tensor) -> Tensor:
        return torch.view_as_complex(table).narrow(0, self.level.first, self.level.entries)


class _Values(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, where: Tensor, levels: Sequence[Level], smooth: bool) -> Tensor:
        ctx.save_for_backward(where)
        ctx.shape, ctx.levels, ctx.smooth = table.shape, levels, smooth
        out = table.new_empty(where.shape[1], 2 * len(levels))
        for cell in _cells(where, levels, smooth):
            cell.write(out, _blend(cell.read(table), cell.shares))
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradient, total = gradient.contiguous(), gradient.new_zeros(ctx.shape)
        for cell in _cells(ctx.saved_tensors[0], ctx.levels, ctx.smooth):
            cell.add_to(total, _spread(cell.part_of(gradient), cell.shares))
        return total, None, None, None


class _ByPlace(torch.autograd.Function):
    """The features as they are. A function of its own: who asks for one of the two gradients does not pay for both."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, table: Tensor, where: Tensor, levels: Sequence[Level], smooth: bool
    ) -> Tensor:
        ctx.save_for_backward(table, where)
        ctx.levels, ctx.smooth = levels, smooth
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        table, where = ctx.saved_tensors
        slope = _Slope.apply(gradient, table, where.detach(), ctx.levels, ctx.smooth)  # type: ignore[no-untyped-call]
        return gradient, None, slope, None, None


class _Slope(torch.autograd.Function):
    """How a weighted sum of the features changes with the place: linear in the weights, and in the table."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, table: Tensor, where: Tensor, levels: Sequence[Level], smooth: bool
    ) -> Tensor:
        gradient, out = gradient.contiguous(), torch.zeros_like(where)
        ctx.save_for_backward(gradient, table, where)
        ctx.levels, ctx.smooth = levels, smooth
        for cell in _cells(where, levels, smooth):
            values, upstream = cell.read(table), cell.part_of(gradient)
            for axis, slope in enumerate(cell.slopes):
                change = _blend(values, cell.shares, axis).mul_(upstream).mul_(slope)
                out[axis, cell.rows] += change.view(-1, 2).sum(1)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradient, table, where = ctx.saved_tensors
        to_gradient, to_table = torch.zeros_like(gradient), torch.zeros_like(table)
        for cell in _cells(where, ctx.levels, ctx.smooth):
            values, weights = cell.read(table), cell.part_of(gradient)
            total, *parts = (torch.zeros_like(weights) for _ in range(1 + len(values)))
            for axis, slope in enumerate(cell.slopes):
                change = upstream[axis, cell.rows].repeat_interleave(2) * slope
                total += change * _blend(values, cell.shares, axis)
                spread = _spread(change.mul_(weights), cell.shares, axis)
                parts = [part.add_(more) for part, more in zip(parts, spread, strict=True)]
            cell.write(to_gradient, total)
            cell.add_to(to_table, parts)
        return to_gradient, to_table, None, None, None


def _cells(where: Float[Tensor, "3 points"], levels: Sequence[Level], smooth: bool) -> Iterator[_Cell]:
    """Every level of every piece of the points."""
    count = where.shape[1]
    piece = _PIECE if where.device.type == "cpu" else max(count, 1)
    half = where.new_tensor(0.5)
    for start in range(0, count, piece):
        rows = slice(start, min(start + piece, count))
        twice = where[:, rows].repeat_interleave(2, dim=1)
        for number, level in enumerate(levels):
            shares = torch.add(half, twice, alpha=level.scale)
            whole = shares.floor()
            corners = level.corners(whole[:, ::2].long())
            shares, slopes = (
                _eased(shares.sub_(whole), level.scale) if smooth else (shares.sub_(whole), [level.scale] * 3)
            )
            yield _Cell(rows, number, level, corners, shares, slopes)


def _pairs(features: Float[Tensor, "points features"]) -> Tensor:
    """A level's two features as one complex number: a view."""
    return torch.view_as_complex(features.view(len(features), -1, 2))


def _eased(shares: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """3 f^2 - 2 f^3 and its slope."""
    return shares.square().mul_(3 - 2 * shares), shares.mul(1 - shares).mul_(6 * scale)


def _blend(values: list[Tensor], shares: Tensor, along: int | None = None) -> Tensor:
    """Interpolated between corners in the order of binary xyz; along one axis the difference, where that is asked."""
    for axis, share in enumerate(shares):
        ends = zip(values[: len(values) // 2], values[len(values) // 2 :], strict=True)
        values = [upper - lower if axis == along else torch.lerp(lower, upper, share) for lower, upper in ends]
    return values[0]


def _spread(upstream: Tensor, shares: Tensor, along: int | None = None) -> list[Tensor]:
    """What each corner receives: the transpose of `_blend`."""
    parts = [upstream]
    for axis, share in enumerate(shares):
        if axis == along:
            parts = [half for part in parts for half in (-part, part)]
        else:
            upper = [part * share for part in parts]
            parts = [half for part, up in zip(parts, upper, strict=True) for half in (part - up, up)]
    return parts
