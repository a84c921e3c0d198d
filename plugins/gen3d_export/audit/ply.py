"""PLY, text or binary."""

from pathlib import Path

import numpy as np
import trimesh

from gen3d.errors import BadInput
from gen3d_export.audit.read import sorted_out
from gen3d_export.audit.scene import Piece, Scene

NORMAL = ("nx", "ny", "nz")


def read(path: Path) -> Scene:
    """Its vertices and triangles; it has neither materials nor names."""
    with path.open("rb") as stream:
        if stream.readline().strip() != b"ply":
            raise BadInput("is no PLY", place=str(path), remedy="export it again, or give another file")
    mesh = trimesh.load_mesh(path, process=False)
    element = mesh.metadata["_ply_raw"]["vertex"]  # trimesh makes up normals where there are none
    known = set(NORMAL) <= set(element["properties"])
    normals = np.stack([element["data"][key] for key in NORMAL], axis=-1).reshape(-1, 3) if known else None
    piece = Piece(
        path.stem,
        np.asarray(mesh.vertices, dtype=np.float64),
        np.asarray(mesh.faces, dtype=np.int64),
        normals=normals,
        colors=mesh.visual.vertex_colors[:, :3] / 255 if mesh.visual.kind == "vertex" else None,
    )
    return sorted_out(path, [piece], [])
