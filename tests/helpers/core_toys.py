"""Small whole parts for tests of the core, as a plugin: of a test's own Plugins, or through GEN3D_PLUGINS."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from gen3d import (
    Cameras,
    Exporter,
    Guidance,
    Optimizer,
    Registrar,
    Representation,
    Signal,
    Stage,
    Step,
    Views,
    hookimpl,
)
from gen3d.plugins import Plugins
from gen3d.recipe import Recipe
from gen3d.run import Run
from gen3d.schedule import Schedule
from gen3d.testing import ToyField, ToyRenderer

RECIPE = """\
gen3d: 1
steps: 3
cameras: {size: 4, views: 2}
representation: {type: ball}
renderer: {type: toy}
guidance:
  paint: {type: toward, color: [0.1, 0.2, 0.9]}
optimizer: {type: descent, lr: 0.1}
"""

STAGED = (
    RECIPE.replace("steps: 3\n", "stages: {shape: {steps: 30}, color: {steps: 2, from: shape}, alone: {steps: 1}}\n")
    + "seed: 0\nname: toy\ninputs: {prompt: a ball, elevation_deg: 10}\nexport: {type: words}\ncheckpoint_every: 10\n"
    + "device: cpu\nprofiles: {mini: {stages: {shape: {steps: 1, guidance: {paint: {weight: {0: 1, 50%: 2}}}}}}}\n"
)
"""Every key of a recipe."""


class Ball(ToyField):
    """The toy ball, able to start from another one."""

    def initialise_from(self, other: Representation) -> None:
        """Take radius and colour over."""
        assert isinstance(other, Ball)
        self.load_trained_state(other.trained_state())


class Renderer(ToyRenderer):
    """The toy renderer with a record of what it drew."""

    def __init__(self) -> None:
        super().__init__(samples=4)
        self.drawn: list[tuple[int, Cameras, frozenset[str]]] = []

    def forward(self, representation: Representation, cameras: Cameras, step: Step, outputs: frozenset[str]) -> Views:
        """Record, then draw."""
        self.drawn.append((step.index, cameras, outputs))
        return super().forward(representation, cameras, step, outputs)


class Toward(Guidance):
    """Pull the pixels towards a colour, with a little noise of its own stream.

    Args:
        color: sRGB.
        needs: outputs to ask for besides the image.
        own_camera: look from a camera that all such terms share, not from the random ones.
    """

    def __init__(self, color: tuple[float, float, float], needs: list[str] = [], own_camera: bool = False) -> None:
        super().__init__()
        self.color, self.own_camera = color, own_camera
        self.needs = frozenset({"image", *needs})

    def bind(self, stage: Stage) -> None:
        """Share one camera through the stage."""
        self.camera = stage.share("own camera", lambda: Cameras.orbit(0.3, 0.2, 1.5, 0.8, 4))

    def cameras(self, step: Step, random: Cameras) -> tuple[Cameras, ...]:
        """One batch."""
        return (self.camera if self.own_camera else random,)

    def forward(self, step: Step, *views: Views) -> Signal:
        """The mean square gap."""
        target = views[0].color.new_tensor(self.color)
        noise = 0.01 * step.randn(f"{self.name}.noise", *views[0].color.shape)
        return Signal((views[0].color - target + noise).square().mean())


class Trouble(Guidance):
    """What can go wrong, from step `first` up to `last`.

    Args:
        kind: a loss, or its gradient, that is not finite; a loss without a gradient; Ctrl-C; out of memory.
    """

    def __init__(
        self,
        kind: Literal["loss", "gradient", "constant", "interrupt", "terminate", "memory"],
        first: int = 0,
        last: int = 10**6,
    ) -> None:
        super().__init__()
        self.kind, self.first, self.last = kind, first, last

    def forward(self, step: Step, *views: Views) -> Signal:
        """Zero where nothing goes wrong."""
        zero = 0 * views[0].image.sum()
        if not self.first <= step.index <= self.last:
            return Signal(zero)
        if self.kind == "interrupt":
            raise KeyboardInterrupt
        if self.kind == "terminate":
            os.kill(os.getpid(), signal.SIGTERM)
        if self.kind == "memory":
            torch.empty(10**15)
        if self.kind == "constant":
            return Signal(zero.detach())
        return Signal(zero * torch.nan if self.kind == "loss" else zero.abs().sqrt())  # d sqrt(0) = inf, times 0 is nan


class Descent(Optimizer):
    """Plain gradient descent.

    Args:
        lr: rate.
    """

    def __init__(self, lr: Schedule | float = 0.1) -> None:
        self.lr = Schedule.of(lr)
        self.taken = 0

    def bind(self, groups: dict[str, list[nn.Parameter]]) -> None:
        """Keep the parameters."""
        self.parameters = [parameter for group in groups.values() for parameter in group]

    def step(self, loss: Tensor, step: Step) -> bool:
        """One step, unless a gradient is not finite."""
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        if not all(g is None or g.isfinite().all() for g in gradients):
            return False
        self.taken += 1
        with torch.no_grad():
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                if gradient is not None:
                    parameter.sub_(self.lr(step.index, step.total) * gradient)
        return True

    def state_dict(self) -> dict[str, int]:
        """The number of steps."""
        return {"taken": self.taken}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Put it back."""
        self.taken = state["taken"]


class Words(Exporter):
    """The object's numbers as JSON."""

    def export(self, representation: Representation, directory: Path, name: str = "asset") -> list[Path]:
        """Write one file."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{name}.json"
        path.write_text(json.dumps({key: value.tolist() for key, value in representation.trained_state().items()}))
        return [path]


@hookimpl
def register_components(registry: Registrar) -> None:
    """One of each kind that the loop needs."""
    registry.representation("ball", Ball)
    registry.renderer("toy", Renderer)
    registry.guidance("toward", Toward)
    registry.guidance("trouble", Trouble)
    registry.optimizer("descent", Descent)
    registry.exporter("words", Words)


def core_plugins() -> Plugins:
    """These parts and no others."""
    plugins = Plugins()
    plugins.load("core_toys", "0", lambda: sys.modules[__name__])
    return plugins


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    """A recipe file in the folder."""
    path = folder / "toy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def toy_run(folder: Path, *overrides: str, text: str = RECIPE, plugins: Plugins | None = None) -> Run:
    """A run of the recipe that writes to folder/out; not started."""
    recipe = Recipe.load(write_recipe(folder, text), [f"output={folder / 'out'}", *overrides])
    return Run(recipe, plugins or core_plugins())
