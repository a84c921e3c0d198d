"""The base colour of a mesh, as a texture or at its vertices."""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from gen3d_export.paint import Paint
from gen3d_export.raster import rasterise
from gen3d_export.unwrap import Unwrapped


def bake(paint: Paint, mesh: Unwrapped, size: int) -> Float[np.ndarray, "size size 3"]:
    """A square sRGB texture in [0, 1], row 0 at the top.

    A texel is the mean of its four quadrants, and each of those is looked up in another share of the rendering weight:
    supersampling along the surface and in depth at once. The background takes the nearest chart's colour, so that no
    mipmap mixes it in.
    """
    fine = rasterise(mesh.uv, mesh.faces, 2 * size)
    points = fine.interpolate(mesh.vertices, mesh.faces)
    normals = _unit(fine.interpolate(mesh.normals, mesh.faces))
    row, column = np.divmod(fine.pixels, 2 * size)
    texel, quadrant = row // 2 * size + column // 2, row % 2 * 2 + column % 2
    covered, first, inverse = np.unique(texel, return_index=True, return_inverse=True)
    offsets = paint.offsets(points[first], normals[first])
    colors = paint.colors(points + normals * offsets[inverse, quadrant, None])
    count = np.bincount(inverse)[:, None]
    image, known = np.zeros((size * size, 3)), np.zeros(size * size, dtype=bool)
    image[covered] = np.stack([np.bincount(inverse, channel) for channel in colors.T], axis=-1) / count
    known[covered] = True
    return bleed(image.reshape(size, size, 3), known.reshape(size, size))


def vertex_colors(
    paint: Paint, points: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, "points 3"]:
    """What a camera straight above each surface point sees: sRGB in [0, 1]."""
    normals = _unit(normals)
    offsets = paint.offsets(points, normals)
    parts = [paint.colors(points + normals * offset[:, None]) for offset in offsets.T]
    return np.mean(parts, axis=0)


def _unit(normals: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True).clip(1e-12)


def bleed(
    image: Float[np.ndarray, "height width 3"], covered: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width 3"]:
    """The image with every texel that is not covered set to the nearest one that is."""
    row, column = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return image[row, column]
