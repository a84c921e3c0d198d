"""What a batch of rays sees, and the queries that it is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d import Samples


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a batch of rays sees.

    Args:
        light: colour or latents, without the background.
        left: share of the background.
        depth: expected distance, the background counted.
        normal: composited over 0.
        samples: what it was composited from.
    """

    light: Float[Tensor, "rays channels"]
    left: Float[Tensor, "rays 1"]
    depth: Float[Tensor, "rays 1"]
    normal: Float[Tensor, "rays 3"] | None
    samples: Samples


def ask(query: Callable[[Tensor], Tensor], points: Float[Tensor, "3 points"], *channels: int) -> Tensor:
    """What a field says about points, without disturbing it for none."""
    return query(points.T) if points.shape[1] else points.new_zeros(0, *channels)


def gather(columns: Float[Tensor, "axes rays"], index: Int[Tensor, " samples"]) -> Float[Tensor, "axes samples"]:
    """columns[:, index]; row by row it is several times faster on a CPU."""
    return torch.stack([row.index_select(0, index) for row in columns])


def join(parts: list[Drawn]) -> Drawn:
    """The chunks of rays as one."""
    if len(parts) == 1:
        return parts[0]
    light, left, depth = (torch.cat([getattr(part, name) for part in parts]) for name in ("light", "left", "depth"))
    normal = None if parts[0].normal is None else torch.cat([cast("Tensor", part.normal) for part in parts])
    return Drawn(light, left, depth, normal, _samples([part.samples for part in parts]))


def _samples(parts: list[Samples]) -> Samples:
    """Samples of consecutive rays as one."""
    fields = ("weights", "distances", "directions")
    values = {name: torch.cat([getattr(part, name) for part in parts]) for name in fields}
    normals = None if parts[0].normals is None else torch.cat([cast("Tensor", part.normals) for part in parts])
    before = list(accumulate((part.ray_count for part in parts), initial=0))
    rays = torch.cat([part.rays + offset for part, offset in zip(parts, before, strict=False)])
    return Samples(rays=rays, normals=normals, ray_count=before[-1], slots=max(part.slots for part in parts), **values)
