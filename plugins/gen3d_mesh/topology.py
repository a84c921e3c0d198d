"""What the faces of a mesh say about its edges, and the normals of its vertices."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.representation import Triangles


@dataclass(frozen=True, eq=False)
class Edges:
    """Each edge of a mesh once.

    Args:
        ends: its two vertices, the lower index first; rows are sorted.
        faces: the faces on its two sides; -1 in place of the second at the rim of an open mesh. Of more than two faces
            at an edge the first two count.
    """

    ends: Int[Tensor, "edges 2"]
    faces: Int[Tensor, "edges 2"]


@torch.no_grad()
def edges_of(faces: Int[Tensor, "faces 3"], vertex_count: int) -> Edges:
    """The edges of a mesh."""
    halves = faces[:, [0, 1, 1, 2, 2, 0]].view(-1, 2)
    keys, order = (halves.amin(1) * vertex_count + halves.amax(1)).sort(stable=True)
    new = torch.ones_like(keys, dtype=torch.bool)
    new[1:] = keys[1:] != keys[:-1]
    first = new.nonzero().squeeze(1)
    second = (first + 1).clamp_max(len(keys) - 1)
    beyond = torch.where(new[second], -1, order[second] // 3)
    ends = torch.stack([keys[first] // vertex_count, keys[first] % vertex_count], dim=1)
    return Edges(ends, torch.stack([order[first] // 3, beyond], dim=1))


def face_normals(mesh: Triangles) -> Float[Tensor, "faces 3"]:
    """Normals as long as twice the face's area."""
    a, b, c = mesh.vertices.index_select(0, mesh.faces.flatten()).view(-1, 3, 3).unbind(1)
    return torch.linalg.cross(b - a, c - a)


def vertex_normals(mesh: Triangles) -> Float[Tensor, "vertices 3"]:
    """Unit normals: the mean over the faces around a vertex by their areas."""
    around = face_normals(mesh).repeat_interleave(3, dim=0)
    total = torch.zeros_like(mesh.vertices).index_add(0, mesh.faces.flatten(), around)
    return torch.nn.functional.normalize(total, dim=-1)
