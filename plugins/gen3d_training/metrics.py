"""Distances between point sets and agreement of volumes."""

import numpy as np
import trimesh
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree


def nearest(
    a: Float[np.ndarray, "points 3"], b: Float[np.ndarray, "others 3"]
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " others"]]:
    """Euclidean distance from each point of either set to the nearest of the other."""
    return cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]


def chamfer(a: Float[np.ndarray, "points 3"], b: Float[np.ndarray, "others 3"]) -> float:
    """(mean distance a to b + mean distance b to a) / 2, Euclidean, as SyncDreamer's scripts have it."""
    there, back = nearest(a, b)
    return float(there.mean() + back.mean()) / 2


def f_score(there: Float[np.ndarray, " points"], back: Float[np.ndarray, " others"], threshold: float) -> float:
    """Harmonic mean of the shares of either set that lie within `threshold` of the other."""
    precision, recall = float((there < threshold).mean()), float((back < threshold).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def iou(a: Bool[np.ndarray, "*cells"], b: Bool[np.ndarray, "*cells"]) -> float:
    """Cells in both over cells in either; 0 where both are empty."""
    either = int((a | b).sum())
    return int((a & b).sum()) / either if either else 0.0


def occupancy(
    mesh: trimesh.Trimesh, lower: Float[np.ndarray, " 3"], side: float, resolution: int = 64
) -> Bool[np.ndarray, "resolution resolution resolution"]:
    """Which cells of the cube at `lower` have their centre inside the mesh.

    Inside is where the winding number along a ray is not 0, so closed parts may overlap. In an open mesh some rays
    do not come out again; the axes vote, without those rays.
    """
    votes = np.zeros((2, *(resolution,) * 3), dtype=np.int8)
    for axis in range(3):
        inside, closed = _along(mesh, axis, lower, side, resolution)
        votes += np.stack([np.moveaxis(layer, -1, axis) for layer in (inside, closed)])
    return np.asarray(2 * votes[0] > votes[1])


def _along(
    mesh: trimesh.Trimesh, axis: int, lower: Float[np.ndarray, " 3"], side: float, resolution: int
) -> tuple[Bool[np.ndarray, "rows columns depth"], Bool[np.ndarray, "rows columns depth"]]:
    """Cells inside along one axis, and those whose ray leaves the mesh as often as it enters."""
    cell, (row, column) = side / resolution, np.delete(np.arange(3), axis)
    ahead = np.eye(3)[axis]
    origins = np.tile(lower - ahead * side, (resolution**2, 1))
    steps = np.stack(np.meshgrid(*[np.arange(resolution) + 0.5] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    origins[:, [row, column]] += steps * cell
    faces, rays, places = mesh.ray.intersects_id(
        origins, np.tile(ahead, (len(origins), 1)), multiple_hits=True, return_locations=True
    )
    entering = -np.sign(mesh.face_normals[faces][:, axis]).astype(np.int64)
    behind = np.ceil((places[:, axis] - lower[axis]) / cell - 0.5).clip(0, resolution).astype(np.int64)
    crossings = np.zeros((resolution**2, resolution + 1), dtype=np.int64)
    np.add.at(crossings, (rays, behind), entering)
    winding = crossings.cumsum(axis=1)
    closed = (winding[:, -1:] == 0).repeat(resolution, axis=1)
    shape = (resolution,) * 3
    return ((winding[:, :-1] != 0) & closed).reshape(shape), closed.reshape(shape)
