"""VSD on priors in closed form: with the exact score of the particles, with a network that learns it, and a new one.

The score of particles theta_1..theta_n is that of a mixture of points: q_t = 1/n sum N(alpha theta_i, sigma^2).
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gen3d.checkpoint import load_checkpoint, save_checkpoint
from gen3d.diffusion import NoiseSchedule
from gen3d.errors import BadInput
from gen3d.guidance import Branches, Latents, Prior
from gen3d.part import Step
from gen3d.testing import (
    ClosedFormAdapter,
    GaussianPrior,
    Mixture,
    MixtureAdapter,
    MixturePrior,
    toy_cameras,
    toy_stage,
)
from gen3d_distill.csd import CSD
from gen3d_distill.distill import Distill
from gen3d_distill.sds import SDS
from gen3d_distill.vsd import VSD
from gen3d_optimizers.adam import Adam, AdamW
from quadrature import STEP, moments, residuals


class Known(ClosedFormAdapter):
    """A mixture's exact score."""

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.mixture = mixture

    def noise(self, noisy: Latents, alpha: Tensor, sigma: Tensor) -> Latents:
        return self.mixture.noise(noisy, alpha, sigma)


class Said(ClosedFormAdapter):
    """Whatever it is told to say."""

    def __init__(self, said: Tensor) -> None:
        super().__init__()
        self.said = said

    def noise(self, noisy: Latents, alpha: Tensor, sigma: Tensor) -> Latents:
        return self.said


