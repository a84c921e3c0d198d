"""Timesteps that fall over a stage, against published schedules."""

import pytest
import torch
from torch import Tensor

from gen3d.part import Step
from gen3d.schedule import Schedule
from gen3d_distill.timesteps import Law, dream_time, dream_time_weights, timesteps
from network_prior import read


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return read("sds_vsd/schedule.npz")


def one(law: Law, index: int, total: int, low: float = 0.02, high: float = 0.98) -> int:
    told = timesteps(law, low, high, 1000, 3, Step(index, total), "t")
    assert len(set(told.tolist())) == 1
    return int(told[0])


@pytest.mark.parametrize(("low", "key"), [(0.3, "0p3"), (0.02, "0p02")])
def test_square_root_is_hifas(published: dict[str, Tensor], low: float, key: str) -> None:
    ours = [one("square_root", index, 25000, low) for index in published["ts_steps"].tolist()]
    assert ours == published[f"hifa_min_max_{key}_0p98_25000"][:, 0].tolist()


@pytest.mark.parametrize("total", [10, 100])
def test_dream_time_is_the_published_one(published: dict[str, Tensor], total: int) -> None:
    """Whose first timestep is the last of the schedule; within t_min and t_max it is the nearest of them."""
    expected = published[f"dreamtime_exact_argmin_N{total}"].tolist()
    assert [dream_time(index / total, 1000) for index in range(total)] == expected
    assert [one("dream_time", i, total) for i in range(total)] == [min(max(t, 20), 980) for t in expected]


def test_dream_time_weights_are_the_published_ones(published: dict[str, Tensor]) -> None:
    torch.testing.assert_close(dream_time_weights(1000), published["dreamtime_weight"], rtol=1e-12, atol=1e-12)


def test_prolificdreamers_annealing_is_a_schedule(published: dict[str, Tensor]) -> None:
    """980, and 500 from its step 5000 on, which it counts from 1."""
    falling = Schedule.of({0: 0.98, 4999: 0.5})
    ours = [round(1000 * falling(step - 1, 25000)) for step in published["pd_steps"].tolist()]
    assert ours == published["pd_min_max"][:, 1].tolist()


def test_threestudios_annealing_is_a_schedule(published: dict[str, Tensor]) -> None:
    """Its [5000, .98, .5, 5001]: 980 up to step 5000, which it counts from 0."""
    falling = Schedule.of({0: 0.98, 5001: 0.5})
    ours = [round(1000 * falling(step, 25000)) for step in published["ts_steps"].tolist()]
    assert ours == published["ts_pd_max_t"].tolist()
