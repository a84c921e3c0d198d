"""Which triangle covers each texel, and where in it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

CANDIDATES = 1 << 21
"""Pixels of bounding boxes tested at once: bounds the memory."""

EDGE = 1e-6
"""Barycentric slack, so that no pixel falls between two triangles."""


@dataclass(frozen=True, eq=False)
class Texels:
    """The covered pixels of a square picture, each once, in row-major order.

    Args:
        pixels: flat index, row 0 at the top.
        faces: the triangle that covers the pixel's centre.
        weights: barycentric weights of its three corners.
    """

    pixels: Int[np.ndarray, " texels"]
    faces: Int[np.ndarray, " texels"]
    weights: Float[np.ndarray, "texels 3"]

    def interpolate(
        self, values: Float[np.ndarray, "vertices channels"], faces: Int[np.ndarray, "faces 3"]
    ) -> Float[np.ndarray, "texels channels"]:
        """Values of vertices at the texels."""
        corners = faces[self.faces]
        return sum(self.weights[:, i, None] * values[corners[:, i]] for i in range(3))


def rasterise(uv: Float[np.ndarray, "vertices 2"], faces: Int[np.ndarray, "faces 3"], size: int) -> Texels:
    """Cover a picture of `size` pixels a side; v points up, a pixel's sample is its centre."""
    corners = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=-1)[faces].astype(np.float32) * size
    low = np.ceil(corners.min(axis=1) - 0.5).astype(np.int64).clip(0, size)
    high = np.ceil(corners.max(axis=1) - 0.5 + EDGE).astype(np.int64).clip(low, size)
    tested = (high - low).prod(axis=1)
    splits = np.flatnonzero(np.diff(np.cumsum(tested) // CANDIDATES)) + 1
    slopes = _slopes(corners)
    found = [_covered(slopes, low, high, chunk, size) for chunk in np.split(np.arange(len(faces)), splits)]
    pixels, covering, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
    owner = np.full(size * size, -1)
    owner[pixels] = np.arange(len(pixels))  # one of the triangles that share a pixel on their edge
    kept = owner[owner >= 0]
    return Texels(pixels[kept], covering[kept], weights[kept])


def _covered(
    slopes: Float[np.ndarray, "faces 6"],
    low: Int[np.ndarray, "faces 2"],
    high: Int[np.ndarray, "faces 2"],
    chunk: Int[np.ndarray, " chunk"],
    size: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, faces and weights of a chunk of triangles: every pixel of their bounding boxes, tested."""
    width, height = (high - low)[chunk].T
    count = width * height
    face = np.repeat(chunk, count)
    place = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    row, column = np.divmod(place, np.repeat(width, count))
    row, column = row + low[face, 1], column + low[face, 0]
    x0, y0, *rates = (part[face] for part in slopes.T)
    x, y = column + 0.5 - x0, row + 0.5 - y0
    second, third = x * rates[0] + y * rates[1], x * rates[2] + y * rates[3]
    weights = np.stack([1 - second - third, second, third], axis=-1)
    inside = weights.min(axis=-1) >= -EDGE  # False where a triangle has no area: its weights are not a number
    return (row * size + column)[inside], face[inside], weights[inside]


def _slopes(corners: Float[np.ndarray, "faces 3 2"]) -> Float[np.ndarray, "faces 6"]:
    """The first corner, then how the second and the third barycentric weight grow with x and y."""
    a, (bx, by), (cx, cy) = corners[:, 0], (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    area = bx * cy - by * cx
    area[area == 0] = np.nan
    return np.concatenate([a, np.stack([cy, -cx, -by, bx], axis=-1) / area[:, None]], axis=-1)
