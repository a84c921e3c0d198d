"""What every guidance must do, whatever it says: a check that a plugin's author calls in three lines."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.guidance import Guidance
from gen3d.part import Stage, Step
from gen3d.testing.toys import toy_cameras, toy_stage
from gen3d.views import Samples, Space, Views

Holder = TypeVar("Holder", Views, Samples)


def check_guidance(guidance: Guidance, *, space: Space = "rgb", stage: Stage | None = None, size: int = 8) -> None:
    """Hold a guidance to the contract of gen3d.guidance.Guidance, on views of a toy object.

        def test_palette() -> None:
            check_guidance(Palette(colors=[[1.0, 0.0, 0.0]]))

    For one and for three views, in the stage's last step: the loss is a finite scalar; its gradient is finite and
    reaches the views or the representation; asking twice gives the same numbers (all that is random comes from `step`);
    neither the views nor the global random state are changed; what it trains is a finite leaf.

    Args:
        guidance: the part under test, not yet bound unless `stage` is given.
        space: what the toy object's three channels mean, colours or latents.
        stage: a stage that it is bound to already; default: a toy stage.
        size: width and height of the toy views.

    Raises:
        AssertionError: what it does not keep, in words.
    """
    stage = stage or toy_stage({"under_test": guidance}, space=space, size=size)
    step = stage.step(stage.steps - 1)
    for count in (1, 3):
        cameras = guidance.cameras(step, toy_cameras(count, size))
        _hold(isinstance(cameras, tuple) and len(cameras) > 0, "cameras() gives a tuple, not empty in the last step")
        drawn = [stage.renderer(stage.representation, camera, step, guidance.needs) for camera in cameras]
        guidance.at(step)
        _check_forward(guidance, stage, step, [_leaves(views) for views in drawn])
    for name, group in guidance.param_groups().items():
        trained = all(p.is_leaf and p.requires_grad and p.isfinite().all() for p in group)
        _hold(trained, f"param_groups()[{name!r}] holds finite leaves that require gradients")


def _check_forward(guidance: Guidance, stage: Stage, step: Step, views: list[Views]) -> None:
    leaves = [tensor for view in views for tensor in _tensors(view)]
    before = [leaf.detach().clone() for leaf in leaves]
    random_state = torch.get_rng_state()
    first, again = (_answer(guidance, stage, step, views) for _ in range(2))
    _hold(torch.equal(random_state, torch.get_rng_state()), "nothing draws from the global random state")
    unchanged = all(torch.equal(old, leaf) for old, leaf in zip(before, leaves, strict=True))
    _hold(unchanged, "the views are not changed")
    same = all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    _hold(same, "the same step gives the same loss and gradient: draw from step.rng and step.randn")
    guidance.after_step(step)


def _answer(guidance: Guidance, stage: Stage, step: Step, views: list[Views]) -> list[Tensor]:
    """The loss and its gradients, by the views' tensors and by the representation's parameters."""
    signal = guidance(step, *views)
    _hold(signal.loss.shape == (), f"the loss is a scalar, not of shape {tuple(signal.loss.shape)}")
    _hold(bool(signal.loss.isfinite()), f"the loss is finite, not {float(signal.loss.detach())}")
    wanted = [tensor for view in views for tensor in _tensors(view) if tensor.requires_grad]
    wanted += list(stage.representation.parameters())
    _hold(signal.loss.requires_grad, "the loss has a gradient")
    gradients = [g for g in torch.autograd.grad(signal.loss, wanted, allow_unused=True) if g is not None]
    _hold(all(bool(g.isfinite().all()) for g in gradients), "the gradient is finite")
    _hold(any(bool(g.any()) for g in gradients), "the gradient reaches the views or the object, and is not zero")
    return [signal.loss.detach(), *gradients]


def _leaves(views: Views) -> Views:
    """The views cut from what drew them, so that a gradient is seen where it arrives."""
    samples = _cut(views.samples) if views.samples is not None else None
    return replace(_cut(views), samples=samples)


def _cut(holder: Holder) -> Holder:
    values = {field.name: getattr(holder, field.name) for field in fields(holder)}
    real = {name: v for name, v in values.items() if isinstance(v, Tensor) and v.is_floating_point()}
    leaves: dict[str, Any] = {name: value.detach().requires_grad_() for name, value in real.items()}
    return replace(holder, **leaves)


def _tensors(views: Views | Samples | Cameras) -> Iterator[Tensor]:
    """All tensors of a view, its samples' and cameras' too."""
    for field in fields(views):
        value = getattr(views, field.name)
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Samples | Cameras):
            yield from _tensors(value)


def _hold(condition: bool, contract: str) -> None:
    if not condition:
        raise AssertionError(contract)
