"""The object that is optimised, and what it can do for a renderer."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from gen3d.part import Part
from gen3d.views import Space


class Representation(Part):
    """theta in x = g(theta, c). Its abilities are protocols: RadianceField, Surface."""

    @property
    def result(self) -> "Representation":
        """What later stages and exporters get: itself, but for particles."""
        return self

    def initialise_from(self, other: "Representation") -> None:
        """Take over the object that an earlier stage left. Raises Unsupported where the kinds do not convert."""
        from gen3d.errors import Unsupported

        raise Unsupported(f"{type(self).__name__} cannot start from a {type(other).__name__}")


@runtime_checkable
class RadianceField(Protocol):
    """Density and features at points of space."""

    space: Space
    channels: int
    voxel_size: float
    """Edge of the finest detail, world units: renderers step by half of it."""

    @property
    def box(self) -> Float[Tensor, "2 3"]:
        """Lower and upper corner; the field is empty outside."""
        ...

    def density(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, " points"]:
        """Extinction per unit of length, not negative; 0 outside the box."""
        ...

    def features(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points channels"]:
        """Colour (sRGB in [0, 1]) or latent at points, before compositing."""
        ...


@dataclass(frozen=True, eq=False)
class Triangles:
    """A triangle mesh in the world.

    Args:
        vertices: positions, differentiable where the shape is trained.
        faces: indices of corners, counter-clockwise as seen from outside.
    """

    vertices: Float[Tensor, "vertices 3"]
    faces: Int[Tensor, "faces 3"]


@runtime_checkable
class Surface(Protocol):
    """A triangle mesh with a colour at each of its points."""

    def triangles(self) -> Triangles:
        """The mesh as it is now. Raises Degenerate where there is none."""
        ...

    def texture(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3"]:
        """Colours (sRGB in [0, 1]) at points on the surface."""
        ...
