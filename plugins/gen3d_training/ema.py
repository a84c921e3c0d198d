"""The running mean of everything that is trained: what is shipped."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """Exponential moving average of parameters, all of them: Zero-1-to-3 leaves its projection out.

    Args:
        parameters: by name; they stay what is trained.
        decay: per step; smaller in the first steps, (1 + n) / (10 + n), so that the start is forgotten.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.parameters, self.decay, self.updates = parameters, decay, 0
        self.mean = {name: value.detach().clone() for name, value in parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters in."""
        self.updates += 1
        share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in self.parameters.items():
            self.mean[name].lerp_(value, share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The parameters hold their mean as long as the block runs."""
        raw = {name: value.detach().clone() for name, value in self.parameters.items()}
        self._put(self.mean)
        try:
            yield
        finally:
            self._put(raw)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self.parameters[name].copy_(value)
