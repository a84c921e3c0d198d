"""The arithmetic of diffusion that every prior and objective shares.

`alpha` and `sigma` are amplitudes: x_t = alpha x + sigma eps with alpha^2 + sigma^2 = 1; `alpha_bar` is alpha^2.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

PredictionType = Literal["epsilon", "v_prediction", "sample"]


class NoiseSchedule(nn.Module):
    """A variance-preserving schedule of discrete timesteps.

    Args:
        alpha_bar: cumulative product of (1 - beta), in rising t.
    """

    alpha_bar: Tensor

    def __init__(self, alpha_bar: Float[Tensor, " steps"]) -> None:
        super().__init__()
        self.register_buffer("alpha_bar", alpha_bar, persistent=False)

    @classmethod
    def scaled_linear(cls, start: float = 0.00085, end: float = 0.012, steps: int = 1000) -> "NoiseSchedule":
        """Stable Diffusion's: the square roots of beta rise linearly (LDM calls it "linear")."""
        betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
        return cls(torch.cumprod(1 - betas, 0).float())

    def __len__(self) -> int:
        return len(self.alpha_bar)

    def alpha(self, t: Int[Tensor, " batch"]) -> Float[Tensor, "batch 1 1 1"]:
        """Signal amplitude at t."""
        return self.alpha_bar[t].sqrt()[:, None, None, None]

    def sigma(self, t: Int[Tensor, " batch"]) -> Float[Tensor, "batch 1 1 1"]:
        """Noise amplitude at t."""
        return (1 - self.alpha_bar[t]).sqrt()[:, None, None, None]

    def add_noise(
        self,
        clean: Float[Tensor, "batch channels height width"],
        noise: Float[Tensor, "batch channels height width"],
        t: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch channels height width"]:
        """x_t = alpha x + sigma eps."""
        return self.alpha(t) * clean + self.sigma(t) * noise

    def to_epsilon(
        self,
        output: Float[Tensor, "batch channels height width"],
        noisy: Float[Tensor, "batch channels height width"],
        t: Int[Tensor, " batch"],
        prediction: PredictionType,
    ) -> Float[Tensor, "batch channels height width"]:
        """A network's output as predicted noise: eps = alpha v + sigma x_t = (x_t - alpha x) / sigma."""
        match prediction:
            case "epsilon":
                return output
            case "v_prediction":
                return self.alpha(t) * output + self.sigma(t) * noisy
            case "sample":
                return (noisy - self.alpha(t) * output) / self.sigma(t)

    def to_clean(
        self,
        epsilon: Float[Tensor, "batch channels height width"],
        noisy: Float[Tensor, "batch channels height width"],
        t: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch channels height width"]:
        """The clean estimate x = (x_t - sigma eps) / alpha."""
        return (noisy - self.sigma(t) * epsilon) / self.alpha(t)

    def velocity(
        self,
        clean: Float[Tensor, "batch channels height width"],
        noise: Float[Tensor, "batch channels height width"],
        t: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch channels height width"]:
        """Return v = alpha eps - sigma x (Salimans & Ho 2022, appendix D)."""
        return self.alpha(t) * noise - self.sigma(t) * clean


def classifier_free(
    unconditional: Float[Tensor, "*shape"], conditional: Float[Tensor, "*shape"], scale: float
) -> Float[Tensor, "*shape"]:
    """Guided noise e_0 + s (e_y - e_0): the one convention of the whole project, s = 1 is unguided, exactly."""
    return conditional if scale == 1 else unconditional + scale * (conditional - unconditional)


def perp_neg(
    unconditional: Float[Tensor, "batch channels height width"],
    conditional: Float[Tensor, "batch channels height width"],
    negatives: list[Float[Tensor, "batch channels height width"]],
    weights: Float[Tensor, "batch negatives"],
    scale: float,
) -> Float[Tensor, "batch channels height width"]:
    """Perp-Neg (Armandpour et al. 2023): negatives act only perpendicular to the positive direction.

    e_0 + s [D + sum_i w_i (D_i - <D_i, D> / |D|^2 D)] with D = e_y - e_0, per sample; weights are negative numbers.
    """
    positive = conditional - unconditional
    total = positive
    power = positive.square().sum(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
    for negative, weight in zip(negatives, weights.unbind(1), strict=True):
        delta = negative - unconditional
        along = (delta * positive).sum(dim=(1, 2, 3), keepdim=True) / power
        total = total + weight[:, None, None, None] * (delta - along * positive)
    return unconditional + scale * total
