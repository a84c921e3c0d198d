"""The multiresolution hash encoding: one table, and whoever is quickest at looking up in it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_nerf.backends import Backend, Choice, Grid, choose
from gen3d_nerf.levels import size

_START = 1e-4  # entries start uniform in plus and minus this (Müller et al. 2022, section 4)


class HashEncoding(nn.Module):
    """Features of places in the unit cube (Müller et al. 2022, Instant Neural Graphics Primitives).

    Args:
        count: levels, with two features each.
        coarsest: cells along a side of the first.
        finest: cells along a side of the last.
        table_log2: binary logarithm of the most entries that a level has.
        smooth: smoothstep interpolation.
    """

    def __init__(self, count: int, coarsest: int, finest: int, table_log2: int, smooth: bool) -> None:
        super().__init__()
        self.grid = Grid.of(count, coarsest, finest, table_log2, smooth)
        self.levels, self.smooth = self.grid.levels, smooth
        self.table = nn.Parameter(torch.zeros(size(self.levels), 2))
        self.active = float(count)
        self.choice: Choice = choose("torch", self.grid, self.table)

    @property
    def width(self) -> int:
        """Number of features."""
        return 2 * len(self.levels)

    @torch.no_grad()
    def start(self, stream: torch.Generator, backend: Backend) -> None:
        """Fill the table, and choose what looks up. Raises Unavailable where that is not here."""
        noise = torch.rand(self.table.shape, generator=stream)
        self.table.copy_((2 * noise - 1) * _START)
        self.choice = choose(backend, self.grid, self.table)

    def forward(self, places: Float[Tensor, "points 3"]) -> Float[Tensor, "points features"]:
        """Level after level; those above `active` are 0, and a fraction of a level counts by that much."""
        active = min(max(self.active, 1.0), float(len(self.levels)))
        return self.choice.features(self.table, places, active)
