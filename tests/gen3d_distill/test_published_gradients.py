"""SDS and SJC against the gradients that published codes gave on the same inputs, and batches without cross-talk."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.diffusion import NoiseSchedule
from gen3d.guidance import Adapter, Branches, Condition, Objective, Prior
from gen3d.part import Step
from gen3d_distill.guided import Weighting
from gen3d_distill.sds import SDS
from gen3d_distill.sjc import SJC

GOLDEN = Path(__file__).parents[1] / "golden"
STEP = Step(0, 1)
Network = Callable[[Tensor, Tensor, Tensor], Tensor]


def read(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / name) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


class NetworkPrior(Prior):
    """eps(x, t, e) of a given function; a condition holds each row's embedding for both branches."""

    def __init__(self, alpha_bar: Tensor, network: Network) -> None:
        super().__init__()
        self.schedule, self.network = NoiseSchedule(alpha_bar), network

    def condition(self, cameras: Cameras, sources: Sequence[object] | None = None) -> Condition:
        raise NotImplementedError

    def encode(self, images: Tensor) -> Tensor:
        raise NotImplementedError

    def decode(self, latents: Tensor) -> Tensor:
        raise NotImplementedError

    def predict(
        self, noisy: Tensor, t: Tensor, condition: Condition, branches: Sequence[str], adapter: Adapter | None = None
    ) -> Branches:
        return {branch: self.network(noisy, t, condition.tensors[branch]) for branch in branches}


class Case:
    """A prior and the inputs of the published run, with any of its rows in any order."""

    def __init__(self, prior: Prior, condition: Condition, latents: Tensor, noise: Tensor, t: Tensor) -> None:
        self.prior, self.condition, self.latents, self.noise, self.t = prior, condition, latents, noise, t

    def gradient(self, objective: Objective, rows: Sequence[int] = ()) -> Tensor:
        i = torch.tensor(rows or range(len(self.t)))
        arguments = (self.latents[i], self.t[i], self.condition[i], self.noise[i], STEP)
        return objective.residual(self.prior, *arguments).gradient


@pytest.fixture(scope="module")
def sds() -> dict[str, Tensor]:
    return read("sds_vsd/sds.npz")


@pytest.fixture(scope="module")
def threestudio(sds: dict[str, Tensor]) -> Case:
    i, j = torch.arange(8, dtype=torch.float64)[:, None], torch.arange(8, dtype=torch.float64)

    def network(x: Tensor, t: Tensor, embedding: Tensor) -> Tensor:
        t, e = t[:, None, None, None].to(x), embedding[:, :, None, None]
        mixed = torch.einsum("cd,bdij->bcij", sds["toy_M"], x)
        return (0.3 + 0.0005 * t) * x + mixed + torch.tanh(e * x) + 0.5 * e + 0.2 * torch.cos(0.01 * t + i - 0.5 * j)

    conditional, unconditional = sds["ts_text_embeddings"].split(3)
    condition = Condition({"conditional": conditional, "unconditional": unconditional})
    return Case(NetworkPrior(sds["alphas_cumprod"], network), condition, sds["latents"], sds["noise"], sds["t"])


@pytest.mark.parametrize(("omega", "key"), [(100.0, "s100"), (7.5, "s7p5")])
@pytest.mark.parametrize(
    ("weighting", "name"), [("sigma_squared", "sds"), ("one", "uniform"), ("alpha_sigma_squared", "fantasia3d")]
)
def test_sds_is_threestudios(
    threestudio: Case, sds: dict[str, Tensor], omega: float, key: str, weighting: Weighting, name: str
) -> None:
    """threestudio counts guidance from 0: its 100 is 101 here."""
    gradient = threestudio.gradient(SDS(omega + 1, weighting))
    torch.testing.assert_close(gradient, sds[f"ts_grad_{name}_{key}"], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("scale", "key"), [(100.0, "s100"), (7.5, "s7p5")])
