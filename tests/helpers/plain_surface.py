"""A surface whose triangles and colours a test gives."""

import math
from collections.abc import Callable
from typing import TypeVar

import torch
import trimesh
from jaxtyping import Float
from torch import Tensor, nn

from gen3d import Cameras, Renderer, Representation, Triangles
from gen3d.testing import toy_stage

FOV = math.radians(49.1)
AnyRenderer = TypeVar("AnyRenderer", bound=Renderer)


class PlainSurface(Representation):
    """Triangles, and colours as a function of the place: grey by default."""

    def __init__(self, vertices: Tensor, faces: Tensor, color: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.vertices, self.faces = nn.Parameter(vertices), faces
        self.color = color or (lambda points: torch.full_like(points, 0.5))

    @classmethod
    def of(cls, mesh: trimesh.Trimesh, color: Callable[[Tensor], Tensor] | None = None) -> "PlainSurface":
        return cls(torch.tensor(mesh.vertices, dtype=torch.float32), torch.tensor(mesh.faces), color)

    def triangles(self) -> Triangles:
        return Triangles(self.vertices, self.faces)

    def texture(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3"]:
        return self.color(points)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"vertices": [self.vertices]}


def square(side: float = 1.0, x: float = 0.0) -> tuple[Tensor, Tensor]:
    """A square that faces +X, around the X axis."""
    y, z = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]).T * side
    return torch.stack([torch.full_like(y, x), y, z], dim=1), torch.tensor([[0, 1, 2], [0, 2, 3]])


def tilted_box() -> trimesh.Trimesh:
    """A box that no axis is parallel to."""
    turn = trimesh.transformations.euler_matrix(0.3, 0.5, 0.7)
    return trimesh.creation.box((0.6, 0.5, 0.4), transform=turn)


def bound(renderer: AnyRenderer) -> AnyRenderer:
    """The renderer, bound to a stage."""
    renderer.bind(toy_stage({}))
    return renderer


def front(size: int, views: int = 1, radius: float = 1.6) -> Cameras:
    """Cameras around the object; the first on +X."""
    return Cameras.orbit(torch.arange(views) * 0.9, 0.0, radius, FOV, size)


def pixel_size(size: int, distance: float = 1.6) -> float:
    """Edge of a pixel at a distance, world units."""
    return 2 * distance * math.tan(FOV / 2) / size
