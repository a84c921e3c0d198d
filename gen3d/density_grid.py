"""Density of a radiance field on a regular grid."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

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
    lower, upper = field.box.detach().cpu().double().numpy()
    spacing = float((upper - lower).max()) / resolution
    nodes = np.ceil((upper - lower) / spacing - 1e-6).astype(int) + 1
    device = field.box.device
    x, y, z = (
        torch.arange(n, dtype=torch.float32, device=device) * spacing + float(low)
        for n, low in zip(nodes, lower, strict=True)
    )
    slab = max(1, CHUNK // (len(y) * len(z)))
    slabs = []
    for part in x.split(slab):
        points = torch.stack(torch.meshgrid(part, y, z, indexing="ij"), dim=-1)
        slabs.append(field.density(points.reshape(-1, 3)).reshape(points.shape[:3]).float().cpu())
    density = torch.cat(slabs).numpy()
    if not np.isfinite(density).all():
        share = 1 - np.isfinite(density).mean()
        raise Degenerate(
            f"the density is not finite at {share:.1%} of the sampled points",
            remedy="the optimisation diverged: lower optimizer.lr or the guidance's weight and run again",
        )
    return Grid(np.pad(density, 1), lower - spacing, spacing, float(field.voxel_size))
