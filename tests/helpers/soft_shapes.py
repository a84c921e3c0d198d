"""Fields whose surface and colours are known in closed form."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.representation import Representation

Distance = Callable[[Tensor], Tensor]
Color = Callable[[Tensor], Tensor]

CENTER = torch.tensor([0.05, -0.1, 0.08])
RADIUS = 0.25


class Shape(Representation):
    """A signed distance (negative inside) as a density: peak * sigmoid(-distance / softness) in a box around 0."""

    channels = 3

    def __init__(
        self,
        distance: Distance,
        color: Color,
        peak: float = 100.0,
        softness: float = 0.002,
        half: tuple[float, float, float] = (0.5, 0.5, 0.5),
        voxel_size: float = 1 / 64,
    ) -> None:
        super().__init__()
        self.space = "rgb"
        self.distance, self.color, self.peak, self.softness = distance, color, peak, softness
        self.voxel_size = voxel_size
        self.register_buffer("reach", torch.tensor(half))

    @property
    def box(self) -> Float[Tensor, "2 3"]:
        return torch.stack([-self.reach, self.reach])

    def density(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, " points"]:
        inside = (points.abs() <= self.reach + 1e-6).all(dim=-1)
        return self.peak * torch.sigmoid(-self.distance(points) / self.softness) * inside

    def features(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3"]:
        return self.color(points)


def ball_distance(points: Tensor) -> Tensor:
    return (points - CENTER).norm(dim=-1) - RADIUS


def sides(points: Tensor) -> Tensor:
    """Red where +X is the largest direction from the ball's centre, cyan on -X, green +Y, blue +Z, grey elsewhere."""
    away = points - CENTER
    palette = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0, 1.0, 1.0], [0.5, 0.5, 0.5], [0.2, 0.2, 0.2]])
    return palette[torch.cat([away, -away], dim=-1).argmax(dim=-1)]


def soft_ball(**keywords: object) -> Shape:
    """An off-centre ball whose colour tells the direction; keywords change its density."""
    return Shape(ball_distance, sides, **keywords)
