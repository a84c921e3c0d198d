"""Texture coordinates: charts by xatlas, or one cell a triangle where it fails."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float, Int

from gen3d_export.box_charts import Layout, box_atlas
from gen3d_export.worker import run_worker

TIMEOUT = 60.0
"""Seconds for xatlas, whose time grows faster than the number of charts."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """A mesh whose vertices are split along the seams of its charts.

    Args:
        vertices: positions, the world's frame.
        normals: unit normals, smooth across seams.
        uv: texture coordinates in [0, 1], v upwards: (0, 0) is the lower left corner of the picture.
        faces: vertex indices, counter-clockwise from outside.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    normals: Float[np.ndarray, "vertices 3"]
    uv: Float[np.ndarray, "vertices 2"]
    faces: Int[np.ndarray, "faces 3"]


def unwrap(mesh: trimesh.Trimesh, size: int, padding: int | None = None, timeout: float = TIMEOUT) -> Unwrapped:
    """Charts for a square texture, with room between them for mipmaps.

    Normals are computed on the welded mesh and carried over: computed after the split, they would show every seam.

    Args:
        mesh: welded.
        size: texels along a side.
        padding: texels between charts, and twice those to the edge of the picture; None: 4 at 1024.
        timeout: seconds until xatlas is given up.
    """
    padding = math.ceil(size / 256) if padding is None else padding
    try:
        source, faces, uv = _charts(mesh, size, padding, timeout)
    except RuntimeError as error:
        log.warning("xatlas failed (%s): the charts are projections on the sides of a box", error)
        source, faces, uv = _plain_charts(mesh, size, padding)
    return Unwrapped(np.asarray(mesh.vertices)[source], smooth_normals(mesh)[source], uv, faces)


def smooth_normals(mesh: trimesh.Trimesh) -> Float[np.ndarray, "vertices 3"]:
    """Unit normals, the mean over the faces around each vertex by their angles; where that is 0, one of the faces'."""
    normals = np.array(mesh.vertex_normals)
    undecided = np.linalg.norm(normals, axis=1) < 0.5  # noqa: PLR2004 (0 or 1)
    normals[undecided] = mesh.face_normals[mesh.vertex_faces[undecided, 0]]
    return normals


def _charts(mesh: trimesh.Trimesh, size: int, padding: int, timeout: float) -> Layout:
    """Raises RuntimeError where xatlas gives up, crashes, or takes too long."""
    corners, faces = _manifold(np.asarray(mesh.faces))
    given = {"vertices": mesh.vertices[corners], "faces": faces, "size": np.array(size), "padding": np.array(padding)}
    made = run_worker(Path(__file__).with_name("unwrap_worker.py"), given, timeout)
    return corners[made["source"]], made["faces"].astype(np.int64), made["uv"].astype(np.float64)


def _plain_charts(mesh: trimesh.Trimesh, size: int, padding: int) -> Layout:
    """Projections, with less room between them where there are too many, or one cell a triangle."""
    for room in (padding, padding // 2, 1):
        try:
            return box_atlas(mesh, size, room)
        except RuntimeError as error:
            log.warning("%s", error)
    source, faces, uv = triangle_atlas(len(mesh.faces), size)
    return np.asarray(mesh.faces).ravel()[source], faces, uv


def _manifold(faces: Int[np.ndarray, "faces 3"]) -> tuple[Int[np.ndarray, " vertices"], Int[np.ndarray, "faces 3"]]:
    """Faces with corners of their own wherever more than two meet at an edge: xatlas may not end on those.

    Returns the vertex that each new vertex copies, and the faces over new vertices.
    """
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, inverse, count = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    loose = (count[inverse.reshape(-1, 3)] > 2).any(axis=1)  # noqa: PLR2004 (two faces an edge)
    shared, compact = np.unique(faces[~loose], return_inverse=True)
    result = np.empty_like(faces)
    result[~loose] = compact.reshape(-1, 3)
    result[loose] = len(shared) + np.arange(3 * loose.sum()).reshape(-1, 3)
    return np.concatenate([shared, faces[loose].ravel()]), result


def triangle_atlas(count: int, size: int) -> Layout:
    """Two triangles to each cell of a square grid, one texel between them; the layout that cannot fail."""
    side = math.ceil(math.sqrt((count + 1) // 2))
    cell, gap = 1 / side, 1 / size
    lower = np.array([[gap, gap], [cell - 3 * gap, gap], [gap, cell - 3 * gap]]).clip(0, cell)
    shapes = np.stack([lower, cell - lower])
    index = np.arange(count)
    corner = np.stack([index // 2 % side, index // 2 // side], axis=-1) * cell
    uv = (corner[:, None] + shapes[index % 2]).reshape(-1, 2)
    return np.arange(3 * count), np.arange(3 * count).reshape(-1, 3), uv
