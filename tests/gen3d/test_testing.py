"""The test kit: that it accepts what keeps the contract, and names what a broken part does wrong."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn

from gen3d.cameras import Cameras
from gen3d.errors import Unsupported
from gen3d.guidance import Guidance, Signal
from gen3d.part import Step
from gen3d.representation import RadianceField
from gen3d.testing import (
    GaussianPrior,
    Mixture,
    MixturePrior,
    ToyField,
    ToyRenderer,
    check_guidance,
    toy_cameras,
    toy_stage,
)
from gen3d.views import Views

STEP = Step(0, 1)


class Term(Guidance):
    """A guidance of one line."""

    def __init__(self, term: Callable[[Step, Views], Any], needs: frozenset[str] = frozenset({"image"})) -> None:
        super().__init__()
        self.term, self.needs = term, needs

    def forward(self, step: Step, *views: Views) -> Signal:
        return Signal(self.term(step, views[0]))


def noisy(step: Step, views: Views) -> Tensor:
    return (views.image * step.randn("term.noise", *views.image.shape)).sum()


GOOD = {
    "of the image": lambda _, views: views.image.mean(),
    "with its own noise": noisy,
    "of the samples": lambda _, views: views.samples.weights.square().sum(),
    "of the normals": lambda _, views: views.normal.square().sum(),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_guidance_passes(name: str) -> None:
    check_guidance(Term(GOOD[name], frozenset({"image", "normal", "samples"})))


def test_what_looks_at_the_object_itself_passes() -> None:
    class Small(Guidance):
        def bind(self, stage: Any) -> None:
            self.field = stage.representation

        def forward(self, step: Step, *views: Views) -> Signal:
            return Signal(self.field.radius.square())

    check_guidance(Small())


def global_noise(_: Step, views: Views) -> Tensor:
    return (views.image * torch.randn(())).sum()


def shrinking(_: Step, views: Views) -> Tensor:
    with torch.no_grad():
        views.image.mul_(0.5)
    return views.image.sum()


class Counter:
    calls = 0

    def __call__(self, _: Step, views: Views) -> Tensor:
        self.calls += 1
        return self.calls * views.image.sum()


BAD = {
    "is finite, not nan": lambda _, views: views.image.sum() * math.nan,
    "gradient is finite": lambda _, views: (views.image - views.image.detach()).sqrt().sum(),
    "has a gradient": lambda _, views: views.image.detach().sum(),
    "and is not zero": lambda _, views: 0 * views.image.sum(),
    "global random state": global_noise,
    "views are not changed": shrinking,
    "same loss and gradient": Counter(),
}


@pytest.mark.parametrize("broken", BAD)
def test_a_bad_guidance_is_told_what_it_does(broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        check_guidance(Term(BAD[broken]))


def test_a_loss_is_a_scalar() -> None:
    """Annotations say so too, where they are checked."""
    with pytest.raises((AssertionError, TypeCheckError), match=r"loss is a scalar|parameters of .*Signal"):
        check_guidance(Term(lambda _, views: views.image.sum()[None]))


def test_several_views_are_tried() -> None:
    """A term that forgets all but the first view of the batch has a gradient, but one that needs one view fails."""
    with pytest.raises((AssertionError, RuntimeError)):
        check_guidance(Term(lambda _, views: views.image.reshape(8, 8, 3).sum()))


def test_cameras_must_be_a_tuple() -> None:
    class Bare(Term):
        def cameras(self, step: Step, random: Cameras) -> Any:
            return ()

    with pytest.raises(AssertionError, match="a tuple, not empty"):
        check_guidance(Bare(GOOD["of the image"]))


def test_what_is_trained_must_be_trainable() -> None:
    class Frozen(Term):
        def param_groups(self) -> dict[str, list[nn.Parameter]]:
            return {"net": [nn.Parameter(torch.ones(1), requires_grad=False)]}

    with pytest.raises(AssertionError, match="'net'"):
        check_guidance(Frozen(GOOD["of the image"]))


def test_the_ball_is_a_radiance_field() -> None:
    field = ToyField()
    assert isinstance(field, RadianceField)
    points = torch.tensor([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0], [0.0, 0.0, 0.49], [0.0, 0.6, 0.0]])
    density = field.density(points)
    assert density.tolist() == pytest.approx([40, 20, 40 / (1 + math.exp(9.5)), 0], rel=0.01)
    assert torch.equal(field.features(points), field.color.expand(4, 3))


def test_a_drawn_ball_looks_like_one() -> None:
    views = ToyRenderer(samples=64)(ToyField(), toy_cameras(2, 32), STEP, frozenset({"normal", "samples"}))
    centre, corner = (slice(None), 16, 16), (slice(None), 0, 0)
    torch.testing.assert_close(views.image[centre], torch.tensor([[0.8, 0.3, 0.1]] * 2), rtol=0, atol=0.01)
    torch.testing.assert_close(views.image[corner], torch.ones(2, 3), rtol=0, atol=0.01)
    assert views.alpha[centre].min() > 0.99
    assert (views.depth[centre] - 1.1).abs().max() < 0.06  # 1.4 away, radius 0.3
    back = views.cameras.c2w[:, :3, 2]
    assert (views.normal[centre] * back).sum(dim=-1).min() > 0.9  # towards the camera
    side = 2 * 1.4 * math.tan(math.radians(49.1) / 2)  # of the plane through the origin that is seen
    area = (views.alpha > 0.5).float().mean().item() * side**2
    assert math.pi * 0.3**2 < area < math.pi * 0.38**2


def test_samples_agree_with_the_pictures() -> None:
    views = ToyRenderer()(ToyField(), toy_cameras(2, 6), STEP, frozenset({"samples"}))
    samples = views.samples
    assert samples.normals is None
    alpha = torch.zeros(samples.ray_count).index_add(0, samples.rays, samples.weights)
    torch.testing.assert_close(alpha, views.alpha.flatten())
    reach = torch.zeros(samples.ray_count).index_add(0, samples.rays, samples.weights * samples.distances)
    torch.testing.assert_close(reach + 3 * (1 - alpha), views.depth.flatten())
    origins, directions = views.cameras.rays()
    torch.testing.assert_close(samples.directions[:: samples.slots], directions.reshape(-1, 3))
    assert origins.shape[:3].numel() == samples.ray_count


def test_a_toy_stage_binds_and_names_its_guidances() -> None:
    class Named(Term):
        def bind(self, stage: Any) -> None:
            self.bound = stage

    guidance = Named(GOOD["of the image"])
    stage = toy_stage({"term": guidance}, size=12, steps=7)
    assert guidance.name == "guidance.term"
    assert guidance.bound is stage
    assert stage.inputs.picture.image.shape == (12, 12, 3)
    assert stage.reference.height == 12
    assert stage.step(3) == Step(3, 7, "toy", 0, torch.device("cpu"))


def test_a_gaussian_priors_prediction_is_its_score() -> None:
    """eps = -sigma times the score of N(alpha m, alpha^2 s^2 + sigma^2), here by automatic differentiation."""
    weights, means, stds = [0.3, 0.7], [-2.0, 2.0], [0.3, 0.5]
    prior = MixturePrior(weights, means, stds)
    noisy = torch.linspace(-3, 3, 12).view(2, 1, 2, 3).requires_grad_()
    t = torch.tensor([100, 600])
    alpha, sigma = prior.schedule.alpha(t), prior.schedule.sigma(t)
    logs = []
    for share, mean, std in zip(weights, means, stds, strict=True):
        normal = torch.distributions.Normal(alpha * mean, ((alpha * std) ** 2 + sigma**2).sqrt())
        logs.append(math.log(share) + normal.log_prob(noisy))
    (score,) = torch.autograd.grad(torch.stack(logs).logsumexp(dim=0).sum(), noisy)
    predicted = prior.predict(noisy.detach(), t, prior.condition(toy_cameras(2)), ("conditional", "unconditional"))
    torch.testing.assert_close(predicted["conditional"], -sigma * score, rtol=1e-4, atol=1e-5)
    assert torch.equal(predicted["conditional"], predicted["unconditional"])


def test_branches_differ_where_they_are_told_to() -> None:
    noisy, t = torch.zeros(1, 3, 2, 2), torch.tensor([500])
    condition = GaussianPrior(0.0, 1.0).condition(toy_cameras(1))
    guided = GaussianPrior(1.0, 0.5, null_mean=-1.0, null_std=0.5)
    both = guided.predict(noisy, t, condition, ("conditional", "unconditional"))
    torch.testing.assert_close(both["conditional"], -both["unconditional"])
    assert list(guided.predict(noisy, t, condition, ("unconditional",))) == ["unconditional"]
    mixed = MixturePrior([1.0], [1.0], [0.5], unconditional=Mixture([1.0], [-1.0], [0.5]))
    assert torch.equal(mixed.predict(noisy, t, condition, ("unconditional",))["unconditional"], both["unconditional"])


def test_a_closed_form_priors_pictures_are_its_latents() -> None:
    prior, images = GaussianPrior(torch.rand(3, 4, 4), 1.0), torch.rand(2, 4, 4, 3)
    latents = prior.encode(images)
    assert latents.shape == (2, 3, 4, 4)
    assert torch.equal(prior.decode(latents), images)
    with pytest.raises(Unsupported, match="4 channels"):
        prior.decode(torch.zeros(1, 4, 2, 2))
    with pytest.raises(Unsupported, match="no sources"):
        prior.condition(toy_cameras(1), sources=["picture.png"])
