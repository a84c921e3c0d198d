"""Light that shows the shape: what a textured ball and a painted disc have in common, they lose under it."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d.part import Step
from gen3d.schedule import Schedule

Lamp = Literal["beside", "cone"]
"""Where lights are: `beside` the camera (DreamFusion), or in a `cone` of 60 degrees around its axis (Magic3D)."""

Diffuse = float | Literal["random"]
"""Light of the lamp; random: a share of all light, drawn each step (Magic3D)."""

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
    """Which training steps are lit, how, and from where.

    Args:
        share: of the steps that are lit.
        textureless: share of those whose surfaces are white.
        ambient: light that is everywhere; what the lamp leaves of 1 where that is random.
        diffuse: light of the lamp.
        lamp: where it is.
    """

    def __init__(
        self, share: Schedule | float, textureless: float, ambient: float, diffuse: Diffuse, lamp: Lamp
    ) -> None:
        self.share, self.textureless, self.ambient, self.diffuse = Schedule.of(share), textureless, ambient, diffuse
        self.lamp = lamp
        for name, value in (("textureless", textureless), ("ambient", ambient), ("diffuse", diffuse)):
            if value != "random" and not 0 <= value <= 1:
                raise BadInput(f"{name} is {value}", remedy="it is from 0 to 1")

    @property
    def possible(self) -> bool:
        """Whether any step may be lit."""
        return any(share > 0 for _, share in self.share.knots)

    def light(self, cameras: Cameras, step: Step) -> Light | None:
        """The light of a step, from its streams "shading" and "light"; None: only albedo is seen."""
        lit, white, soft = torch.rand(3, generator=step.rng("shading")).tolist()
        if lit >= self.share(step.index, step.total):
            return None
        ambient, diffuse = (1 - soft, soft) if self.diffuse == "random" else (self.ambient, self.diffuse)
        return Light(self._positions(cameras, step), ambient, diffuse, white < self.textureless)

    def _positions(self, cameras: Cameras, step: Step) -> Float[Tensor, "views 3"]:
        """A stream for each view: that of a neighbour of the first view has the light of the first view."""
        streams = [f"light.{view}" for view in range(len(cameras))]
        distance = torch.cat([step.rand(f"{stream}.distance", 1) for stream in streams])
        if self.lamp == "beside":
            normal = torch.stack([step.randn(stream, 3) for stream in streams])
            return beside(cameras.position.to(normal), normal, distance)
        uniform = torch.stack([step.rand(stream, 2) for stream in streams])
        return cone(cameras.position.to(uniform), uniform, distance)


def beside(
    cameras: Float[Tensor, "views 3"], normal: Float[Tensor, "views 3"], distance: Float[Tensor, " views"]
) -> Float[Tensor, "views 3"]:
    """Beside the camera by N(0, 1), at a distance of 0.8 to 1.5 from the origin (DreamFusion, appendix A.2).

    Args:
        cameras: their centres.
        normal: standard normal numbers.
        distance: uniform numbers in [0, 1).
    """
    return _away(distance) * normalize(cameras + normal, dim=1)


def cone(
    cameras: Float[Tensor, "views 3"], uniform: Float[Tensor, "views 2"], distance: Float[Tensor, " views"]
) -> Float[Tensor, "views 3"]:
    """At most 60 degrees from the camera as seen from the origin, at a distance of 0.8 to 1.5 (threestudio's Magic3D).

    Args:
        cameras: their centres, not above the origin.
        uniform: numbers in [0, 1): of the angle around the camera's axis, and of the one away from it.
        distance: likewise.
    """
    axis = normalize(cameras, dim=1)
    side = normalize(torch.stack([axis[:, 1], -axis[:, 0], torch.zeros_like(axis[:, 0])], dim=1), dim=1)
    other = torch.linalg.cross(axis, side)
    around, height = math.pi * (2 * uniform[:, :1] - 1), math.pi / 6 * (2 * uniform[:, 1:] + 1)
    across = height.cos() * (around.cos() * side + around.sin() * other)
    return _away(distance) * (across + height.sin() * axis)


def _away(distance: Float[Tensor, " views"]) -> Float[Tensor, "views 1"]:
    near, far = _DISTANCES
    return (near + (far - near) * distance)[:, None]
