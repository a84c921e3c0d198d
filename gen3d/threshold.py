"""The density at which a soft field has its surface, chosen to agree with what a renderer shows.

A field has no surface; its pictures have silhouettes. A pixel belongs to the object where its ray loses half of its
light, at an optical depth of ln 2. Under parallel projection the silhouette of {density > level} is {highest density on
the ray > level}, so every level can be compared with the silhouettes that the field draws, along each axis, for the
price of two reductions of the grid. Haze that fills the box is no object: the density on the faces of the box (the
median, so that an object may touch them) is taken off first. This fits fogs that peak at 10 as well as walls of 1000,
where a fixed level or a quantile fits one of them.
"""

import math

import numpy as np
from jaxtyping import Float

from gen3d.density_grid import Grid
from gen3d.errors import Degenerate

HALF = math.log(2)
"""Optical depth at which half of the light is lost."""

TOLERANCE = 0.01
"""Intersection over union that a level may lose to the best one and still count as agreeing."""

LEVELS = 128


def automatic_threshold(grid: Grid) -> float:
    """The level whose silhouettes along the three axes agree with those of the rendered field.

    Where the object is opaque, many levels agree to within a fraction of a cell: then the one nearest to the
    density at which rays become opaque, yet not near the peak, where noise would eat into the object.
    Raises Degenerate where no ray becomes opaque.
    """
    haze = _haze(grid)
    clear = (grid.density - haze).clip(0)
    depths = np.concatenate([(clear.sum(axis) * grid.spacing).ravel() for axis in range(3)])
    peaks = np.concatenate([grid.density.max(axis).ravel() for axis in range(3)])
    seen = depths > HALF
    if not seen.any():
        raise Degenerate(
            f"the object is empty: the automatic threshold finds no surface where no line of sight is more than "
            f"{-np.expm1(-depths.max()):.0%} opaque, and the density never exceeds {grid.density.max():.3g} "
            f"({haze:.2g} at the faces of its box)",
            remedy="optimise for longer, lower the weights of guidance that empties the field, or set the threshold",
        )
    peak = peaks.max()
    levels = np.geomspace(min(peaks[seen].min(), peak / 4), 0.9 * peak, LEVELS)
    agreement = np.array([_overlap(peaks >= level, seen) for level in levels])
    good = levels[agreement >= agreement.max() - TOLERANCE]
    return float(np.clip(min(haze + _density_where_opaque(clear, grid.spacing), peak / 4), good[0], good[-1]))


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    return float((one & other).sum() / (one | other).sum())


def _haze(grid: Grid) -> float:
    """The median density on the faces of the box; no more than what leaves half of the light across the box."""
    inner = grid.density[1:-1, 1:-1, 1:-1]
    faces = np.concatenate([inner.take(end, axis).ravel() for axis in range(3) for end in (0, -1)])
    return min(float(np.median(faces)), HALF / (max(inner.shape) * grid.spacing))


def _density_where_opaque(clear: Float[np.ndarray, "x y z"], spacing: float) -> float:
    """Median, over rays along the axes both ways, of the density where half of the light is lost."""
    found: list[Float[np.ndarray, " rays"]] = []
    for axis in range(3):
        for density in (clear, np.flip(clear, axis)):
            depth = np.cumsum(density, axis) * spacing
            first = np.expand_dims(np.argmax(depth > HALF, axis), axis)
            found.append(np.take_along_axis(density, first, axis)[np.take_along_axis(depth, first, axis) > HALF])
    return float(np.median(np.concatenate(found)))
