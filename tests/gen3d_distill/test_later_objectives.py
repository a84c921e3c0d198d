"""CSD, NFSD, ASD, ISM and SDI on priors in closed form."""

import pytest
import torch
from torch import Tensor

from gen3d.diffusion import NoiseSchedule
from gen3d.errors import BadInput, Unsupported
from gen3d.guidance import Objective
from gen3d.schedule import Schedule
from gen3d.testing import GaussianPrior, Mixture
from gen3d_distill.asd import ASD
from gen3d_distill.csd import CSD
from gen3d_distill.distill import Distill
from gen3d_distill.ism import ISM
from gen3d_distill.nfsd import NFSD
from gen3d_distill.sdi import SDI
from gen3d_distill.sds import SDS
from quadrature import NODES, STEP, moments, residuals

M, S = 1.5, 0.7
THETA = torch.tensor([-1.0, 1.2, 1.5, 2.5], dtype=torch.float64)
T = torch.tensor([60, 200, 450, 700, 950])


@pytest.fixture(scope="module")
def prior(schedule: NoiseSchedule) -> GaussianPrior:
    return GaussianPrior(M, S, schedule=schedule)


def amplitudes(schedule: NoiseSchedule, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """alpha, sigma and v as columns."""
    alpha, sigma = schedule.alpha(t).view(-1, 1), schedule.sigma(t).view(-1, 1)
    return alpha, sigma, alpha.square() * S**2 + sigma.square()


def test_t12_csd_of_equal_widths_has_no_optimum(schedule: NoiseSchedule) -> None:
    """Its gradient is w sigma alpha (m_u - m_c) / v for every sample and everywhere."""
    prior = GaussianPrior(M, S, null_mean=0.2, null_std=S, schedule=schedule)
    alpha, sigma, v = amplitudes(schedule, T)
    expected = (sigma**3 * alpha * (0.2 - M) / v)[..., None].expand(5, 4, len(NODES))
    torch.testing.assert_close(residuals(CSD(), prior, T, THETA), expected, rtol=1e-9, atol=1e-10)


def test_t12_csd_has_the_optimum_of_endless_guidance(golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    mean_c, std_c, mean_u, std_u = golden["T11_mc_sc_mu_su"].tolist()
    prior = GaussianPrior(mean_c, std_c, null_mean=mean_u, null_std=std_u, schedule=schedule)
    mean, _ = moments(CSD(), prior, golden["T11_t"], torch.tensor([0.0, 1.0], dtype=torch.float64))
    root = -mean[:, 0] / (mean[:, 1] - mean[:, 0])
    torch.testing.assert_close(root, golden["T11_theta_closed"][:, -1], rtol=1e-6, atol=0)


def test_csd_moves_from_the_empty_prompt_to_the_negative_one(schedule: NoiseSchedule) -> None:
    negative = Mixture([1.0], [-1.0], [0.4])
    prior = GaussianPrior(M, S, null_mean=0.2, null_std=S, negative=negative, schedule=schedule)
    annealed = CSD(unconditional=Schedule.of({"ramp": {0: -1, 1: 0}}), negative=Schedule.of({"ramp": {0: 0, 1: -1}}))
    assert annealed.branches == {"conditional", "unconditional", "negative"}
    start, end = (residuals(o, prior, T, THETA) for o in (annealed, CSD(unconditional=0.0, negative=-1.0)))
    torch.testing.assert_close(start, residuals(CSD(), prior, T, THETA))
    other = GaussianPrior(M, S, null_mean=-1.0, null_std=0.4, schedule=schedule)
    torch.testing.assert_close(end, residuals(CSD(), other, T, THETA))


def test_csd_with_all_of_the_noise_is_sds(schedule: NoiseSchedule) -> None:
    prior = GaussianPrior(M, S, null_mean=0.2, null_std=0.9, schedule=schedule)
    combined = residuals(CSD(conditional=7.5, unconditional=-6.5, noise=-1.0), prior, T, THETA)
    torch.testing.assert_close(combined, residuals(SDS(7.5), prior, T, THETA), rtol=1e-9, atol=1e-9)


def test_csd_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="every coefficient is 0"):
        CSD(conditional=0.0, unconditional=0.0)


def test_nfsd_leaves_the_noise_out(schedule: NoiseSchedule) -> None:
    """delta_D = e_0 below t = 200, e_0 - e_neg from there on."""
    negative = Mixture([1.0], [-1.0], [0.4])
    prior = GaussianPrior(M, S, null_mean=0.2, null_std=0.9, negative=negative, schedule=schedule)
    t = torch.tensor([199, 200, 900])
    parts = {
        name: residuals(CSD(**{"conditional": 0.0, "unconditional": 0.0, name: 1.0}), prior, t, THETA)
        for name in ("conditional", "unconditional", "negative")
    }
    domain = parts["unconditional"] - parts["negative"] * torch.tensor([0.0, 1.0, 1.0])[:, None, None]
    expected = domain + 7.5 * (parts["conditional"] - parts["unconditional"])
    torch.testing.assert_close(residuals(NFSD(), prior, t, THETA), expected, rtol=1e-9, atol=1e-9)


def test_a_negative_prompt_is_needed_only_where_it_is_used() -> None:
    prior = GaussianPrior(M, S)
    Distill(prior, CSD())
    for objective in (NFSD(), CSD(negative=Schedule.of({0: 0, 50: -1}))):
        with pytest.raises(Unsupported, match="has no negative prediction"):
            Distill(prior, objective)


def test_t13_asd_without_guidance(schedule: NoiseSchedule) -> None:
    """E g = w [c(t) - c(t + d)] (theta - m) with c = sigma alpha / v, which rises up to t = 354: there it repels."""
    prior = GaussianPrior(M, 1.0, schedule=schedule)
    asd, t = ASD(cfg_scale=1.0), torch.tensor([100, 200, 300, 500, 700, 900])
    asd.name = "guidance.novel_views.objective"
    mean, _ = moments(asd, prior, t, THETA)
    gap = STEP.rand("guidance.novel_views.objective.shift", 6) * 0.1 * (t - 20)
    later = t + gap.round().long()
    assert (later > t).all()
    now, then = ((schedule.sigma(x) * schedule.alpha(x)).view(-1, 1) for x in (t, later))  # v is 1
    expected = schedule.sigma(t).view(-1, 1).square() * (now - then) * (THETA - M)
    torch.testing.assert_close(mean, expected, rtol=1e-9, atol=1e-10)
    assert (mean[:, 0] > 0).tolist() == [True, True, True, False, False, False]  # below the mode, so up means away


def test_asd_with_guidance_attracts(schedule: NoiseSchedule) -> None:
    prior = GaussianPrior(M, 0.3, null_mean=0.0, null_std=1.0, schedule=schedule)
    mean, _ = moments(ASD(), prior, torch.tensor([100, 500, 900]), torch.tensor([-2.0], dtype=torch.float64))
    assert (mean < 0).all()


def test_asd_stays_within_the_schedule(prior: GaussianPrior) -> None:
    at_end = residuals(ASD(shift=5.0), prior, torch.tensor([999]), THETA)
    torch.testing.assert_close(at_end, residuals(ASD(shift=0.0), prior, torch.tensor([999]), THETA))


def test_t14_ism_is_the_gap_between_two_points_of_the_inversion(prior: GaussianPrior, schedule: NoiseSchedule) -> None:
    """w (theta - m) / s [sigma_t / sqrt(v_t) - sigma_s / sqrt(v_s)], with the interval between; it always attracts."""
    t = T[:3]
    told = residuals(ISM(cfg_scale=1.0, stride=4, weighting="one"), prior, t, THETA, NODES[:1])[..., 0]
    slopes = [(sigma / v.sqrt()) for _, sigma, v in (amplitudes(schedule, level) for level in (t, t - 50))]
    torch.testing.assert_close(told, (slopes[0] - slopes[1]) * (THETA - M) / S, rtol=0.1, atol=0.003)
    assert (told * (THETA - M) >= 0).all()


def test_t14_sdi_is_the_latents_less_their_clean_estimate(prior: GaussianPrior, schedule: NoiseSchedule) -> None:
    """(theta - m) (1 - alpha s / sqrt(v))."""
    t = T[:3]
    told = residuals(SDI(1.0, 1.0, stride=4, eta=0.0), prior, t, THETA, NODES[:1])[..., 0]
    alpha, _, v = amplitudes(schedule, t)
    torch.testing.assert_close(told, (THETA - M) * (1 - alpha * S / v.sqrt()), rtol=0.03, atol=0.003)


@pytest.mark.parametrize("objective", [ISM(), SDI(eta=0.0)], ids=["ism", "sdi"])
def test_t14_inversion_leaves_no_noise(objective: Objective, schedule: NoiseSchedule) -> None:
    prior = GaussianPrior(M, S, null_mean=0.2, null_std=0.9, schedule=schedule)
    told = residuals(objective, prior, T, THETA)
    assert torch.equal(told, told[..., :1].expand_as(told))


def test_sdi_draws_noise_where_eta_says_so(prior: GaussianPrior) -> None:
    told = residuals(SDI(1.0, 1.0), prior, torch.tensor([60, 450]), THETA)
    assert not (told[0] - told[0, :, :1]).any()  # one stride, which starts from clean latents, is without noise
    assert told[1].std(dim=-1).gt(0.01).all()


@pytest.mark.parametrize("objective", [ISM(1.0), SDI(1.0, 1.0, eta=0.0)], ids=["ism", "sdi"])
def test_rows_at_low_timesteps_do_not_wait_in_vain(objective: Objective, prior: GaussianPrior) -> None:
    """A row's gradient is its own, whatever way the others have to go; at the first timesteps too."""
    t = torch.tensor([1, 20, 130, 990])
    together = residuals(objective, prior, t, THETA)
    assert together.isfinite().all()
    for row in range(4):
        assert torch.equal(residuals(objective, prior, t[row : row + 1], THETA)[0], together[row])


@pytest.mark.parametrize("made", [ISM, SDI])
def test_strides_go_forward(made: type[ISM | SDI]) -> None:
    with pytest.raises(BadInput, match="stride is 0"):
        made(stride=0)
