"""A hash grid that starts from another field is fitted to it: an entry serves many places, so there is no copying."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d import RadianceField

STEPS = 300
POINTS = 1 << 13
CANDIDATES = 1 << 18
RATE = 0.02

_THINNEST = 1e-3  # density that counts as nothing


class Fitted(RadianceField, Protocol):
    """A field that is fitted, by its density before activation."""

    def raw_density(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, " points"]:
        """Before activation."""
        ...

    def inverse(self, density: Float[Tensor, " points"]) -> Float[Tensor, " points"]:
        """What becomes this density, which is more than 0."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is trained."""
        ...


@torch.enable_grad()
def fit(field: Fitted, other: RadianceField, stream: torch.Generator) -> None:
    """Fit density, and features where they are of the same kind, by Adam at random points of the field's box.

    Half of the points are uniform and half are drawn by the other's density, because most of a box is empty. Densities
    are compared before activation, where thin ones have a gradient too, and by asinh, so that walls of 1000 count no
    more than fog of 10; whatever is thinner than 0.001 counts as empty.

    Args:
        field: what is fitted, as it starts.
        other: what it shall be like.
        stream: of the points, on the CPU.
    """
    alike = (field.space, field.channels) == (other.space, other.channels)
    floor = float(field.inverse(torch.tensor([_THINNEST])))
    optimizer = torch.optim.Adam(field.parameters(), lr=RATE, betas=(0.9, 0.99), eps=1e-15)
    draw = _points(field, other, stream)
    for index in range(STEPS):
        points = draw()
        with torch.no_grad():
            wanted = field.inverse(other.density(points).clamp_min(_THINNEST))
            colors = other.features(points) if alike else None
        raw = field.raw_density(points)
        gap = torch.where(wanted > floor, raw.asinh() - wanted.asinh(), (raw - floor).relu())
        loss = gap.square().mean()
        if colors is not None:
            loss = loss + (field.features(points) - colors).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, 4 * (1 - index / STEPS))  # falls over the last quarter
        optimizer.step()


@torch.no_grad()
def _points(field: RadianceField, other: RadianceField, stream: torch.Generator) -> Callable[[], Tensor]:
    """What draws points: half of them uniform in the field's box, half by the other's density there."""
    lower, upper = field.box.cpu()

    def uniform(count: int) -> Float[Tensor, "points 3"]:
        return lower + (upper - lower) * torch.rand(count, 3, generator=stream)

    candidates = uniform(CANDIDATES)
    density = torch.cat([other.density(part.to(field.box)) for part in candidates.split(POINTS)])
    below = density.cpu().double().cumsum(0)

    def draw() -> Float[Tensor, "points 3"]:
        places = torch.rand(POINTS // 2, generator=stream, dtype=torch.float64) * below[-1]
        chosen = candidates[torch.searchsorted(below, places, right=True).clamp_max(CANDIDATES - 1)]
        return torch.cat([uniform(POINTS // 2), chosen]).to(field.box)

    return draw
