"""The regularizers' closed forms by hand, their cameras, and the contract that they share."""

import math

import pytest
import torch

from gen3d.errors import BadInput, Unsupported
from gen3d.guidance import Guidance
from gen3d.inputs import Inputs
from gen3d.part import Step
from gen3d.testing import ToyField, ToyRenderer, check_guidance, toy_cameras, toy_stage
from gen3d.views import Samples, Views
from gen3d_regularizers.center_depth import CenterDepth
from gen3d_regularizers.depth_smoothness import DepthSmoothness
from gen3d_regularizers.emptiness import Emptiness
from gen3d_regularizers.entropy import Entropy
from gen3d_regularizers.near_view_consistency import NearViewConsistency
from gen3d_regularizers.normal_smoothness import NormalSmoothness
from gen3d_regularizers.opacity import Opacity
from gen3d_regularizers.orientation import Orientation
from gen3d_regularizers.weight_entropy import WeightEntropy
from gen3d_regularizers.z_variance import ZVariance

STEP = Step(0, 10)
ALL = [
    CenterDepth,
    DepthSmoothness,
    lambda: DepthSmoothness(view="input"),
    Emptiness,
    Entropy,
    NearViewConsistency,
    lambda: NearViewConsistency(count=2),
    NormalSmoothness,
    Opacity,
    Orientation,
    WeightEntropy,
    ZVariance,
]


@pytest.mark.parametrize("make", ALL)
def test_conformance(make: type[Guidance]) -> None:
    check_guidance(make(), size=6)


def packed(weights: list[float], rays: list[int], distances: list[float], ray_count: int, slots: int) -> Samples:
    count = len(weights)
    directions = torch.tensor([0.0, 0.0, -1.0]).expand(count, 3)
    return Samples(
        torch.tensor(weights).requires_grad_(),
        torch.tensor(rays, dtype=torch.int64),
        torch.tensor(distances).requires_grad_(),
        directions,
        None,
        ray_count,
        slots,
    )


def views_of(alpha: float = 0.5, samples: Samples | None = None) -> Views:
    flat = torch.zeros(1, 2, 2, 1)
    full = torch.full((1, 2, 2, 1), alpha, requires_grad=True)
    return Views(toy_cameras(1, 2), flat, "latent", full, flat, None, samples)


def test_emptiness_by_hand() -> None:
    samples = packed([0.5, 0.2, 0.1], [0, 0, 2], [1.0, 1.1, 1.0], ray_count=4, slots=5)
    loss = Emptiness(scale=10.0)(STEP, views_of(samples=samples)).loss
    assert loss.item() == pytest.approx((math.log(6) + math.log(3) + math.log(2)) / 20)
    loss.backward()
    assert samples.weights.grad.tolist() == pytest.approx([10 / 6 / 20, 10 / 3 / 20, 10 / 2 / 20])


def test_z_variance_by_hand() -> None:
    """Two equal samples, 0.2 apart, on an opaque ray; a thin ray and one without samples do not count."""
    samples = packed([0.4, 0.4, 0.3], [1, 1, 2], [1.0, 1.2, 1.0], ray_count=4, slots=5)
    loss = ZVariance()(STEP, views_of(samples=samples)).loss
    assert loss.item() == pytest.approx(0.01)
    loss.backward()
    assert samples.distances.grad.tolist() == pytest.approx([-0.1, 0.1, 0.0])


def test_z_variance_of_nothing_is_zero() -> None:
    samples = packed([], [], [], ray_count=4, slots=5)
    assert ZVariance()(STEP, views_of(samples=samples)).loss.item() == 0


def test_opacity_by_hand() -> None:
    views = views_of(alpha=0.3)
    loss = Opacity()(STEP, views).loss
    assert loss.item() == pytest.approx(math.sqrt(0.1))
    loss.backward()
    assert views.alpha.grad.flatten().tolist() == pytest.approx([0.3 / math.sqrt(0.1) / 4] * 4)


