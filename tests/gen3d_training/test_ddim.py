"""The sampler, against the published one and against a distribution that is known."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from gen3d.diffusion import NoiseSchedule, classifier_free
from gen3d.testing import GaussianPrior, toy_cameras
from gen3d_training.ddim import Sampling, ddim_step, ddim_timesteps, sample

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sjc_zero123" / "ddim.npz")


@pytest.mark.parametrize("steps", [10, 50, 75])
def test_timesteps_are_the_published_ones(steps: int) -> None:
    rising = GOLDEN[f"S{steps}_timesteps"]
    assert ddim_timesteps(steps).tolist() == rising[::-1].tolist()
    assert ddim_timesteps(steps, published=True).tolist() == rising[-2::-1].tolist()


@pytest.mark.parametrize("eta", [0, 1])
@pytest.mark.parametrize("which", ["published", "all10"])
def test_steps_are_the_published_ones(eta: int, which: str) -> None:
    given = {name: torch.from_numpy(np.asarray(GOLDEN[name])) for name in GOLDEN.files}
    schedule = NoiseSchedule.scaled_linear()
    x = given["x_T"][None]
    times = [*ddim_timesteps(10, published=which == "published").tolist(), -1]
    assert times[:-1] == GOLDEN[f"eta{eta}_{which}_t"].tolist()
    for i, t in enumerate(times[:-1]):
        unconditional = given["A"] * x + t / 1000 * given["B"]
        conditional = unconditional + given["c_cross"][:, None, None] + 0.5 * given["c_concat"]
        epsilon = classifier_free(unconditional, conditional, float(given["scale"]))
        x, clean = ddim_step(schedule, x, epsilon, (t, times[i + 1]), float(eta), given["noises"][i][None])
        # Equal to 5e-5 of values to 55; the published tables are float32, ours round once less.
        torch.testing.assert_close(x[0], given[f"eta{eta}_{which}_x"][i], atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(clean[0], given[f"eta{eta}_{which}_pred_x0"][i], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_samples_have_the_prior_s_mean_and_spread(eta: float) -> None:
    prior = GaussianPrior(mean=0.2, std=0.05)
    cameras = toy_cameras(400, 4)
    condition = prior.condition(cameras)
    like = prior.encode(torch.zeros(1, 4, 4, 3))
    made = sample(prior, condition, like, Sampling(200, 1.0, eta), torch.Generator().manual_seed(0))
    assert made.shape == (400, 4, 4, 3)
    wanted = prior.decode(torch.full_like(like, 0.2)).mean()
    assert math.isclose(float(made.mean()), float(wanted), abs_tol=0.01)
    scale = float(prior.decode(torch.ones_like(like)).mean() - prior.decode(torch.zeros_like(like)).mean())
    assert math.isclose(float(made.std()), abs(scale) * 0.05, rel_tol=0.15)