class Points(ClosedFormAdapter):
    """The exact score of particles, each of them a point."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = theta

    def noise(self, noisy: Latents, alpha: Tensor, sigma: Tensor) -> Latents:
        gaps = (noisy[..., None] - alpha[..., None] * self.theta) / sigma[..., None]
        return ((-0.5 * gaps.square()).softmax(dim=-1) * gaps).sum(dim=-1)


def vsd(adapter: ClosedFormAdapter, cfg_scale: float = 1.0) -> VSD:
    result = VSD(AdamW(), cfg_scale=cfg_scale)
    result.adapter = adapter
    return result


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(golden: dict[str, Tensor], schedule: NoiseSchedule) -> GaussianPrior:
    return GaussianPrior(golden["T2_m"].item(), golden["T2_s"].item(), schedule=schedule)


def ask(objective: VSD | SDS | CSD, prior: Prior, latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    condition = prior.condition(toy_cameras(len(t)))
    return objective.residual(prior, latents, t, condition, noise, STEP).gradient


@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_t5_with_the_noise_for_the_network_it_is_sds_bit_for_bit(scale: float, schedule: NoiseSchedule) -> None:
    prior = GaussianPrior(1.0, 0.5, null_mean=0.2, null_std=0.8, schedule=schedule)
    latents, noise, t = draw(8, 4, 4, 4), draw(8, 4, 4, 4, seed=1), torch.arange(20, 980, 120)
    expected = ask(SDS(scale), prior, latents, noise, t)
    assert torch.equal(ask(vsd(Said(noise), scale), prior, latents, noise, t), expected)


def test_t5_one_particle_with_its_exact_score_is_sds(golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    prior, t, theta = gaussian(golden, schedule), golden["T2_t"], golden["T2_theta"][None]
    expected = residuals(SDS(1.0), prior, t, theta)
    torch.testing.assert_close(residuals(vsd(Points(theta)), prior, t, theta), expected, rtol=1e-9, atol=1e-9)


def test_a_network_that_is_partly_trusted_is_between_sds_and_vsd(schedule: NoiseSchedule) -> None:
    prior = GaussianPrior(1.0, 0.5, null_mean=0.2, null_std=0.8, schedule=schedule)
    latents, noise, t = draw(8, 4, 4, 4), draw(8, 4, 4, 4, seed=1), torch.arange(20, 980, 120)

    def with_trust(trust: float) -> Tensor:
        objective = VSD(AdamW(), cfg_scale=7.5, trust=trust)
        objective.adapter = Said(0.3 * noise)
        return ask(objective, prior, latents, noise, t)

    assert torch.equal(with_trust(0.0), ask(SDS(7.5), prior, latents, noise, t))
    assert torch.equal(with_trust(1.0), ask(vsd(Said(0.3 * noise), 7.5), prior, latents, noise, t))
    torch.testing.assert_close(with_trust(0.25), 0.75 * with_trust(0.0) + 0.25 * with_trust(1.0))


def test_t6_particles_that_are_distributed_as_the_prior_feel_nothing(schedule: NoiseSchedule) -> None:
    """Sample by sample, where SDS is pulled about."""
    mixture = Mixture([0.3, 0.7], [-2.0, 2.0], [0.3, 0.3])
    prior = MixturePrior(mixture.weights, mixture.means, mixture.stds, schedule=schedule)
    latents, noise, t = draw(8, 4, 4, 4), draw(8, 4, 4, 4, seed=1), torch.arange(20, 980, 120)
    assert not ask(vsd(Known(mixture)), prior, latents, noise, t).any()
    assert ask(SDS(1.0), prior, latents, noise, t).abs().mean() > 0.01


@pytest.mark.parametrize("scale", [1.0, 7.5, 100.0])
def test_t7_a_new_network_makes_it_csd(scale: float, schedule: NoiseSchedule) -> None:
    """By the factor s - 1: the new network says what the conditional branch says."""
    prior = GaussianPrior(1.0, 0.5, null_mean=0.2, null_std=0.8, schedule=schedule)
    adapter = prior.adapter(4, torch.Generator())
    assert isinstance(adapter, MixtureAdapter)
    latents, noise, t = draw(8, 4, 4, 4), draw(8, 4, 4, 4, seed=1), torch.arange(20, 980, 120)
    with torch.no_grad():
        gradient = ask(vsd(adapter, scale), prior, latents, noise, t)
    torch.testing.assert_close(gradient, (scale - 1) * ask(CSD(), prior, latents, noise, t), rtol=1e-6, atol=1e-6)


def test_t8_the_oracle_is_the_published_one(golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    noisy, t = golden["T8_oracle_xt"].view(-1, 1, 1, 1), golden["T8_oracle_t"]
    amplitudes = schedule.alpha(t), schedule.sigma(t)
    said = Points(golden["T8_oracle_particles"]).noise(noisy, *amplitudes)
    torch.testing.assert_close(said.flatten(), golden["T8_oracle_eps_q"], rtol=1e-10, atol=1e-10)
    mixture = Mixture([1 / 8] * 8, golden["T8_oracle_particles"].tolist(), [0.0] * 8)
    torch.testing.assert_close(mixture.noise(noisy, *amplitudes), said, rtol=1e-10, atol=1e-10)


def descend(prior: Prior, theta: Tensor, t: Tensor, steps: int, rate: float) -> Tensor:
    """The particles after steps along the mean gradient, each timestep counting once."""
    for _ in range(steps):
        mean, _ = moments(vsd(Points(theta)), prior, t, theta)
        theta = theta - rate * mean.mean(dim=0)
    return theta


@pytest.mark.parametrize("count", [2, 4, 8])
def test_t8_particles_spread_as_the_prior_does(count: int, golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    """At their published places nothing moves them on average; from four on, their spread is the prior's within 5 %."""
    key = f"T8_n{count}_20_980"
    prior, t, theta = gaussian(golden, schedule), golden[f"{key}_t"], golden[f"{key}_particles"]
    mean, _ = moments(vsd(Points(theta)), prior, t, theta)
    alone, _ = moments(SDS(1.0), prior, t, theta)
    assert mean.mean(dim=0).abs().max() < 1e-4 * alone.mean(dim=0).abs().max()
    assert count < 4 or theta.std(correction=0).item() == pytest.approx(0.7, rel=0.05)


