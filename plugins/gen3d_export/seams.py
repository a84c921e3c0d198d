"""Where charts meet on the surface, and what their textures show there."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from gen3d_export.unwrap import Unwrapped


@dataclass(frozen=True, eq=False)
class Seams:
    """Pairs of places in the texture that are one place of the surface.

    Args:
        first: texture coordinates in the chart on one side.
        second: and on the other.
    """

    first: Float[np.ndarray, "places 2"]
    second: Float[np.ndarray, "places 2"]


def find_seams(mesh: Unwrapped, size: int) -> Seams:
    """Places along all seams, about one for each texel of a picture of `size` texels a side."""
    _, welded = np.unique(mesh.vertices, axis=0, return_inverse=True)
    places = welded.ravel()[mesh.faces].astype(np.int64)
    start, end = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()
    low, high = places.ravel(), np.roll(places, -1, axis=1).ravel()
    key, opposite = low * (low.max() + 1) + high, high * (low.max() + 1) + low
    order = np.argsort(key, kind="stable")
    match = order[np.searchsorted(key[order], opposite).clip(0, len(order) - 1)]
    uv = mesh.uv
    ends = np.stack([uv[start], uv[end], uv[end[match]], uv[start[match]]])
    seam = (key[match] == opposite) & (low < high) & (np.abs(ends[:2] - ends[2:]).max(axis=(0, 2)) > 1e-9)  # noqa: PLR2004
    return _along(ends[:, seam], size)


def _along(ends: Float[np.ndarray, "4 seams 2"], size: int) -> Seams:
    length = np.linalg.norm(ends[[1, 3]] - ends[[0, 2]], axis=-1).max(axis=0) * size
    count = np.ceil(length).clip(1).astype(np.int64)
    edge = np.repeat(np.arange(len(count)), count)
    share = ((np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[edge])[:, None]
    first, second = (ends[i, edge] * (1 - share) + ends[i + 1, edge] * share for i in (0, 2))
    return Seams(first, second)


def mipmaps(image: Float[np.ndarray, "size size *channels"], levels: int) -> list[Float[np.ndarray, "..."]]:
    """The image and its halves, each the mean of four texels, as engines make them; fewer where a side is odd."""
    result = [image]
    while len(result) < levels and len(result[-1]) % 2 == 0:
        rows = result[-1][::2] + result[-1][1::2]
        result.append((rows[:, ::2] + rows[:, 1::2]) / 4)
    return result


def lookup(uv: Float[np.ndarray, "places 2"], size: int) -> csr_array:
    """The matrix that takes the texels of a square picture to bilinear values at places."""
    x, y = uv[:, 0] * size - 0.5, (1 - uv[:, 1]) * size - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, down = x - left, y - top
    rows, columns, values = [], [], []
    for step_x, share_x in ((0, 1 - right), (1, right)):
        for step_y, share_y in ((0, 1 - down), (1, down)):
            rows.append(np.arange(len(uv)))
            columns.append((top + step_y).clip(0, size - 1) * size + (left + step_x).clip(0, size - 1))
            values.append(share_x * share_y)
    parts = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    return csr_array(parts, shape=(len(uv), size * size))


def steps(
    image: Float[np.ndarray, "size size channels"], seams: Seams, levels: int
) -> list[Float[np.ndarray, "places channels"]]:
    """How much the picture differs between both sides of the seams, in each of its mipmaps."""
    return [
        (lookup(seams.first, len(mip)) - lookup(seams.second, len(mip))) @ mip.reshape(-1, image.shape[2])
        for mip in mipmaps(image, levels)
    ]
