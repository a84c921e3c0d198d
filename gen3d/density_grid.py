"""Density of a radiance field on a regular grid."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.errors import Degenerate
from gen3d.representation import RadianceField

CHUNK = 1 << 19
"""Points in one query of a field: bounds the memory of any field."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Samples of the density at grid nodes, one layer of empty nodes around the field's box.

    Args:
        density: extinction per unit of length.
        origin: position of node (0, 0, 0), in the world.
        spacing: distance of neighbouring nodes, world units.
        detail: edge of the field's finest detail, world units.
    """

    density: Float[np.ndarray, "x y z"]
    origin: Float[np.ndarray, "3"]
    spacing: float
    detail: float


@torch.no_grad()
def sample_density(field: RadianceField, resolution: int) -> Grid:
    """Sample the field's box at `resolution` cells along its longest side.

    The empty layer closes the surface of what touches the box. Raises Degenerate where the density is not finite.
    """
    lattice = Lattice.of(field, resolution)
    x, y, z = lattice.axes
    slabs = []
    for part in x.split(max(1, CHUNK // (len(y) * len(z)))):
        points = torch.stack(torch.meshgrid(part, y, z, indexing="ij"), dim=-1)
        slabs.append(field.density(points.reshape(-1, 3)).reshape(points.shape[:3]).float().cpu())
    return lattice.grid(finite(torch.cat(slabs).numpy()), field)


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where the nodes of a grid over a field's box are.

    Args:
        axes: coordinates of the nodes along x, y and z, on the field's device.
        lower: corner of the box.
        spacing: distance of neighbouring nodes.
    """

    axes: tuple[Tensor, Tensor, Tensor]
    lower: Float[np.ndarray, "3"]
    spacing: float

    @classmethod
    def of(cls, field: RadianceField, resolution: int, multiple: int = 1) -> "Lattice":
        """`resolution` cells along the longest side, and along each a multiple of a number, if beyond the box."""
        lower, upper = field.box.detach().cpu().double().numpy()
        spacing = float((upper - lower).max()) / resolution
        cells = np.ceil(np.ceil((upper - lower) / spacing - 1e-6) / multiple).astype(int) * multiple
        x, y, z = (
            torch.arange(n + 1, dtype=torch.float32, device=field.box.device) * spacing + float(low)
            for n, low in zip(cells, lower, strict=True)
        )
        return cls((x, y, z), lower, spacing)

    def grid(self, density: Float[np.ndarray, "x y z"], field: RadianceField) -> Grid:
        """Values at the nodes, within an empty layer."""
        return Grid(np.pad(density, 1), self.lower - self.spacing, self.spacing, float(field.voxel_size))


def finite(density: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The density itself. Raises Degenerate where it is not finite."""
    if not np.isfinite(density).all():
        share = 1 - np.isfinite(density).mean()
        raise Degenerate(
            f"the density is not finite at {share:.1%} of the sampled points",
            remedy="the optimisation diverged: lower optimizer.lr or the guidance's weight and run again",
        )
    return density
