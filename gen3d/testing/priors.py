"""Priors whose score is known exactly, so that an objective can be held to a formula without any weights."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gen3d.cameras import Cameras
from gen3d.diffusion import NoiseSchedule
from gen3d.errors import Unsupported
from gen3d.guidance import Adapter, Branches, Condition, Latents, Prior

Mean = float | Float[Tensor, "*channels_height_width"]


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians, the same for each latent element or, with tensor means, about whole pictures.

    Args:
        weights: of the components; they add up to 1.
        means: of the components, numbers or latents without the batch axis.
        stds: standard deviations of the components; 0 is a point.
    """

    weights: Sequence[float]
    means: Sequence[Mean]
    stds: Sequence[float | Float[Tensor, ""]]

    def noise(
        self,
        noisy: Latents,
        alpha: Float[Tensor, "batch 1 1 1"],
        sigma: Float[Tensor, "batch 1 1 1"],
    ) -> Latents:
        """The exact E[eps | x_t] = sigma sum_k r_k (x_t - alpha mu_k) / v_k with v_k = alpha^2 s_k^2 + sigma^2.

        The responsibilities r_k are those of N(alpha mu_k, v_k) at x_t, of each element by itself.
        """
        logs, scores = [], []
        for weight, mean, std in zip(self.weights, self.means, self.stds, strict=True):
            variance = (alpha * std).square() + sigma.square()
            gap = noisy - alpha * mean
            logs.append(-0.5 * gap.square() / variance - 0.5 * variance.log() + math.log(weight))
            scores.append(gap / variance)
        shares = torch.stack(logs).softmax(dim=0)
        return sigma * (shares * torch.stack(scores)).sum(dim=0)


class ClosedFormAdapter(Adapter):
    """Says what the adapter's branches of a closed-form prior predict, whatever the cameras."""

    @abstractmethod
    def noise(
        self, noisy: Latents, alpha: Float[Tensor, "batch 1 1 1"], sigma: Float[Tensor, "batch 1 1 1"]
    ) -> Latents:
        """Predicted noise, given the amplitudes of signal and noise."""


class MixtureAdapter(ClosedFormAdapter):
    """Means and standard deviations of a mixture that are learnt: VSD's network for a prior in closed form.

    Args:
        mixture: what it starts as.
    """

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.weights = mixture.weights
        self.means = nn.ParameterList(torch.as_tensor(mean).clone() for mean in mixture.means)
        self.logs = nn.ParameterList(torch.as_tensor(std).log() for std in mixture.stds)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`means` and `logs` (of standard deviations)."""
        return {"means": list(self.means), "logs": list(self.logs)}

    def noise(
        self, noisy: Latents, alpha: Float[Tensor, "batch 1 1 1"], sigma: Float[Tensor, "batch 1 1 1"]
    ) -> Latents:
        """Exact for the mixture as it is now."""
        return Mixture(self.weights, [*self.means], [log.exp() for log in self.logs]).noise(noisy, alpha, sigma)


class MixturePrior(Prior):
    """A diffusion model of a mixture of Gaussians, with its exact predictions. Latents are the picture itself.

    Args:
        weights: of the components of the conditional distribution.
        means: of the components: numbers, or pictures as "channels height width".
        stds: standard deviations of the components.
        unconditional: what the unconditional branch models; default: the same distribution.
        negative: what the negative branch models; default: there is none.
        schedule: the noise schedule; default: Stable Diffusion's. One in float64 makes everything float64.
    """

    mixtures: dict[str, Mixture]

    def __init__(
        self,
        weights: Sequence[float],
        means: Sequence[Mean],
        stds: Sequence[float],
        *,
        unconditional: Mixture | None = None,
        negative: Mixture | None = None,
        schedule: NoiseSchedule | None = None,
    ) -> None:
        super().__init__()
        conditional = Mixture(weights, means, stds)
        self.mixtures = {"conditional": conditional, "unconditional": unconditional or conditional}
        if negative:
            self.mixtures["negative"] = negative
        self.branches = frozenset({*self.mixtures, "adapter", "adapter_null"})
        self.schedule = schedule or NoiseSchedule.scaled_linear()

    def condition(self, cameras: Cameras, sources: Sequence[object] | None = None) -> Condition:
        """The cameras' positions, which the predictions ignore."""
        if sources is not None:
            raise Unsupported("a closed-form prior has no sources")
        return Condition({"position": cameras.position})

    def encode(self, images: Float[Tensor, "batch height width 3"]) -> Latents:
        """Channels first, nothing else."""
        return images.permute(0, 3, 1, 2)

    def decode(self, latents: Latents) -> Float[Tensor, "batch height width 3"]:
        """Channels last, nothing else. Raises Unsupported for anything but three channels."""
        if latents.shape[1] != 3:  # noqa: PLR2004 (colours)
            raise Unsupported(f"latents of {latents.shape[1]} channels are no picture; give the field three")
        return latents.permute(0, 2, 3, 1)

    def predict(
        self,
        noisy: Latents,
        t: Int[Tensor, " batch"],
        condition: Condition,
        branches: Sequence[str],
        adapter: Adapter | None = None,
    ) -> Branches:
        """The exact noise of each branch; an adapter's is what the adapter says."""
        known: dict[str, Mixture | ClosedFormAdapter] = {**self.mixtures}
        if isinstance(adapter, ClosedFormAdapter):
            known |= {"adapter": adapter, "adapter_null": adapter}
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        return {branch: known[branch].noise(noisy, alpha, sigma) for branch in branches}

    def adapter(self, rank: int, rng: torch.Generator) -> Adapter:
        """The conditional mixture, to be trained; neither of the arguments matters."""
        return MixtureAdapter(self.mixtures["conditional"])


class GaussianPrior(MixturePrior):
    """A diffusion model of N(mean, std^2), guided away from N(null_mean, null_std^2).

    With a picture as the mean it wants every view to be that picture, which makes a whole run without weights.

    Args:
        mean: of the conditional distribution, a number or "channels height width".
        std: its standard deviation.
        null_mean: of the unconditional distribution; default: the same.
        null_std: its standard deviation; default: the same.
        negative: as in MixturePrior.
        schedule: as in MixturePrior.
    """

    def __init__(
        self,
        mean: Mean,
        std: float,
        *,
        null_mean: Mean | None = None,
        null_std: float | None = None,
        negative: Mixture | None = None,
        schedule: NoiseSchedule | None = None,
    ) -> None:
        null = Mixture([1.0], [mean if null_mean is None else null_mean], [std if null_std is None else null_std])
        super().__init__([1.0], [mean], [std], unconditional=null, negative=negative, schedule=schedule)
