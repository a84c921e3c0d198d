"""The whole distribution of an objective's residual on priors in closed form, in one call."""

import numpy as np
import torch
from torch import Tensor

from gen3d.guidance import Objective, Prior
from gen3d.part import Step
from gen3d.testing import toy_cameras

STEP = Step(0, 1)
NODES, SHARES = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(100))
SHARES /= SHARES.sum()


def residuals(objective: Objective, prior: Prior, t: Tensor, theta: Tensor, noise: Tensor = NODES) -> Tensor:
    """The residual at every theta for every noise, as (timesteps, thetas, noises)."""
    shape = (len(t), 1, len(theta), len(noise))
    latents = theta[:, None].expand(shape)
    condition = prior.condition(toy_cameras(len(t)))
    return objective.residual(prior, latents, t, condition, noise.expand(shape), STEP).gradient[:, 0]


def moments(objective: Objective, prior: Prior, t: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the noise of the residual at theta, as (timesteps, thetas)."""
    residual = residuals(objective, prior, t, theta)
    mean = (SHARES * residual).sum(dim=-1)
    variance = (SHARES * (residual - mean[..., None]).square()).sum(dim=-1)
    return mean, variance.sqrt()
