"""The object that is optimised, and what it can do for a renderer."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from gen3d.part import Part
from gen3d.views import Space


class Representation(Part):
    """theta in x = g(theta, c). Its abilities are protocols such as RadianceField."""

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
