"""What the optimizers share: learning rates by group, clipping, and steps that are skipped where not finite."""

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from gen3d import BadInput, Optimizer, Schedule, Step
from gen3d.registry import did_you_mean


class GroupedOptimizer(Optimizer):
    """An optimizer of `torch.optim` with one of its parameter groups for each group of every part.

    Args:
        lr: learning rate.
        groups: learning rates of single groups, such as `representation.color`, or of all groups of a part, such as
            `renderer`; the longest name that fits a group is the one that counts.
        clip_norm: what the norm of all gradients together is scaled down to; null: no clipping.
    """

    def __init__(
        self, lr: Schedule | float, groups: dict[str, Schedule | float] | None, clip_norm: float | None
    ) -> None:
        self.lr = Schedule.of(lr)
        self.groups = {name: Schedule.of(rate) for name, rate in (groups or {}).items()}
        self.clip_norm = clip_norm
        for name, schedule in {"lr": self.lr, **{f"groups.{name}": rate for name, rate in self.groups.items()}}.items():
            if min(value for _, value in schedule.knots) < 0:
                raise BadInput("a learning rate is negative", place=f"optimizer.{name}", remedy="give 0 or more")
        if clip_norm is not None and clip_norm <= 0:
            raise BadInput(f"clip_norm is {clip_norm}", place="optimizer", remedy="more than 0, or null for none")

    @abstractmethod
    def make(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer for these groups, each with `params`, `name` and `lr`."""

    def bind(self, groups: dict[str, list[nn.Parameter]]) -> None:
        """Receive what is trained. Raises BadInput where nothing is, or where a rate is for a group there is not."""
        if not any(groups.values()):
            raise BadInput("there is nothing to train", place="optimizer")
        for name in self.groups:
            if not any(_covers(name, group) for group in groups):
                parts = {group.rpartition(".")[0] for group in groups}
                remedy = did_you_mean(name, {*groups, *parts})
                raise BadInput(f"no group is called {name!r}", place="optimizer.groups", remedy=remedy)
        self.rates = {group: self._rate(group) for group in groups}
        self.inner = self.make(
            [{"params": list(params), "name": name, "lr": 0.0} for name, params in groups.items() if params]
        )

    def step(self, loss: Float[Tensor, ""], step: Step) -> bool:
        """Zero, backward, clip, schedule, update; False when a gradient was not finite and nothing was changed."""
        self.inner.zero_grad()
        if loss.requires_grad:  # not where nothing that is trained was seen, such as an empty field
            loss.backward()  # type: ignore[no-untyped-call]
        params = [p for group in self.inner.param_groups for p in group["params"] if p.grad is not None]
        norm = get_total_norm([p.grad for p in params])  # one number to look at, so one wait for the device
        if not torch.isfinite(norm):
            self.inner.zero_grad()
            return False
        if self.clip_norm is not None:
            clip_grads_with_norm_(params, self.clip_norm, norm)
        for group in self.inner.param_groups:
            group["lr"] = self.rates[group["name"]](step.index, step.total)
        self.inner.step()
        torch.autograd.graph.increment_version(params)  # fused steps do not, and renderers go by it
        return True

    def state_dict(self) -> dict[str, Any]:
        """The moments of each parameter, by group and place in it: "representation.density.0"."""
        return {name: dict(self.inner.state[p]) for name, p in self._named().items() if p in self.inner.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put them back. Raises BadInput where they belong to other groups or shapes."""
        named = self._named()
        for name, moments in state.items():
            fits = name in named and all(
                value.shape in ((), named[name].shape) for value in moments.values() if isinstance(value, Tensor)
            )
            if not fits:
                raise BadInput(f"the state of {name!r} belongs to another object", remedy="resume with the same recipe")
        order = {name: index for index, name in enumerate(named)}
        numbered = {order[name]: moments for name, moments in state.items()}
        self.inner.load_state_dict({"state": numbered, "param_groups": self.inner.state_dict()["param_groups"]})

    def _named(self) -> dict[str, nn.Parameter]:
        groups = self.inner.param_groups
        return {f"{group['name']}.{i}": p for group in groups for i, p in enumerate(group["params"])}

    def _rate(self, group: str) -> Schedule:
        names = [name for name in self.groups if _covers(name, group)]
        return self.groups[max(names, key=len)] if names else self.lr


def _covers(name: str, group: str) -> bool:
    return group == name or group.startswith(f"{name}.")
