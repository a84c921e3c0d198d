"""What can be seen of a mesh from all around: its visual hull and the points that rays meet first.

Most game meshes are open shells that overlap: what is inside them is not defined, what is seen of them is.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float, Int

from gen3d.cameras import Cameras
from gen3d_training.render import first_hits, interpolate

VIEWS, SIZE, DISTANCE, FOV_DEG = 32, 256, 4.0, 25.5
"""Cameras, far enough for the cube's half diagonal of 0.87 to fit; a pixel is then half a cell."""

RESOLUTION = 64
SPACING = 0.01  # edge of the cubes that keep one visible point each, so that surfaces count by their area


@dataclass(frozen=True, eq=False)
class Seen:
    """A mesh of longest side 1, centred at the origin, as it looks from around.

    Args:
        hull: cells of the unit cube, x by y by z, that lie within every silhouette.
        points: points of the surface that a camera sees, at most one in each cube of `SPACING`.
    """

    hull: Bool[np.ndarray, "x y z"]
    points: Float[np.ndarray, "points 3"]


def look_around(mesh: trimesh.Trimesh) -> Seen:
    """See a mesh from 32 directions spread evenly over the sphere."""
    cameras = _around()
    rays, faces, weights = first_hits(mesh, cameras)
    silhouettes = np.zeros(len(cameras) * SIZE * SIZE, dtype=bool)
    silhouettes[rays] = True
    hull = silhouettes[_pixels_of_cells()].all(axis=0).reshape((RESOLUTION,) * 3)
    return Seen(hull, _thinned(interpolate(mesh.triangles[faces], weights)))


@cache
def _around() -> Cameras:
    order = torch.arange(VIEWS, dtype=torch.float32)
    elevation = torch.asin((2 * order + 1) / VIEWS - 1)
    return Cameras.orbit(order * math.pi * (3 - math.sqrt(5)), elevation, DISTANCE, math.radians(FOV_DEG), SIZE)


@cache
def _pixels_of_cells() -> Int[np.ndarray, "views cells"]:
    """The pixel, counted over all views, that shows the centre of each cell."""
    cameras = _around()
    places = (torch.arange(RESOLUTION) + 0.5) / RESOLUTION - 0.5
    centres = torch.stack(torch.meshgrid(places, places, places, indexing="ij"), dim=-1).reshape(-1, 3)
    local = (centres - cameras.position[:, None]) @ cameras.c2w[:, :3, :3]
    focal = SIZE / 2 / math.tan(math.radians(FOV_DEG) / 2)
    column = (SIZE / 2 - local[..., 0] / local[..., 2] * focal).floor().long()
    row = (SIZE / 2 + local[..., 1] / local[..., 2] * focal).floor().long()
    first = torch.arange(len(cameras))[:, None] * SIZE * SIZE
    return (first + row * SIZE + column).numpy()


def _thinned(points: Float[np.ndarray, "hits 3"]) -> Float[np.ndarray, "points 3"]:
    cubes = np.rint((points + 1) / SPACING).astype(np.int64)  # the box's sides lie inside of cubes, not between them
    _, kept = np.unique(cubes @ np.array([1 << 20, 1 << 10, 1]), return_index=True)
    return np.asarray(points[kept])
