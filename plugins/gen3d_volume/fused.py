"""Compositing in Triton: one launch forward and one backward, of weights and of sums along rays."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_volume import kernels
from gen3d_volume.composite import Packing

_BLOCK = 64  # samples of a ray at a time: two a thread of its warp
_ROWS = 256  # samples of a program where rays do not matter


def weights(
    depths: Float[Tensor, " samples"], packing: Packing
) -> tuple[Float[Tensor, " samples"], Float[Tensor, " rays"]]:
    """As `composite.weights`, in float32."""
    result: tuple[Tensor, Tensor] = _Weights.apply(depths, packing)  # type: ignore[no-untyped-call]
    return result


def composite(
    values: Float[Tensor, "samples channels"], weight: Float[Tensor, " samples"], packing: Packing
) -> Float[Tensor, "rays channels"]:
    """As `composite.composite`, in float32."""
    result: Tensor = _Composite.apply(values, weight, packing)  # type: ignore[no-untyped-call]
    return result


class _Weights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, depths: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        depths = depths.contiguous()
        light, result = torch.empty_like(depths), torch.empty_like(depths)
        left = depths.new_empty(packing.count)
        _launch(kernels.weights, packing.count, depths, packing.offsets, light, result, left, BLOCK=_BLOCK, num_warps=1)
        ctx.save_for_backward(light, result, left)
        ctx.packing = packing
        return result, left

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, to_weights: Tensor, to_left: Tensor) -> tuple[Tensor, None]:
        light, result, left = ctx.saved_tensors
        offsets, out = ctx.packing.offsets, torch.empty_like(light)
        arguments = (light, result, left, to_weights.contiguous(), to_left.contiguous(), offsets, out)
        _launch(kernels.to_depths, ctx.packing.count, *arguments, BLOCK=_BLOCK, num_warps=1)
        return out, None


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, packing: Packing) -> Tensor:
        weight, channels = weight.contiguous(), values.shape[1]
        out = values.new_empty(packing.count, channels)
        tensors, cut = (values, weight, packing.offsets, out), {"BLOCK": _BLOCK, "CHANNELS": _padded(channels)}
        _launch(kernels.composite, packing.count, *tensors, *values.stride(), channels, **cut, num_warps=1)
        ctx.save_for_backward(values, weight)
        ctx.packing = packing
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor, None]:
        values, weight = ctx.saved_tensors
        samples, channels = values.shape
        wanted = ctx.needs_input_grad[0]  # not of distances
        to_values, to_weight = weight.new_empty(values.shape if wanted else 0), torch.empty_like(weight)
        tensors = (values, weight, ctx.packing.rays, upstream, to_values, to_weight)
        strides = (*values.stride(), *upstream.stride())
        cut = {"VALUES": wanted, "BLOCK": _ROWS, "CHANNELS": _padded(channels)}
        programs = -(-samples // _ROWS)
        _launch(kernels.from_composite, programs, *tensors, *strides, samples, channels, **cut, num_warps=4)
        return to_values if wanted else None, to_weight, None


def _padded(channels: int) -> int:
    """Tiles have sides that are powers of two."""
    return 1 << (channels - 1).bit_length()


def _launch(kernel: Any, programs: int, *arguments: Tensor | int, **options: int) -> None:
    if programs:
        with torch.cuda.device_of(arguments[0]):  # where Triton launches
            kernel[(programs,)](*arguments, **options, enable_fp_fusion=True)
