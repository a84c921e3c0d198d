"""Where the colour of a surface lies, and what it is."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
import trimesh
from jaxtyping import Float
from scipy.spatial import cKDTree
from torch import Tensor

from gen3d.errors import Degenerate
from gen3d.representation import RadianceField, Surface
from gen3d_export.unwrap import smooth_normals

SAMPLES = 16
"""Points on the segment along which the rendering weight of a surface point is looked up."""

PARTS = 4
"""Equal shares of that weight; each is looked at in its middle."""

CHUNK = 1 << 16
"""Points or segments in one query: bounds the memory."""

ALONG = 0.5
"""Least cosine between a point's normal and that of the original surface for which one is moved to the other."""


class Paint(ABC):
    """The colours of an object, asked for at a mesh that is not quite its surface."""

    @abstractmethod
    def offsets(
        self, points: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]
    ) -> Float[np.ndarray, "points 4"]:
        """Where the colour of each point lies: how far along its unit normal, in four equal shares."""

    @abstractmethod
    def colors(self, points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
        """Colours at such places, clamped to [0, 1]. Raises Degenerate where they are not finite."""


class FieldPaint(Paint):
    """The colours of a radiance field, as its renderer shows them.

    Args:
        field: of colours.
        threshold: density of the surface.
    """

    def __init__(self, field: RadianceField, threshold: float) -> None:
        self.field, self.threshold = field, threshold

    @torch.no_grad()
    def offsets(
        self, points: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]
    ) -> Float[np.ndarray, "points 4"]:
        """What a camera straight above each point sees; negative inwards.

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
        """The field's features."""
        return _ask(self.field.features, points, self.field.box)


class SurfacePaint(Paint):
    """The colours of a surface, looked up on it and not on the coarser mesh that stands for it.

    Args:
        surface: whose texture it is.
        mesh: its triangles, before any were taken away.
    """

    def __init__(self, surface: Surface, mesh: trimesh.Trimesh) -> None:
        self.surface, self.vertices, self.normals = surface, np.asarray(mesh.vertices), smooth_normals(mesh)
        self.tree = cKDTree(self.vertices)

    def offsets(
        self, points: Float[np.ndarray, "points 3"], normals: Float[np.ndarray, "points 3"]
    ) -> Float[np.ndarray, "points 4"]:
        """Where the normal meets the tangent plane of the nearest vertex: a texture is trained nowhere else."""
        _, nearest = self.tree.query(points)
        ahead = self.vertices[nearest] - points
        cosine = (self.normals[nearest] * normals).sum(axis=1)
        distance = (self.normals[nearest] * ahead).sum(axis=1) / np.where(cosine > ALONG, cosine, np.inf)
        return np.repeat(distance[:, None], PARTS, axis=1)

    def colors(self, points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
        """The surface's texture."""
        return _ask(self.surface.texture, points, self.surface.triangles().vertices)


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
