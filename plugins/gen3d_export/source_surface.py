"""A mesh that another program made, as triangles that the pipeline can work on."""

import numpy as np
import trimesh

from gen3d.errors import BadInput, Degenerate
from gen3d_export.repair import repair, turned_out
from gen3d_export.source_mesh import SourceMesh
from gen3d_export.visibility import drop_hidden, turned_to_light

FLAT = 1e-12
"""Area below which there is nothing to see, as a share of the square of the longest side."""


def source_surface(source: SourceMesh) -> trimesh.Trimesh:
    """The source's triangles, welded and repaired, our frame, the file's units; open ones stay open.

    Raises:
        BadInput: a coordinate is not finite, or a face names a vertex that is not there.
        Degenerate: there is no triangle with an area.
    """
    if not len(source.faces):
        raise Degenerate("the mesh is empty: it has no triangles", remedy="export it with its geometry, as triangles")
    bad = ~np.isfinite(source.vertices).all(axis=1)
    if bad.any():
        raise BadInput(
            f"{bad.sum()} of the mesh's {len(bad)} vertices are not finite",
            remedy="repair it in the program it is from",
        )
    if source.faces.min() < 0 or source.faces.max() >= len(source.vertices):
        raise BadInput(
            f"a triangle names vertex {source.faces.max()} of {len(source.vertices)}", remedy="write the file again"
        )
    mesh = repair(trimesh.Trimesh(source.vertices, source.faces, process=False))
    if mesh.area <= FLAT * float(np.ptp(source.vertices, axis=0).max()) ** 2:
        raise Degenerate(
            f"the mesh is empty: none of its {len(source.faces)} triangles has an area",
            remedy="export the object itself and not its edges or points",
        )
    mesh = drop_hidden(mesh)
    outwards = turned_out(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    return turned_to_light(trimesh.Trimesh(mesh.vertices, outwards, process=False))
