"""The step that all objectives here share: noise the latents, ask the prior, combine what it says, weight it."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from gen3d.diffusion import classifier_free, perp_neg
from gen3d.guidance import Adapter, Branches, Condition, Latents, Objective, Prior, Residual
from gen3d.part import Step
from gen3d_distill.weighting import Weighting, weight


@dataclass(frozen=True, eq=False)
class Scores:
    """What a prior answered in one call: predicted noise by branch, and the weights of Perp-Neg's negatives."""

    branches: Branches
    negatives: Float[Tensor, "batch negatives"] | None

    def __getitem__(self, branch: str) -> Latents:
        return self.branches[branch]

    def guided(self, scale: float) -> Latents:
        """Guidance e_0 + s (e_y - e_0), or Perp-Neg where the prior gives it negatives."""
        unconditional, conditional = self["unconditional"], self["conditional"]
        if self.negatives is None:
            return classifier_free(unconditional, conditional, scale)
        negatives = [self[name] for name in _perp_neg(self.negatives)]
        return perp_neg(unconditional, conditional, negatives, self.negatives, scale)


@dataclass(frozen=True, eq=False)
class Noisy:
    """Noisy latents and whom to ask about them; a row a view, each at its own timestep."""

    prior: Prior
    condition: Condition
    latents: Latents
    t: Int[Tensor, " batch"]

    def ask(self, *branches: str) -> Branches:
        """Predicted noise of these branches, in one call."""
        return self.prior.predict(self.latents, self.t, self.condition, branches)

    def scores(self, *more: str, adapter: Adapter | None = None) -> Scores:
        """Predicted noise of all branches that guidance needs, and of more, in one call."""
        negatives = self.prior.perp_neg_weights(self.condition)
        names = ("unconditional", "conditional", *_perp_neg(negatives), *more)
        return Scores(self.prior.predict(self.latents, self.t, self.condition, names, adapter), negatives)

    def guided(self, scale: float) -> Latents:
        """Guided noise; at scale 1, without negatives, nobody asks for the unconditional branch, which would cancel."""
        if scale == 1 and self.prior.perp_neg_weights(self.condition) is None:
            return self.ask("conditional")["conditional"]
        return self.scores().guided(scale)

    def clean(self, noise: Latents) -> Latents:
        """The clean latents that this noise would leave."""
        return self.prior.schedule.to_clean(noise, self.latents, self.t)


@dataclass(frozen=True, eq=False)
class Sample:
    """What a step starts from: clean latents, and the noise and timesteps that were drawn for them."""

    prior: Prior
    condition: Condition
    clean: Latents
    noise: Latents
    t: Int[Tensor, " batch"]

    def noised(self, t: Int[Tensor, " batch"] | None = None) -> Noisy:
        """The latents with the noise on them, at other timesteps than the drawn ones where `t` is given."""
        t = self.t if t is None else t
        return Noisy(self.prior, self.condition, self.prior.schedule.add_noise(self.clean, self.noise, t), t)


class ScoreDistillation(Objective):
    """The gradient w(t) delta on the latents; an objective states delta, mostly eps_hat minus something.

    Args:
        weighting: w(t).
    """

    log: Mapping[str, float | Tensor] = {}
    """Numbers to show beside the residual."""

    def __init__(self, weighting: Weighting) -> None:
        super().__init__()
        self.weighting = weighting

    @abstractmethod
    def delta(self, sample: Sample, step: Step) -> Latents:
        """The formula."""

    def residual(
        self,
        prior: Prior,
        latents: Latents,
        t: Int[Tensor, " batch"],
        condition: Condition,
        noise: Latents,
        step: Step,
    ) -> Residual:
        """The formula, weighted."""
        delta = self.delta(Sample(prior, condition, latents, noise, t), step)
        return Residual(weight(prior.schedule, t, self.weighting) * delta, self.log)


def _perp_neg(negatives: Float[Tensor, "batch negatives"] | None) -> tuple[str, ...]:
    return () if negatives is None else tuple(f"perp_neg_{i}" for i in range(negatives.shape[1]))
