"""Score Distillation Sampling (Poole et al. 2022, DreamFusion, equation 3)."""

from typing import final

from gen3d.guidance import Latents
from gen3d.part import Step
from gen3d.schedule import Schedule
from gen3d_distill.score_distillation import Sample, ScoreDistillation
from gen3d_distill.weighting import Weighting


@final
class SDS(ScoreDistillation):
    """w(t) (eps_hat(x_t; y, t) - eps): pulls latents towards what one guided denoising step makes of them.

    Args:
        cfg_scale: s in e_0 + s (e_y - e_0), 1 is unguided. DreamFusion's omega is s - 1.
        weighting: w(t).
    """

    def __init__(self, cfg_scale: Schedule | float = 100.0, weighting: Weighting = "sigma_squared") -> None:
        super().__init__(weighting)
        self.cfg_scale = Schedule.of(cfg_scale)

    def delta(self, sample: Sample, step: Step) -> Latents:
        """eps_hat - eps."""
        return sample.noised().guided(self.cfg_scale(step.index, step.total)) - sample.noise
