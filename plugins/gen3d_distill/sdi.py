"""Score Distillation via Inversion (Lukoianov et al. 2024, "Score Distillation via Reparametrized DDIM")."""

from typing import final

from gen3d.errors import BadInput
from gen3d.guidance import Latents
from gen3d.part import Step
from gen3d.schedule import Schedule
from gen3d_distill.inversion import invert, levels
from gen3d_distill.score_distillation import Sample, ScoreDistillation
from gen3d_distill.weighting import Weighting


@final
class SDI(ScoreDistillation):
    """SDS with the noise that DDIM inversion finds in the latents: w(t) (eps_hat(x_t; y, t) - eps_inverted).

    With w = sigma / alpha that is x - x_0, the latents less their guided clean estimate. Published numbers count
    guidance from 0, where ours counts from 1: their 7.5 and -7.5 are 8.5 and -6.5 here. Their loss is a mean over the
    latents' elements, where ours is a sum; and theirs overshoots t by a random part of a stride, where ours does not.

    Args:
        cfg_scale: s in e_0 + s (e_y - e_0), of the estimate.
        inversion_scale: s of the inversion.
        stride: of the inversion, in timesteps; published: a tenth of the schedule.
        eta: of the noise that is drawn on the way, as a share of DDIM's; 0: the gradient is a function of the latents.
        weighting: w(t).
    """

    def __init__(
        self,
        cfg_scale: Schedule | float = 8.5,
        inversion_scale: Schedule | float = -6.5,
        stride: int = 100,
        eta: float = 0.3,
        weighting: Weighting = "sigma_over_alpha",
    ) -> None:
        super().__init__(weighting)
        if stride < 1:
            raise BadInput(f"stride is {stride}", remedy="give at least 1")
        self.cfg_scale, self.inversion_scale = Schedule.of(cfg_scale), Schedule.of(inversion_scale)
        self.stride, self.eta = stride, eta

    def delta(self, sample: Sample, step: Step) -> Latents:
        """Guided noise, less the inverted."""
        scale, schedule = self.inversion_scale(step.index, step.total), sample.prior.schedule
        noisy, _ = invert(
            sample,
            levels(sample.t, self.stride),
            lambda x: x.guided(scale),
            lambda k: step.randn(f"{self.name}.inversion.{k}", *sample.clean.shape),
            self.eta,
        )
        inverted = (noisy.latents - schedule.alpha(sample.t) * sample.clean) / schedule.sigma(sample.t)
        return noisy.guided(self.cfg_scale(step.index, step.total)) - inverted
