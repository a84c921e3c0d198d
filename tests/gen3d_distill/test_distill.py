"""The guidance `distill`: how a residual becomes a gradient on the views, and where its randomness comes from."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from gen3d.errors import BadInput, Unsupported
from gen3d.guidance import Condition, Guidance, Objective, Prior, Residual
from gen3d.part import Step
from gen3d.schedule import Schedule
from gen3d.testing import GaussianPrior, ToyField, ToyRenderer, check_guidance, toy_cameras, toy_stage
from gen3d.views import Space, Views
from gen3d_distill.distill import Distill
from gen3d_distill.sds import SDS
from gen3d_distill.sjc import SJC
from gen3d_distill.weighting import Weighting, weight

STEP = Step(3, 10)


class Recorded(Objective):
    """Gives a stated gradient, or the prior's unguided error, and keeps what it was asked and taught."""

    def __init__(self, gradient: Tensor | None = None) -> None:
        super().__init__()
        self.gradient, self.rate = gradient, nn.Parameter(torch.ones(2))
        self.t: list[Tensor] = []
        self.noise: list[Tensor] = []
        self.learnt: list[Tensor] = []

    def residual(
        self, prior: Prior, latents: Tensor, t: Tensor, condition: Condition, noise: Tensor, step: Step
    ) -> Residual:
        self.t.append(t)
        self.noise.append(noise)
        return Residual(noise if self.gradient is None else self.gradient.clone())

    def learn(self, prior: Prior, latents: Tensor, condition: Condition, step: Step) -> None:
        assert not latents.requires_grad
        assert len(condition) == len(latents)
        self.learnt.append(latents)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"rate": [self.rate]}


def leaf_views(count: int = 2, space: Space = "rgb", size: int = 4) -> Views:
    with torch.no_grad():
        cameras = toy_cameras(count, size)
        views = ToyRenderer()(ToyField(space=space), cameras, STEP, frozenset({"image", "normal"}))
    return replace(views, image=views.image.requires_grad_(), normal=views.normal.requires_grad_())


def gradient_of(guidance: Guidance, views: Views, factor: float = 1.0) -> Tensor:
    (factor * guidance(STEP, views).loss).backward()
    assert views.image.grad is not None
    return views.image.grad.permute(0, 3, 1, 2)


@pytest.mark.parametrize("space", ["rgb", "latent"])
@pytest.mark.parametrize("factor", [1.0, 8.0])
@pytest.mark.parametrize("count", [1, 4])
def test_t1_the_residual_arrives_over_the_batch_size(count: int, factor: float, space: Space) -> None:
    """Exactly, and multiplied by whatever comes from upstream (a guidance's weight)."""
    residual = torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    guidance = Distill(GaussianPrior(0.0, 1.0), Recorded(residual))
    assert torch.equal(gradient_of(guidance, leaf_views(count, space), factor), factor * residual / count)


def test_t1_a_small_residual_on_large_latents_is_not_rounded_away() -> None:
    """Half the squared distance to (latents - residual), as usual elsewhere, would give a zero gradient here."""
    residual = torch.full((1, 3, 4, 4), 1e-6)
    views = leaf_views(1, "latent")
    views = replace(views, image=(views.image.detach() + 1000).requires_grad_())
    assert torch.equal(gradient_of(Distill(GaussianPrior(0.0, 1.0), Recorded(residual)), views), residual)
    assert torch.equal(views.image - (views.image - residual.permute(0, 2, 3, 1)), torch.zeros_like(views.image))


