"""Smooth meshes: neighbouring normals agree. Two losses go by this name, and their weights do not carry over."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.guidance import Guidance, Signal
from gen3d.part import Stage, Step
from gen3d.representation import Triangles
from gen3d.views import Views
from gen3d_mesh.surfaces import surface_of
from gen3d_mesh.topology import edges_of, face_normals, vertex_normals


class NormalConsistency(Guidance):
    """Mean over edges of 1 - the cosine between two normals.

    Args:
        of: "vertices": the normals of the edge's two ends, means over the faces around them by area (threestudio);
            "faces": those of the two faces at the edge (stable-dreamfusion, ProlificDreamer); edges with one do not
            count.

    Raises:
        Unsupported, in `bind`: the representation has no triangles.
    """

    needs = frozenset()
    _stage: Stage

    def __init__(self, of: Literal["vertices", "faces"] = "vertices") -> None:
        super().__init__()
        self.of = of

    def bind(self, stage: Stage) -> None:
        """Make sure that there is one."""
        surface_of(stage, self.name)
        self._stage = stage

    def cameras(self, step: Step, random: Cameras) -> tuple[Cameras, ...]:
        """It looks at the triangles themselves; the random views are drawn anyway."""
        return (random,)

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        mesh = surface_of(self._stage, self.name).triangles()
        return Signal(between_vertices(mesh) if self.of == "vertices" else between_faces(mesh))


def between_vertices(mesh: Triangles) -> Float[Tensor, ""]:
    """Mean over edges of 1 - cosine of the normals of their ends."""
    return _apart(vertex_normals(mesh)[edges_of(mesh.faces, len(mesh.vertices)).ends])


def between_faces(mesh: Triangles) -> Float[Tensor, ""]:
    """Mean over edges of 1 - cosine of the normals of their faces."""
    faces = edges_of(mesh.faces, len(mesh.vertices)).faces
    normals = torch.nn.functional.normalize(face_normals(mesh), dim=1)
    return _apart(normals[faces[faces[:, 1] >= 0]])


def _apart(normals: Float[Tensor, "pairs 2 3"]) -> Float[Tensor, ""]:
    return (1 - normals.prod(1).sum(1)).sum() / max(len(normals), 1)
