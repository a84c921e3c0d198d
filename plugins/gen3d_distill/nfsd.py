"""Noise-Free Score Distillation (Katzir et al. 2023, equation 8)."""

from typing import final

import torch

from gen3d.guidance import Latents
from gen3d.part import Step
from gen3d.schedule import Schedule
from gen3d_distill.score_distillation import Sample, ScoreDistillation
from gen3d_distill.weighting import Weighting


@final
class NFSD(ScoreDistillation):
    """w(t) (delta_D + s (e_y - e_0)), which leaves out the part of the score that is noise.

    What is left of e_0 is what is wrong with the picture: at low t, where there is little noise, delta_D = e_0; above,
    delta_D = e_0 - e_neg, because the negative prompt names what rendered pictures get wrong.

    Args:
        cfg_scale: s in e_0 + s (e_y - e_0).
        low: below which share of the prior's timesteps t is low.
        weighting: w(t).
    """

    branches = frozenset({"conditional", "unconditional", "negative"})

    def __init__(
        self, cfg_scale: Schedule | float = 7.5, low: float = 0.2, weighting: Weighting = "sigma_squared"
    ) -> None:
        super().__init__(weighting)
        self.cfg_scale, self.low = Schedule.of(cfg_scale), low

    def delta(self, sample: Sample, step: Step) -> Latents:
        """Guided noise, less the negative's where t is not low."""
        eps = sample.noised().scores("negative")
        noisy = sample.t >= self.low * len(sample.prior.schedule)
        unwanted = torch.where(noisy[:, None, None, None], eps["negative"], 0.0)
        return eps.guided(self.cfg_scale(step.index, step.total)) - unwanted
