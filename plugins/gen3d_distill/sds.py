"""Score Distillation Sampling (Poole et al. 2022, DreamFusion, equation 3)."""

from jaxtyping import Int
from torch import Tensor

from gen3d.guidance import Condition, Latents, Objective, Prior, Residual
from gen3d.part import Step
from gen3d.schedule import Schedule
from gen3d_distill.guided import Weighting, guided_noise, weight


class SDS(Objective):
    """w(t) (eps_hat(x_t; y, t) - eps): pulls latents towards what one guided denoising step makes of them.

    Args:
        cfg_scale: s in e_0 + s (e_y - e_0), 1 is unguided. DreamFusion's omega is s - 1.
        weighting: w(t).
    """

    def __init__(self, cfg_scale: Schedule | float = 100.0, weighting: Weighting = "sigma_squared") -> None:
        super().__init__()
        self.cfg_scale, self.weighting = Schedule.of(cfg_scale), weighting

    def residual(
        self,
        prior: Prior,
        latents: Latents,
        t: Int[Tensor, " batch"],
        condition: Condition,
        noise: Latents,
        step: Step,
    ) -> Residual:
        """The formula above."""
        noisy = prior.schedule.add_noise(latents, noise, t)
        eps = guided_noise(prior, noisy, t, condition, self.cfg_scale(step.index, step.total))
        return Residual(weight(prior.schedule, t, self.weighting) * (eps - noise))
