"""Fields whose surface and colours are known in closed form."""

from collections.abc import Callable

import pytest
from torch import Tensor

from soft_shapes import CENTER, RADIUS, Shape, soft_ball


@pytest.fixture
def shape() -> type[Shape]:
    """The class, for fields of a test's own."""
    return Shape


@pytest.fixture
def ball() -> Callable[..., Shape]:
    """An off-centre ball whose colour tells the direction; keywords change its density."""
    return soft_ball


@pytest.fixture
def center() -> Tensor:
    """Of the ball."""
    return CENTER


@pytest.fixture
def radius() -> float:
    """Of the ball."""
    return RADIUS
