"""Weights over timesteps, by the names that recipes use."""

from typing import Literal, assert_never

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.diffusion import NoiseSchedule

Weighting = Literal["sigma_squared", "one", "alpha_sigma_squared", "inverse_sigma_squared", "sigma_over_alpha"]


def weight(schedule: NoiseSchedule, t: Int[Tensor, " batch"], weighting: Weighting) -> Float[Tensor, "batch 1 1 1"]:
    """w(t) by name.

    sigma_squared is DreamFusion's, one SJC's and Magic3D's, alpha_sigma_squared and inverse_sigma_squared Fantasia3D's,
    sigma_over_alpha LucidDreamer's.
    """
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    match weighting:
        case "sigma_squared":
            return sigma.square()
        case "one":
            return torch.ones_like(sigma)
        case "alpha_sigma_squared":
            return alpha * sigma.square()
        case "inverse_sigma_squared":
            return sigma.pow(-2)
        case "sigma_over_alpha":
            return sigma / alpha
    assert_never(weighting)
