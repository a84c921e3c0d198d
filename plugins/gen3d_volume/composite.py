"""Compositing of packed samples along rays, with exact sums and their gradients."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Packing:
    """Which samples belong to which ray.

    Args:
        rays: index of each sample's ray, rising.
        offsets: how many samples lie before each ray, and at last how many there are.
    """

    rays: Int[Tensor, " samples"]
    offsets: Int[Tensor, " rays_and_one"]

    @property
    def count(self) -> int:
        """How many rays there are."""
        return len(self.offsets) - 1

    @classmethod
    def of(cls, rays: Int[Tensor, " samples"], ray_count: int) -> "Packing":
        """From the rays of the samples."""
        numbers = torch.arange(ray_count + 1, device=rays.device, dtype=rays.dtype)
        return cls(rays, torch.searchsorted(rays, numbers))

    def before(self, running: Float[Tensor, " samples"]) -> Float[Tensor, " rays_and_one"]:
        """What a running sum over all samples is before each ray, and at the end."""
        return torch.cat([running.new_zeros(1), running]).index_select(0, self.offsets)


def optical_depth_before(depths: Float[Tensor, " samples"], packing: Packing) -> Float[Tensor, " samples"]:
    """Sum of the optical depths of the samples before each one on its ray; the gradient is not followed.

    One running sum over all rays, in float64 so that what the rays before contribute cancels exactly enough.
    """
    total = depths.cumsum(0, dtype=torch.float64)
    starts = packing.before(total)[:-1].index_select(0, packing.rays)
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
    return torch.segment_reduce(values, "sum", offsets=packing.offsets, initial=0, unsafe=True)


def composite(
    values: Float[Tensor, "samples channels"], weight: Float[Tensor, " samples"], packing: Packing
) -> Float[Tensor, "rays channels"]:
    """Sum of the weighted samples of each ray."""
    return torch.stack([sum_along_rays(weight * value, packing) for value in values.unbind(1)], dim=-1)


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
        ends = ctx.packing.before(total)[1:] + to_left * left
        behind = ends.index_select(0, ctx.packing.rays).sub_(total).to(result.dtype)
        return light.sub(result).mul_(to_weights).sub_(behind), None
