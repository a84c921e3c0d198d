"""Opacities that are either 0 or 1 (threestudio's "opaque" term)."""

from gen3d.guidance import Guidance, Signal
from gen3d.part import Step
from gen3d.views import Views

_MARGIN = 1e-3


class Entropy(Guidance):
    """mean -(alpha ln alpha + (1 - alpha) ln (1 - alpha)) over pixels, in nats.

    This is the entropy of a ray. ProlificDreamer's and stable-dreamfusion's is that of a sample's weight, in bits, and
    their weights do not carry over. Alpha is clamped to [0.001, 0.999], outside of which the gradient is 0.
    """

    needs = frozenset({"alpha"})

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        alpha = views[0].alpha.clamp(_MARGIN, 1 - _MARGIN)
        return Signal(-(alpha * alpha.log() + (1 - alpha) * (1 - alpha).log()).mean())
