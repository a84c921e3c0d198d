"""Priors that are functions of noisy latents, timesteps and embeddings: what published numbers were computed with."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.diffusion import NoiseSchedule
from gen3d.guidance import Adapter, Branches, Condition, Objective, Prior
from gen3d.part import Step

GOLDEN = Path(__file__).parents[1] / "golden"
STEP = Step(0, 1)
Network = Callable[[Tensor, Tensor, Tensor], Tensor]


def read(name: str) -> dict[str, Tensor]:
    """The arrays of a golden file."""
    with np.load(GOLDEN / name) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def toy_network(mixing: Tensor) -> Network:
    """The network of tests/golden/sds_vsd, on 8 x 8 latents."""
    i, j = torch.arange(8, dtype=torch.float64)[:, None], torch.arange(8, dtype=torch.float64)

    def network(x: Tensor, t: Tensor, embedding: Tensor) -> Tensor:
        t, e = t[:, None, None, None].to(x), embedding[:, :, None, None]
        mixed = torch.einsum("cd,bdij->bcij", mixing, x)
        return (0.3 + 0.0005 * t) * x + mixed + torch.tanh(e * x) + 0.5 * e + 0.2 * torch.cos(0.01 * t + i - 0.5 * j)

    return network


class NetworkAdapter(Adapter):
    """Predicts the noise of the branches adapter and adapter_null."""

    def noise(self, prior: "NetworkPrior", noisy: Tensor, t: Tensor, condition: Condition, branch: str) -> Tensor:
        """The same network with the embedding of that name."""
        return prior.network(noisy, t, condition.tensors[branch])


class NetworkPrior(Prior):
    """eps(x, t, e) of a function; a condition holds each row's embedding for every branch, and weights `perp_neg`."""

    branches = frozenset({"conditional", "unconditional", "negative", "adapter", "adapter_null"})

    def __init__(self, alpha_bar: Tensor, network: Network) -> None:
        super().__init__()
        self.schedule, self.network = NoiseSchedule(alpha_bar), network

    def condition(self, cameras: Cameras, sources: Sequence[object] | None = None) -> Condition:
        raise NotImplementedError

    def encode(self, images: Tensor) -> Tensor:
        raise NotImplementedError

    def decode(self, latents: Tensor) -> Tensor:
        raise NotImplementedError

    def perp_neg_weights(self, condition: Condition) -> Tensor | None:
        return condition.tensors.get("perp_neg")

    def predict(
        self, noisy: Tensor, t: Tensor, condition: Condition, branches: Sequence[str], adapter: Adapter | None = None
    ) -> Branches:
        return {
            branch: adapter.noise(self, noisy, t, condition, branch)
            if branch.startswith("adapter") and isinstance(adapter, NetworkAdapter)
            else self.network(noisy, t, condition.tensors[branch])
            for branch in branches
        }


class Case:
    """A prior and the inputs of a published run, with any of its rows in any order."""

    def __init__(self, prior: Prior, condition: Condition, latents: Tensor, noise: Tensor, t: Tensor) -> None:
        self.prior, self.condition, self.latents, self.noise, self.t = prior, condition, latents, noise, t

    def gradient(self, objective: Objective, rows: Sequence[int] = ()) -> Tensor:
        """The residual of these rows; default: all."""
        i = torch.tensor(rows or range(len(self.t)))
        arguments = (self.latents[i], self.t[i], self.condition[i], self.noise[i], STEP)
        return objective.residual(self.prior, *arguments).gradient
