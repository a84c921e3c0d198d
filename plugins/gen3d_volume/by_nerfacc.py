"""Compositing by nerfacc (Li et al. 2023), where its CUDA code has been built."""

import nerfacc
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_volume.composite import Packing, sum_along_rays


def weights(
    depths: Float[Tensor, " samples"], packing: Packing
) -> tuple[Float[Tensor, " samples"], Float[Tensor, " rays"]]:
    """As `composite.weights`."""
    starts = packing.offsets[:-1]
    before = nerfacc.exclusive_sum(depths, torch.stack([starts, packing.offsets.diff()], dim=1))
    return torch.exp(-before) * -torch.expm1(-depths), torch.exp(-sum_along_rays(depths, packing))


def composite(
    values: Float[Tensor, "samples channels"], weight: Float[Tensor, " samples"], packing: Packing
) -> Float[Tensor, "rays channels"]:
    """As `composite.composite`."""
    return nerfacc.accumulate_along_rays(weight, values, packing.rays, packing.count)