def test_entropy_is_largest_at_a_half_and_counts_nats() -> None:
    assert Entropy()(STEP, views_of(alpha=0.5)).loss.item() == pytest.approx(math.log(2))
    views = views_of(alpha=0.2)
    Entropy()(STEP, views).loss.backward()
    assert views.alpha.grad.flatten().tolist() == pytest.approx([math.log(0.8 / 0.2) / 4] * 4, rel=1e-5)


def drawn(guidance: Guidance, step: Step = STEP) -> Views:
    return ToyRenderer()(ToyField(), toy_cameras(2, 8), step, guidance.needs)


def test_orientation_sees_no_fault_in_a_ball_and_much_in_its_inside_out() -> None:
    """Normals of what is seen face the camera; turned inwards, they all look away."""
    guidance = Orientation()
    views = drawn(guidance)
    good = guidance(STEP, views).loss
    views.samples.normals.neg_()
    bad = guidance(STEP, views).loss
    assert good < 0.1 * bad
    assert 0.1 < bad < 1


def test_near_views_are_nearby_and_look_at_what_the_random_view_looks_at() -> None:
    guidance = NearViewConsistency(distance=0.1, count=2)
    random = toy_cameras(3, 8)
    same, near = guidance.cameras(STEP, random)
    assert same is random
    assert len(near) == 2
    assert (near.position - random.position[:2]).norm(dim=1).tolist() == pytest.approx([0.1, 0.1])
    off_axis = torch.linalg.cross(near.position, near.c2w[:, :3, 2])  # the axis passes through the origin
    assert off_axis.abs().max() < 1e-5
    assert not torch.equal(near.position[0] - random.position[0], near.position[1] - random.position[1])


def test_a_jittered_view_keeps_its_centre_in_the_near_view() -> None:
    """A camera that looks past the origin is not turned back to it, which would be a large change."""
    eye, centre = torch.tensor([[1.4, 0.0, 0.0]]), torch.tensor([[0.0, 0.3, 0.0]])
    random = type(toy_cameras()).look_at(eye, 0.8, 8, target=centre)
    _, near = NearViewConsistency(distance=1e-4).cameras(STEP, random)
    torch.testing.assert_close(near.c2w, random.c2w, rtol=0, atol=2e-4)


def test_near_views_change_from_step_to_step_and_from_term_to_term() -> None:
    one, two = NearViewConsistency(), NearViewConsistency()
    one.name, two.name = "guidance.one", "guidance.two"
    random = toy_cameras(1, 8)
    asked = [(one, Step(0, 9)), (one, Step(1, 9)), (two, Step(0, 9)), (one, Step(0, 9))]
    positions = [guidance.cameras(step, random)[1].position for guidance, step in asked]
    assert torch.equal(positions[0], positions[3])
    assert not torch.isclose(positions[0], positions[1]).all()
    assert not torch.isclose(positions[0], positions[2]).all()


def test_depth_smoothness_of_the_input_view_shares_its_camera_with_others() -> None:
    one, two, other = DepthSmoothness("input"), DepthSmoothness("input"), DepthSmoothness()
    stage = toy_stage({"one": one, "two": two, "other": other}, size=16)
    random = toy_cameras(1, 8)
    (first,), (second,), (third,) = (guidance.cameras(STEP, random) for guidance in (one, two, other))
    assert first is second
    assert third is random
    assert (first.height, first.width) == (8, 8)
    assert torch.equal(first.c2w, stage.reference.c2w)


def test_depth_smoothness_of_the_input_view_needs_one() -> None:
    stage = toy_stage({})
    stage.inputs, stage.reference = Inputs(), None
    DepthSmoothness().bind(stage)
    with pytest.raises(BadInput, match="needs a picture"):
        DepthSmoothness("input").bind(stage)


@pytest.mark.parametrize("make", [Emptiness, Orientation, ZVariance, NormalSmoothness])
def test_what_the_renderer_does_not_give_is_reported(make: type[Guidance]) -> None:
    with pytest.raises(Unsupported, match="renderer gave no"):
        make()(STEP, views_of())
