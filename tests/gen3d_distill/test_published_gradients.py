"""SDS, SJC and Perp-Neg against the gradients that published codes gave on the same inputs."""

import pytest
import torch
from torch import Tensor

from gen3d.guidance import Condition
from gen3d_distill.sds import SDS
from gen3d_distill.sjc import SJC
from gen3d_distill.weighting import Weighting
from network_prior import Case, Network, NetworkPrior, read, toy_network


@pytest.fixture(scope="module")
def sds() -> dict[str, Tensor]:
    return read("sds_vsd/sds.npz")


@pytest.fixture(scope="module")
def threestudio(sds: dict[str, Tensor]) -> Case:
    conditional, unconditional = sds["ts_text_embeddings"].split(3)
    condition = Condition({"conditional": conditional, "unconditional": unconditional})
    return Case(
        NetworkPrior(sds["alphas_cumprod"], toy_network(sds["toy_M"])),
        condition,
        sds["latents"],
        sds["noise"],
        sds["t"],
    )


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


def with_negatives(case: Case, embeddings: tuple[Tensor, ...], weights: Tensor) -> Case:
    names = ("conditional", "unconditional", "perp_neg_0", "perp_neg_1")
    condition = Condition({**dict(zip(names, embeddings, strict=True)), "perp_neg": weights})
    return Case(case.prior, condition, case.latents, case.noise, case.t)


def test_perp_neg_is_threestudios_one_sample_at_a_time(threestudio: Case, sds: dict[str, Tensor]) -> None:
    """As a batch it pairs negatives with other samples' latents; ours are each row's own (T17)."""
    positive, null, negatives = sds["ts_perpneg_embeddings"].split([3, 3, 6])
    case = with_negatives(threestudio, (positive, null, negatives[::2], negatives[1::2]), sds["ts_perpneg_weights"])
    gradient = case.gradient(SDS(100.0))
    torch.testing.assert_close(gradient, sds["ts_perpneg_grad_per_sample"], rtol=1e-11, atol=1e-11)
    assert (gradient - sds["ts_perpneg_grad_b3_KNOWN_WRONG"]).abs().amax(dim=(1, 2, 3)).gt(1).all()
    for rows in ([0], [1], [2], [2, 0, 1]):
        torch.testing.assert_close(case.gradient(SDS(100.0), rows), gradient[rows], rtol=1e-12, atol=1e-12)


def test_perp_neg_is_stable_dreamfusions(threestudio: Case, sds: dict[str, Tensor]) -> None:
    """It averages over the batch."""
    null, positive, first, second = sds["sdf_perpneg_embeddings_b3"].split(3)
    weights = sds["sdf_perpneg_weights_b3"][3:].view(2, 3).T
    gradient = with_negatives(threestudio, (positive, null, first, second), weights).gradient(SDS(100.0)) / 3
    torch.testing.assert_close(gradient, sds["sdf_perpneg_latents_grad_b3"], rtol=1e-6, atol=1e-6)


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
