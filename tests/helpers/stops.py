"""Runs that are stopped: toy parts with state of their own, an observer that stops, and what a run has left."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import core_toys
from core_toys import Descent, Toward
from gen3d import Cameras, Registrar, Signal, Step, Views, hookimpl
from gen3d.checkpoint import load_checkpoint
from gen3d.plugins import Plugins
from gen3d.recipe import Recipe
from gen3d.resume import resume
from gen3d.run import Run

RECIPE = """\
gen3d: 1
checkpoint_every: 4
cameras: {size: 4, views: 2}
representation: {type: ball}
renderer: {type: toy}
guidance:
  paint: {type: wandering, color: [0.1, 0.2, 0.9]}
optimizer: {type: momentum, lr: {ramp: {0: 0.3, 100%: 0.1}}}
stages:
  shape: {steps: 11}
  color: {steps: 9, from: shape, representation: {particles: 2}}
  last: {steps: 5, from: color}
export: {type: words}
"""


class Wandering(Toward):
    """A colour that learns from the views after each step."""

    buffers_to_checkpoint = ("target",)
    target: Tensor

    def __init__(self, color: tuple[float, float, float]) -> None:
        super().__init__(color)
        self.register_buffer("target", torch.tensor(color))

    def forward(self, step: Step, *views: Views) -> Signal:
        """Towards what it is at present."""
        self.color, self.seen = tuple(self.target.tolist()), views[0].color.detach().mean(dim=(0, 1, 2))
        return super().forward(step, *views)

    def after_step(self, step: Step) -> None:
        """Go a little of the way to what was seen, with noise."""
        self.target.lerp_(self.seen + 0.1 * step.randn(f"{self.name}.walk", 3), 0.1)


class Momentum(Descent):
    """Gradient descent with a memory."""

    def bind(self, groups: dict[str, Any]) -> None:
        """Start without any."""
        super().bind(groups)
        self.moments = [torch.zeros_like(parameter) for parameter in self.parameters]

    def step(self, loss: Tensor, step: Step) -> bool:
        """Along the running mean of the gradients."""
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        if not all(g is None or g.isfinite().all() for g in gradients):
            return False
        with torch.no_grad():
            for parameter, moment, gradient in zip(self.parameters, self.moments, gradients, strict=True):
                moment.mul_(0.8).add_(0.2 * (0 if gradient is None else gradient))
                parameter.sub_(self.lr(step.index, step.total) * moment)
        self.taken += 1
        return True

    def state_dict(self) -> dict[str, Any]:
        """The memory."""
        return {**super().state_dict(), "moments": self.moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put it back."""
        super().load_state_dict(state)
        for mine, theirs in zip(self.moments, state["moments"], strict=True):
            mine.copy_(theirs)


@hookimpl
def register_components(registry: Registrar) -> None:
    """The toys, and these."""
    core_toys.register_components(registry)
    registry.guidance("wandering", Wandering)
    registry.optimizer("momentum", Momentum)


@contextmanager
def interruptible() -> Iterator[None]:
    """As `main` of the command line has it, and a shell in which Ctrl-C is not ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class Stopper:
    """An observer that stops the run at one step.

    Args:
        stage: the stage's name.
        index: of the step.
        how: "signal" (Ctrl-C), "terminate", or "crash", which leaves no time to save anything.
    """

    def __init__(self, stage: str, index: int, how: str = "crash") -> None:
        self.stage, self.index, self.how = stage, index, how

    @hookimpl
    def step_finished(self, run: Run, step: Step, views: dict[Cameras, Views]) -> None:
        """Stop."""
        if (step.stage, step.index) == (self.stage, self.index):
            if self.how == "crash":
                raise KeyboardInterrupt
            os.kill(os.getpid(), {"signal": signal.SIGINT, "terminate": signal.SIGTERM}[self.how])


def plugins(*observers: object) -> Plugins:
    """The toy parts and these observers."""
    import sys

    result = Plugins()
    result.load("stops", "0", lambda: sys.modules[__name__])
    for number, observer in enumerate(observers):
        result.manager.register(observer, name=f"observer {number}")
    assert [status.error for status in result.statuses] == [None]
    return result


def stoppable(folder: Path, *observers: object, text: str = RECIPE, overrides: tuple[str, ...] = ()) -> Run:
    """A run of the recipe that writes to folder/out; not started."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stops.yaml").write_text(text)
    recipe = Recipe.load(folder / "stops.yaml", [f"output={folder / 'out'}", *overrides])
    return Run(recipe, plugins(*observers))


def start_or_resume(folder: Path) -> None:
    """What a person does until a run is finished."""
    if (folder / "out" / "run.json").exists():
        resume(folder / "out", plugins())
    else:
        stoppable(folder).start()


def left(run: Path) -> dict[str, Any]:
    """What a run has made: every stage's final state, the terms of every step in order, and the files of the asset."""
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    finals = {path.name: load_checkpoint(path) for path in sorted((run / "checkpoints").iterdir())}
    return {
        "states": {name: {key: state[key] for key in ("step", "parts", "optimizer")} for name, state in finals.items()},
        "steps": [
            (event["stage"], event["step"], tuple(event["terms"].items()))
            for event in events
            if event["event"] == "step"
        ],
        "asset": {path.name: path.read_bytes() for path in (run / "asset").glob("*")},
    }


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two nested results differ by a single bit."""
    if type(one) is not type(other):
        return [place]
    if isinstance(one, dict):
        if list(one) != list(other):
            return [f"{place}: {sorted(set(one) ^ set(other))}"]
        return [found for key in one for found in differences(one[key], other[key], f"{place}/{key}")]
    if isinstance(one, list):
        if len(one) != len(other):
            return [f"{place}: {len(one)} and {len(other)}"]
        return [
            found for i, pair in enumerate(zip(one, other, strict=True)) for found in differences(*pair, f"{place}/{i}")
        ]
    same = torch.equal(one, other) and one.dtype == other.dtype if isinstance(one, Tensor) else one == other
    return [] if same else [place]
