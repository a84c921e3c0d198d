"""Light stops at one sample of a ray, or at none (ProlificDreamer's and stable-dreamfusion's entropy)."""

from gen3d.guidance import Guidance, Signal
from gen3d.part import Step
from gen3d.views import Views
from gen3d_regularizers.rays import samples_of

_MARGIN = 1e-5


class WeightEntropy(Guidance):
    """mean over rays of sum_i -(w_i log2 w_i + (1 - w_i) log2 (1 - w_i)), in bits.

    The published codes take the mean over samples too; this sum does not depend on the renderer's step, and its weight
    is theirs over the samples of a ray: ProlificDreamer's 10 of 96 samples is 0.104. Weights are clamped to
    [0.00001, 0.99999], outside of which the gradient is 0.
    """

    needs = frozenset({"samples"})

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        samples = samples_of(views[0])
        w = samples.weights.clamp(_MARGIN, 1 - _MARGIN)
        return Signal(-(w * w.log2() + (1 - w) * (1 - w).log2()).sum() / samples.ray_count)
