"""How much of its surroundings a surface sees: light from everywhere that nothing keeps away."""

import math

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from scipy.spatial import cKDTree

from gen3d_export.bleed import bleed
from gen3d_export.raster import rasterise
from gen3d_export.target import Hits, Target, unit
from gen3d_export.unwrap import Unwrapped

RAYS = 32
"""A point, in strata; with its neighbours' they are hundreds."""

NEIGHBOURS = 12
"""Points of the surface that are averaged, among those that face the same way."""

SIDE = 512
"""Most texels along a side for which rays are cast: the result is smooth."""

LENGTH = 0.5
"""Of a ray, share of the diagonal: what is further away does not darken."""

LIFT = 1e-3
"""How far above the surface rays start, share of the diagonal: steps of the tessellation cast no shadow."""

CHUNK = 1 << 15
"""Points at a time: bounds the memory."""


def occlusion(mesh: Unwrapped, target: Target, size: int) -> Float[np.ndarray, "size size"]:
    """A picture of the share of the cosine-weighted hemisphere that is open: 1 where nothing is in the way."""
    coarse = min(max(size // 2, 1), SIDE)
    texels = rasterise(mesh.uv, mesh.faces, coarse)
    points, normals = (texels.interpolate(values, mesh.faces) for values in (mesh.vertices, mesh.normals))
    hits = target.project(points, unit(normals))
    image, covered = np.ones(coarse * coarse), np.zeros(coarse * coarse, dtype=bool)
    image[texels.pixels], covered[texels.pixels] = smooth(hits, openness(target, hits)), True
    image = bleed(image.reshape(coarse, coarse), covered.reshape(coarse, coarse)) if covered.any() else image
    return enlarge(image.reshape(coarse, coarse), size)


def openness(target: Target, hits: Hits) -> Float[np.ndarray, " points"]:
    """Of each point the share of rays that get away, of those above the plane of its triangle."""
    parts = range(0, len(hits.faces), CHUNK)
    return np.concatenate([np.zeros(0), *(_openness(target, hits, slice(at, at + CHUNK)) for at in parts)])


def _openness(target: Target, hits: Hits, part: slice) -> Float[np.ndarray, " points"]:
    corners = target.vertices[target.faces[hits.faces[part]]]
    planes = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    normals = hits.normals[part]
    planes *= np.where((planes * normals).sum(axis=1) < 0, -1, 1)[:, None]
    index = np.arange(len(hits.faces))[part]
    rays = np.einsum("nrk,nkd->nrd", _hemisphere(index), _frames(normals))
    above = (rays * planes[:, None]).sum(axis=-1) > 0
    origins = hits.points[part] + LIFT * target.diagonal * planes
    blocked = target.blocked(np.repeat(origins, RAYS, axis=0), rays.reshape(-1, 3), LENGTH).reshape(above.shape)
    return (above & ~blocked).sum(axis=1) / above.sum(axis=1).clip(1)


def _hemisphere(index: np.ndarray) -> Float[np.ndarray, "points rays 3"]:
    """Directions around +Z by the cosine of their angle, stratified; turned by the R2 sequence from point to point."""
    ray = np.arange(RAYS)
    ring = ((ray + (index[:, None] * 0.7548776662466927) % 1) / RAYS) % 1
    angle = 2 * math.pi * ((ray * 0.6180339887498949 + index[:, None] * 0.5698402909980532) % 1)
    radius = np.sqrt(ring)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - ring)], axis=-1)


def _frames(normals: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3 3"]:
    """Rows of right-handed frames whose last axis is the normal."""
    side = unit(np.cross(normals, np.eye(3)[np.abs(normals).argmin(axis=1)]))
    return np.stack([side, np.cross(normals, side), normals], axis=1)


def smooth(hits: Hits, values: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """The mean over the nearest points that face the same way, across all seams of the texture."""
    if len(values) < NEIGHBOURS:
        return values
    _, near = cKDTree(hits.points).query(hits.points, k=NEIGHBOURS)
    weight = np.einsum("nkd,nd->nk", hits.normals[near], hits.normals).clip(0) ** 4
    weight[:, 0] += 1e-6
    return (weight * values[near]).sum(axis=1) / weight.sum(axis=1)


def enlarge(image: Float[np.ndarray, "coarse coarse"], size: int) -> Float[np.ndarray, "size size"]:
    """Bilinear, texel centres on texel centres."""
    place = (np.arange(size) + 0.5) * len(image) / size - 0.5
    return ndimage.map_coordinates(image, np.meshgrid(place, place, indexing="ij"), order=1, mode="nearest")
