"""Which points of which rays are worth asking the field about."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d_volume.composite import Packing, optical_depth_before
from gen3d_volume.occupancy import BLOCK, Occupancy

_SHIFT = BLOCK.bit_length() - 1  # to divide by BLOCK
_PARALLEL = 1e-12  # least component of a direction: divided by without special cases


@dataclass(frozen=True, eq=False)
class Steps:
    """The samples of rays, packed: sorted by ray and along it.

    Args:
        rays: index of each sample's ray.
        distances: from the ray's origin, world units.
        slots: samples that the longest ray has room for within the box.
    """

    rays: Int[Tensor, " samples"]
    distances: Float[Tensor, " samples"]
    slots: int


@torch.no_grad()
def march(
    origins: Float[Tensor, "3 rays"],
    directions: Float[Tensor, "3 rays"],
    box: Float[Tensor, "2 3"],
    occupancy: Occupancy,
    step: float,
    stop_at: float,
) -> Steps:
    """Every sample that is neither in skipped space nor certainly behind something opaque.

    Samples lie at whole multiples of `step` from where a ray enters the box. What is left out has an opacity below
    what the occupancy was surveyed for, or has less than `stop_at` of the light left.
    """
    enter, leave = _within(origins, directions, box)
    length = leave - enter
    first, blocks = _clip(origins, directions, occupancy, enter, length, step)
    # Both in one transfer, since each is a wait for the device, as are the three `nonzero`.
    longest, most = torch.stack([length.amax() / step, blocks.amax()]).tolist() if len(length) else (-1, 0)
    slots, active = int(longest) + 1, blocks.nonzero().squeeze(1)
    if not len(active):
        return Steps(active, enter[active], slots)
    enter, first, length = enter[active], first[active], length[active]
    lower, cell = occupancy.start, occupancy.edge
    place = (origins[:, active] + (enter + first * step) * directions[:, active] - lower) / cell
    rows, numbers = _near_blocks(place, directions[:, active] * step / cell, blocks[active], int(most), occupancy)
    # From here on a row is a block of samples.
    start = (first[rows] + BLOCK * numbers) * step
    place = (origins[:, active[rows]] + (enter[rows] + start) * directions[:, active[rows]] - lower) / cell
    floors = _floors(place, directions[:, active[rows]] * step / cell, occupancy)
    inner = torch.arange(BLOCK, device=start.device) * step
    wanted = (floors >= 0).logical_and_(inner < (length[rows] - start)[:, None])
    if stop_at > 0:
        wanted.logical_and_(_depth_before(floors * wanted * step, Packing.of(rows, len(active))) <= -math.log(stop_at))
    chosen = wanted.flatten().nonzero().squeeze(1)
    distances = ((enter[rows] + start)[:, None] + inner).flatten().index_select(0, chosen)
    return Steps(active[rows].index_select(0, chosen >> _SHIFT), distances, slots)


def _within(origins: Tensor, directions: Tensor, box: Tensor) -> tuple[Tensor, Tensor]:
    """Distances, not below 0, between which rays are in a box; the second is not above the first where they miss."""
    slope = torch.where(directions.abs() < _PARALLEL, _PARALLEL, directions)
    low, high = ((corner[:, None] - origins) / slope for corner in box)
    return torch.minimum(low, high).amax(0).clamp_min(0), torch.maximum(low, high).amin(0).clamp_min(0)


def _clip(
    origins: Tensor, directions: Tensor, occupancy: Occupancy, enter: Tensor, length: Tensor, step: float
) -> tuple[Tensor, Tensor]:
    """The first sample of each ray that may be occupied, and how many blocks it takes to reach the last one."""
    begin, end = _within(origins, directions, occupancy.bounds)
    first = ((begin - enter) / step).floor().clamp_min_(0)
    last = (torch.minimum(end - enter, length) / step).ceil()
    blocks = ((last - first) / BLOCK).floor() + 1
    return first, torch.where((last >= first) & (end > begin) & (length > 0), blocks, 0)


def _near_blocks(
    place: Float[Tensor, "3 active"], stride: Float[Tensor, "3 active"], blocks: Tensor, most: int, occupancy: Occupancy
) -> tuple[Int[Tensor, " near"], Int[Tensor, " near"]]:
    """Ray and number of each block of samples that may touch an occupied cell."""
    numbers = torch.arange(most, device=place.device, dtype=place.dtype)
    middle = place + stride * ((BLOCK - 1) / 2)
    cells = _cells(middle, BLOCK * stride, numbers, occupancy)
    near = occupancy.near.flatten().index_select(0, cells.flatten()).view(cells.shape)
    rows, columns = near.logical_and_(numbers < blocks[:, None]).nonzero(as_tuple=True)
    return rows, columns


def _floors(place: Float[Tensor, "3 near"], stride: Float[Tensor, "3 near"], occupancy: Occupancy) -> Tensor:
    """The least density in the cell of each sample of each block, negative where the cell is skipped."""
    cells = _cells(place, stride, torch.arange(BLOCK, device=place.device, dtype=place.dtype), occupancy)
    return occupancy.floor.flatten().index_select(0, cells.flatten()).view(cells.shape)


def _depth_before(depths: Float[Tensor, "near block"], packing: Packing) -> Float[Tensor, "near block"]:
    """Optical depth that light has at least passed before each sample."""
    before = depths.new_ones(BLOCK, BLOCK).triu(1)
    starts = optical_depth_before(depths.sum(1), packing)
    return torch.addmm(starts[:, None], depths, before)


def _cells(
    start: Float[Tensor, "3 rows"], stride: Float[Tensor, "3 rows"], numbers: Tensor, occupancy: Occupancy
) -> Int[Tensor, "rows columns"]:
    """Flat index of the cell at start + stride * number, or of the nearest where that is outside."""
    flat = start.new_zeros(())
    for axis, cells in enumerate(occupancy.shape):  # in float32: exact for that many cells
        index = torch.addcmul(start[axis][:, None], stride[axis][:, None], numbers).floor_().clamp_(0, cells - 1)
        flat = index.add_(flat, alpha=cells)
    return flat.int()
