"""Little opacity (Poole et al. 2022, DreamFusion, appendix A.2)."""

from gen3d.guidance import Guidance, Signal
from gen3d.part import Step
from gen3d.views import Views


class Opacity(Guidance):
    """mean sqrt(alpha^2 + 0.01), over pixels, alpha being the sum of a ray's weights: fill no more than needed."""

    needs = frozenset({"alpha"})

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        return Signal((views[0].alpha.square() + 0.01).sqrt().mean())
