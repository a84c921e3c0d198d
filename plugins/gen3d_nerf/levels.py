"""Where the levels of a multiresolution hash table lie, and which of its entries belong to which corner."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from operator import add, xor

import torch
from jaxtyping import Int
from torch import Tensor

_PRIMES = (1, 2654435761, 805459861)


@dataclass(frozen=True)
class Level:
    """One grid of the hierarchy: a point x of the unit cube lies at x * scale + 0.5, between integer corners.

    Args:
        scale: cells along a side of the cube.
        stride: corners along a side where each has an entry of its own; 0: they are hashed.
        entries: how many there are, a power of two where corners are hashed.
        first: the first of them in the table.
    """

    scale: float
    stride: int
    entries: int
    first: int

    def corners(self, cells: Int[Tensor, "3 points"]) -> list[Int[Tensor, " points"]]:
        """Entry of each corner of the cells, counted from the first, in the order of binary xyz.

        Beyond the last corner of a dense level the count runs on into the next row, as in tiny-cuda-nn.
        """
        factors = (1, self.stride, self.stride**2) if self.stride else _PRIMES
        lows = [cell * factor for cell, factor in zip(cells, factors, strict=True)]
        ends = [(low, low + factor) for low, factor in zip(lows, factors, strict=True)]
        if not self.stride:  # only the last bits count: cut them first, so that there are six to cut and not eight
            ends = [(low & self.entries - 1, high & self.entries - 1) for low, high in ends]
            return _combined(ends, xor)
        return [torch.where(index < self.entries, index, index - self.entries) for index in _combined(ends, add)]


def hierarchy(count: int, coarsest: int, finest: int, table_log2: int) -> list[Level]:
    """Levels whose resolutions grow geometrically, with the sizes and rounding of tiny-cuda-nn.

    A level has an entry a corner while 2^table_log2 suffice (Müller et al. 2022, Instant Neural Graphics Primitives,
    sections 3 and 4, equations 2 to 4; the published code).
    """
    growth = (finest / coarsest) ** (1 / max(count - 1, 1))
    levels: list[Level] = []
    for number in range(count):
        scale = torch.tensor(coarsest * growth**number - 1, dtype=torch.float32)  # its rounding decides what is whole
        side = int(scale.ceil()) + 1
        entries = min(-(-(side**3) // 8) * 8, 1 << table_log2)
        first = levels[-1].first + levels[-1].entries if levels else 0
        levels.append(Level(float(scale), side if side**3 <= entries else 0, entries, first))
    return levels


def size(levels: Sequence[Level]) -> int:
    """Entries of all levels."""
    return levels[-1].first + levels[-1].entries


def _combined(ends: list[tuple[Tensor, Tensor]], how: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
    x, y, z = ends
    return [how(plane, last) for plane in [how(*edge) for edge in product(x, y)] for last in z]
