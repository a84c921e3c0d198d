"""Interval Score Matching (Liang et al. 2023, LucidDreamer, equation 17)."""

from typing import final

from gen3d.errors import BadInput
from gen3d.guidance import Latents
from gen3d.part import Step
from gen3d.schedule import Schedule
from gen3d_distill.inversion import invert, levels
from gen3d_distill.score_distillation import Noisy, Sample, ScoreDistillation
from gen3d_distill.weighting import Weighting


@final
class ISM(ScoreDistillation):
    """w(t) (eps_hat(x_t; y, t) - e_0(x_s; s)), where DDIM inversion leads from the latents to x_s and on to x_t.

    No noise is drawn: the same latents at the same t have the same gradient.

    Args:
        cfg_scale: s in e_0 + s (e_y - e_0), of the first term only.
        interval: t - s, in timesteps; published: 100 falling to 50.
        stride: of the inversion up to x_s, in timesteps: lower is closer to the differential equation, and dearer.
        weighting: w(t).
    """

    def __init__(
        self,
        cfg_scale: Schedule | float = 7.5,
        interval: Schedule | float = 50.0,
        stride: int = 200,
        weighting: Weighting = "sigma_over_alpha",
    ) -> None:
        super().__init__(weighting)
        if stride < 1:
            raise BadInput(f"stride is {stride}", remedy="give at least 1")
        self.cfg_scale, self.interval, self.stride = Schedule.of(cfg_scale), Schedule.of(interval), stride

    def delta(self, sample: Sample, step: Step) -> Latents:
        """Guided noise at x_t, less the unconditional noise that led there from x_s."""
        interval = round(self.interval(step.index, step.total))
        way = [*levels((sample.t - interval).clamp_min(0), self.stride), sample.t]
        noisy, earlier = invert(sample, way, _unconditional)
        return noisy.guided(self.cfg_scale(step.index, step.total)) - earlier


def _unconditional(noisy: Noisy) -> Latents:
    return noisy.ask("unconditional")["unconditional"]
