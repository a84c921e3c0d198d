"""What a surface looks like: its colours, and how it is turned."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.errors import Degenerate
from gen3d.representation import RadianceField, Surface
from gen3d_export.target import Hits, Target

SAMPLES = 16
"""Points on the segment along which the rendering weight of a surface point is looked up."""

PARTS = 4
"""Equal shares of that weight; each is looked at in its middle."""

CHUNK = 1 << 16
"""Points or segments in one query: bounds the memory."""


@dataclass(frozen=True, eq=False)
class Look:
    """What points of a surface look like.

    Args:
        colors: base colour, sRGB in [0, 1].
        normals: unit, with all the detail of the original.
        orm: occlusion, roughness and metallic, linear in [0, 1]; None where the object has none of its own.
    """

    colors: Float[np.ndarray, "points 3"]
    normals: Float[np.ndarray, "points 3"]
    orm: Float[np.ndarray, "points 3"] | None = None


@dataclass(frozen=True, eq=False)
class Samples:
    """What points that are looked at are for.

    Args:
        texel: those of one texel see the same, along the same line.
        part: 0 to 3, of the four quarters that a texel's colour is the mean of.
        spacing: distance of neighbouring points, world units.
    """

    texel: Int[np.ndarray, " points"]
    part: Int[np.ndarray, " points"]
    spacing: float


class Paint(ABC):
    """The look of an object, asked for at points of its original surface.

    Attributes:
        occluded: whether it knows how much of its surroundings each point sees.
    """

    occluded: bool = False

    def target(self, whole: trimesh.Trimesh) -> Target:
        """The surface that points are projected onto, given the object's whole mesh: that one, if nothing is better."""
        return Target.of(whole)

    @abstractmethod
    def look(self, hits: Hits, samples: Samples) -> Look:
        """The look at points of the target. Raises Degenerate where a colour is not finite."""


class FieldPaint(Paint):
    """The colours of a radiance field, as its renderer shows them.

    Args:
        field: of colours.
        threshold: density of the surface.
    """

    def __init__(self, field: RadianceField, threshold: float) -> None:
        self.field, self.threshold = field, threshold

    def look(self, hits: Hits, samples: Samples) -> Look:
        """Each part lies in another share of the rendering weight: supersampling along the surface and in depth."""
        _, first, inverse = np.unique(samples.texel, return_index=True, return_inverse=True)
        offsets = self.offsets(hits.points[first], hits.normals[first])[inverse, samples.part]
        return Look(self.colors(hits.points + hits.normals * offsets[:, None]), hits.normals)

    @torch.no_grad()
    def offsets(
        self, points: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]
    ) -> Float[np.ndarray, "points 4"]:
        """Where a camera straight above each point sees colour, in four equal shares; negative inwards.

        A field's colour is trained only where its rendering weight is, and in soft fields that lies deep. So the weight
        is computed along the inward normal (volume rendering, Max 1995), from one voxel outside to where a density at
        the threshold leaves 5 % of the light, at most a tenth of the box, and cut into equal shares: the mean of the
        colours in their middles is the composited colour, divided by opacity, so that no background is mixed in.
        """
        field, box = self.field, self.field.box
        depth = min(max(3 / self.threshold, 2 * field.voxel_size), float((box[1] - box[0]).max()) / 10)
        along = torch.linspace(field.voxel_size, -depth, SAMPLES, device=box.device)
        surface = int((along > 0).sum())
        middles = (torch.arange(PARTS, device=box.device) + 0.5) / PARTS
        offsets = []
        for start, normal in zip(_split(points, box), _split(normals, box), strict=True):
            places = start[:, None] + along[:, None] * normal[:, None]
            absorbed = field.density(places.reshape(-1, 3)).reshape(places.shape[:2]).float() * (along[0] - along[1])
            weight = torch.exp(absorbed - absorbed.cumsum(dim=1)) * -torch.expm1(-absorbed)
            weight[:, surface] += 1e-6  # where decimation left the surface in empty space
            share = weight.cumsum(dim=1) / weight.sum(dim=1, keepdim=True)
            index = (share[..., None] < middles).sum(dim=1).clamp_max(SAMPLES - 1)
            offsets.append(along[index])
        return torch.cat(offsets).cpu().numpy()

    def colors(self, points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
        """The field's features. Raises Degenerate where they are not finite."""
        return _ask(self.field.features, points, self.field.box)


class SurfacePaint(Paint):
    """The colours of a surface, looked up on it and not on the coarser mesh that stands for it.

    Args:
        surface: whose texture it is.
    """

    def __init__(self, surface: Surface) -> None:
        self.surface = surface

    def look(self, hits: Hits, samples: Samples) -> Look:
        """The texture where the surface is: it is trained nowhere else."""
        return Look(_ask(self.surface.texture, hits.points, self.surface.triangles().vertices), hits.normals)


@torch.no_grad()
def _ask(
    query: Callable[[Tensor], Tensor], points: Float[np.ndarray, "points 3"], like: Tensor
) -> Float[np.ndarray, "points 3"]:
    colors = torch.cat([query(part).float().clamp(0, 1) for part in _split(points, like)])
    if not colors.isfinite().all():
        raise Degenerate(
            f"the colours are not finite at {1 - colors.isfinite().float().mean():.1%} of the surface",
            remedy="the optimisation diverged: lower optimizer.lr or the guidance's weight and run again",
        )
    return colors.cpu().numpy()


def _split(points: Float[np.ndarray, "points 3"], like: Tensor) -> tuple[Tensor, ...]:
    return torch.from_numpy(points.astype(np.float32)).to(like.device).split(CHUNK)
