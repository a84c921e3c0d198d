"""Asynchronous Score Distillation (Ma et al. 2024, ScaleDreamer, equation 8)."""

from typing import final

from gen3d.guidance import Latents
from gen3d.part import Step
from gen3d.schedule import Schedule
from gen3d_distill.score_distillation import Sample, ScoreDistillation
from gen3d_distill.weighting import Weighting


@final
class ASD(ScoreDistillation):
    """w(t) (eps_hat(x_t; y, t) - e_y(x_{t + d}; t + d)), the same eps in both, d drawn from U(0, shift (t - t_min)).

    The prior a little later stands for the score of the rendered views that VSD trains a network for. Unguided it
    repels from modes at low t; it needs a scale above 1.

    Args:
        cfg_scale: s in e_0 + s (e_y - e_0), of the first term only.
        shift: the largest d, as a share of t - t_min.
        t_min: of the guidance, as a share of the prior's schedule.
        weighting: w(t).
    """

    def __init__(
        self,
        cfg_scale: Schedule | float = 7.5,
        shift: float = 0.1,
        t_min: Schedule | float = 0.02,
        weighting: Weighting = "sigma_squared",
    ) -> None:
        super().__init__(weighting)
        self.cfg_scale, self.shift, self.t_min = Schedule.of(cfg_scale), shift, Schedule.of(t_min)

    def delta(self, sample: Sample, step: Step) -> Latents:
        """Guided noise, less the prior's at later timesteps."""
        steps, t = len(sample.prior.schedule), sample.t
        beyond = (t - self.t_min(step.index, step.total) * steps).clamp_min(0)
        gap = step.rand(f"{self.name}.shift", len(t)) * self.shift * beyond
        later = sample.noised((t + gap.round().long()).clamp_max(steps - 1))
        eps = sample.noised().guided(self.cfg_scale(step.index, step.total))
        return eps - later.ask("conditional")["conditional"]
