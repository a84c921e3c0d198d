"""The arithmetic of `lookup` in Triton: one launch where `Plain` makes hundreds, and nothing kept between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d_nerf import kernels
from gen3d_nerf.levels import Level

_POINTS, _WARPS = 128, 4  # of a program: a point a thread, so that tiles of points and of pairs need no exchange
_MOST = 4  # levels of a program: a sector of the gradient holds four pairs
_ENTRY = 8  # bytes


@dataclass(frozen=True, eq=False)
class Fused:
    """As `Plain`, on CUDA and in float32; a table in half precision is read as it is.

    Args:
        scales: of the levels.
        layout: stride (0: hashed), entries and first entry of each level.
        smooth: interpolation with 3 f^2 - 2 f^3 in place of f.
        active: levels that are looked at; of a fraction the last counts by that much, and those above give 0.
        group: levels that are visited at a time.
    """

    scales: Float[Tensor, " levels"]
    layout: Int[Tensor, "levels 3"]
    smooth: bool
    active: float
    group: int

    @classmethod
    def of(cls, levels: Sequence[Level], smooth: bool, device: torch.device) -> "Fused":
        """All of the levels, on a device."""
        layout = [(level.stride, level.entries, level.first) for level in levels]
        return cls(
            torch.tensor([level.scale for level in levels], device=device),
            torch.tensor(layout, device=device, dtype=torch.int32),
            smooth,
            float(len(levels)),
            _group(_ENTRY * max(level.entries for level in levels), device),
        )

    def values(self, table: Float[Tensor, "entries 2"], where: Tensor) -> Float[Tensor, "points features"]:
        """Both features of every level, level after level; feature by feature in memory."""
        out = where.new_empty(2 * len(self.scales), where.shape[1])
        self._launch(kernels.values, where, (table, where, out))
        return out.T

    def to_table(
        self, gradient: Float[Tensor, "points features"], where: Float[Tensor, "3 points"], entries: int
    ) -> Float[Tensor, "entries 2"]:
        """What each of so many entries receives of a gradient on the features."""
        total = where.new_zeros(entries, 2)
        self._launch(kernels.to_table, where, (gradient, where, total), gradient)
        return total

    def slope(self, gradient: Tensor, table: Tensor, where: Float[Tensor, "3 points"]) -> Float[Tensor, "3 points"]:
        """How the sum of the features, weighted with the gradient, changes with the place."""
        out = where.new_empty(-(-len(self.scales) // self.group), *where.shape)
        self._launch(kernels.slope, where, (gradient, table, where, out), gradient)
        return out.sum(0)

    def from_slope(
        self, upstream: Tensor, gradient: Tensor, table: Float[Tensor, "entries 2"], where: Float[Tensor, "3 points"]
    ) -> tuple[Float[Tensor, "points features"], Float[Tensor, "entries 2"]]:
        """What a gradient on the slope is for the weights that it was taken with, and for the table."""
        to_gradient, to_table = where.new_empty(gradient.T.shape), where.new_zeros(table.shape)
        arguments = (upstream.contiguous(), gradient, table, where, to_gradient, to_table)
        self._launch(kernels.from_slope, where, arguments, gradient)
        return to_gradient.T, to_table

    def _launch(self, kernel: Any, where: Tensor, tensors: tuple[Tensor, ...], gradient: Tensor | None = None) -> None:
        count, levels = where.shape[1], len(self.scales)
        if not count:
            return
        grid = (-(-count // _POINTS), -(-levels // self.group))
        strides = () if gradient is None else gradient.stride()
        arguments = (*tensors, self.scales, self.layout, self.active, count, levels, *strides)
        with torch.cuda.device_of(where):  # where Triton launches
            cut = {"SMOOTH": self.smooth, "GROUP": self.group, "POINTS": _POINTS}
            kernel[grid](*arguments, **cut, num_warps=_WARPS, enable_fp_fusion=True)


def _group(largest: int, device: torch.device) -> int:
    """As many levels as half of the L2 cache holds, given the bytes of the largest."""
    if device.type != "cuda":
        return _MOST
    cache = torch.cuda.get_device_properties(device).L2_cache_size
    return min(max(cache // 2 // largest, 1), _MOST)
