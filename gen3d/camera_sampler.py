"""The distribution of random cameras: the `cameras` of a recipe."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.cameras import Cameras, direction, radians
from gen3d.errors import BadInput
from gen3d.part import Step
from gen3d.schedule import Schedule

ElevationLaw = Literal["uniform", "area", "mixed"]


@dataclass(frozen=True)
class Draws:
    """The raw random numbers of a batch: uniform in [0, 1), and standard normal where the name says so."""

    azimuth: Float[Tensor, " views"]
    elevation: Float[Tensor, " views"]
    radius: Float[Tensor, " views"]
    fov: Float[Tensor, " views"]
    position: Float[Tensor, "views 3"]
    normal_center: Float[Tensor, "views 3"]
    normal_up: Float[Tensor, "views 3"]


class CameraSampler:
    """Cameras around the object, azimuth stratified over the batch.

    Args:
        views: cameras a step.
        size: side of the square pictures, pixels; may change over the stage.
        azimuth_deg: interval of azimuth.
        elevation_deg: interval of elevation.
        elevation_law: `uniform` in the angle, by `area` of the sphere, or one of the two a step, by chance (`mixed`).
        radius: interval of distance from the origin.
        fov_deg: interval of the field of view.
        position_jitter: the camera is moved by up to this along each axis (DreamFusion: 0.1).
        center_jitter: standard deviation of the point looked at (DreamFusion: 0.2).
        up_jitter: standard deviation of the up vector (DreamFusion: 0.02).
    """

    def __init__(
        self,
        views: int = 1,
        size: Schedule | float = 64,
        azimuth_deg: tuple[float, float] = (-180.0, 180.0),
        elevation_deg: tuple[float, float] = (-10.0, 45.0),
        elevation_law: ElevationLaw = "mixed",
        radius: tuple[float, float] = (1.5, 2.0),
        fov_deg: tuple[float, float] = (40.0, 70.0),
        position_jitter: float = 0.0,
        center_jitter: float = 0.0,
        up_jitter: float = 0.0,
    ) -> None:
        _check("azimuth_deg", azimuth_deg, -360, 360)
        _check("elevation_deg", elevation_deg, -90, 90)
        _check("radius", radius, 0.01, 100)
        _check("fov_deg", fov_deg, 1, 170)
        for name, jitter in (("position", position_jitter), ("center", center_jitter), ("up", up_jitter)):
            _check(f"{name}_jitter", (jitter, jitter), 0, 1)
        self.size = Schedule.of(size)
        for _, pixels in self.size.knots:
            _check("size", (pixels, pixels), 1, 4096)
        if views < 1:
            raise BadInput(f"views is {views}", remedy="at least one camera a step")
        self.views, self.elevation_law = views, elevation_law
        self.azimuth, self.elevation, self.fov = radians(azimuth_deg), radians(elevation_deg), radians(fov_deg)
        self.radius = radius
        self.position_jitter, self.center_jitter, self.up_jitter = position_jitter, center_jitter, up_jitter

    def sample(self, step: Step) -> Cameras:
        """The random cameras of a step, from its stream "cameras"."""
        rng, n = step.rng("cameras"), self.views
        law = self.elevation_law
        if law == "mixed":
            law = "uniform" if torch.rand((), generator=rng) < 0.5 else "area"  # noqa: PLR2004 (a fair coin)
        azimuth, elevation, radius, fov = torch.rand(4, n, generator=rng).unbind()
        position = torch.rand(n, 3, generator=rng)
        center, up = torch.randn(n, 3, generator=rng), torch.randn(n, 3, generator=rng)
        size = int(self.size(step.index, step.total))
        return self.place(Draws(azimuth, elevation, radius, fov, position, center, up), law, size).to(step.device)

    def place(self, draws: Draws, law: Literal["uniform", "area"], size: int) -> Cameras:
        """The cameras that these draws stand for."""
        strata = (draws.azimuth + torch.arange(len(draws.azimuth))) / len(draws.azimuth)
        azimuth = _between(strata, self.azimuth)
        if law == "uniform":
            elevation = _between(draws.elevation, self.elevation)
        else:
            low, high = (math.sin(angle) for angle in self.elevation)
            elevation = torch.asin(_between(draws.elevation, (low, high)))
        eye = _between(draws.radius, self.radius)[:, None] * direction(azimuth, elevation)
        up = eye.new_tensor([0.0, 0.0, 1.0]) + self.up_jitter * draws.normal_up
        return Cameras.look_at(
            eye + self.position_jitter * (2 * draws.position - 1),
            _between(draws.fov, self.fov),
            size,
            target=self.center_jitter * draws.normal_center,
            up=up,
        )


def _check(name: str, interval: tuple[float, float], least: float, most: float) -> None:
    low, high = interval
    if not least <= low <= high <= most:
        shown = f"{low:g}" if low == high else f"[{low:g}, {high:g}]"
        raise BadInput(f"{name} is {shown}", remedy=f"it lies within [{least:g}, {most:g}], the lower end first")


def _between(share: Float[Tensor, " views"], interval: tuple[float, float]) -> Float[Tensor, " views"]:
    return interval[0] + share * (interval[1] - interval[0])
