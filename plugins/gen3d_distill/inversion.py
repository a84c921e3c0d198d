"""DDIM inversion (Song et al. 2021, equation 14): from clean latents up the ordinary differential equation to x_t."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gen3d.diffusion import NoiseSchedule
from gen3d.guidance import Latents
from gen3d_distill.score_distillation import Noisy, Sample


def levels(t: Int[Tensor, " batch"], stride: int) -> list[Int[Tensor, " batch"]]:
    """Each row's way to its t: stride, 2 stride, ..., t; rows that are there wait for the others."""
    count = max(1, -(-int(t.max()) // stride))
    return [t.clamp_max(stride * (k + 1)) for k in range(count)]


def invert(
    sample: Sample,
    way: Iterable[Int[Tensor, " batch"]],
    epsilon: Callable[[Noisy], Latents],
    noise: Callable[[int], Latents] | None = None,
    eta: float = 0.0,
) -> tuple[Noisy, Latents]:
    """Take the sample's clean latents up a way of timesteps, by the noise predicted at each.

    Args:
        sample: its own noise is not used.
        way: rising timesteps for each row.
        epsilon: the prediction to follow.
        noise: what is drawn at each step of the way, by its number; only where eta is not 0.
        eta: of DDIM's variance; the direction is not shortened for it, as in the published code of SDI.

    Returns:
        The noisy latents at the end, and the last prediction: the one that led there.
    """
    x = Noisy(sample.prior, sample.condition, sample.clean, torch.zeros_like(sample.t))
    schedule, predicted = sample.prior.schedule, torch.zeros_like(sample.clean)
    for k, t in enumerate(way):
        predicted = epsilon(x)
        # At t = 0 the latents are the clean ones, and not yet noisy ones.
        clean = torch.where(_rows(x.t == 0), sample.clean, x.clean(predicted))
        moved = schedule.add_noise(clean, predicted, t)
        if noise is not None and eta:
            moved = moved + eta * _std(schedule, x.t, t) * noise(k)
        x = replace(x, latents=torch.where(_rows(t == x.t), x.latents, moved), t=t)
    return x, predicted


def _std(
    schedule: NoiseSchedule, low: Int[Tensor, " batch"], high: Int[Tensor, " batch"]
) -> Float[Tensor, "batch 1 1 1"]:
    """DDIM's at eta = 1 between two levels; 0 where the lower one is clean."""
    ratio = (schedule.alpha(high) / schedule.alpha(low)).square()
    std = schedule.sigma(low) / schedule.sigma(high) * (1 - ratio).clamp_min(0).sqrt()
    return torch.where(_rows(low == 0), 0.0, std)


def _rows(mask: Bool[Tensor, " batch"]) -> Bool[Tensor, "batch 1 1 1"]:
    return mask[:, None, None, None]
