"""The closest point of a surface, among the triangles around the nearest of many points spread over it."""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

SPREAD = 200_000
"""Points spread over the surface by area, beside one for each triangle."""

CANDIDATES = 8
"""Triangles that are measured exactly for each point."""

CHUNK = 1 << 17
"""Points at a time: bounds the memory."""


class Nearest:
    """Closest points of triangles.

    Args:
        triangles: corners of each.
    """

    def __init__(self, triangles: Float[np.ndarray, "faces 3 3"]) -> None:
        self.triangles = triangles
        across = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        area = np.linalg.norm(across, axis=1)
        self.normals = across / area[:, None].clip(1e-300)
        self.owners, places = _spread(triangles, area)
        self.tree = cKDTree(places)

    def __call__(
        self, points: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]
    ) -> tuple[Int[np.ndarray, " points"], Float[np.ndarray, "points 3"]]:
        """Face and barycentric weights; a face that looks the other way only where all of them do."""
        parts = range(0, len(points), CHUNK)
        found = [self._ask(points[at : at + CHUNK], normals[at : at + CHUNK]) for at in parts]
        faces, weights = zip(*found, strict=True)
        return np.concatenate(faces), np.concatenate(weights)

    def _ask(
        self, points: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]
    ) -> tuple[Int[np.ndarray, " points"], Float[np.ndarray, "points 3"]]:
        _, near = self.tree.query(points, k=min(CANDIDATES, len(self.owners)))
        faces = self.owners[near.reshape(len(points), -1)]
        weights = closest(points[:, None], self.triangles[faces])
        away = np.einsum("nck,nckd->ncd", weights, self.triangles[faces]) - points[:, None]
        opposite = np.einsum("ncd,nd->nc", self.normals[faces], normals) < 0
        order = np.linalg.norm(away, axis=-1) + np.where(opposite, np.ptp(self.triangles), 0)
        best = np.arange(len(points)), order.argmin(axis=1)
        return faces[best], weights[best]


def closest(
    points: Float[np.ndarray, "*shape 3"], triangles: Float[np.ndarray, "*corners 3 3"]
) -> Float[np.ndarray, "*corners 3"]:
    """Barycentric weights of the point of each triangle that is closest to each point.

    The foot of the perpendicular where that is inside, else the nearest of the feet on the three sides, which are
    clamped to them (Ericson, Real-Time Collision Detection, 5.1.5).
    """
    a, b, c = (triangles[..., i, :] for i in range(3))
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    scale = d00 * d11 - d01 * d01
    scale = np.where(scale > 1e-12 * d00 * d11, scale, np.nan)
    v, w = (d11 * d20 - d01 * d21) / scale, (d00 * d21 - d01 * d20) / scale
    inside = np.stack([1 - v - w, v, w], axis=-1)
    sides = [_on_side(points, triangles, first) for first in range(3)]
    length = np.stack([((np.einsum("...k,...kd->...d", s, triangles) - points) ** 2).sum(-1) for s in sides])
    nearest = np.take_along_axis(np.stack(sides), length.argmin(axis=0)[None, ..., None], axis=0)[0]
    return np.where((inside.min(axis=-1) >= 0)[..., None], inside, nearest)


def _on_side(
    points: Float[np.ndarray, "*shape 3"], triangles: Float[np.ndarray, "*corners 3 3"], first: int
) -> Float[np.ndarray, "*corners 3"]:
    start = triangles[..., first, :]
    side = triangles[..., (first + 1) % 3, :] - start
    along = ((points - start) * side).sum(-1) / (side * side).sum(-1).clip(1e-300)
    weights = np.zeros(triangles.shape[:-1])
    weights[..., (first + 1) % 3] = along.clip(0, 1)
    weights[..., first] = 1 - weights[..., (first + 1) % 3]
    return weights


def _spread(
    triangles: Float[np.ndarray, "faces 3 3"], area: Float[np.ndarray, " faces"]
) -> tuple[Int[np.ndarray, " places"], Float[np.ndarray, "places 3"]]:
    """The middle of each triangle, and points spread over the large ones: the triangle and place of each."""
    count = 1 + (area * (SPREAD / area.sum())).astype(np.int64)
    owners = np.repeat(np.arange(len(count)), count)
    index = np.arange(len(owners)) - np.repeat(np.cumsum(count) - count, count)
    # The R2 sequence (Roberts 2018), folded into the triangle; its 0th point becomes the middle.
    u, v = (index * 0.7548776662466927 + 1 / 3) % 1, (index * 0.5698402909980532 + 1 / 3) % 1
    u, v = np.where(u + v > 1, (1 - u, 1 - v), (u, v))
    return owners, np.einsum("nk,nkd->nd", np.stack([1 - u - v, u, v], axis=-1), triangles[owners])
