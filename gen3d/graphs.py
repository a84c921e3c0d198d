"""Calls of frozen networks as CUDA graphs: launching thousands of kernels one by one takes longer than they do.

A call that comes a second time with tensors of the same shapes is recorded, forward and backward, and from then on
replayed. What a replay reads is where it was when it was recorded: the tensors that are given are copied there, and
parameters that an optimizer changes in place are seen as they are now. Nothing in a recorded call may depend on values,
and nothing that Python does beside it, such as hooks, is done again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gen3d.part import Stage

Function = Callable[..., Tensor]
MOST = 8
"""Calls that are recorded at most: each keeps the memory that it works in."""


@dataclass(eq=False)
class _Flight:
    """A recorded forward pass on its way to its backward pass, which needs what is in memory now."""

    landed: bool = False


class _Watched(torch.autograd.Function):
    """A copy of a replay's output, that the next replay does not overwrite, and word of when its gradient comes."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, flight: _Flight) -> Tensor:
        ctx.flight = flight
        return output.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        ctx.flight.landed = True
        return gradients[0], None


class _Recorded:
    """One call and its replay."""

    def __init__(self, replay: Function) -> None:
        self._replay = replay
        self._flight: weakref.ref[_Flight] | None = None

    @property
    def busy(self) -> bool:
        """Whether a gradient may still come that needs what a replay would overwrite."""
        flight = self._flight() if self._flight else None
        return flight is not None and not flight.landed

    def __call__(self, *tensors: Tensor) -> Tensor:
        flight = _Flight()
        result: Tensor = _Watched.apply(self._replay(*tensors), flight)
        self._flight = weakref.ref(flight)
        return result


class Graphs:
    """The recorded calls of one prior.

    Args:
        wanted: whether to record at all; nothing is on devices that are not CUDA.
        warn: takes the reason why a call is not recorded.
        record: makes a replay of a function and samples of its arguments.
    """

    def __init__(
        self,
        *,
        wanted: bool = True,
        warn: Callable[[str], None] = lambda _: None,
        record: Callable[[Function, tuple[Tensor, ...]], Function] | None = None,
    ) -> None:
        self.wanted, self._warn = wanted, warn
        self._record: Any = record or torch.cuda.make_graphed_callables
        self._everywhere = record is not None
        self._calls: dict[Hashable, _Recorded | None] = {}

    @classmethod
    def of(cls, stage: Stage, *, wanted: bool) -> Graphs:
        """Those of a stage. What earlier stages recorded is forgotten, and its memory free."""
        known: list[tuple[str, Graphs]] = stage.share("graphs", list)
        for name, graphs in known:
            if name != stage.name:
                graphs.clear()
        known[:] = [entry for entry in known if entry[0] == stage.name]
        result = cls(wanted=wanted, warn=stage.warn)
        known.append((stage.name, result))
        return result

    def clear(self) -> None:
        """Forget every call."""
        self._calls.clear()

    def __len__(self) -> int:
        return sum(call is not None for call in self._calls.values())

    def __call__(
        self, key: Hashable, function: Function, tensors: Sequence[Tensor], trained: Sequence[Tensor] = ()
    ) -> Tensor:
        """What the function makes of the tensors.

        Args:
            key: what the function does depends on this, and on nothing else that changes.
            function: from the tensors to one tensor.
            tensors: its arguments.
            trained: parameters that it uses beside them, and that have a gradient.
        """
        if not self.wanted or not (self._everywhere or tensors[0].is_cuda):
            return function(*tensors)
        return self._called((key, torch.is_grad_enabled(), *map(_shape, tensors)), function, tensors, trained)

    def differentiable(self, key: Hashable, function: Function, tensor: Tensor) -> Tensor:
        """The same for a function of one tensor, which is only recorded where the tensor has a gradient."""
        if torch.is_grad_enabled() and tensor.requires_grad:
            return self(key, function, (tensor,))
        return function(tensor)

    def _called(
        self, signature: Hashable, function: Function, tensors: Sequence[Tensor], trained: Sequence[Tensor]
    ) -> Tensor:
        if signature not in self._calls:
            self._calls[signature] = None  # the first time it is called as it is, and may never come again
            return function(*tensors)
        call = self._calls[signature]
        if call is None and len(self) < MOST and (call := self._recorded(function, tensors, trained)):
            self._calls[signature] = call
        if call is None or call.busy:
            return function(*tensors)
        return call(*tensors, *trained)

    def _recorded(self, function: Function, tensors: Sequence[Tensor], trained: Sequence[Tensor]) -> _Recorded | None:
        samples = *(tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in tensors), *trained
        try:
            return _Recorded(self._record(lambda *given: function(*given[: len(tensors)]), samples))
        except RuntimeError as error:  # out of memory included
            self.wanted = False
            self.clear()
            self._warn(f"the networks are called without CUDA graphs: {str(error).splitlines()[0]}")
            return None


def _shape(tensor: Tensor) -> Hashable:
    return tuple(tensor.shape), tensor.dtype, tensor.device, tensor.requires_grad
