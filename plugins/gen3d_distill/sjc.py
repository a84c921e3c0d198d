"""Score Jacobian Chaining (Wang et al. 2022): Perturb-and-Average Scoring of rendered latents."""

from typing import final

from gen3d.guidance import Latents
from gen3d.part import Step
from gen3d.schedule import Schedule
from gen3d_distill.score_distillation import Sample, ScoreDistillation


@final
class SJC(ScoreDistillation):
    """The denoiser's score at perturbed latents, averaged over perturbations, one per view and step.

    A rendered y is not noisy, so the denoiser D is asked about z = y + sigma n (variance exploding: sigma is the
    ratio of the noise amplitude to the signal's), which its network sees as z / sqrt(1 + sigma^2) = x_t. The score
    (D(z; sigma) - z) / sigma^2 has the mean of (D(z; sigma) - y) / sigma^2, because n has none (equations 15 and 16).
    Weighted with sigma, its negative is, with D = z - sigma eps_hat,

        (z - D) / sigma = eps_hat      and      (y - D) / sigma = eps_hat - n,

    so that the variance-reduced form is SDS with w(t) = 1, sample by sample.

    Args:
        cfg_scale: s in e_0 + s (e_y - e_0); 1 is unguided.
        variance_reduced: subtract y (equation 16) rather than z (equation 15).
    """

    def __init__(self, cfg_scale: Schedule | float = 100.0, *, variance_reduced: bool = True) -> None:
        super().__init__("one")
        self.cfg_scale, self.variance_reduced = Schedule.of(cfg_scale), variance_reduced

    def delta(self, sample: Sample, step: Step) -> Latents:
        """Minus sigma times the perturbed score."""
        eps = sample.noised().guided(self.cfg_scale(step.index, step.total))
        return eps - sample.noise if self.variance_reduced else eps
