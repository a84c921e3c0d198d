"""The DDIM sampler (Song et al. 2021), for any prior: whole pictures, where distillation takes single predictions."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.diffusion import NoiseSchedule, classifier_free
from gen3d.guidance import Condition, Latents, Prior


def ddim_timesteps(steps: int, total: int = 1000, *, published: bool = False) -> Int[Tensor, " times"]:
    """Timesteps from the noisiest down: 1 + a multiple of total // steps.

    Args:
        steps: about how many; a divisor of `total` gives exactly that many.
        total: of the schedule.
        published: leave out the noisiest, as the code of Zero-1-to-3 does.
    """
    rising = torch.arange(0, total, total // steps) + 1
    return rising[: len(rising) - published].flip(0)


def ddim_step(
    schedule: NoiseSchedule,
    noisy: Latents,
    epsilon: Latents,
    times: tuple[int, int],
    eta: float,
    noise: Latents,
) -> tuple[Latents, Latents]:
    """One step of equation 12: the latents at the lower timestep, and the clean estimate.

    Args:
        schedule: the prior's.
        noisy: latents at the higher timestep.
        epsilon: predicted noise, branches mixed.
        times: from which timestep to which; -1 is after the last, where alpha_bar is that of timestep 0.
        eta: 0 is deterministic, 1 is ancestral sampling, which adds noise after the last step too.
        noise: what is added.
    """
    bar, bar_next = schedule.alpha_bar[times[0]], schedule.alpha_bar[max(times[1], 0)]
    clean = (noisy - (1 - bar).sqrt() * epsilon) / bar.sqrt()
    spread = eta * ((1 - bar_next) / (1 - bar) * (1 - bar / bar_next)).sqrt()
    return bar_next.sqrt() * clean + (1 - bar_next - spread**2).sqrt() * epsilon + spread * noise, clean


@dataclass(frozen=True)
class Sampling:
    """How pictures are sampled.

    Args:
        steps: network calls, about.
        cfg_scale: guidance scale; 1 is unguided.
        eta: of `ddim_step`.
    """

    steps: int = 25
    cfg_scale: float = 3.0
    eta: float = 1.0


@torch.no_grad()
def sample(
    prior: Prior, condition: Condition, like: Latents, how: Sampling, rng: torch.Generator
) -> Float[Tensor, "views rows columns 3"]:
    """Pictures in [0, 1] of what the condition's rows ask for.

    Args:
        prior: what predicts the noise.
        condition: one row for each picture.
        like: any latents of the prior, for their shape and device.
        how: the sampler's settings.
        rng: draws all noise.
    """
    shape = (len(condition), *like.shape[1:])
    branches = ("conditional",) if how.cfg_scale == 1 else ("unconditional", "conditional")
    latents = torch.randn(shape, generator=rng).to(like.device)
    times = [*ddim_timesteps(how.steps, len(prior.schedule)).tolist(), -1]
    for t, following in pairwise(times):
        told = prior.predict(latents, torch.full(shape[:1], t, device=like.device), condition, branches)
        epsilon = told["conditional"]
        if "unconditional" in told:
            epsilon = classifier_free(told["unconditional"], epsilon, how.cfg_scale)
        noise = torch.randn(shape, generator=rng).to(like.device)
        latents, _ = ddim_step(prior.schedule, latents, epsilon, (t, following), how.eta, noise)
    return prior.decode(latents).clamp(0, 1)
