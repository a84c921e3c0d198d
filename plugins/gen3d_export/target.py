"""The original surface, and which of its points a simplified mesh stands for."""

from dataclasses import dataclass

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Float, Int

from gen3d_export.nearest import Nearest
from gen3d_export.raster import interpolate
from gen3d_export.unwrap import smooth_normals

REACH = 0.05
"""How far along its normal a point looks for the original surface; share of that one's diagonal."""

BACK = 1e-4
"""How far behind a point its rays start, so that a surface on which it lies is hit; share of the diagonal."""


@dataclass(frozen=True, eq=False)
class Hits:
    """Points of the original surface, one for each point that asked.

    Args:
        faces: triangle of each.
        weights: barycentric weights of its corners.
        points: place.
        normals: unit, interpolated between the corners.
    """

    faces: Int[np.ndarray, " points"]
    weights: Float[np.ndarray, "points 3"]
    points: Float[np.ndarray, "points 3"]
    normals: Float[np.ndarray, "points 3"]


class Target:
    """Triangles that points are projected onto, and that block rays.

    Args:
        vertices: positions, any unit.
        faces: their triangles.
        normals: unit, of the vertices.
    """

    def __init__(
        self,
        vertices: Float[np.ndarray, "vertices 3"],
        faces: Int[np.ndarray, "faces 3"],
        normals: Float[np.ndarray, "vertices 3"],
    ) -> None:
        self.vertices, self.faces, self.normals = vertices, faces, normals
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        self._middle, self.diagonal = (low + high) / 2, float(np.linalg.norm(high - low))
        self._scene = EmbreeScene()
        TriangleMesh(self._scene, self._local(vertices), faces.astype(np.int32))
        self._nearest: Nearest | None = None

    @classmethod
    def of(cls, mesh: trimesh.Trimesh) -> "Target":
        """A whole mesh with its smooth normals."""
        return cls(np.asarray(mesh.vertices), np.asarray(mesh.faces), smooth_normals(mesh))

    def project(self, points: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]) -> Hits:
        """Where the line along each point's unit normal meets the surface, on the side that faces as the point does.

        The nearer meeting of both directions; the closest point of the surface where there is none within reach.
        """
        faces, weights, distance = self._cast(points, normals)
        other_faces, other_weights, other_distance = self._cast(points, -normals, facing=-1)
        closer = other_distance < distance
        faces[closer], weights[closer], distance[closer] = (
            other_faces[closer],
            other_weights[closer],
            other_distance[closer],
        )
        missed = ~np.isfinite(distance)
        if missed.any():
            self._nearest = self._nearest or Nearest(self.vertices[self.faces])
            faces[missed], weights[missed] = self._nearest(points[missed], normals[missed])
        return self.hits(faces, weights)

    def hits(self, faces: Int[np.ndarray, " points"], weights: Float[np.ndarray, "points 3"]) -> Hits:
        """The points of given triangles."""
        corners = self.faces[faces]
        normals = interpolate(self.normals, corners, weights)
        return Hits(faces, weights, interpolate(self.vertices, corners, weights), unit(normals))

    def blocked(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"], length: float
    ) -> np.ndarray:
        """Whether something lies on each ray within `length`, in shares of the diagonal."""
        lengths = np.full(len(origins), length, dtype=np.float32)
        found = self._scene.run(self._local(origins), directions.astype(np.float32), dists=lengths, query="OCCLUDED")
        return np.asarray(found >= 0)

    def _cast(
        self, points: Float[np.ndarray, "points 3"], directions: Float[np.ndarray, "points 3"], facing: int = 1
    ) -> tuple[Int[np.ndarray, " points"], Float[np.ndarray, "points 3"], Float[np.ndarray, " points"]]:
        """Face, weights and distance of the first hit, infinite where it faces the wrong way or there is none."""
        rays = directions.astype(np.float32)
        reach = np.full(len(points), REACH, dtype=np.float32)
        found = self._scene.run(self._local(points) - BACK * rays, rays, dists=reach, output=True)
        agrees = (found["Ng"] * rays).sum(axis=1) * facing > 0
        distance = np.where((found["primID"] >= 0) & agrees, np.abs(found["tfar"] - BACK), np.inf)
        u, v = found["u"], found["v"]
        return found["primID"].astype(np.int64), np.stack([1 - u - v, u, v], axis=-1), distance

    def _local(self, points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
        """In a frame where embree's single precision does: the diagonal is 1, around 0."""
        return ((points - self._middle) / self.diagonal).astype(np.float32)


def unit(vectors: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """Vectors of length 1; 0 stays 0."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-12)
