"""The distribution of random cameras, against the published program and against its own laws."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gen3d.camera_sampler import CameraSampler, Draws
from gen3d.cameras import Cameras, concatenate
from gen3d.errors import BadInput
from gen3d.part import Step

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sds_vsd" / "cameras.npz")
RANGES: dict[str, Any] = {"elevation_deg": (-10.0, 80.0), "radius": (1.5, 2.0), "fov_deg": (40.0, 70.0)}
JITTER = {"position_jitter": 0.1, "center_jitter": 0.2, "up_jitter": 0.02}


def published_draws(rows: slice = slice(None)) -> Draws:
    """The random numbers of the published runs, in the order of Draws."""
    names = ("u_azim", "u_elev", "u_dist", "u_fov", "u_cam", "n_center", "n_up")
    return Draws(*(torch.from_numpy(GOLDEN[name][rows]) for name in names))


def check_case(case: str, cameras: Cameras) -> None:
    """Poses and rays of a case."""
    origins, directions = cameras.rays()
    expected = {name: torch.from_numpy(GOLDEN[f"{case}_{name}"]) for name in ("c2w", "fovy", "rays_o", "rays_d")}
    expected["rays_d"] = torch.nn.functional.normalize(expected["rays_d"], dim=-1)
    ours = {"c2w": cameras.c2w, "fovy": cameras.fov, "rays_o": origins, "rays_d": directions}
    torch.testing.assert_close(ours, expected, atol=2e-6, rtol=0)


def test_uniform_elevation_with_jitter_as_published() -> None:
    check_case("A", CameraSampler(views=4, **RANGES, **JITTER).place(published_draws(), "uniform", 4))


def test_area_elevation_with_jitter_as_published() -> None:
    cameras = CameraSampler(views=4, **RANGES, **JITTER).place(published_draws(), "area", 4)
    check_case("B", cameras.resized(4, 6))


@pytest.mark.parametrize("case", ["C", "D"])
def test_single_cameras_without_jitter_as_published(case: str) -> None:
    sampler = CameraSampler(**RANGES)  # one at a time: a batch of one is its own stratum
    check_case(case, concatenate([sampler.place(published_draws(slice(i, i + 1)), "uniform", 4) for i in range(4)]))


def many(law: str, views: int = 4000, **ranges: Any) -> Cameras:
    """A large batch."""
    return CameraSampler(views=views, size=1, elevation_law=law, **ranges).sample(Step(0, 1))


@pytest.mark.parametrize(("law", "quantity"), [("uniform", torch.Tensor.clone), ("area", torch.sin)])
def test_elevation_laws(law: str, quantity: Any) -> None:
    low, high = math.radians(-20), math.radians(80)
    drawn = quantity(many(law, elevation_deg=(-20.0, 80.0)).elevation).sort().values
    ends = quantity(torch.tensor([low, high]))
    uniform = torch.linspace(ends[0].item(), ends[1].item(), len(drawn))
    # The Kolmogorov-Smirnov distance of 4000 right draws exceeds this once in 10,000 times; the other law's is 0.1.
    assert ((drawn - uniform).abs().max() / (ends[1] - ends[0])).item() < 2.2 / math.sqrt(len(drawn))


def test_mixed_law_is_a_fair_coin_a_step() -> None:
    sampler = CameraSampler(views=300, size=1, elevation_deg=(-90.0, 90.0), elevation_law="mixed")
    polar = [
        (sampler.sample(Step(index, 100)).elevation.abs() > math.radians(60)).float().mean() for index in range(100)
    ]
    by_angle = sum(share.item() > 0.23 for share in polar)  # a third of the angles, 13% of the sphere
    assert 35 <= by_angle <= 65


def test_azimuth_is_stratified() -> None:
    for index in range(20):
        azimuth = CameraSampler(views=8, size=1).sample(Step(index, 20)).azimuth
        strata = ((azimuth + math.pi) / (2 * math.pi) * 8).long()
        assert strata.tolist() == list(range(8))


def test_intervals_hold() -> None:
    cameras = many("area", azimuth_deg=(10.0, 20.0), elevation_deg=(-5.0, 5.0), radius=(1.0, 3.0), fov_deg=(30.0, 50.0))
    for values, low, high in (
        (cameras.azimuth.rad2deg(), 10, 20),
        (cameras.elevation.rad2deg(), -5, 5),
        (cameras.radius, 1, 3),
        (cameras.fov.rad2deg(), 30, 50),
    ):
        assert values.min() >= low - 1e-3
        assert values.max() <= high + 1e-3
        assert values.max() - values.min() > 0.99 * (high - low)


def test_a_step_has_its_own_cameras_whatever_was_drawn_before() -> None:
    sampler = CameraSampler(views=3)
    fifth = sampler.sample(Step(5, 10)).c2w
    assert not torch.equal(sampler.sample(Step(6, 10)).c2w, fifth)
    assert torch.equal(sampler.sample(Step(5, 10)).c2w, fifth)
    assert not torch.equal(sampler.sample(Step(5, 10, seed=1)).c2w, fifth)
    assert not torch.equal(sampler.sample(Step(5, 10, stage="other")).c2w, fifth)


def test_size_may_change_over_the_stage() -> None:
    from gen3d.schedule import Schedule

    sampler = CameraSampler(size=Schedule.of({"0": 32, "50%": 64}))
    assert [sampler.sample(Step(index, 10)).height for index in (0, 4, 5, 9)] == [32, 32, 64, 64]


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"radius": (2.0, 1.0)}, "radius"),
        ({"views": 0}, "views"),
        ({"radius": (0.0, 1.0)}, "radius"),
        ({"fov_deg": (40.0, 180.0)}, "fov_deg"),
        ({"elevation_deg": (0.0, 100.0)}, "elevation_deg"),
        ({"size": 0}, "size"),
        ({"position_jitter": -0.1}, "position_jitter"),
    ],
)
def test_impossible_values_are_refused(keys: dict[str, Any], place: str) -> None:
    with pytest.raises(BadInput, match=place):
        CameraSampler(**keys)
