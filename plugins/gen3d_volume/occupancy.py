"""Where a field is worth sampling, and how dense it is there at least."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gen3d import RadianceField

BLOCK = 8
"""Samples of a ray that one look at the occupancy can rule out together."""
MOST_CELLS = 256
"""Along one side: their flat index is still exact in float32. Finer fields are surveyed more coarsely."""
_CACHED = 1 << 17  # points surveyed at a time on a CPU, so that what they need stays in the cache
_AT_ONCE = 1 << 20  # elsewhere: few launches, and a few hundred MiB


class Occupancy(nn.Module):
    """Bounds of the density in each cell of a grid over a field's box.

    The bounds hold exactly for a field that is monotone in a trilinear grid with one value a cell; other fields are
    sampled at that resolution.

    Args:
        field: what is surveyed; its box and its resolution are read here, its density in `survey`.
        most: cells along one side.
    """

    floor: Tensor
    near: Tensor
    bounds: Tensor
    start: Tensor
    edge: Tensor

    def __init__(self, field: RadianceField, most: int = MOST_CELLS) -> None:
        super().__init__()
        lower, upper = field.box.tolist()
        extent = [high - low for low, high in zip(lower, upper, strict=True)]
        self.shape = tuple(min(max(round(length / field.voxel_size), 1), most) for length in extent)
        self.lower = lower
        self.cell = [length / cells for length, cells in zip(extent, self.shape, strict=True)]
        device = field.box.device
        self.register_buffer("floor", torch.zeros(self.shape, device=device))
        self.register_buffer("near", torch.ones(self.shape, dtype=torch.bool, device=device))
        self.register_buffer("bounds", field.box.clone())
        self.register_buffer("start", field.box.new_tensor(self.lower)[:, None], persistent=False)
        self.register_buffer("edge", field.box.new_tensor(self.cell)[:, None], persistent=False)

    @torch.no_grad()
    def survey(self, field: RadianceField, step: float, skip_below: float) -> None:
        """Look at the whole field.

        `floor` becomes the least density in each cell, and -1 where no step through the cell can have an opacity
        above `skip_below`; `near` whether a block of samples around the cell's centre reaches a cell that is not
        skipped; `bounds` the box around those cells, inside out where there are none.
        """
        density = self._at_corners_of_doubt(field)
        skipped = -torch.expm1(-step * _window(density, torch.maximum)) <= skip_below
        self.floor.copy_(_window(density, torch.minimum).masked_fill_(skipped, -1))
        occupied = ~skipped
        reach = [math.ceil((BLOCK - 1) / 2 * step / cell) for cell in self.cell]
        self.near.copy_(_dilate(occupied, reach))
        self.bounds.copy_(self._bounds(occupied))

    def _at_corners_of_doubt(self, field: RadianceField) -> Float[Tensor, "x y z"]:
        """Density at the cells' centres and at the faces of the box: what lies between is between these."""
        axes = []
        for low, cell, cells in zip(self.lower, self.cell, self.shape, strict=True):
            places = (torch.arange(-1, cells + 1, device=self.floor.device) + 0.5).clamp(0, cells)
            axes.append(low + cell * places)
        plane, most = len(axes[1]) * len(axes[2]), _CACHED if self.floor.device.type == "cpu" else _AT_ONCE
        slabs = [
            field.density(torch.stack(torch.meshgrid(part, axes[1], axes[2], indexing="ij")).flatten(1).T)
            for part in axes[0].split(max(most // plane, 1))
        ]
        return torch.cat(slabs).view(*(len(axis) for axis in axes))

    def _bounds(self, occupied: Bool[Tensor, "x y z"]) -> Float[Tensor, "2 3"]:
        """Corners of the box around the occupied cells, world units; nobody waits to know them."""
        sides = []
        for axis, (low, cell) in enumerate(zip(self.lower, self.cell, strict=True)):
            others = [other for other in range(3) if other != axis]
            used = occupied.any(others[1]).any(others[0])
            number = torch.arange(len(used), device=used.device, dtype=torch.float64)
            last = torch.where(used, number + 1, 0).amax()
            first = torch.where(used, number, len(used)).amin().clamp_max(last + 1)
            sides.append(low + cell * torch.stack([first, last]))
        return torch.stack(sides, dim=1).to(self.bounds.dtype)


def _window(values: Tensor, pick: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The least or the greatest of 3 x 3 x 3 neighbours, without padding."""
    for axis in range(3):
        cells = values.shape[axis] - 2
        before, at, after = (values.narrow(axis, i, cells) for i in range(3))
        values = pick(pick(before, at), after)
    return values


def _dilate(occupied: Bool[Tensor, "x y z"], reach: list[int]) -> Bool[Tensor, "x y z"]:
    """True within `reach` cells along each axis of a True."""
    for axis, radius in enumerate(reach):
        wide = occupied.clone()
        for shift in range(1, min(radius, occupied.shape[axis] - 1) + 1):
            rest = occupied.shape[axis] - shift
            wide.narrow(axis, shift, rest).logical_or_(occupied.narrow(axis, 0, rest))
            wide.narrow(axis, 0, rest).logical_or_(occupied.narrow(axis, shift, rest))
        occupied = wide
    return occupied
