"""Adam (Kingma & Ba 2015), its variant for the infinity norm, and its variant with decoupled weight decay."""

from typing import Any, final

import torch

from gen3d import Schedule
from gen3d_optimizers.base import GroupedOptimizer


@final
class Adam(GroupedOptimizer):
    """Adam (Kingma & Ba 2015, algorithm 1).

    Args:
        lr: learning rate.
        groups: learning rates of groups such as `representation.color`, or of parts such as `renderer`.
        betas: decay of the first and the second moment.
        eps: added to the root of the second moment.
        clip_norm: what the norm of all gradients together is scaled down to; null: no clipping.
    """

    def __init__(
        self,
        lr: Schedule | float = 0.01,
        groups: dict[str, Schedule | float] | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, groups, clip_norm)
        self.betas, self.eps = betas, eps

    def make(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Fused: one pass over memory, several times faster than the default on a CPU."""
        return torch.optim.Adam(groups, betas=self.betas, eps=self.eps, fused=True)


@final
class AdamW(GroupedOptimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    Args:
        lr: learning rate.
        groups: learning rates of groups such as `representation.color`, or of parts such as `renderer`.
        betas: decay of the first and the second moment.
        eps: added to the root of the second moment.
        weight_decay: share of a parameter, times the learning rate, taken off each step.
        clip_norm: what the norm of all gradients together is scaled down to; null: no clipping.
    """

    def __init__(
        self,
        lr: Schedule | float = 0.01,
        groups: dict[str, Schedule | float] | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, groups, clip_norm)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay

    def make(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Fused, as for Adam."""
        return torch.optim.AdamW(groups, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, fused=True)


@final
class Adamax(GroupedOptimizer):
    """Adam with the infinity norm for the second moment (Kingma & Ba 2015, algorithm 2): what the published SJC uses.

    Args:
        lr: learning rate.
        groups: learning rates of groups such as `representation.color`, or of parts such as `renderer`.
        betas: decay of the first moment and of the infinity norm.
        eps: floor under the infinity norm.
        clip_norm: what the norm of all gradients together is scaled down to; null: no clipping.
    """

    def __init__(
        self,
        lr: Schedule | float = 0.05,
        groups: dict[str, Schedule | float] | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, groups, clip_norm)
        self.betas, self.eps = betas, eps

    def make(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """As PyTorch has it."""
        return torch.optim.Adamax(groups, betas=self.betas, eps=self.eps)
