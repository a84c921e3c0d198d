"""The loop, and a run of all stages of a recipe."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import torch

from gen3d.build import build, build_component
from gen3d.errors import BadInput, Degenerate, OutOfMemory, Unavailable
from gen3d.inputs import Inputs
from gen3d.part import Stage
from gen3d.plugins import Plugins, installed
from gen3d.recipe import Recipe
from gen3d.run_directory import RunDirectory
from gen3d.stage import StageParts, build_stage

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from pathlib import Path

    from torch import Tensor

    from gen3d.cameras import Cameras
    from gen3d.exporter import Exporter
    from gen3d.guidance import Signal
    from gen3d.part import Step
    from gen3d.representation import Representation
    from gen3d.views import Views

PATIENCE = 20
"""Steps in a row without a finite loss after which the run goes back to its last checkpoint, once."""


class Run:
    """A recipe on its way to an asset.

    Attributes:
        directory: where everything is written.
        stage: the stage that is bound at present.
        terms: the weighted terms of the latest step, by the names of the guidances.
        outputs: the exported files, the main one first.
        warnings: remarks for the person, in the order they came up.
    """

    stage: Stage

    def __init__(self, recipe: Recipe, plugins: Plugins | None = None) -> None:
        self.recipe = recipe
        self.plugins = plugins or installed()
        registry = self.plugins.registry
        self.seed = int(recipe.get("seed", 0))
        self.device = choose_device(recipe.get("device", "auto"), recipe.config.place(("device",)))
        self.inputs: Inputs = build(Inputs, recipe.get("inputs", {}), recipe.config, ("inputs",), registry)
        self.stages = [build_stage(name, config, registry) for name, config in recipe.stages.items()]
        self.exporter: Exporter | None = None
        if recipe.get("export"):
            self.exporter = build_component("exporter", recipe.config, ("export",), registry)
        self.shared: dict[Hashable, Any] = {}
        self.objects: dict[str, Representation] = {}
        self.terms: dict[str, float] = {}
        self.outputs: list[Path] = []
        self.warnings: list[str] = []

    @property
    def directory(self) -> Path:
        """Where everything is written."""
        return self.files.path

    def check(self) -> None:
        """What can be known to fail before weights load: the picture that inputs name is read and prepared."""
        if self.inputs.image is not None:
            self.inputs.locate(self.recipe.path)
            _ = self.inputs.picture

    def start(self) -> None:
        """Run every stage and export. Raises Gen3dError; what was reached is in the directory."""
        self.check()
        self.files = RunDirectory.create(self.recipe)
        self.notify("run_started")
        error: BaseException | None = None
        try:
            for parts in self.stages:
                self.run_stage(parts)
            self.export()
        except BaseException as raised:
            error = OutOfMemory.of(raised) or raised
            if error is raised:
                raise
            raise error from raised
        finally:
            self.files.finish(error, self.outputs)
            self.notify("run_finished", error=error)

    def run_stage(self, parts: StageParts) -> None:
        """Bind, optimise, and keep the object for later stages."""
        self.stage = Stage(
            name=parts.name,
            steps=parts.steps,
            seed=self.seed,
            device=self.device,
            inputs=self.inputs,
            reference=self.inputs.reference(),
            representation=parts.representation,
            renderer=parts.renderer,
            guidance=parts.guidance,
            previous=self.objects.get(parts.source or ""),
            shared=self.shared,
            warn=self.warn,
        )
        if self.stage.reference is not None:
            self.stage.reference = self.stage.reference.to(self.device)
        parts.bind(self.stage)
        with self.files.stage(parts.name):
            optimise(self, parts)
        self.objects[parts.name] = parts.representation.result

    def export(self) -> None:
        """Write the last stage's object as the recipe's `export` says."""
        if self.exporter is not None:
            self.outputs = self.exporter.export(self.stages[-1].representation.result, self.directory / "asset")

    def warn(self, message: str) -> None:
        """Keep a remark for the person, and for run.json."""
        self.warnings.append(message)
        self.files.warn(self.warnings)

    def notify(self, hook: str, **arguments: object) -> None:
        """Tell the observers."""
        self.plugins.notify(hook, self.warn, run=self, **arguments)


def optimise(run: Run, parts: StageParts) -> None:
    """Follow the guidances' gradients through the renderer for every step of a stage.

    x = g(theta, c) for random cameras c; each guidance turns views into a loss; the optimizer changes theta.
    """
    stage, setbacks = run.stage, 0
    for index in range(parts.steps):
        step = stage.step(index)
        random = parts.cameras.sample(step)
        for _, part in parts.parts():
            part.at(step)
        weights = {name: weight(index, parts.steps) for name, weight in parts.weights.items()}
        asked = {name: parts.guidance[name].cameras(step, random) for name in weights if weights[name]}
        views = render(parts, step, asked)
        signals = {
            name: parts.guidance[name](step, *(views[cameras] for cameras in wanted))
            for name, wanted in asked.items()
            if wanted
        }
        losses = {name: weights[name] * signal.loss for name, signal in signals.items()}
        run.terms = numbers(losses, signals, weights)
        finite = all(map(math.isfinite, run.terms.values()))
        if finite and any(loss.requires_grad for loss in losses.values()):
            finite = parts.optimizer.step(torch.stack([*losses.values()]).sum(), step)
        setbacks = 0 if finite else not_finite(run, parts, step, setbacks + 1)
        if finite:
            for name in signals:
                parts.guidance[name].after_step(step)
        run.files.log("step", stage=stage.name, step=index, terms=run.terms)
        run.notify("step_finished", step=step, views=views, signals=signals)
        run.files.checkpoint(parts, step)


def render(parts: StageParts, step: Step, asked: dict[str, tuple[Cameras, ...]]) -> dict[Cameras, Views]:
    """Each distinct camera object once, with every output that somebody asked of it."""
    wanted: dict[Cameras, frozenset[str]] = {}
    for name, batches in asked.items():
        for cameras in batches:
            wanted[cameras] = wanted.get(cameras, frozenset()) | parts.guidance[name].needs
    return {
        cameras: parts.renderer(parts.representation, cameras, step, outputs) for cameras, outputs in wanted.items()
    }


def numbers(losses: dict[str, Tensor], signals: dict[str, Signal], weights: dict[str, float]) -> dict[str, float]:
    """The weighted terms as numbers, with one transfer from the device; a signal's own "value" replaces its loss."""
    if not losses:
        return {}
    shown = [  # adding 0 * loss lets a loss that is not finite show, whatever its value says
        weights[name] * torch.as_tensor(signals[name].log["value"], device=loss.device) + 0 * loss
        if "value" in signals[name].log
        else loss
        for name, loss in losses.items()
    ]
    return dict(zip(losses, torch.stack([x.detach().float() for x in shown]).tolist(), strict=True))


