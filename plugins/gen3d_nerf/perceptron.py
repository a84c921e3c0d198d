"""A small network without biases, as instant-ngp and threestudio have it."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Perceptron(nn.Module):
    """Linear layers with ReLU between them.

    Args:
        widths: of the input, of the hidden layers, and of the output.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        shapes = ((after, before) for before, after in pairwise(widths))
        self.weights = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)

    @torch.no_grad()
    def start(self, stream: torch.Generator) -> None:
        """Uniform weights that keep the variance (He et al. 2015)."""
        for weight in self.weights:
            noise = torch.rand(weight.shape, generator=stream)
            weight.copy_((2 * noise - 1) * (6 / weight.shape[1]) ** 0.5)

    def forward(self, values: Float[Tensor, "points inputs"]) -> Float[Tensor, "points outputs"]:
        """The network's answer."""
        first, *others = self.weights
        values = nn.functional.linear(values, first)
        for weight in others:
            values = nn.functional.linear(values.relu_(), weight)
        return values
