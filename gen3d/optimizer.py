"""What changes the object."""

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from gen3d.part import Step


class Optimizer(ABC):
    """Takes the gradient step for the parameters of every part."""

    @abstractmethod
    def bind(self, groups: dict[str, list[nn.Parameter]]) -> None:
        """Receive what is trained: each part's groups, prefixed as "representation.density"."""

    @abstractmethod
    def step(self, loss: Float[Tensor, ""], step: Step) -> bool:
        """Zero, backward, schedules, update; False when a gradient was not finite and nothing was changed."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """State to checkpoint: tensors and numbers, nested."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put a checkpoint's state back."""
