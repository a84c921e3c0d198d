"""Light that shows the shape: what a textured ball and a painted disc have in common, they lose under it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from gen3d import BadInput, Cameras, Schedule, Step

_DISTANCES = (0.8, 1.5)  # of the light from the origin, world units (DreamFusion, appendix A.2)


@dataclass(frozen=True, eq=False)
class Light:
    """A point light for each view.

    Args:
        position: in the world.
        ambient: what surfaces get that look away from it.
        diffuse: what those get in addition that face it.
        textureless: whether surfaces are white.
    """

    position: Float[Tensor, "views 3"]
    ambient: float
    diffuse: float
    textureless: bool

    def at_each_ray_of(self, cameras: Cameras) -> Float[Tensor, "views height width 3"]:
        """The position that holds for each ray."""
        return self.position[:, None, None].expand(-1, cameras.height, cameras.width, -1)

    def shade(
        self,
        albedo: Float[Tensor, "points 3"],
        normals: Float[Tensor, "points 3"],
        towards: Float[Tensor, "points 3"],
    ) -> Float[Tensor, "points 3"]:
        """The colour albedo (ambient + diffuse max(0, n . l)) (Poole et al. 2022, DreamFusion, equation 4).

        `towards` leads from the points to the light. What faces away from it gets the ambient light.
        """
        facing = (normals * normalize(towards, dim=1)).sum(1, keepdim=True).clamp_min(0)
        shade = self.ambient + self.diffuse * facing
        return shade.expand_as(albedo) if self.textureless else albedo * shade


class Shading:
    """Which training steps are lit, and from where.

    Args:
        share: of the steps that are lit.
        textureless: share of those whose surfaces are white.
        ambient: light that is everywhere.
        diffuse: light of the lamp.
    """

    def __init__(self, share: Schedule | float, textureless: float, ambient: float, diffuse: float) -> None:
        self.share, self.textureless, self.ambient, self.diffuse = Schedule.of(share), textureless, ambient, diffuse
        for name, value in (("textureless", textureless), ("ambient", ambient), ("diffuse", diffuse)):
            if not 0 <= value <= 1:
                raise BadInput(f"{name} is {value}", remedy="it is from 0 to 1")

    @property
    def possible(self) -> bool:
        """Whether any step may be lit."""
        return any(share > 0 for _, share in self.share.knots)

    def light(self, cameras: Cameras, step: Step) -> Light | None:
        """The light of a step, from its streams "volume.shading" and "volume.light"; None: only albedo is seen."""
        lit, white = torch.rand(2, generator=step.rng("volume.shading")).tolist()
        if lit >= self.share(step.index, step.total):
            return None
        # A stream for each view: that of a neighbour of the first view has the light of the first view.
        streams = [f"volume.light.{view}" for view in range(len(cameras))]
        beside = torch.stack([step.randn(stream, 3) for stream in streams])
        distance = torch.cat([step.rand(f"{stream}.distance", 1) for stream in streams])
        position = place(cameras.position.to(beside), beside, distance)
        return Light(position, self.ambient, self.diffuse, white < self.textureless)


def place(
    cameras: Float[Tensor, "views 3"], beside: Float[Tensor, "views 3"], distance: Float[Tensor, " views"]
) -> Float[Tensor, "views 3"]:
    """Where lights are (DreamFusion, appendix A.2): beside the camera by N(0, 1), at a distance from 0.8 to 1.5.

    Args:
        cameras: their centres.
        beside: standard normal numbers.
        distance: uniform numbers in [0, 1).
    """
    near, far = _DISTANCES
    return (near + (far - near) * distance)[:, None] * normalize(cameras + beside, dim=1)
