"""The prior's adapter, on the published classes at tiny size, and VSD with it."""

import pytest
import torch

from gen3d.cameras import Cameras
from gen3d.guidance import Objective
from gen3d.part import Step
from gen3d.testing import toy_stage
from gen3d_distill.csd import CSD
from gen3d_distill.vsd import VSD
from gen3d_optimizers.adam import AdamW
from gen3d_zero123.prior import Zero123
from tiny_zero123 import SIZE, write_tiny_zero123

VIEWS = Cameras.orbit(torch.tensor([0.4, 2.0, -1.0]), torch.tensor([0.1, -0.3, 0.8]), 1.5, 0.857, SIZE)
T = torch.tensor([10, 500, 960])
STEP = Step(0, 1)


def _draw(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Zero123:
    prior = Zero123(weights=str(write_tiny_zero123(tmp_path_factory.mktemp("weights") / "tiny")))
    prior.bind(toy_stage({}, size=48))
    return prior


def test_all_branches_are_one_call_and_a_new_adapter_says_what_the_prior_says(prior: Zero123) -> None:
    batches = []
    watch = prior.networks.unet.register_forward_pre_hook(lambda _, args: batches.append(len(args[0])))
    adapter = prior.adapter(4, torch.Generator().manual_seed(0))
    names = ("unconditional", "conditional", "adapter", "adapter_null")
    noisy = _draw(3, 4, 4, 4)
    told = prior.predict(noisy, T, prior.condition(VIEWS), names, adapter)
    watch.remove()
    assert batches == [12]
    plain = prior.predict(noisy, T, prior.condition(VIEWS), names[:2])
    for name in names:
        expected = plain["unconditional" if name == "unconditional" else "conditional"]
        torch.testing.assert_close(told[name], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_t7_vsd_starts_as_csd(prior: Zero123, scale: float) -> None:
    vsd = VSD(AdamW(), cfg_scale=scale)
    vsd.pair(prior, toy_stage({}))

    def gradient(objective: Objective) -> torch.Tensor:
        condition = prior.condition(VIEWS)
        with torch.no_grad():
            return objective.residual(prior, _draw(3, 4, 4, 4), T, condition, _draw(3, 4, 4, 4, seed=4), STEP).gradient

    torch.testing.assert_close(gradient(vsd), (scale - 1) * gradient(CSD()), rtol=1e-4, atol=1e-5)


def test_the_adapter_learns_and_the_network_does_not(prior: Zero123) -> None:
    vsd = VSD(AdamW(lr=0.01), camera_dropout=0.0)
    vsd.pair(prior, toy_stage({}))
    latents, noise, condition = _draw(3, 4, 4, 4), _draw(3, 4, 4, 4, seed=4), prior.condition(VIEWS)
    frozen = {name: tensor.clone() for name, tensor in prior.networks.state_dict().items()}

    def error() -> float:
        with torch.no_grad():
            return vsd.error(prior, latents, T, condition, noise, dropped=False).item()

    before = error()
    for index in range(15):
        vsd.learn(prior, latents, condition, Step(index, 15))
    assert error() < 0.95 * before
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in prior.networks.state_dict().items())
    assert all(p.grad is None for p in prior.networks.parameters())
