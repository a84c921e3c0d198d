"""Empty space (Wang et al. 2022, Score Jacobian Chaining, section 4.3)."""

import torch

from gen3d.guidance import Guidance, Signal
from gen3d.part import Step
from gen3d.views import Views
from gen3d_regularizers.rays import samples_of


class Emptiness(Guidance):
    """mean log(1 + scale w) over samples: many faint weights cost more than few strong ones.

    As published, the mean runs over every slot of every ray, also those that hold no sample, so that it depends on the
    renderer's step. The published weight is 10,000, twenty times that from half of the steps on.

    Args:
        scale: how soon a weight counts as there.
    """

    needs = frozenset({"samples"})

    def __init__(self, scale: float = 10.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        samples = samples_of(views[0])
        return Signal(torch.log1p(self.scale * samples.weights).sum() / (samples.ray_count * samples.slots))
