"""SDS and SJC on priors whose score is known: what theory says their gradient is.

An analytic prior treats each latent element by itself, so that one residual with quadrature nodes for noise holds the
whole distribution of the gradient. Everything is float64.
"""

import itertools

import pytest
import torch
from torch import Tensor

from gen3d.diffusion import NoiseSchedule
from gen3d.guidance import Objective
from gen3d.testing import GaussianPrior, Mixture, MixturePrior, toy_cameras
from gen3d_distill.sds import SDS
from gen3d_distill.sjc import SJC
from quadrature import NODES, STEP, moments

UNGUIDED = [SDS(cfg_scale=1.0, weighting="one"), SJC(cfg_scale=1.0)]


def gaussian(golden: dict[str, Tensor], schedule: NoiseSchedule) -> tuple[GaussianPrior, Tensor, Tensor]:
    prior = GaussianPrior(golden["T2_m"].item(), golden["T2_s"].item(), schedule=schedule)
    return prior, golden["T2_t"], golden["T2_theta"][None]


@pytest.mark.parametrize("objective", UNGUIDED, ids=["sds", "sjc"])
def test_t2_mean_pulls_to_the_mode(objective: Objective, golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    prior, t, theta = gaussian(golden, schedule)
    mean, _ = moments(objective, prior, t, theta)
    torch.testing.assert_close(mean[:, 0], golden["T2_mean_closed"], rtol=1e-10, atol=1e-12)
    at_mode, _ = moments(objective, prior, t, golden["T2_m"][None])
    assert at_mode.abs().max() < 1e-12


def test_t2_gradient_descent_contracts_as_it_should(golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    """One expected step shrinks the distance to the mode by 1 - eta w alpha sigma / v."""
    prior, t, theta = gaussian(golden, schedule)
    mean, _ = moments(SDS(cfg_scale=1.0), prior, t, theta)
    alpha, sigma = schedule.alpha(t).flatten(), schedule.sigma(t).flatten()
    variance = alpha.square() * golden["T2_s"].square() + sigma.square()
    left = (theta - 0.1 * mean[:, 0] - golden["T2_m"]) / (theta - golden["T2_m"])
    torch.testing.assert_close(left, 1 - 0.1 * sigma.square() * alpha * sigma / variance, rtol=1e-10, atol=0)


@pytest.mark.parametrize("objective", UNGUIDED, ids=["sds", "sjc"])
def test_t3_noise_of_the_gradient(objective: Objective, golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    """It is alpha^2 s^2 / v, and not zero at the mode."""
    prior, t, theta = gaussian(golden, schedule)
    for where in (theta, golden["T2_m"][None]):
        _, spread = moments(objective, prior, t, where)
        torch.testing.assert_close(spread[:, 0], golden["T3_std_closed"], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 7.5, 100.0])
def test_t4_sjc_is_sds_sample_by_sample(scale: float, schedule: NoiseSchedule) -> None:
    null = Mixture([0.5, 0.5], [-1.0, 1.0], [0.4, 0.2])
    prior = MixturePrior([0.3, 0.7], [-2.0, 2.0], [0.3, 0.3], unconditional=null, schedule=schedule)
    draw = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 16, 4, 8, 8, generator=draw, dtype=torch.float64)
    t = torch.arange(10, 970, 60)
    condition = prior.condition(toy_cameras(16))
    arguments = (prior, latents, t, condition, noise, STEP)
    sds = SDS(cfg_scale=scale, weighting="one").residual(*arguments).gradient
    sjc = SJC(cfg_scale=scale).residual(*arguments).gradient
    torch.testing.assert_close(sjc, sds, rtol=1e-10, atol=1e-10)
    plain = SJC(cfg_scale=scale, variance_reduced=False).residual(*arguments).gradient
    torch.testing.assert_close(plain, sds + noise, rtol=1e-10, atol=1e-10)


def test_t4_plain_form_has_the_same_mean_and_its_own_noise(golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    prior, t, theta = gaussian(golden, schedule)
    mean, spread = moments(SJC(cfg_scale=1.0, variance_reduced=False), prior, t, theta)
    torch.testing.assert_close(mean[:, 0], golden["T2_mean_closed"], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(spread[:, 0], golden["T4_score_only_std_closed"], rtol=1e-8, atol=1e-10)
    # Subtracting the noise pays where alpha s < sigma, and only there.
    _, reduced = moments(SJC(cfg_scale=1.0), prior, t, theta)
    pays = schedule.alpha(t).flatten() * golden["T2_s"] < schedule.sigma(t).flatten()
    assert torch.equal(reduced[:, 0] < spread[:, 0], pays)
    assert pays.any()
    assert not pays.all()


def test_t4_best_control_variate_leaves_no_noise(golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    """eps_hat - b eps with b = sigma^2 / v is constant over the noise, for a Gaussian prior."""
    prior, t, theta = gaussian(golden, schedule)
    shape = (len(t), 1, 1, len(NODES))
    noise = NODES.expand(shape)
    arguments = (prior, theta.expand(shape), t, prior.condition(toy_cameras(len(t))), noise, STEP)
    eps = SJC(cfg_scale=1.0, variance_reduced=False).residual(*arguments).gradient
    sigma2 = schedule.sigma(t).square()
    best = sigma2 / (schedule.alpha(t).square() * golden["T2_s"].square() + sigma2)
    left = eps - best * noise
    assert (left.amax(dim=-1) - left.amin(dim=-1)).max() < 1e-10


def mixture(golden: dict[str, Tensor], schedule: NoiseSchedule) -> MixturePrior:
    weights, means, stds = (golden[f"T10_{name}"].tolist() for name in ("pi", "mu", "sd"))
    return MixturePrior(weights, means, stds, schedule=schedule)


@pytest.mark.parametrize("t", [100, 500, 900])
def test_t10_expected_gradient_on_a_mixture(t: int, golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    mean, _ = moments(SDS(cfg_scale=1.0), mixture(golden, schedule), torch.tensor([t]), golden["T10_theta_grid"])
    torch.testing.assert_close(mean[0], golden[f"T10_Eg_sigma2_t_{t}"], rtol=0, atol=5e-5)  # the quadrature's error


T10 = [
    ("sigma2_20_980", SDS(cfg_scale=1.0), 20, 980, [1.4855]),
    ("sigma2_20_500", SDS(cfg_scale=1.0), 20, 500, [-1.5921, -0.3370, 1.8736]),
    ("one_20_980", SDS(cfg_scale=1.0, weighting="one"), 20, 980, [-1.3802, -0.2085, 1.7816]),
    ("one_20_980", SJC(cfg_scale=1.0), 20, 980, [-1.3802, -0.2085, 1.7816]),
]


@pytest.mark.parametrize(("key", "objective", "low", "high", "roots"), T10, ids=["full", "low_t", "one", "sjc"])
def test_t10_sds_seeks_modes_only_at_low_t(
    key: str,
    objective: Objective,
    low: int,
    high: int,
    roots: list[float],
    golden: dict[str, Tensor],
    schedule: NoiseSchedule,
) -> None:
    """The zeros of the mean gradient, every integer t in the range counting once, and which of them attract."""
    prior, t = mixture(golden, schedule), torch.arange(low, high + 1)

    def sign(theta: float) -> float:
        mean, _ = moments(objective, prior, t, torch.tensor([theta], dtype=torch.float64))
        return mean.mean().sign().item()

    expected = golden[f"T10_roots_{key}_all_t"].tolist()
    assert [root for root, _ in expected] == pytest.approx(roots, abs=1e-4)
    signs = [sign(theta) for theta in (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)]
    changes = [(a, b) for a, b in itertools.pairwise(signs) if a != b]
    assert changes == [(-attracts, attracts) for _, attracts in expected]
    for root, attracts in expected:
        assert (sign(root - 2e-6), sign(root + 2e-6)) == (-attracts, attracts)


@pytest.mark.parametrize("objective", [SDS, SJC])
@pytest.mark.parametrize("column", range(4))
def test_t11_guidance_moves_the_optimum(
    objective: type[SDS | SJC], column: int, golden: dict[str, Tensor], schedule: NoiseSchedule
) -> None:
    """theta* = [s m_c / v_c - (s - 1) m_u / v_u] / [s / v_c - (s - 1) / v_u], where the mean gradient is zero."""
    mean_c, std_c, mean_u, std_u = golden["T11_mc_sc_mu_su"].tolist()
    scale = golden["T11_scales"][column].item()
    prior = GaussianPrior(mean_c, std_c, null_mean=mean_u, null_std=std_u, schedule=schedule)
    t = golden["T11_t"]
    ends, _ = moments(objective(cfg_scale=scale), prior, t, torch.tensor([0.0, 1.0], dtype=torch.float64))
    root = -ends[:, 0] / (ends[:, 1] - ends[:, 0])  # the mean gradient is linear in theta
    torch.testing.assert_close(root, golden["T11_theta_closed"][:, column], rtol=1e-6, atol=0)


def test_t11_equal_widths_overshoot_in_proportion_to_the_scale(schedule: NoiseSchedule) -> None:
    prior = GaussianPrior(1.0, 0.5, null_mean=0.2, null_std=0.5, schedule=schedule)
    optimum = torch.tensor([0.2 + 7.5 * 0.8], dtype=torch.float64)
    mean, _ = moments(SDS(cfg_scale=7.5), prior, torch.tensor([50, 400, 900]), optimum)
    assert mean.abs().max() < 1e-10
