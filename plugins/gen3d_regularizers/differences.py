"""Differences between neighbouring pixels."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor


def mean_differences(
    pictures: Float[Tensor, "views height width channels"], norm: Callable[[Tensor], Tensor]
) -> Float[Tensor, ""]:
    """Mean of `norm` of forward differences down, plus that of those to the right, each over its own number of them."""
    down, right = pictures[:, 1:] - pictures[:, :-1], pictures[:, :, 1:] - pictures[:, :, :-1]
    return norm(down).mean() + norm(right).mean()
