"""The pieces that a file is made of, and all of them as one mesh."""

from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float, Int

from gen3d_export.source_mesh import SourceMaterial, SourceMesh


@dataclass(frozen=True, eq=False)
class SourcePart:
    """Triangles of one material; as `SourceMesh`."""

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    normals: Float[np.ndarray, "vertices 3"] | None
    uv: Float[np.ndarray, "vertices 2"] | None
    colors: Float[np.ndarray, "vertices 3"] | None
    material: int


def joined(parts: list[SourcePart], materials: tuple[SourceMaterial, ...]) -> SourceMesh:
    """One mesh; what only some of the parts have is neutral, or computed, in the others."""
    counts = [len(part.vertices) for part in parts]
    starts = np.cumsum([0, *counts[:-1]])
    normals = uv = colors = None
    if any(part.normals is not None for part in parts):
        normals = np.concatenate([_normals(part) if part.normals is None else part.normals for part in parts])
    if any(part.uv is not None for part in parts):
        uv = np.concatenate([np.zeros((len(part.vertices), 2)) if part.uv is None else part.uv for part in parts])
    if any(part.colors is not None for part in parts):
        colors = np.concatenate(
            [np.ones((len(part.vertices), 3)) if part.colors is None else part.colors for part in parts]
        )
    return SourceMesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)]),
        normals,
        uv,
        colors,
        np.repeat([part.material for part in parts], [len(part.faces) for part in parts]),
        materials,
    )


def _normals(part: SourcePart) -> Float[np.ndarray, "vertices 3"]:
    return np.array(trimesh.Trimesh(part.vertices, part.faces, process=False).vertex_normals)
