"""The embedded weights: of the stated size, licence and format, found by name, and worth having."""

import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import gen3d_mini
from gen3d import rng
from gen3d.cameras import Cameras
from gen3d.guidance import Condition
from gen3d.picture import Picture
from gen3d_training.ddim import Sampling, sample
from gen3d_zero123.places import find
from gen3d_zero123.prior import Zero123

WEIGHTS = Path(gen3d_mini.__file__).parent / "weights"
CARDS = {
    "zero123": ("CC0", "gen3d train", "PSNR", "SSIM", "held-out"),
    "stable_diffusion": ("CC0", "gen3d train", "vocabulary", "guidance"),
}
BARREL = Path(__file__).parents[2] / "examples" / "barrel.png"


@pytest.fixture(scope="module")
def prior() -> Zero123:
    prior = Zero123(weights="mini")
    prior.load()
    return prior


@pytest.mark.parametrize("name", CARDS)
def test_it_is_small_and_has_a_card(name: str) -> None:
    files = [path for path in (WEIGHTS / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 32e6
    assert not [path for path in files if path.suffix in {".bin", ".pt", ".ckpt"}]
    card = (WEIGHTS / name / "README.md").read_text()
    assert all(word in card for word in CARDS[name])


def test_there_is_a_card_for_each() -> None:
    assert {path.name for path in WEIGHTS.iterdir()} == set(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_every_number_is_finite_and_halved(name: str) -> None:
    for path in (WEIGHTS / name).rglob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            for tensor in file.keys():  # noqa: SIM118 (no mapping)
                value = file.get_tensor(tensor)
                assert value.dtype == torch.float16, tensor
                assert value.isfinite().all(), tensor


def test_it_is_found_by_name_and_describes_itself(prior: Zero123) -> None:
    assert find("mini") == WEIGHTS / "zero123"
    settings = prior.networks.settings
    assert prior.networks.picture_size == 64
    assert (settings.pose, settings.diffusion.prediction) == ("radius_and_polar", "sample")
    assert len(prior.schedule) == settings.diffusion.timesteps
    assert float(prior.schedule.alpha_bar[-1]) < 1e-3  # it starts from noise alone


def _views(prior: Zero123, azimuths: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    picture = Picture.open(BARREL, 64).image
    source = Cameras.orbit(0.0, math.radians(15), 1.4, 0.857, 64)
    cameras = Cameras.orbit(torch.tensor(azimuths), math.radians(15), 1.4, 0.857, 64)
    one = prior.condition(cameras, [(picture, source)])
    rows = Condition.concatenate([one] * 2)
    drawn = sample(prior, rows, prior.encode(picture[None]), Sampling(8, 1.0), rng.generator("mini"))
    return picture, drawn.reshape(2, len(azimuths), 64, 64, 3).mean(dim=0)


def _psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return -10 * math.log10(float((a - b).square().mean()))


def test_it_knows_the_object_from_where_it_was_pictured(prior: Zero123) -> None:
    """Asked for the input's own view and the one opposite, it draws a barrel of about the same outline."""
    picture, views = _views(prior, [0.0, math.pi])
    flat = _psnr(picture, picture.mean(dim=(0, 1)).expand_as(picture))
    assert _psnr(picture, views[0]) > flat + 3
    inside = (picture < 0.95).any(dim=-1)
    for view in views:
        covered = (view < 0.9).any(dim=-1)
        assert float((covered & inside).sum() / (covered | inside).sum()) > 0.6