def test_sds_is_stable_dreamfusions(threestudio: Case, sds: dict[str, Tensor], scale: float, key: str) -> None:
    """It counts guidance as we do, and averages over the batch."""
    gradient = threestudio.gradient(SDS(scale)) / 3
    torch.testing.assert_close(gradient, sds[f"sdf_latents_grad_{key}"], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("reduced", "key"), [(True, "vr"), (False, "novr")])
def test_sjc_is_threestudios(threestudio: Case, sds: dict[str, Tensor], reduced: bool, key: str) -> None:
    gradient = threestudio.gradient(SJC(101.0, variance_reduced=reduced))
    torch.testing.assert_close(gradient, sds[f"ts_sjc_grad_{key}_s100"], rtol=1e-10, atol=1e-10)


@pytest.fixture(scope="module")
def sjc() -> dict[str, Tensor]:
    return read("sjc_zero123/sjc_gradient.npz")


def linear(a: Tensor, b: Tensor) -> Network:
    """eps = A x + (t / 1000) B + c."""
    return lambda x, t, c: a * x + (t / 1000)[:, None, None, None] * b + c


def test_sjc_is_the_authors_own(sjc: dict[str, Tensor]) -> None:
    colors = {"conditional": sjc["c_cond"], "unconditional": sjc["c_uncond"]}
    condition = Condition({name: c[:, None, None].expand(6, 4, 1, 1) for name, c in colors.items()})
    prior = NetworkPrior(sjc["alphas_cumprod"], linear(sjc["A"], sjc["B"]))
    case = Case(prior, condition, sjc["y"], sjc["noise"], sjc["t"])
    for reduced, key in ((True, "grad_var_red"), (False, "grad_no_var_red")):
        gradient = case.gradient(SJC(100.0, variance_reduced=reduced))
        torch.testing.assert_close(gradient, sjc[key], rtol=1e-5, atol=2e-4)


def test_sjc_is_zero_1_to_3s(sjc: dict[str, Tensor]) -> None:
    eye, input_eye = sjc["zero123_eye"].double(), sjc["zero123_eye_cond"].double().expand(2, 3)
    polar, input_polar = (torch.acos(e[:, 2] / e.norm(dim=1)) for e in (eye, input_eye))
    turn = torch.atan2(eye[:, 1], eye[:, 0]) - torch.atan2(input_eye[:, 1], input_eye[:, 0])
    radius = eye.norm(dim=1) - input_eye.norm(dim=1)
    pose = torch.stack([polar - input_polar, turn.sin(), turn.cos(), radius], dim=1).float()
    token = torch.cat([sjc["zero123_clip"].expand(2, -1), pose], dim=1) @ sjc["zero123_P"].T
    conditional = token[:, :, None, None] + 0.5 * sjc["zero123_cond_latent"]
    condition = Condition({"conditional": conditional, "unconditional": torch.zeros_like(conditional)})
    prior = NetworkPrior(sjc["alphas_cumprod"], linear(sjc["zero123_A"], sjc["zero123_B"]))
    case = Case(prior, condition, sjc["zero123_y"], sjc["zero123_noise"], sjc["zero123_t"])
    torch.testing.assert_close(case.gradient(SJC(100.0)), sjc["zero123_grad_var_red"], rtol=1e-5, atol=5e-4)


@pytest.mark.parametrize(
    "objective", [SDS(100.0), SJC(100.0), SJC(100.0, variance_reduced=False)], ids=["sds", "sjc", "sjc_plain"]
)
def test_t17_a_sample_does_not_depend_on_the_others(threestudio: Case, objective: Objective) -> None:
    together = threestudio.gradient(objective)
    assert torch.equal(threestudio.gradient(objective, [2, 0, 1]), together[[2, 0, 1]])
    for row in range(3):
        torch.testing.assert_close(threestudio.gradient(objective, [row]), together[[row]], rtol=1e-12, atol=1e-12)
