"""Even meshes: each vertex lies amidst its neighbours (the term of threestudio and of stable-dreamfusion)."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.guidance import Guidance, Signal
from gen3d.part import Stage, Step
from gen3d.representation import Triangles
from gen3d.views import Views
from gen3d_mesh.surfaces import surface_of
from gen3d_mesh.topology import edges_of


class Laplacian(Guidance):
    """Mean over vertices of |sum over neighbours of (v - neighbour)|: L = degree - adjacency, not divided by degree.

    Raises:
        Unsupported, in `bind`: the representation has no triangles.
    """

    needs = frozenset()
    _stage: Stage

    def bind(self, stage: Stage) -> None:
        """Make sure that there is one."""
        surface_of(stage, self.name)
        self._stage = stage

    def cameras(self, step: Step, random: Cameras) -> tuple[Cameras, ...]:
        """It looks at the triangles themselves; the random views are drawn anyway."""
        return (random,)

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        return Signal(unevenness(surface_of(self._stage, self.name).triangles()))


def unevenness(mesh: Triangles) -> Float[Tensor, ""]:
    """Mean length of the uniform Laplacian."""
    first, second = edges_of(mesh.faces, len(mesh.vertices)).ends.unbind(1)
    gap = mesh.vertices[first] - mesh.vertices[second]
    total = torch.zeros_like(mesh.vertices).index_add(0, first, gap).index_add(0, second, -gap)
    # The floor keeps the gradient finite where a vertex is in the middle already.
    return total.square().sum(1).clamp_min(1e-24).sqrt().mean()
