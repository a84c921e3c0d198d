"""Surfaces face the camera that sees them (Verbin et al. 2022, Ref-NeRF, equation 11; DreamFusion, appendix A.2)."""

from gen3d.errors import Unsupported
from gen3d.guidance import Guidance, Signal
from gen3d.part import Step
from gen3d.views import Views
from gen3d_regularizers.rays import along_rays, samples_of


class Orientation(Guidance):
    """sum_i sg(w_i) max(0, n_i . d)^2 / (rays with opacity), d being the ray's direction, away from the camera.

    The normalisation is threestudio's. Others divide by all samples, or by all rays; weights do not carry over. No
    gradient reaches the weights, only the normals.
    """

    needs = frozenset({"samples", "normal"})

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        samples = samples_of(views[0])
        if samples.normals is None:
            raise Unsupported("the renderer gave no normals", place=self.name, remedy="choose one that offers them")
        weights = samples.weights.detach()
        away = (samples.normals * samples.directions).sum(dim=-1).clamp_min(0)
        hit = (along_rays(samples, weights) > 0).sum().clamp_min(1)
        return Signal((weights * away.square()).sum() / hit)
