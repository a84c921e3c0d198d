"""The prior with recorded calls: the real classes at tiny size, recorded as CUDA records, answer as without."""

from pathlib import Path

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.graphs import Graphs
from gen3d.inputs import Inputs
from gen3d.testing import toy_stage
from gen3d_stable_diffusion.prior import StableDiffusion
from recorder import Buffers
from tiny_stable_diffusion import SIZE, write_tiny_stable_diffusion

BRANCHES = ("unconditional", "conditional", "adapter")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_stable_diffusion(tmp_path_factory.mktemp("weights") / "tiny")


def bound(folder: Path, buffers: Buffers | None = None, **keys: object) -> StableDiffusion:
    stage = toy_stage({})
    stage.inputs = Inputs(prompt="fox")
    prior = StableDiffusion(weights=str(folder), view_text="{prompt}, {view}", **keys)
    prior.bind(stage)
    if buffers is not None:
        prior.use(*prior._parts(), Graphs(record=buffers))
    return prior


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_predictions_and_an_adapter_s_steps_are_the_same(folder: Path) -> None:
    """Its parameters change between the replays, and cameras and latents do."""
    buffers = Buffers()
    priors = bound(folder), bound(folder, buffers)
    adapters = [prior.adapter(2, torch.Generator().manual_seed(1)) for prior in priors]
    optimizers = [torch.optim.SGD(adapter.parameters(), lr=0.5) for adapter in adapters]
    for n in range(4):
        cameras, t = Cameras.orbit(0.5 * n, 0.1, 1.5, 0.9, SIZE), torch.tensor([100 * n + 50])
        noisy, answers, learnt = draw(1, 4, 4, 4, seed=n), [], []
        for prior, adapter, optimizer in zip(priors, adapters, optimizers, strict=True):
            condition = prior.condition(cameras)
            with torch.no_grad():
                answers.append(prior.predict(noisy, t, condition, BRANCHES, adapter))
            told = prior.predict(noisy, t, condition, ("adapter",), adapter)["adapter"]
            optimizer.zero_grad()
            (told - 1).square().mean().backward()
            optimizer.step()
            learnt.append(told.detach())
        for branch in BRANCHES:
            torch.testing.assert_close(answers[1][branch], answers[0][branch])
        torch.testing.assert_close(learnt[1], learnt[0])
    assert (learnt[0] - answers[0]["conditional"]).abs().max() > 1e-3  # it has learnt something
    assert (buffers.recorded, buffers.replays) == (2, 6)


@pytest.mark.parametrize("recompute", [False, True])
def test_latents_and_their_gradient_are_the_same(folder: Path, recompute: bool) -> None:
    buffers = Buffers()
    plain, other = bound(folder), bound(folder, buffers, recompute=recompute)
    for n in range(3):
        found = []
        for prior in (plain, other):
            image = draw(1, 2 * SIZE, 2 * SIZE, 3, seed=n).sigmoid().requires_grad_()
            latents = prior.encode(image)
            pictures = prior.decode(latents)
            (gradient,) = torch.autograd.grad(pictures.square().sum(), image)
            found.append((latents.detach(), pictures.detach(), gradient))
        for one, two in zip(*found, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5 * one.abs().max().item())
    assert buffers.recorded == (0 if recompute else 2)


def test_every_attention_is_pytorch_s_fused_one(folder: Path) -> None:
    networks = bound(folder).networks
    attentions = [module for module in networks.modules() if isinstance(module, Attention)]
    assert len(attentions) >= 4
    assert {type(attention.processor) for attention in attentions} == {AttnProcessor2_0}
