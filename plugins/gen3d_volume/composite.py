"""Compositing of packed samples along rays, with exact sums and their gradients."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Packing:
    """Which samples belong to which ray.

    Args:
        rays: index of each sample's ray, rising.
        ends: for each ray, how many samples it and the rays before it have.
    """

    rays: Int[Tensor, " samples"]
    ends: Int[Tensor, " rays"]

    @classmethod
    def of(cls, rays: Int[Tensor, " samples"], ray_count: int) -> "Packing":
        """From the rays of the samples."""
        numbers = torch.arange(ray_count, device=rays.device, dtype=rays.dtype)
        return cls(rays, torch.searchsorted(rays, numbers, right=True))

    def at_ends(self, running: Float[Tensor, " samples"]) -> Float[Tensor, " rays_and_one"]:
        """A running sum over all samples before the first ray and after each one."""
        return torch.cat([running.new_zeros(1), running]).index_select(0, nn.functional.pad(self.ends, (1, 0)))


def optical_depth_before(depths: Float[Tensor, " samples"], packing: Packing) -> Float[Tensor, " samples"]:
    """Sum of the optical depths of the samples before each one on its ray; the gradient is not followed.

    One running sum over all rays, in float64 so that what the rays before contribute cancels exactly enough.
    """
    total = depths.cumsum(0, dtype=torch.float64)
    starts = packing.at_ends(total)[:-1].index_select(0, packing.rays)
    return total.sub_(depths).sub_(starts).to(depths.dtype)


def weights(
    depths: Float[Tensor, " samples"], packing: Packing
) -> tuple[Float[Tensor, " samples"], Float[Tensor, " rays"]]:
    """Weight of each sample, and the share of light that each ray has left at its end, from optical depths.

    w_i = T_i (1 - exp(-depth_i)), T_i = exp(-sum_{j<i} depth_j) (Max 1995, eq. 12). Weights and the rest of a ray sum
    to 1. Differentiable once.
    """
    result: tuple[Tensor, Tensor] = _Weights.apply(depths, packing)  # type: ignore[no-untyped-call]
    return result


def sum_along_rays(values: Float[Tensor, " samples"], packing: Packing) -> Float[Tensor, " rays"]:
    """Sum of the samples of each ray, differentiable."""
    return values.new_zeros(len(packing.ends)).index_add(0, packing.rays, values)


class _Weights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, depths: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        before = optical_depth_before(depths, packing)
        light = before.neg_().exp_()
        result = torch.expm1(-depths).mul_(light).neg_()
        left = torch.exp(-sum_along_rays(depths, packing))
        ctx.save_for_backward(light, result, left)
        ctx.packing = packing
        return result, left

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, to_weights: Tensor, to_left: Tensor) -> tuple[Tensor, None]:
        """Since d w_j / d depth_i is T_{i+1} for j = i and -w_j for j > i, and d left / d depth_i is -left."""
        light, result, left = ctx.saved_tensors
        total = (to_weights * result).cumsum(0, dtype=torch.float64)
        ends = ctx.packing.at_ends(total)[1:] + to_left * left
        behind = ends.index_select(0, ctx.packing.rays).sub_(total).to(result.dtype)
        return light.sub(result).mul_(to_weights).sub_(behind), None
