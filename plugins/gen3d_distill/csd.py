"""Classifier Score Distillation (Yu et al. 2023, "Text-to-3D with Classifier Score Distillation")."""

from typing import final

import torch

from gen3d.errors import BadInput
from gen3d.guidance import Latents
from gen3d.part import Step
from gen3d.schedule import Schedule
from gen3d_distill.score_distillation import Sample, ScoreDistillation
from gen3d_distill.weighting import Weighting


@final
class CSD(ScoreDistillation):
    """w(t) (c_y e_y + c_0 e_0 + c_n e_neg + c_eps eps): by default e_y - e_0, the score of an implicit classifier.

    The published coarse stage moves the negative part from the empty prompt to the negative one over 5000 steps:
    `unconditional: {ramp: {0: -1, 5000: 0}}`, `negative: {ramp: {0: 0, 5000: -1}}`. A branch is asked for only in steps
    in which its coefficient is not 0.

    Args:
        conditional: c_y.
        unconditional: c_0.
        negative: c_n; where it is ever not 0, the prior must have a negative branch.
        noise: c_eps.
        weighting: w(t).
    """

    def __init__(
        self,
        conditional: Schedule | float = 1.0,
        unconditional: Schedule | float = -1.0,
        negative: Schedule | float = 0.0,
        noise: Schedule | float = 0.0,
        weighting: Weighting = "sigma_squared",
    ) -> None:
        super().__init__(weighting)
        given = {"conditional": conditional, "unconditional": unconditional, "negative": negative}
        schedules = {name: Schedule.of(value) for name, value in given.items()}
        self.coefficients = {name: schedule for name, schedule in schedules.items() if any(_values(schedule))}
        if not self.coefficients:
            raise BadInput("every coefficient is 0", remedy="give conditional, unconditional or negative a value")
        self.branches = frozenset(self.coefficients)
        self.noise = Schedule.of(noise)

    def delta(self, sample: Sample, step: Step) -> Latents:
        """The combination."""
        now = {name: schedule(step.index, step.total) for name, schedule in self.coefficients.items()}
        asked = [name for name, coefficient in now.items() if coefficient]
        eps = sample.noised().ask(*asked) if asked else {}
        noise = self.noise(step.index, step.total) * sample.noise
        return torch.stack([noise, *(now[name] * eps[name] for name in asked)]).sum(dim=0)


def _values(schedule: Schedule) -> list[float]:
    return [value for _, value in schedule.knots]
