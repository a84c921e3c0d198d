import math
from typing import Any

import pytest
import torch
from torch import nn

from gen3d import BadInput, Schedule, Step
from gen3d_optimizers.adam import Adam, Adamax, AdamW
from gen3d_optimizers.base import GroupedOptimizer

ALL = [Adam, AdamW, Adamax]
GROUPS = ("representation.density", "representation.color", "renderer.background", "guidance.a.scale")


def params(*shape: int) -> dict[str, list[nn.Parameter]]:
    return {name: [nn.Parameter(torch.ones(shape))] for name in GROUPS}


def bound(optimizer: GroupedOptimizer, *shape: int) -> dict[str, nn.Parameter]:
    groups = params(*shape)
    optimizer.bind(groups)
    return {name: group[0] for name, group in groups.items()}


def moves(optimizer: GroupedOptimizer, step: Step) -> dict[str, float]:
    """How far each group goes in a first step along a gradient of 1: its learning rate, for all of these."""
    trained = bound(optimizer)
    assert optimizer.step(torch.stack([*trained.values()]).sum(), step)
    return {name: 1 - float(p.detach()) for name, p in trained.items()}


def trajectory(optimizer: GroupedOptimizer, gradients: list[float]) -> float:
    x = nn.Parameter(torch.tensor(1.0))
    optimizer.bind({"representation.x": [x]})
    for index, gradient in enumerate(gradients):
        assert optimizer.step(gradient * x, Step(index, len(gradients)))
    return float(x.detach())


@pytest.mark.parametrize("kind", ALL)
def test_follows_the_papers_formula(kind: type[GroupedOptimizer]) -> None:
    b1, b2, eps, lr, decay = 0.8, 0.95, 1e-3, 0.1, 0.2
    options: dict[str, Any] = {"lr": lr, "betas": (b1, b2), "eps": eps}
    gradients = [0.5, -2.0, 1.5, 0.25]
    x, m, v, u = 1.0, 0.0, 0.0, 0.0
    for t, g in enumerate(gradients, start=1):
        m, v, u = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g, max(b2 * u, abs(g) + eps)
        if kind is AdamW:
            x *= 1 - lr * decay
        size = u if kind is Adamax else math.sqrt(v / (1 - b2**t)) + eps
        x -= lr * m / (1 - b1**t) / size
    if kind is AdamW:
        options["weight_decay"] = decay
    assert trajectory(kind(**options), gradients) == pytest.approx(x, rel=1e-6)


@pytest.mark.parametrize("kind", ALL)
def test_a_step_shows_in_the_version(kind: type[GroupedOptimizer]) -> None:
    """Fused steps of PyTorch do not; renderers go by it to see whether an object has changed."""
    optimizer = kind()
    (x, *_) = bound(optimizer).values()
    version = x._version
    assert optimizer.step(x.sum(), Step(0, 1))
    assert x._version > version


def test_rates_go_to_the_longest_name_that_covers_a_group() -> None:
    optimizer = Adam(lr=0.1, groups={"representation": 0.2, "representation.color": 0.3, "renderer.background": 0.4})
    expected = dict(zip(GROUPS, (0.2, 0.3, 0.4, 0.1), strict=True))
    assert moves(optimizer, Step(0, 10)) == pytest.approx(expected, rel=1e-5)


def test_rates_follow_their_schedules() -> None:
    ramp = Schedule.of({"ramp": {0: 0.0, 100: 1.0}})
    optimizer = Adam(lr=Schedule.of({0: 0.1, "50%": 0.2}), groups={"guidance.a": ramp})
    early, late = (moves(optimizer, Step(index, 100)) for index in (25, 75))
    assert [early["representation.color"], late["representation.color"]] == pytest.approx([0.1, 0.2], rel=1e-5)
    assert [early["guidance.a.scale"], late["guidance.a.scale"]] == pytest.approx([0.25, 0.75], rel=1e-5)


def test_a_part_whose_name_only_begins_alike_is_not_covered() -> None:
    optimizer = Adam(groups={"representation.col": 0.3})
    with pytest.raises(BadInput, match=r"representation\.col'") as caught:
        bound(optimizer)
    assert "did you mean 'representation.color'" in caught.value.remedy
    assert "renderer.background" in caught.value.remedy


@pytest.mark.parametrize("bad", [{"lr": -1.0}, {"groups": {"renderer": -0.1}}, {"clip_norm": 0.0}])
def test_impossible_numbers_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="optimizer"):
        Adam(**bad)


def test_nothing_to_train_is_an_error() -> None:
    with pytest.raises(BadInput, match="nothing to train"):
        Adam().bind({"representation.density": []})


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(kind: type[GroupedOptimizer], value: float) -> None:
    trained = bound(optimizer := kind(lr=0.1), 3)
    fine = sum(p.sum() for p in trained.values())
    assert optimizer.step(fine, Step(0, 10))
    before = [p.detach().clone() for p in trained.values()]
    moments = {name: {k: v.clone() for k, v in state.items()} for name, state in optimizer.state_dict().items()}
    spoilt = trained[GROUPS[0]][1] * value + sum(p.sum() for p in trained.values())
    assert not optimizer.step(spoilt, Step(1, 10))
    assert all(torch.equal(old, p) for old, p in zip(before, trained.values(), strict=True))
    for name, state in optimizer.state_dict().items():
        assert all(torch.equal(moments[name][key], tensor) for key, tensor in state.items())
    assert optimizer.step(sum(p.sum() for p in trained.values()), Step(2, 10))


def test_clipping_scales_all_gradients_together() -> None:
    groups = params()
    optimizer = Adam(clip_norm=1.0)
    optimizer.bind(groups)
    scales = torch.tensor([3.0, 4.0, 0.0, 0.0])
    trained = torch.stack([group[0] for group in groups.values()])
    optimizer.step((scales * trained).sum(), Step(0, 1))
    clipped = torch.stack([group[0].grad for group in groups.values()])
    torch.testing.assert_close(clipped, scales / 5)


def test_a_loss_that_does_not_depend_on_anything_trained_changes_nothing() -> None:
    trained = bound(optimizer := Adam())
    assert optimizer.step(torch.tensor(1.0), Step(0, 1))
    assert all(float(p.detach()) == 1 for p in trained.values())


@pytest.mark.parametrize("kind", ALL)
def test_state_put_back_continues_exactly(kind: type[GroupedOptimizer]) -> None:
    def run(optimizer: GroupedOptimizer, trained: dict[str, nn.Parameter], steps: range) -> None:
        for index in steps:
            loss = sum((p - 0.3 * index).square().sum() for p in list(trained.values())[:2])  # two never get a gradient
            optimizer.step(loss, Step(index, 9))

    whole = bound(straight := kind(), 2)
    run(straight, whole, range(6))
    first = bound(before := kind(), 2)
    run(before, first, range(3))
    second = bound(after := kind(), 2)
    with torch.no_grad():
        for name, p in second.items():
            p.copy_(first[name])
    after.load_state_dict(before.state_dict())
    run(after, second, range(3, 6))
    assert all(torch.equal(whole[name], second[name]) for name in whole)


def test_state_of_another_object_is_refused() -> None:
    trained = bound(optimizer := Adam(), 2)
    optimizer.step(sum(p.sum() for p in trained.values()), Step(0, 1))
    bound(other := Adam(), 3)
    with pytest.raises(BadInput, match="another object"):
        other.load_state_dict(optimizer.state_dict())
