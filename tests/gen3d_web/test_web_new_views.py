"""New views: the sampler in closed form, and what the embedded prior makes of the barrel."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from gen3d.cameras import Cameras
from gen3d.testing import GaussianPrior
from gen3d_web import new_views
from gen3d_web.new_views import RADIUS, NewViews, Turn, sample

BARREL = Path(__file__).parents[2] / "examples" / "barrel.png"


def test_noise_is_carried_to_the_distribution_of_the_prior():
    mean, std = 0.5, 0.1
    prior = GaussianPrior(mean=mean, std=std)
    cameras = Cameras.orbit(torch.zeros(8), 0.0, 1.5, 0.8, 4)
    noise = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    made = sample(prior, prior.condition(cameras), noise)
    # With d = x - alpha mean, a step multiplies d by (alpha alpha' std^2 + sigma sigma') / (alpha^2 std^2 + sigma^2).
    bars = prior.schedule.alpha_bar.double()[[*range(961, 0, -40), 0]]
    alpha, sigma, apart = bars.sqrt(), (1 - bars).sqrt(), noise.double() - bars[0].sqrt() * mean
    for now, then in pairwise(range(len(bars))):
        variance = alpha[now] ** 2 * std**2 + sigma[now] ** 2
        clean = mean + alpha[now] * std**2 / variance * apart
        apart = (alpha[now] * alpha[then] * std**2 + sigma[now] * sigma[then]) / variance * apart
    torch.testing.assert_close(made.permute(0, 3, 1, 2), clean.clamp(0, 1).float(), atol=1e-4, rtol=0)


class Told(GaussianPrior):
    """Keeps what it was asked for."""

    def load(self, device):
        """Nothing to load."""

    def condition(self, cameras, sources=None):
        """Remember."""
        self.wanted, self.sources = cameras, sources
        return super().condition(cameras)


def test_the_sliders_move_the_camera_from_where_the_picture_was_taken(monkeypatch):
    prior = Told(mean=0.5, std=0.1)
    views = NewViews()
    monkeypatch.setattr(views, "_prior", prior)
    made = views.draw(BARREL, 15, Turn(azimuth_deg=90, elevation_deg=30, distance=0.25), count=2)
    assert made.shape[0] == 2
    assert not torch.equal(made[0], made[1])
    assert torch.equal(made, views.draw(BARREL, 15, Turn(), count=2))  # the noise is its seed's
    views.draw(BARREL, 15, Turn(azimuth_deg=90, elevation_deg=30, distance=0.25), count=1)
    ((image, taken),) = prior.sources
    assert image.shape == (256, 256, 3)
    up, out = math.radians(45), RADIUS + 0.25
    eye = torch.tensor([0, math.cos(up), math.sin(up)]) * out
    torch.testing.assert_close(prior.wanted.c2w[0, :3, 3], eye, atol=1e-5, rtol=0)
    low = math.radians(15)
    torch.testing.assert_close(taken.c2w[0, :3, 3], torch.tensor([math.cos(low), 0, math.sin(low)]) * RADIUS)
    views.draw(BARREL, 80, Turn(elevation_deg=80), count=1)  # not over the top
    assert prior.wanted.c2w[0, 2, 3] / RADIUS == pytest.approx(math.sin(math.radians(89)))


def test_the_embedded_prior_draws_the_barrel(monkeypatch):
    monkeypatch.setattr(new_views, "_STEPS", 2)
    (view,) = NewViews().draw(BARREL, 15, Turn(), count=1)
    assert view.shape == (64, 64, 3)
    assert 0.1 < float((view.mean(dim=-1) < 0.9).float().mean()) < 0.7
    assert float((view[24:40, 24:40, 0] - view[24:40, 24:40, 2]).mean()) > 0.05  # its wood is more red than blue


def test_a_picture_that_is_none_is_told(tmp_path):
    from gen3d.errors import BadInput

    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(BadInput, match="no picture of a kind"):
        NewViews().draw(tmp_path / "x.png", 0, Turn())
