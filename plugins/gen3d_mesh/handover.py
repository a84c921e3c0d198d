"""From the density of a field to signed distances in a lattice around the object."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from gen3d.density_grid import sample_density
from gen3d.errors import Degenerate
from gen3d.representation import RadianceField
from gen3d.threshold import automatic_threshold

MARGIN = 0.1
"""Room on each side of the object, as a share of its longest side (threestudio has as much): no cell is a splinter."""

FLOATER = 0.01
"""Share of the whole volume below which a loose piece is dropped."""

FAR = 2.0
"""Cells to which distances are clamped: the longest edge, a diagonal, is shorter, so that all it crosses is linear."""

FLATTEST = 1e-6
"""Least slope that is divided by, per cell."""

ROUNDS = 4
"""Of looking up where a place in a lattice was before its nodes moved: few, since neighbours move much alike."""

CHUNK = 1 << 18
"""Points in one query of a field: bounds the memory."""


@torch.no_grad()
def occupied_box(field: RadianceField, resolution: int, threshold: float | None) -> tuple[Float[Tensor, "2 3"], float]:
    """The corners of a box around what is denser than the threshold, with some room, and that threshold.

    Args:
        field: the object.
        resolution: cells along the longest side of the field's box in which it is looked at.
        threshold: density of the surface, per unit of length; None finds the one that cameras see.

    Raises:
        Degenerate: there is no surface at this threshold, or at any.
    """
    grid = sample_density(field, resolution)
    level = automatic_threshold(grid) if threshold is None else threshold
    solid = grid.density > level
    if not solid.any():
        raise Degenerate(
            f"the object is empty: the surface threshold is {level:.3g} and the density never exceeds "
            f"{grid.density.max():.3g}",
            remedy="lower representation.threshold or leave it out, or optimise the stage before for longer",
        )
    used = np.argwhere(whole(solid))
    low, high = grid.origin + grid.spacing * (used.min(0) - 1), grid.origin + grid.spacing * (used.max(0) + 1)
    room = MARGIN * (high - low).max()
    return torch.from_numpy(np.stack([low - room, high + room])).to(field.box), level


@torch.no_grad()
def signed_distances(field: RadianceField, nodes: Float[Tensor, "x y z 3"], threshold: float) -> Float[Tensor, "x y z"]:
    """Signed distance to {density = threshold} at nodes of a lattice, in cells, clamped to 2; negative inside.

    A density has no scale of its own: what it is divided by, the slope of d / (d + threshold), makes a distance of it
    to first order (Taubin 1991, section 3.1). The published codes clamp density - threshold, in which a steep field
    turns into steps. It is blurred by half of the field's own detail, as for export: the noise of its cells would tear
    what is faint. Loose crumbs are left out, and cavities filled: nobody sees them, and nothing would change them.
    """
    points = nodes.view(-1, 3)
    density = torch.cat([field.density(part).float() for part in points.split(CHUNK)]).view(nodes.shape[:3])
    cell = (nodes[1:, 0, 0] - nodes[:-1, 0, 0]).norm(dim=-1).mean().item()
    level = _blurred(0.5 - density / (density + threshold), 0.5 * field.voxel_size / cell)
    slope = torch.stack(torch.gradient(level)).norm(dim=0).clamp_min(FLATTEST)
    distances = (level / slope).clamp(-FAR, FAR)
    inside = (distances < 0).cpu().numpy()
    solid = whole(inside)
    changed, sign = (
        torch.from_numpy(values).to(distances.device) for values in (solid != inside, FAR * (1.0 - 2.0 * solid))
    )
    return torch.where(changed, sign.to(distances.dtype), distances)


def _blurred(values: Float[Tensor, "x y z"], cells: float) -> Float[Tensor, "x y z"]:
    """By a Gaussian of so many cells."""
    blurred = ndimage.gaussian_filter(values.cpu().numpy(), cells, mode="nearest", truncate=3)
    return torch.from_numpy(blurred).to(values)


@torch.no_grad()
def resampled(
    distances: Float[Tensor, "x y z"], moved: Float[Tensor, "x y z 3"], side: int
) -> Float[Tensor, "side side side"]:
    """Signed distances on a lattice of `side` nodes along each axis in the same box, whose nodes have not moved.

    The old lattice has s at p + d(p), so that s at q is that of the p for which p + d(p) = q, found in a few rounds.

    Args:
        distances: at the nodes of the old lattice, in its cells.
        moved: d, by how much these nodes have moved, in its cells.
    """
    cells = len(distances) - 1
    volume = torch.cat([distances[None], moved.permute(3, 0, 1, 2)])[None]
    axis = torch.linspace(0, cells, side, device=distances.device)
    wanted = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)

    def at(places: Float[Tensor, "x y z 3"]) -> Float[Tensor, "4 x y z"]:
        reversed_axes = (2 * places / cells - 1).flip(-1)[None]
        found = torch.nn.functional.grid_sample(volume, reversed_axes, padding_mode="border", align_corners=True)
        return found[0]

    places = wanted
    for _ in range(ROUNDS):
        places = wanted - at(places)[1:].permute(1, 2, 3, 0)
    return (at(places)[0] * ((side - 1) / cells)).clamp(-FAR, FAR)


def whole(inside: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """A solid without its crumbs and cavities."""
    pieces, _ = ndimage.label(inside)
    volume = np.bincount(pieces.ravel())
    volume[0] = 0
    kept = volume >= FLOATER * volume.sum()
    kept[0] = False
    filled: Bool[np.ndarray, "x y z"] = ndimage.binary_fill_holes(kept[pieces])
    return filled
