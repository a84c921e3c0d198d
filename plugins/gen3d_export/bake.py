"""The base colour of a surface, as the field's renderer shows it."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from gen3d.errors import Degenerate
from gen3d.representation import RadianceField
from gen3d_export.raster import rasterise
from gen3d_export.unwrap import Unwrapped

SAMPLES = 16
"""Points on the segment along which the rendering weight of a surface point is looked up."""

PARTS = 4
"""Equal shares of that weight; each is looked at in its middle."""

CHUNK = 1 << 16
"""Segments in one query of a field: bounds the memory."""


def bake(field: RadianceField, mesh: Unwrapped, threshold: float, size: int) -> Float[np.ndarray, "size size 3"]:
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
    offsets = visible_offsets(field, points[first], normals[first], threshold)
    colors = look_up(field, points + normals * offsets[inverse, quadrant, None])
    count = np.bincount(inverse)[:, None]
    image, known = np.zeros((size * size, 3)), np.zeros(size * size, dtype=bool)
    image[covered] = np.stack([np.bincount(inverse, channel) for channel in colors.T], axis=-1) / count
    known[covered] = True
    return bleed(image.reshape(size, size, 3), known.reshape(size, size))


def vertex_colors(
    field: RadianceField,
    points: Float[np.ndarray, "points 3"],
    normals: Float[np.ndarray, "points 3"],
    threshold: float,
) -> Float[np.ndarray, "points 3"]:
    """What a camera straight above each surface point sees: sRGB in [0, 1]."""
    normals = _unit(normals)
    offsets = visible_offsets(field, points, normals, threshold)
    parts = [look_up(field, points + normals * offset[:, None]) for offset in offsets.T]
    return np.mean(parts, axis=0)


@torch.no_grad()
def visible_offsets(
    field: RadianceField,
    points: Float[np.ndarray, "points 3"],
    normals: Float[np.ndarray, "points 3"],
    threshold: float,
) -> Float[np.ndarray, "points 4"]:
    """Where the colour of each surface point lies: how far along its normal, negative inwards, for each share.

    A field's colour is trained only where its rendering weight is, and in soft fields that lies deep. So the weight is
    computed along the inward normal (volume rendering, Max 1995), from one voxel outside to where a density at the
    threshold leaves 5 % of the light, at most a tenth of the box, and cut into equal shares: the mean of the colours
    in their middles is the composited colour, divided by opacity, so that no background is mixed in.
    """
    box = field.box
    depth = min(max(3 / threshold, 2 * field.voxel_size), float((box[1] - box[0]).max()) / 10)
    along = torch.linspace(field.voxel_size, -depth, SAMPLES, device=box.device)
    surface = int((along > 0).sum())
    middles = (torch.arange(PARTS, device=box.device) + 0.5) / PARTS
    offsets = []
    for start, normal in zip(_split(points, box), _split(normals, box), strict=True):
        places = start[:, None] + along[:, None] * normal[:, None]
        absorbed = field.density(places.reshape(-1, 3)).reshape(places.shape[:2]).float() * (along[0] - along[1])
        weight = torch.exp(absorbed - absorbed.cumsum(dim=1)) * -torch.expm1(-absorbed)
        weight[:, surface] += 1e-6  # where decimation left the surface in empty space
        share = weight.cumsum(dim=1) / weight.sum(dim=1, keepdim=True)
        index = (share[..., None] < middles).sum(dim=1).clamp_max(SAMPLES - 1)
        offsets.append(along[index])
    return torch.cat(offsets).cpu().numpy()


@torch.no_grad()
def look_up(field: RadianceField, points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
    """The field's colours, clamped to [0, 1]. Raises Degenerate where they are not finite."""
    colors = torch.cat([field.features(part).float().clamp(0, 1) for part in _split(points, field.box)])
    if not colors.isfinite().all():
        raise Degenerate(
            f"the colours are not finite at {1 - colors.isfinite().float().mean():.1%} of the surface",
            remedy="the optimisation diverged: lower optimizer.lr or the guidance's weight and run again",
        )
    return colors.cpu().numpy()


def _split(points: Float[np.ndarray, "points 3"], like: Tensor) -> tuple[Tensor, ...]:
    return torch.from_numpy(points.astype(np.float32)).to(like.device).split(CHUNK)


def _unit(normals: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True).clip(1e-12)


def bleed(
    image: Float[np.ndarray, "height width 3"], covered: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width 3"]:
    """The image with every texel that is not covered set to the nearest one that is."""
    row, column = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return image[row, column]