def not_finite(run: Run, parts: StageParts, step: Step, setbacks: int) -> int:
    """Name the terms that are not finite; after PATIENCE such steps go back to the last checkpoint, and once only."""
    culprits = [name for name, value in run.terms.items() if not math.isfinite(value)] or ["the gradient"]
    run.warn(f"stage {step.stage}, step {step.index}: not finite: {', '.join(culprits)}; the step is skipped")
    if setbacks < PATIENCE:
        return setbacks
    if not run.files.roll_back(parts):
        raise Degenerate(
            f"{', '.join(culprits)} stayed not finite for {PATIENCE} steps",
            place=f"stage {step.stage}, step {step.index}",
            remedy="lower the learning rate or that guidance's weight",
        )
    return 0


def choose_device(name: str, place: str = "device") -> torch.device:
    """The device that a recipe's `device` names; `auto` is CUDA where there is one. Raises BadInput or Unavailable."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"(cpu|cuda|mps|xpu)(:\d+)?", name):
        raise BadInput(f"{name!r} is no device", place=place, remedy="it is auto, cpu, cuda, cuda:1, mps or xpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise Unavailable(f"{name!r}: {reason}", place=place, remedy="use device=cpu or device=auto") from error
    return device


def run(recipe: str | Path, overrides: Iterable[str] = (), profile: str | None = None) -> Run:
    """Run a recipe to its end and return the run with its `directory` and `outputs`. Raises Gen3dError."""
    result = Run(Recipe.load(recipe, overrides, profile))
    result.start()
    return result
