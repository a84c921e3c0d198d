"""Trilinear lookup in a multiresolution hash table in plain PyTorch, without a table of weights.

The two features of an entry travel as one complex number: of all gathers and scatters that PyTorch has on a CPU, those
in one dimension are the quickest by far. The arithmetic is done on real numbers, two for each point.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d_nerf.levels import Level

_PIECE = 1 << 15  # points at a time on a CPU, so that what they touch stays in the cache


@dataclass(frozen=True)
class Plain:
    """The arithmetic of `lookup` in PyTorch, on any device and in any precision.

    Args:
        levels: that are looked at.
        smooth: interpolation with 3 f^2 - 2 f^3 in place of f, which makes the gradient continuous.
    """

    levels: Sequence[Level]
    smooth: bool

    def values(
        self, table: Float[Tensor, "entries 2"], where: Float[Tensor, "3 points"]
    ) -> Float[Tensor, "points features"]:
        """Both features of every level, level after level."""
        out = table.new_empty(where.shape[1], 2 * len(self.levels))
        for cell in self._cells(where):
            cell.write(out, _blend(cell.read(table), cell.shares))
        return out

    def to_table(
        self, gradient: Float[Tensor, "points features"], where: Float[Tensor, "3 points"], entries: int
    ) -> Float[Tensor, "entries 2"]:
        """What each of so many entries receives of a gradient on the features."""
        gradient, total = gradient.contiguous(), gradient.new_zeros(entries, 2)
        for cell in self._cells(where):
            cell.add_to(total, _spread(cell.part_of(gradient), cell.shares))
        return total

    def slope(
        self, gradient: Float[Tensor, "points features"], table: Float[Tensor, "entries 2"], where: Tensor
    ) -> Float[Tensor, "3 points"]:
        """How the sum of the features, weighted with the gradient, changes with the place."""
        gradient, out = gradient.contiguous(), torch.zeros_like(where)
        for cell in self._cells(where):
            values, upstream = cell.read(table), cell.part_of(gradient)
            for axis, slope in enumerate(cell.slopes):
                change = _blend(values, cell.shares, axis).mul_(upstream).mul_(slope)
                out[axis, cell.rows] += change.view(-1, 2).sum(1)
        return out

    def from_slope(
        self, upstream: Tensor, gradient: Tensor, table: Float[Tensor, "entries 2"], where: Float[Tensor, "3 points"]
    ) -> tuple[Float[Tensor, "points features"], Float[Tensor, "entries 2"]]:
        """What a gradient on the slope is for the weights that it was taken with, and for the table."""
        gradient = gradient.contiguous()
        to_gradient, to_table = torch.zeros_like(gradient), torch.zeros_like(table)
        for cell in self._cells(where):
            values, weights = cell.read(table), cell.part_of(gradient)
            total, *parts = (torch.zeros_like(weights) for _ in range(1 + len(values)))
            for axis, slope in enumerate(cell.slopes):
                change = upstream[axis, cell.rows].repeat_interleave(2) * slope
                total += change * _blend(values, cell.shares, axis)
                spread = _spread(change.mul_(weights), cell.shares, axis)
                parts = [part.add_(more) for part, more in zip(parts, spread, strict=True)]
            cell.write(to_gradient, total)
            cell.add_to(to_table, parts)
        return to_gradient, to_table

    def _cells(self, where: Float[Tensor, "3 points"]) -> Iterator["_Cell"]:
        """Every level of every piece of the points."""
        count = where.shape[1]
        piece = _PIECE if where.device.type == "cpu" else max(count, 1)
        half = where.new_full((), 0.5)
        for start in range(0, count, piece):
            rows = slice(start, min(start + piece, count))
            twice = where[:, rows].repeat_interleave(2, dim=1)
            for number, level in enumerate(self.levels):
                shares = torch.add(half, twice, alpha=level.scale)
                whole = shares.floor()
                corners = level.corners(whole[:, ::2].long())
                shares, slopes = (
                    _eased(shares.sub_(whole), level.scale) if self.smooth else (shares.sub_(whole), [level.scale] * 3)
                )
                yield _Cell(rows, number, level, corners, shares, slopes)


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
