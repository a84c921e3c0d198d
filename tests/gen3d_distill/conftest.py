"""Numbers of closed forms, and a schedule in float64 to meet them with."""

import pytest
from torch import Tensor

from gen3d.diffusion import NoiseSchedule
from network_prior import read


@pytest.fixture(scope="session")
def golden() -> dict[str, Tensor]:
    return read("sds_vsd/closed_forms.npz")


@pytest.fixture(scope="session")
def schedule(golden: dict[str, Tensor]) -> NoiseSchedule:
    return NoiseSchedule(golden["alphas_cumprod"])
