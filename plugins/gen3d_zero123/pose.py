"""The relative pose that Zero-1-to-3 is conditioned on, in its three dialects."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.cameras import Cameras

PoseDialect = Literal["radius", "polar", "radius_and_polar"]
"""What follows [theta_t - theta_c, sin dphi, cos dphi]: r_t - r_c (published), theta_c (stable-zero123), or both."""

POSE_WIDTH: dict[PoseDialect, int] = {"radius": 4, "polar": 4, "radius_and_polar": 5}


def dialect_of(name: str) -> PoseDialect:
    """The dialect of weights of which nothing else says it: stable-zero123's files are called as all others are."""
    return "polar" if "stable" in name else "radius"


def relative_pose(
    target: Cameras, source: Cameras, dialect: PoseDialect = "radius"
) -> Float[Tensor, "views components"]:
    """Where the targets are, as seen from the sources (Zero-1-to-3, section 3.2 and its `get_T`).

    theta is the angle from +Z and phi the azimuth, radians; r the distance in units of the object's longest side.

    Args:
        target: the views to make.
        source: the pictured views: one for each target, or one for all.
        dialect: which components follow the three angles.
    """
    polar_target, polar_source = math.pi / 2 - target.elevation, math.pi / 2 - source.elevation
    turn = target.azimuth - source.azimuth
    rest = {"radius": target.radius - source.radius, "polar": polar_source.expand_as(turn)}
    angles = [polar_target - polar_source, torch.sin(turn), torch.cos(turn)]
    return torch.stack([*angles, *(rest[name] for name in dialect.split("_and_"))], dim=-1)
