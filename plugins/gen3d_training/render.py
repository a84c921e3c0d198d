"""Pictures of a mesh: rays against triangles with embree, texture lookup, soft shading."""

import numpy as np
import torch
import trimesh
from jaxtyping import Float, Int, UInt8
from scipy.ndimage import map_coordinates

from gen3d.cameras import Cameras, direction
from gen3d.rng import generator
from gen3d_training.model import Model

AMBIENT = 0.65
"""Share of light that comes from everywhere: what is to be redrawn from elsewhere must hardly depend on the light."""

_RAYS = 1 << 19  # at a time: bounds memory, changes nothing else


def render(
    model: Model, cameras: Cameras, light: Float[np.ndarray, " 3"], supersample: int = 2
) -> UInt8[np.ndarray, "views height width 4"]:
    """Antialiased pictures with straight alpha. Both sides of each triangle are drawn.

    Args:
        model: what is drawn.
        cameras: where it is seen from.
        light: unit vector towards the light, world.
        supersample: rays along each side of a pixel.
    """
    fine = cameras.resized(cameras.height * supersample, cameras.width * supersample)
    step = max(1, _RAYS // (fine.height * fine.width))
    pictures = [_render(model, fine[slice(at, at + step)], light, supersample) for at in range(0, len(cameras), step)]
    return np.concatenate(pictures)


def first_hits(
    mesh: trimesh.Trimesh, cameras: Cameras
) -> tuple[Int[np.ndarray, " hits"], Int[np.ndarray, " hits"], Float[np.ndarray, "hits 3"]]:
    """Where the rays through the pixel centres meet the surface first.

    Returns:
        Ray (row-major over views, height, width), face and barycentric coordinates of each hit.
    """
    origins, directions = (rays.reshape(-1, 3).double().numpy() for rays in cameras.rays())
    faces = mesh.ray.intersects_first(origins, directions)
    rays = np.flatnonzero(faces >= 0)
    faces = faces[rays]
    return rays, faces, _barycentric(mesh.triangles[faces], origins[rays], directions[rays])


def interpolate(
    corners: Float[np.ndarray, "hits 3 channels"], weights: Float[np.ndarray, "hits 3"]
) -> Float[np.ndarray, "hits channels"]:
    """Values at points of triangles from those at the corners and barycentric coordinates."""
    return np.asarray(np.einsum("nkc,nk->nc", corners, weights))


def random_light(*key: str | int) -> Float[np.ndarray, " 3"]:
    """A direction in the upper hemisphere, uniform over its area, drawn from `key`."""
    azimuth, height = torch.rand(2, generator=generator("light", *key), dtype=torch.float64)
    return np.asarray(direction(azimuth * 2 * torch.pi, torch.asin(height)))


def _render(
    model: Model, fine: Cameras, light: Float[np.ndarray, " 3"], supersample: int
) -> UInt8[np.ndarray, "views height width 4"]:
    rays, faces, weights = first_hits(model.mesh, fine)
    towards = fine.rays()[1].reshape(-1, 3).double().numpy()[rays]
    image = np.zeros((len(fine) * fine.height * fine.width, 4))
    image[rays, :3] = _albedo(model, faces, weights) * _shade(model.mesh, faces, weights, towards, light)[:, None]
    image[rays, 3] = 1
    blocks = (len(fine), fine.height // supersample, supersample, fine.width // supersample, supersample, 4)
    image = image.reshape(blocks).mean(axis=(2, 4))  # colours are premultiplied here
    image[..., :3] /= np.maximum(image[..., 3:], 1e-9)
    return np.asarray(np.rint(image * 255), dtype=np.uint8)


def _barycentric(
    triangles: Float[np.ndarray, "hits 3 3"],
    origins: Float[np.ndarray, "hits 3"],
    directions: Float[np.ndarray, "hits 3"],
) -> Float[np.ndarray, "hits 3"]:
    """Coordinates of the rays' points in their triangles (Moeller and Trumbore 1997), clipped onto them."""
    corner = triangles[:, 0]
    first, second = triangles[:, 1] - corner, triangles[:, 2] - corner
    across, offset = np.cross(directions, second), origins - corner
    scale = (first * across).sum(axis=-1)
    scale = np.where(scale == 0, 1, scale)  # a ray within the triangle's plane: any of its points will do
    u = (offset * across).sum(axis=-1) / scale
    v = (directions * np.cross(offset, first)).sum(axis=-1) / scale
    weights = np.stack([1 - u - v, u, v], axis=-1).clip(0, 1)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _albedo(
    model: Model, faces: Int[np.ndarray, " hits"], weights: Float[np.ndarray, "hits 3"]
) -> Float[np.ndarray, "hits 3"]:
    corners = model.mesh.faces[faces]
    albedo = interpolate(model.colors[corners], weights)
    parts = model.part[faces]
    for part in np.unique(parts):
        texture = model.textures[part]
        if texture is not None:
            rows = parts == part
            albedo[rows] *= _lookup(texture, interpolate(model.uv[corners[rows]], weights[rows]))
    return albedo


def _lookup(
    texture: Float[np.ndarray, "rows columns 3"], uv: Float[np.ndarray, "hits 2"]
) -> Float[np.ndarray, "hits 3"]:
    """Bilinear between texel centres; repeated outside, but not blended across the border, where atlases differ."""
    inside = np.where((uv < 0) | (uv > 1), uv % 1, uv)
    places = np.stack([(1 - inside[:, 1]) * texture.shape[0] - 0.5, inside[:, 0] * texture.shape[1] - 0.5])
    return np.stack([map_coordinates(texture[..., c], places, order=1, mode="nearest") for c in range(3)], axis=-1)


def _shade(
    mesh: trimesh.Trimesh,
    faces: Int[np.ndarray, " hits"],
    weights: Float[np.ndarray, "hits 3"],
    towards: Float[np.ndarray, "hits 3"],
    light: Float[np.ndarray, " 3"],
) -> Float[np.ndarray, " hits"]:
    """Share of the albedo that is seen, with normals turned to the viewer: open shells show both of their sides."""
    normals = interpolate(mesh.vertex_normals[mesh.faces[faces]], weights)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    normals *= -np.sign((normals * towards).sum(axis=-1, keepdims=True))
    return np.asarray(AMBIENT + (1 - AMBIENT) * (normals @ light).clip(0, 1))