def test_value_is_half_the_squared_residual_a_view() -> None:
    signal = Distill(GaussianPrior(0.0, 1.0), Recorded(torch.full((2, 3, 4, 4), 2.0)))(STEP, leaf_views(2))
    assert signal.log["value"].item() == pytest.approx(0.5 * 3 * 16 * 4.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_not_hidden(bad: float) -> None:
    residual = torch.zeros(2, 3, 4, 4)
    residual[1, 2, 3, 3] = bad
    views = leaf_views(2)
    signal = Distill(GaussianPrior(0.0, 1.0), Recorded(residual))(STEP, views)
    assert not signal.loss.isfinite()
    assert not torch.as_tensor(signal.log["value"]).isfinite()


def test_gradient_passes_through_the_encoder() -> None:
    class Doubling(GaussianPrior):
        def encode(self, images: Tensor) -> Tensor:
            return 2 * super().encode(images)

    residual = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(gradient_of(Distill(Doubling(0.0, 1.0), Recorded(residual)), leaf_views(2)), residual)


def test_normals_are_seen_as_colors() -> None:
    class Seen(GaussianPrior):
        def encode(self, images: Tensor) -> Tensor:
            self.image = images.detach()
            return super().encode(images)

    prior, views = Seen(0.0, 1.0), leaf_views(2)
    guidance = Distill(prior, Recorded(torch.ones(2, 3, 4, 4)), picture="normal")
    assert guidance.needs == {"normal"}
    guidance(STEP, views).loss.backward()
    assert torch.equal(prior.image, 0.5 * views.normal + 0.5)
    assert views.image.grad is None
    assert torch.equal(views.normal.grad, torch.full_like(views.normal, 0.25))


def test_normals_that_are_missing_are_reported() -> None:
    guidance = Distill(GaussianPrior(0.0, 1.0), SDS(), picture="normal")
    with pytest.raises(Unsupported, match="no normals"):
        guidance(STEP, replace(leaf_views(1), normal=None))


def drawn_timesteps(t_min: Schedule | float, t_max: Schedule | float, steps: Sequence[int], total: int) -> Tensor:
    objective = Recorded()
    guidance = Distill(GaussianPrior(0.0, 1.0), objective, t_min=t_min, t_max=t_max)
    views = leaf_views(64, "latent", size=1)
    for index in steps:
        guidance(Step(index, total), views)
    return torch.stack(objective.t)


def test_timesteps_are_integers_up_to_both_ends() -> None:
    t = drawn_timesteps(0.5, 0.503, range(10), 10)
    assert t.dtype == torch.int64
    assert sorted(set(t.flatten().tolist())) == [500, 501, 502, 503]


def test_default_timesteps_are_dreamfusions() -> None:
    t = drawn_timesteps(0.02, 0.98, range(100), 100)
    assert t.min() >= 20
    assert t.max() <= 980
    assert t.min() < 30
    assert t.max() > 970
    assert t.double().mean() == pytest.approx(500, abs=4 * 277 / 6400**0.5)  # four standard errors


def test_the_last_timestep_is_the_schedules() -> None:
    assert drawn_timesteps(1.0, 1.0, [0], 1).unique().tolist() == [999]


def test_timesteps_follow_their_schedules() -> None:
    """threestudio's square-root annealing and the like: one stated t a step."""
    falling = Schedule.of({"ramp": {0: 0.9, 10: 0.1}})
    assert drawn_timesteps(falling, falling, [0, 5, 10], 11)[:, 0].tolist() == [900, 500, 100]


def test_each_view_has_its_own_timestep_and_noise() -> None:
    objective = Recorded()
    Distill(GaussianPrior(0.0, 1.0), objective)(STEP, leaf_views(3))
    assert len(set(objective.t[0].tolist())) == 3
    assert not torch.equal(objective.noise[0][0], objective.noise[0][1])


def test_two_guidances_share_no_noise_and_a_step_repeats_its_own() -> None:
    objective = Recorded()
    guidances = [Distill(GaussianPrior(0.0, 1.0), objective) for _ in range(3)]
    for guidance, name in zip(guidances, ["guidance.one", "guidance.two", "guidance.one"], strict=True):
        guidance.name = name
        guidance(STEP, leaf_views(2))
    assert torch.equal(objective.noise[0], objective.noise[2])
    assert torch.equal(objective.t[0], objective.t[2])
    assert not torch.isclose(objective.noise[0], objective.noise[1]).any()
    assert not torch.equal(objective.t[0], objective.t[1])


def test_the_objective_learns_once_a_step_from_the_steps_latents() -> None:
    objective = Recorded()
    guidance, views = Distill(GaussianPrior(0.0, 1.0), objective), leaf_views(2)
    guidance.after_step(STEP)
    assert objective.learnt == []
    guidance(STEP, views)
    guidance.after_step(STEP)
    guidance.after_step(STEP)
    assert len(objective.learnt) == 1
    assert torch.equal(objective.learnt[0], views.image.permute(0, 3, 1, 2))


def test_what_the_halves_train_is_passed_on_with_their_names() -> None:
    objective = Recorded()
    guidance = Distill(GaussianPrior(0.0, 1.0), objective)
    assert guidance.param_groups() == {"objective.rate": [objective.rate]}
    assert set(guidance.trained_state()) == {"objective.rate.0"}


def test_binding_reaches_both_halves() -> None:
    guidance = Distill(GaussianPrior(0.0, 1.0), Recorded())
    toy_stage({"novel_views": guidance})
    assert guidance.prior.name == "guidance.novel_views.prior"
    assert guidance.objective.name == "guidance.novel_views.objective"


def test_an_objective_that_asks_for_more_than_the_prior_has_is_refused_at_once() -> None:
    class Negative(Recorded):
        branches = frozenset({"conditional", "negative"})

    with pytest.raises(Unsupported, match="Negative with GaussianPrior: the prior has no negative prediction"):
        Distill(GaussianPrior(0.0, 1.0), Negative())


def test_latents_of_another_prior_are_refused_before_the_first_step() -> None:
    stage = toy_stage({}, space="latent")
    stage.representation = ToyField(color=(0.0,) * 4, space="latent")
    with pytest.raises(Unsupported, match="latents of 4 channels, and the prior's have 3"):
        Distill(GaussianPrior(0.0, 1.0), SDS()).bind(stage)
    Distill(GaussianPrior(0.0, 1.0), SDS(), picture="normal").bind(stage)


@pytest.mark.parametrize(("low", "high"), [(0.9, 0.1), (-0.1, 0.5), (0.5, 20.0)])
def test_an_impossible_range_is_refused_before_the_first_step(low: float, high: float) -> None:
    crossing = Schedule.of({0: 0.02, 5: low})
    guidance = Distill(GaussianPrior(0.0, 1.0), SDS(), t_min=crossing, t_max=Schedule.of({0: 0.98, 5: high}))
    with pytest.raises(BadInput, match=r"guidance\.bad: timesteps from .* at step 5"):
        toy_stage({"bad": guidance})


@pytest.mark.parametrize("space", ["rgb", "latent"])
@pytest.mark.parametrize("objective", [SDS, SJC])
def test_conformance(objective: type[SDS | SJC], space: Space) -> None:
    check_guidance(Distill(GaussianPrior(0.0, 1.0), objective()), space=space)


def test_weightings() -> None:
    schedule = GaussianPrior(0.0, 1.0).schedule
    t = torch.tensor([20, 500, 980])
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    expected: dict[Weighting, Tensor] = {
        "sigma_squared": sigma**2,
        "one": torch.ones(3, 1, 1, 1),
        "alpha_sigma_squared": alpha * sigma**2,
        "inverse_sigma_squared": 1 / sigma**2,
        "sigma_over_alpha": sigma / alpha,
    }
    for weighting, value in expected.items():
        torch.testing.assert_close(weight(schedule, t, weighting), value)


@pytest.mark.parametrize("objective", [SDS(1.0), SJC(1.0)], ids=["sds", "sjc"])
def test_an_object_becomes_what_the_prior_wants(objective: Objective) -> None:
    """A whole run without weights: the prior knows the picture of a green ball from the one camera."""
    camera, renderer = toy_cameras(1, 6), ToyRenderer()
    green = ToyField(color=(0.1, 0.7, 0.2))
    with torch.no_grad():
        picture = renderer(green, camera, STEP, frozenset({"image"})).image[0].permute(2, 0, 1)
    field = ToyField(color=(0.9, 0.3, 0.9))
    guidance = Distill(GaussianPrior(picture, 0.05), objective, t_min=0.2, t_max=0.5)
    optimizer = torch.optim.Adam([field.color], lr=0.08)
    for index in range(50):
        step = Step(index, 50)
        optimizer.param_groups[0]["lr"] = 0.08 * (1 - index / 50)
        optimizer.zero_grad()
        guidance(step, renderer(field, camera, step, guidance.needs)).loss.backward()
        optimizer.step()
    assert field.color.tolist() == pytest.approx([0.1, 0.7, 0.2], abs=0.03)
