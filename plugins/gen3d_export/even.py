"""Textures that are the same on both sides of their seams, in the picture and in its mipmaps.

Nearest colours around charts leave steps at seams: half a texel's contrast in the full picture, and more in coarse
mipmaps, whose texels reach over the gutter into other charts. But what lies in the gutter is free. So the picture is
changed as little as possible, in the gutter nearly for nothing, such that all mipmaps have on both sides of each seam
the mean of what the two charts, without anything around them, would have there: linear least squares over all
texels (as Iwanicki, SIGGRAPH 2013, "Lighting Technology of The Last of Us", does for the full picture), by conjugate
gradients.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.sparse import csr_array, vstack

from gen3d_export.seams import Seams, lookup, mipmaps

MIPMAPS = 6
"""Levels in which seams are evened out, the picture itself among them."""

WEIGHT = 2.0
"""Of a step at a seam, against a change of one covered texel."""

GUTTER = 0.03
"""Weight of a change of a texel that no chart covers."""

ITERATIONS = 15

Plane = Float[np.ndarray, "size size"]


@dataclass(frozen=True, eq=False)
class Level:
    """Lookups on both sides of the seams in one mipmap.

    Args:
        at_places: from texels to values: all first sides, then all second ones.
        at_texels: its transpose.
        coverage: of the chart's own texels in each of those values.
    """

    at_places: csr_array
    at_texels: csr_array
    coverage: Float[np.ndarray, " places"]


def even_out(
    image: UInt8[np.ndarray, "size size channels"], covered: Bool[np.ndarray, "size size"], seams: Seams
) -> UInt8[np.ndarray, "size size channels"]:
    """The image with even seams.

    Args:
        image: filled everywhere.
        covered: texels of charts.
        seams: where they meet.
    """
    if not len(seams.first):
        return image
    mask = covered.astype(np.float32)
    levels = [_level(seams, mip) for mip in mipmaps(mask, MIPMAPS)]
    planes = [_even(image[..., channel].astype(np.float32), mask, levels) for channel in range(image.shape[2])]
    return np.stack([np.round(plane.clip(0, 255)).astype(np.uint8) for plane in planes], axis=-1)


def _level(seams: Seams, mask: Plane) -> Level:
    places = vstack([lookup(side, len(mask)) for side in (seams.first, seams.second)]).tocsr().astype(np.float32)
    return Level(places, places.T.tocsr(), places @ mask.ravel())


def _even(plane: Plane, mask: Plane, levels: list[Level]) -> Plane:
    """One channel. The unknowns are changes, in units of what they cost."""
    unit = np.sqrt(1 / np.where(mask > 0, 1, GUTTER)).astype(np.float32)
    targets = _targets(plane, mask, levels)
    steps = [level.at_places @ mip.ravel() for level, mip in zip(levels, mipmaps(plane, len(levels)), strict=True)]

    def normal_matrix(change: Plane) -> Plane:
        mips = mipmaps(unit * change, len(levels))
        values = [level.at_places @ mip.ravel() for level, mip in zip(levels, mips, strict=True)]
        return change + WEIGHT * unit * _spread(values, levels, len(plane))

    gap = [target - step for target, step in zip(targets, steps, strict=True)]
    return plane + unit * conjugate_gradients(normal_matrix, WEIGHT * unit * _spread(gap, levels, len(plane)))


def _targets(plane: Plane, mask: Plane, levels: list[Level]) -> list[Float[np.ndarray, " places"]]:
    """In each mipmap the mean of both sides, each looked up among covered texels only."""
    targets = []
    for level, mip in zip(levels, mipmaps(plane * mask, len(levels)), strict=True):
        sides = (level.at_places @ mip.ravel() / level.coverage.clip(1e-6)).reshape(2, -1)
        targets.append(np.tile(sides.mean(axis=0), 2))
    return targets


def _spread(values: list[Float[np.ndarray, " places"]], levels: list[Level], size: int) -> Plane:
    """The transpose of looking up in all mipmaps."""
    total = np.zeros((1, 1), dtype=np.float32)
    for depth in reversed(range(len(levels))):
        side = size >> depth
        if len(total) < side:
            total = np.repeat(np.repeat(total / 4, side // len(total), axis=0), side // len(total), axis=1)
        total = total + (levels[depth].at_texels @ values[depth]).reshape(side, side)
    return total


def conjugate_gradients(matrix: Callable[[Plane], Plane], right: Plane) -> Plane:
    """A solution of matrix(x) = right, nearly (Hestenes and Stiefel 1952); the matrix is symmetric and positive."""
    solution, residual, direction = np.zeros_like(right), right, right
    norm = float((right * right).sum())
    for _ in range(ITERATIONS):
        if norm < 1e-9:  # noqa: PLR2004 (there was no step at all)
            break
        image = matrix(direction)
        share = norm / float((direction * image).sum())
        solution, residual = solution + share * direction, residual - share * image
        norm, before = float((residual * residual).sum()), norm
        direction = residual + norm / before * direction
    return solution
