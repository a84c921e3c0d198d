"""The published ways that the table is about have our gradients: so their speed is that of the same thing."""

import math

import pytest
import torch
from torch import Tensor

from benchmarks.gpu.networks import NARROW
from benchmarks.gpu.steps import Bench, Kind, bench, view_gradient
from gen3d.part import Step
from gen3d_distill.timesteps import timesteps

CPU = torch.device("cpu")
LATENT = 8


def our_noise(step: Step, purpose: str, like: Tensor) -> Tensor:
    """What ours draws; the posterior's mode is a sample without noise."""
    if purpose == "posterior":
        return torch.zeros_like(like)
    streams = {"noise": "guidance.views.noise", "learn.noise": "guidance.views.objective.learn.0.noise"}
    return step.randn(streams[purpose], *like.shape)


def our_time(step: Step, purpose: str, low: int, high: int) -> Tensor:
    stream = {"t": "guidance.views.t", "learn.t": "guidance.views.objective.learn.0.t"}[purpose]
    return timesteps("uniform", low / 1000, (high + (high == 999)) / 1000, 1000, 1, step, stream)


def our_drop(step: Step) -> bool:
    return torch.rand((), generator=step.rng("guidance.views.objective.learn.0.camera")).item() < 0.1


def both(kind: Kind) -> tuple[Bench, Bench]:
    ours = bench(kind, LATENT, NARROW, CPU, ours=True)
    return ours, bench(kind, LATENT, NARROW, CPU, ours=False, noise=our_noise, time=our_time)


def picture(kind: Kind) -> Tensor:
    shape = (1, LATENT, LATENT, 4) if kind == "sjc" else (1, 8 * LATENT, 8 * LATENT, 3)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["sds", "sjc"])
@pytest.mark.parametrize("index", [0, 1])
def test_the_gradient_is_ours(kind: Kind, index: int) -> None:
    ours, theirs = both(kind)
    wanted, _ = view_gradient(ours, picture(kind), index)
    found, _ = view_gradient(theirs, picture(kind), index)
    assert wanted.abs().max() > 1e-4
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())


def test_the_gradient_is_ours_where_a_second_network_has_learnt() -> None:
    ours, theirs = both("vsd")
    adapter, guidance = ours.guidance.objective.adapter, theirs.guidance
    guidance.dropped = our_drop
    noise = torch.Generator().manual_seed(5)
    learnt = [p for change in adapter.changes for p in (change.down, change.up)]
    camera = adapter.camera
    learnt += [camera.hidden, camera.hidden_bias, camera.out, camera.out_bias]
    with torch.no_grad():
        for one, other in zip(learnt, guidance.learnt, strict=True):
            one.add_(0.1 * torch.randn(one.shape, generator=noise))
            other.copy_(one)
    wanted, _ = view_gradient(ours, picture("vsd"))
    found, _ = view_gradient(theirs, picture("vsd"))
    assert wanted.abs().max() > 1e-4
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())
    step = ours.stage.step(0)
    ours.guidance.after_step(step)
    theirs.guidance.after_step(step)
    assert ours.guidance.objective.log["adapter"].item() == pytest.approx(guidance.error.item(), rel=1e-5)
    gradients = [(one.grad, other.grad) for one, other in zip(learnt, guidance.learnt, strict=True)]
    largest = max(one.abs().max().item() for one, _ in gradients)
    for one, other in gradients:
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5 * largest)


def test_a_sampled_posterior_has_noise_in_its_gradient() -> None:
    """Which ours saves: with the published way's own draws, the gradients differ."""
    theirs = bench("sds", LATENT, NARROW, CPU, ours=False, time=our_time)
    calm = bench("sds", LATENT, NARROW, CPU, ours=False, noise=our_noise, time=our_time)
    gaps = [view_gradient(made, picture("sds"))[0] for made in (theirs, calm)]
    assert not math.isclose(gaps[0].norm().item(), gaps[1].norm().item(), rel_tol=1e-3)
