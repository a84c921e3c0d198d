"""The embedded text weights: found by name, and heeding text and camera."""

import math
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

import gen3d_mini
from gen3d import rng
from gen3d.cameras import Cameras
from gen3d_stable_diffusion.places import find
from gen3d_stable_diffusion.prior import StableDiffusion
from gen3d_training.ddim import Sampling, sample

FOLDER = Path(gen3d_mini.__file__).parent / "weights" / "stable_diffusion"


@pytest.fixture(scope="module")
def prior() -> StableDiffusion:
    prior = StableDiffusion(weights="mini", view_prompts="none")
    prior.load()
    return prior


def test_it_is_found_by_name_and_describes_itself(prior: StableDiffusion) -> None:
    assert find("mini") == FOLDER
    assert prior.networks.picture_size == 64
    assert prior.networks.sees_cameras
    assert float(prior.schedule.alpha_bar[-1]) < 1e-3  # it starts from noise alone


def _drawn(prior: StableDiffusion, prompt: str, elevation_deg: float = 15) -> Float[Tensor, "4 64 64 3"]:
    """Samples of a prompt from four sides."""
    azimuths = torch.arange(4) * math.pi / 2
    cameras = Cameras.orbit(azimuths, math.radians(elevation_deg), 1.8, math.radians(49.1), 64)
    like = prior.encode(torch.ones(1, 64, 64, 3))
    return sample(prior, prior.condition(cameras, [prompt]), like, Sampling(8, 2.0), rng.generator("mini", prompt))


def _covered(pictures: Float[Tensor, "4 64 64 3"]) -> Tensor:
    return (pictures < 0.85).any(dim=-1)


@pytest.mark.parametrize(("word", "channel"), [("red", 0), ("green", 1), ("blue", 2)])
def test_it_heeds_colours(prior: StableDiffusion, word: str, channel: int) -> None:
    pictures = _drawn(prior, f"{word} mushroom")
    mean = pictures[_covered(pictures)].mean(dim=0)
    assert int(mean.argmax()) == channel


def test_it_heeds_things_and_knows_what_is_behind_them(prior: StableDiffusion) -> None:
    sword, barrel = (_drawn(prior, name) for name in ("sword", "barrel"))
    shares = [float(_covered(pictures).float().mean()) for pictures in (sword, barrel)]
    assert 0.002 < shares[0] < 0.5 * shares[1] < 0.3
    for pictures in (sword, barrel):
        corners = pictures[:, :4, :4]
        assert float(corners.mean()) > 0.9  # white


def test_it_heeds_the_camera(prior: StableDiffusion) -> None:
    """A sword is long from the side, and short from above."""
    heights = [_covered(_drawn(prior, "sword", angle)).any(dim=2).sum(dim=1).float().mean() for angle in (0, 75)]
    assert heights[1] < 0.75 * heights[0]
