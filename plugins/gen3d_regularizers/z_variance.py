"""Thin surfaces (Zhu & Zhuang 2023, HiFA, equation 12; as in threestudio)."""

from gen3d.guidance import Guidance, Signal
from gen3d.part import Step
from gen3d.views import Views
from gen3d_regularizers.rays import along_rays, samples_of

_OPAQUE = 0.5


class ZVariance(Guidance):
    """mean over rays of opacity above a half of sum_i v_i (t_i - sum_j v_j t_j)^2, v being w over the opacity.

    0 where no ray is that opaque.
    """

    needs = frozenset({"samples"})

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        samples = samples_of(views[0])
        opacity = along_rays(samples, samples.weights)
        share = samples.weights / opacity.clamp_min(1e-5)[samples.rays]
        depth = along_rays(samples, share * samples.distances)
        variance = along_rays(samples, share * (samples.distances - depth[samples.rays]).square())
        opaque = opacity > _OPAQUE
        return Signal((opaque * variance).sum() / opaque.sum().clamp_min(1))
