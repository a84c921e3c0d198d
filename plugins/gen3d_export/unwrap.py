"""Texture coordinates: charts by xatlas, or one cell a triangle where it fails."""

import logging
import math
from dataclasses import dataclass

import numpy as np
import trimesh
import xatlas
from jaxtyping import Float, Int

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


def unwrap(mesh: trimesh.Trimesh, size: int) -> Unwrapped:
    """Charts for a square texture of `size` texels, with room between them for mipmaps.

    Normals are computed on the welded mesh and carried over: computed after the split, they would show every seam.
    """
    try:
        source, faces, uv = _charts(mesh, size)
    except RuntimeError as error:
        log.warning("xatlas failed (%s): every triangle gets a chart of its own", error)
        source, faces, uv = triangle_atlas(len(mesh.faces), size)
        source = np.asarray(mesh.faces).ravel()[source]
    return Unwrapped(np.asarray(mesh.vertices)[source], smooth_normals(mesh)[source], uv, faces)


def smooth_normals(mesh: trimesh.Trimesh) -> Float[np.ndarray, "vertices 3"]:
    """Unit normals, the mean over the faces around each vertex by their angles; where that is 0, one of the faces'."""
    normals = np.array(mesh.vertex_normals)
    undecided = np.linalg.norm(normals, axis=1) < 0.5  # noqa: PLR2004 (0 or 1)
    normals[undecided] = mesh.face_normals[mesh.vertex_faces[undecided, 0]]
    return normals


Layout = tuple[Int[np.ndarray, " vertices"], Int[np.ndarray, "faces 3"], Float[np.ndarray, "vertices 2"]]
"""Which vertex each new vertex is a copy of, faces over new vertices, texture coordinates."""


def _charts(mesh: trimesh.Trimesh, size: int) -> Layout:
    """Raises RuntimeError where xatlas gives up."""
    corners, faces = _manifold(np.asarray(mesh.faces))
    atlas = xatlas.Atlas()
    atlas.add_mesh(mesh.vertices[corners].astype(np.float32), faces.astype(np.uint32))
    chart, pack = xatlas.ChartOptions(), xatlas.PackOptions()
    chart.max_iterations = 1
    # xatlas exceeds the resolution by a fifth or so; after rescaling, 4 texels at 1024 remain between charts.
    pack.resolution, pack.padding, pack.bilinear = size, math.ceil(1.25 * size / 256), True
    atlas.generate(chart, pack)
    if not atlas.width or not atlas.height:
        msg = "no charts"
        raise RuntimeError(msg)
    mapping, indices, uv = atlas[0]
    # Its coordinates are normalised per axis; texels are square only if both axes shrink alike.
    scale = np.array([atlas.width, atlas.height]) / max(atlas.width, atlas.height)
    return corners[mapping], indices.astype(np.int64), uv * scale


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
