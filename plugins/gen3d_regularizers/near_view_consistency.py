"""A view from a step aside looks nearly the same (Liu et al. 2023, Zero-1-to-3, equation 6 and the released code)."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.guidance import Guidance, Signal
from gen3d.part import Step
from gen3d.views import Views


class NearViewConsistency(Guidance):
    """mean |y' - y| + mean |d' - d| between a random view and one from nearby; both get the gradient.

    The eye moves by `distance` in a direction drawn uniformly, and the camera turns to keep the point that it looked
    at: the one on its axis nearest to the origin.

    Args:
        distance: of the two eyes, world units; the published 0.05 is at a radius of about 2.
        count: how many of the random views get a neighbour, each of which is rendered too.
    """

    needs = frozenset({"image", "depth"})

    def __init__(self, distance: float = 0.05, count: int = 1) -> None:
        super().__init__()
        self.distance, self.count = distance, count

    def cameras(self, step: Step, random: Cameras) -> tuple[Cameras, ...]:
        """The random cameras, and the neighbours of the first `count` of them."""
        aside = step.randn(f"{self.name}.near", min(self.count, len(random)), 3)
        return random, beside(random, self.distance * torch.nn.functional.normalize(aside, dim=-1))

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above; "image" and "depth" are shown beside their sum."""
        here, near = views
        count = len(near.cameras)
        image = (near.image - here.image[:count]).abs().mean()
        depth = (near.depth - here.depth[:count]).abs().mean()
        return Signal(image + depth, {"image": image.detach(), "depth": depth.detach()})


def beside(cameras: Cameras, shift: Float[Tensor, "near 3"]) -> Cameras:
    """The first cameras, each moved by its row of `shift` and turned to what it looked at, upright."""
    first = cameras[: len(shift)]
    eye, back = first.position, first.c2w[:, :3, 2]
    target = eye - (eye * back).sum(dim=-1, keepdim=True) * back
    return Cameras.look_at(eye + shift, first.fov, first.height, first.width, target=target)