def test_t8_particles_that_start_close_find_their_places(golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    prior, t = gaussian(golden, schedule), torch.arange(20, 981, 40)
    theta = descend(prior, torch.tensor([-0.2, -0.1, 0.1, 0.2], dtype=torch.float64), t, steps=40, rate=4.0)
    assert theta.mean().item() == pytest.approx(1.5, abs=1e-3)
    assert theta.std(correction=0).item() == pytest.approx(golden["T8_n4_20_980_std"].item(), abs=1e-3)


@pytest.mark.parametrize(("place", "width"), [(0.3, 0.2), (1.5, 0.7), (2.0, 1.1)])
def test_t9_a_gaussian_fit(place: float, width: float, golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    """E g = w alpha sigma [(theta - m) / v_p - (theta - a) / v_q]: zero everywhere only for the prior's own fit."""
    prior, t = gaussian(golden, schedule), golden["T2_t"]
    theta = torch.tensor([-1.0, 0.5, 2.5], dtype=torch.float64)
    mean, _ = moments(vsd(Known(Mixture([1.0], [place], [width]))), prior, t, theta)
    alpha, sigma = (a(t).view(-1, 1) for a in (schedule.alpha, schedule.sigma))
    pull, push = (
        (theta - m) / (alpha**2 * s**2 + sigma**2)
        for m, s in ((golden["T2_m"], golden["T2_s"]), (place, torch.tensor(width, dtype=torch.float64)))
    )
    torch.testing.assert_close(mean, sigma**3 * alpha * (pull - push), rtol=1e-9, atol=1e-10)


def descended(objective: str, steps: int, seed: int, schedule: NoiseSchedule, golden: dict[str, Tensor]) -> Tensor:
    """Particles after descent with falling rates along gradients whose timesteps are stratified."""
    weights, means, stds = (golden[f"T10_{name}"].tolist() for name in ("pi", "mu", "sd"))
    prior = MixturePrior(weights, means, stds, schedule=schedule)
    count, rows, first = 256, 8, 10_000 * seed
    theta = 0.5 * draw(count, seed=first)
    condition = prior.condition(toy_cameras(rows))
    levels = torch.arange(rows) * 120 + 20
    for index in range(steps):
        t = levels + torch.randint(121, (rows,), generator=torch.Generator().manual_seed(first + index))
        noise = draw(rows, 1, 1, count, seed=first + index)
        chosen = vsd(Points(theta)) if objective == "vsd" else SDS(1.0)
        gradient = chosen.residual(prior, theta.expand(rows, 1, 1, -1), t, condition, noise, STEP).gradient
        theta = theta - (1 - index / steps) * gradient.mean(dim=(0, 1, 2))
    return theta


def distance(theta: Tensor) -> float:
    """Wasserstein-1 to .3 N(-2, .3^2) + .7 N(2, .3^2), by their sorted values."""
    grid = torch.linspace(-4, 4, 8001, dtype=torch.float64)
    normal = torch.distributions.Normal(0, 1).cdf
    below = 0.3 * normal((grid + 2) / 0.3) + 0.7 * normal((grid - 2) / 0.3)
    middles = (torch.arange(len(theta), dtype=torch.float64) + 0.5) / len(theta)
    return (theta.sort().values - grid[torch.searchsorted(below, middles)]).abs().mean().item()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [0, 1])
def test_t10_particles_find_both_modes_where_sds_finds_neither(
    seed: int, golden: dict[str, Tensor], schedule: NoiseSchedule
) -> None:
    """Timesteps in [20, 980]: VSD ends at most a tenth as far from the prior as SDS does."""
    sds, particles = (descended(name, steps, seed, schedule, golden) for name, steps in (("sds", 100), ("vsd", 400)))
    assert sds.mean().item() == pytest.approx(1.4855, abs=0.1)
    assert (particles < 0).double().mean().item() == pytest.approx(0.3, abs=0.05)
    assert distance(particles) <= 0.1 * distance(sds)


def test_t11_guided_particles_have_a_width_of_their_own(golden: dict[str, Tensor], schedule: NoiseSchedule) -> None:
    """At theta* with b^2 = (1 / Lambda - sigma^2) / alpha^2 each sample's gradient is zero; no b^2: they collapse."""
    mean_c, std_c, mean_u, std_u = golden["T11_mc_sc_mu_su"].tolist()
    prior = GaussianPrior(mean_c, std_c, null_mean=mean_u, null_std=std_u, schedule=schedule)
    widths = golden["T11_vsd_b2"]
    assert (widths > 0).any()
    for row, column in (widths > 0).nonzero().tolist():
        scale, t = golden["T11_scales"][column].item(), golden["T11_t"][row : row + 1]
        fit = Mixture([1.0], [golden["T11_theta_closed"][row, column].item()], [widths[row, column].sqrt().item()])
        left = residuals(vsd(Known(fit), scale), prior, t, torch.tensor([-1.0, 0.5, 3.0], dtype=torch.float64))
        assert left.abs().max() < 1e-9 * max(scale, 1)


def test_t15_the_network_learns_where_the_particles_are() -> None:
    """Particles of N(-0.5, 0.4^2), under a prior of N(1, 0.8^2)."""
    prior = GaussianPrior(1.0, 0.8)
    learner = VSD(Adam(lr=0.06), updates=2)
    learner.pair(prior, toy_stage({}))
    condition = prior.condition(toy_cameras(4))
    for index in range(50):
        step = Step(index, 50)
        particles = 0.4 * step.randn("particles", 4, 3, 8, 8) - 0.5
        learner.learn(prior, particles, condition, step)
    assert isinstance(learner.adapter, MixtureAdapter)
    assert learner.adapter.means[0].item() == pytest.approx(-0.5, abs=0.05)
    assert learner.adapter.logs[0].exp().item() == pytest.approx(0.4, abs=0.05)


def test_a_run_s_network_is_trained_each_step_and_by_its_own_optimizer() -> None:
    objective = VSD(AdamW(lr=0.01))
    guidance = Distill(GaussianPrior(0.5, 0.3), objective)
    stage = toy_stage({"particles": guidance})
    assert guidance.param_groups() == {}  # the object's optimizer has no business with them
    for index in range(3):
        step = stage.step(index)
        views = stage.renderer(stage.representation, toy_cameras(2), step, guidance.needs)
        before = objective.adapter.trained_state()["means.0"].clone()
        signal = guidance(step, views)
        signal.loss.backward()
        assert objective.adapter.trained_state()["means.0"] == before
        assert all(p.grad is None or not p.grad.any() for p in objective.adapter.parameters()) or index
        guidance.after_step(step)
        assert objective.adapter.trained_state()["means.0"] != before
        assert ("adapter" in signal.log) == (index > 0)


def test_the_network_learns_at_the_timesteps_that_it_is_given() -> None:
    """By default at all of them, published; those of a range are drawn from the range."""
    seen = {}
    for name, objective in (("all", VSD(AdamW(), updates=40)), ("few", VSD(AdamW(), updates=40, t_min=0.8, t_max=0.9))):
        prior = Recording(0.5, 0.3)
        stage = toy_stage({})
        objective.pair(prior, stage)
        latents = torch.zeros(2, 1, 1, 1)
        objective.learn(prior, latents, prior.condition(toy_cameras(2)), stage.step(0))
        seen[name] = torch.cat(prior.timesteps)
    assert seen["all"].min() < 100
    assert seen["all"].max() > 900
    assert 800 <= seen["few"].min() < 820
    assert 880 < seen["few"].max() <= 900
    with pytest.raises(BadInput, match=r"t_min = 0\.5 to t_max = 0\.4"):
        VSD(AdamW(), t_min=0.5, t_max=0.4).pair(Recording(0.5, 0.3), toy_stage({}))


class Recording(GaussianPrior):
    """Remembers the timesteps that it is asked about."""

    def predict(self, noisy: Latents, t: Tensor, *rest: Any) -> Branches:
        """As the prior itself."""
        vars(self).setdefault("timesteps", []).append(t)
        return super().predict(noisy, t, *rest)


def test_a_checkpoint_holds_the_network_and_its_optimizer(tmp_path: Path) -> None:
    """What is restored goes on as what was saved."""
    guidances = [Distill(GaussianPrior(0.5, 0.3), VSD(AdamW(lr=0.01))) for _ in range(2)]
    for guidance in guidances:
        toy_stage({"particles": guidance})

    def train(guidance: Distill, index: int) -> Tensor:
        latents = Step(index, 9).randn("latents", 2, 3, 4, 4)
        guidance.objective.learn(guidance.prior, latents, guidance.prior.condition(toy_cameras(2)), Step(index, 9))
        state: Tensor = guidance.trained_state()["objective.adapter"]["means.0"]
        return state.clone()

    for index in range(3):
        train(guidances[0], index)
    save_checkpoint(tmp_path / "one.safetensors", guidances[0].trained_state())
    guidances[1].load_trained_state(load_checkpoint(tmp_path / "one.safetensors"))
    assert torch.equal(train(guidances[1], 3), train(guidances[0], 3))
