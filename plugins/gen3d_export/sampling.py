"""The density of a field on a fine grid, asked for only where its surface is."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage

from gen3d.density_grid import CHUNK, Grid, Lattice, finite, sample_density
from gen3d.errors import Degenerate
from gen3d.representation import RadianceField
from gen3d.threshold import automatic_threshold

STRIDES = {128: 4, 64: 2}
"""Fine cells to a coarse one, by the least resolution: the coarse grid has 32 cells or more."""

FAINT = 0.25
"""Share of the threshold that is looked at too: it goes round what is thinner than a coarse cell."""

ROUNDS = 64
"""Of following the surface, a coarse cell or more a round."""


def sample_surface(field: RadianceField, resolution: int, threshold: float | None = None) -> tuple[Grid, float]:
    """The field's density, as `sample_density` gives it wherever the surface is, and the surface's threshold.

    A coarse grid of the same nodes finds the cells that the surface crosses. Those, and all around them, are sampled
    finely, and where the fine surface leaves them, the next ones too: whatever hangs together with what the coarse
    grid meets is found. Elsewhere the density is interpolated.

    Args:
        threshold: density of the surface, per unit of length; None finds the one that cameras see.

    Raises:
        Degenerate: the density is not finite, or no threshold gives a surface.
    """
    stride = next((stride for least, stride in STRIDES.items() if resolution >= least), 1)
    if stride > 1:
        try:
            return _sparsely(field, resolution, stride, threshold)
        except Degenerate:
            pass  # perhaps an object that only the fine grid meets
    grid = sample_density(field, resolution)
    return grid, automatic_threshold(grid) if threshold is None else threshold


def _sparsely(field: RadianceField, resolution: int, stride: int, threshold: float | None) -> tuple[Grid, float]:
    lattice = Lattice.of(field, resolution, stride)
    coarse = Lattice(
        (lattice.axes[0][::stride], lattice.axes[1][::stride], lattice.axes[2][::stride]),
        lattice.lower,
        stride * lattice.spacing,
    )
    known = np.zeros([len(axis) for axis in lattice.axes], dtype=bool)
    known[::stride, ::stride, ::stride] = True
    values = _ask(field, lattice, known).reshape([len(axis) for axis in coarse.axes])
    level = automatic_threshold(coarse.grid(values, field)) if threshold is None else threshold
    density = _interpolated(values, stride)
    margin = max(1, math.ceil(1.5 * float(field.voxel_size) / coarse.spacing))  # as far as the surface's blur reaches
    done = np.zeros([len(axis) - 1 for axis in coarse.axes], dtype=bool)
    settled = threshold is not None
    for _ in range(ROUNDS):
        cells = _crossed(density, level, stride, margin) & ~done
        if settled and not cells.any():
            break
        nodes = _corners(cells, stride) & ~known
        density[nodes] = _ask(field, lattice, nodes)
        known |= nodes
        done |= cells
        if not settled:
            level, settled = automatic_threshold(lattice.grid(density, field)), True
    if not done.any():
        raise Degenerate("the coarse grid meets no surface")
    return lattice.grid(density, field), level


@torch.no_grad()
def _ask(field: RadianceField, lattice: Lattice, nodes: Bool[np.ndarray, "x y z"]) -> Float[np.ndarray, " nodes"]:
    """Densities at some nodes, in their order."""
    found = []
    for part in np.array_split(np.flatnonzero(nodes), nodes.sum() // CHUNK + 1):
        places = [
            torch.from_numpy(index).to(axis.device)
            for index, axis in zip(np.unravel_index(part, nodes.shape), lattice.axes, strict=True)
        ]
        points = torch.stack([axis[place] for axis, place in zip(lattice.axes, places, strict=True)], dim=-1)
        found.append(field.density(points).float().cpu().numpy())
    return finite(np.concatenate(found))


def _interpolated(coarse: Float[np.ndarray, "_ _ _"], stride: int) -> Float[np.ndarray, "_ _ _"]:
    """Linear interpolation, `stride` - 1 nodes between each two."""
    for axis in range(3):
        low, high = coarse.take(range(coarse.shape[axis] - 1), axis), coarse.take(range(1, coarse.shape[axis]), axis)
        share = np.arange(stride, dtype=coarse.dtype).reshape([-1 if i == axis + 1 else 1 for i in range(4)]) / stride
        between = np.expand_dims(low, axis + 1) + share * np.expand_dims(high - low, axis + 1)
        shape = [size * stride if i == axis else size for i, size in enumerate(low.shape)]
        coarse = np.concatenate([between.reshape(shape), coarse.take([-1], axis)], axis)
    return coarse


def _crossed(density: Float[np.ndarray, "x y z"], level: float, stride: int, margin: int) -> Bool[np.ndarray, "_ _ _"]:
    """Coarse cells that the surface, or a faint one around it, crosses, and `margin` more on each side."""
    cells = np.zeros([(size - 1) // stride for size in density.shape], dtype=bool)
    for share in (1, FAINT):
        inside = density > share * level
        for axis in range(3):
            ahead = [slice(1, None) if i == axis else slice(None) for i in range(3)]
            behind = [slice(-1) if i == axis else slice(None) for i in range(3)]
            crossing = np.nonzero(inside[tuple(ahead)] != inside[tuple(behind)])
            cells[
                tuple(np.minimum(index // stride, last - 1) for index, last in zip(crossing, cells.shape, strict=True))
            ] = True
    grown: Bool[np.ndarray, "_ _ _"] = ndimage.binary_dilation(cells, np.ones((3, 3, 3), dtype=bool), margin)
    return grown


def _corners(cells: Bool[np.ndarray, "_ _ _"], stride: int) -> Bool[np.ndarray, "_ _ _"]:
    """The fine nodes in and around coarse cells."""
    for axis in range(3):
        fine = np.repeat(cells, stride, axis)
        edge = [(0, 1) if i == axis else (0, 0) for i in range(3)]
        cells = np.pad(fine, edge) | np.pad(fine, [side[::-1] for side in edge])
    return cells
