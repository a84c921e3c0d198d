"""The loop, and a run of all stages of a recipe."""

from __future__ import annotations

import math
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gen3d import provenance
from gen3d.build import build, build_component
from gen3d.credits import credits_of
from gen3d.deterministic import repeatable
from gen3d.errors import BadInput, OutOfMemory, Unavailable
from gen3d.events import listeners
from gen3d.health import Watch, numbers, watch
from gen3d.inputs import Inputs
from gen3d.interrupts import Stopped, interrupts
from gen3d.part import Stage
from gen3d.plugins import Plugins, installed
from gen3d.recipe import INPUTS, Recipe
from gen3d.run_directory import RunDirectory
from gen3d.stage import StageParts, build_stage, restore
from gen3d.stored import Stored
from gen3d.vram import advice, fitted

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from gen3d.cameras import Cameras
    from gen3d.exporter import Exporter
    from gen3d.part import Step
    from gen3d.representation import Representation
    from gen3d.views import Views


class Run:
    """A recipe on its way to an asset.

    Attributes:
        directory: where everything is written.
        files: the files in it.
        stage: the stage that is bound at present.
        origin: the object of another run that this one goes on from.
        terms: the weighted terms of the latest step, by the names of the guidances.
        outputs: the exported files, the main one first.
        warnings: remarks for the person, in the order they came up.
        logs: names of what is told the events of the run; none: what suits where it runs.
        port: of this computer, where the run is shown while it goes on; None: nowhere.
    """

    files: RunDirectory
    stage: Stage

    def __init__(self, recipe: Recipe, plugins: Plugins | None = None) -> None:
        self.recipe = recipe
        self.plugins = plugins or installed()
        registry = self.plugins.registry
        self.seed = int(recipe.get("seed", 0))
        self.device = choose_device(recipe.get("device", "auto"), recipe.config.place(("device",)))
        self.inputs: Inputs = build(Inputs, recipe.get("inputs", {}), recipe.config, ("inputs",), registry)
        self.origin: Stored | None = None
        self.stages = [build_stage(name, config, registry) for name, config in recipe.stages.items()]
        self.exporter: Exporter | None = None
        if recipe.get("export"):
            self.exporter = build_component("exporter", recipe.config, ("export",), registry)
        self.shared: dict[Hashable, Any] = {}
        self.objects: dict[str, Representation] = {}
        self.terms: dict[str, float] = {}
        self.outputs: list[Path] = []
        self.warnings: list[str] = []
        self.logs: tuple[str, ...] = ()
        self.port: int | None = None
        self._stopping = 0

    @property
    def directory(self) -> Path:
        """Where everything is written."""
        return self.files.path

    def check(self) -> None:
        """What can be known to fail before weights load: pictures are read, and a run to go on from is looked for."""
        self.listeners = listeners(self, self.logs)
        if self.port is not None and not self.plugins.manager.hook.watch(run=self, port=self.port):
            raise Unavailable("no plugin can show a run", place="--watch", remedy="see `gen3d plugins`")
        self.inputs.locate(self.recipe.path)
        self.inputs.read()
        config, users = self.recipe.config, [parts.name for parts in self.stages if parts.source == INPUTS]
        for key in ("run", "stage"):
            if not users and getattr(self.inputs, key) is not None:
                raise config.error(("inputs", key), "nothing starts from it", f"add from: {INPUTS} to a stage")
        if users and self.inputs.run is None:
            remedy = "add inputs.run=DIRECTORY of a finished run"
            raise config.error(("stages", users[0], "from"), "there is no run to start from", remedy)
        if users:
            self.origin = Stored.finished(Path(str(self.inputs.run)), self.inputs.stage)

    def start(self, files: RunDirectory | None = None) -> None:
        """Run every stage and export. Raises Gen3dError; what was reached is in the directory.

        Args:
            files: of the same run, stopped before, which goes on.
        """
        self.check()
        self.files = files or self.new_files()
        self.files.begin(self.listeners)
        self.notify("run_started")
        error: BaseException | None = None
        try:
            with repeatable(self.device):
                self.run_stages()
                self.export()
        except BaseException as raised:
            error = self.told(raised)
            if error is raised:
                raise
            raise error from raised
        finally:
            self.files.finish(error, self.outputs)
            self.notify("run_finished", error=error)
            self.files.end()

    def new_files(self) -> RunDirectory:
        """A directory of its own, with what this run is made from."""
        pictures = self.inputs.files()
        inputs, made_from = {key: str(path) for key, path in pictures.items()}, list(pictures.values())
        if self.origin is not None:
            inputs |= {"run": str(self.origin.run.absolute()), "stage": self.origin.stage}
            made_from.append(self.origin.checkpoint.absolute())
        return RunDirectory.create(self.recipe, inputs, made_from)

    def told(self, error: BaseException) -> BaseException:
        """An error as a person is told it."""
        if isinstance(error, KeyboardInterrupt):
            return KeyboardInterrupt(f"to go on: gen3d resume {self.directory}")
        known = OutOfMemory.of(error)
        if known is not None and hasattr(self, "stage") and (remedy := advice(self)):
            return OutOfMemory(known.cause, place=f"stage {self.stage.name}", remedy=remedy)
        return known or error

    def run_stages(self) -> None:
        """One after the other; where Ctrl-C ends one, what there is of its object is exported."""
        try:
            for parts in self.stages:
                self.run_stage(parts)
        except Stopped:
            try:
                self.export()
            except Exception as error:  # noqa: BLE001 (half an object need not be fit for it, and the run has ended)
                self.warn(f"what there is cannot be exported: {error}")
            raise

    def run_stage(self, parts: StageParts) -> None:
        """Bind, optimise, and keep the object for later stages; of a stage that was done before, only its object."""
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
            shared=self.shared,
            warn=self.warn,
        )
        if self.stage.reference is not None:
            self.stage.reference = self.stage.reference.to(self.device)
        if self.files.is_done(parts.name):
            restore(parts.representation, self.stage, self.files.final_state(parts.name))
        else:
            self.stage.previous = self.object_of(parts.source)
            parts.bind(self.stage)
            self.files.made_with(provenance.weights(part for _, part in parts.parts()))
            done = self.files.restore(parts, self.stage)
            with self.files.stage(parts.name), interrupts() as self.asked_to_stop:
                optimise(self, parts, done)
        self.objects[parts.name] = parts.representation.result

    def object_of(self, source: str | None) -> Representation | None:
        """What a stage's `from` names: the object of an earlier stage, or of the run in `inputs.run`."""
        if source == INPUTS and source not in self.objects and self.origin is not None:
            self.objects[source] = self.origin.load(self.device, self.plugins.registry)
        return self.objects.get(source or "")

    def export(self) -> None:
        """Write the object of the stage that was run last as the recipe's `export` says."""
        if self.exporter is not None:
            self.exporter.provenance = credits_of(self.recipe)
            self.outputs = self.exporter.export(self.stage.representation.result, self.directory / "asset")
            self.files.log("exported", files=[str(path.relative_to(self.directory)) for path in self.outputs])

    def save(self, step: Step) -> None:
        """Write a checkpoint of what there is after `step`; for observers, while they are told of it."""
        parts = next(parts for parts in self.stages if parts.name == step.stage)
        self.files.checkpoint(parts, step, now=True)

    def stop(self) -> None:
        """End the run after the step under way, as Ctrl-C does."""
        self._stopping = signal.SIGINT

    def is_stopping(self) -> int:
        """The signal, or what stands for it, by which the run was asked to end after the step under way; else 0."""
        return self.asked_to_stop() or self._stopping

    def warn(self, message: str) -> None:
        """Keep a remark for the person, and for run.json."""
        self.warnings.append(message)
        self.files.warn(message)

    def notify(self, hook: str, **arguments: object) -> None:
        """Tell the observers."""
        self.plugins.notify(hook, self.warn, run=self, **arguments)


def optimise(run: Run, parts: StageParts, done: int = 0) -> None:
    """Follow the guidances' gradients through the renderer for every step of a stage, but for those already done.

    x = g(theta, c) for random cameras c; each guidance turns views into a loss; the optimizer changes theta.
    """
    stage, health = run.stage, Watch(run, parts)
    for index in range(done, parts.steps):
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
        watch(run, parts, step, finite=finite)
        health.look(views.values(), step)
        if finite:
            for name in signals:
                parts.guidance[name].after_step(step)
        run.files.log("step", stage=stage.name, step=index, steps=step.total, terms=run.terms)
        run.notify("step_finished", step=step, views=views, signals=signals)
        stop = run.is_stopping()
        run.files.checkpoint(parts, step, now=bool(stop))
        if stop:
            raise Stopped if stop == signal.SIGINT else KeyboardInterrupt


def render(parts: StageParts, step: Step, asked: dict[str, tuple[Cameras, ...]]) -> dict[Cameras, Views]:
    """Each distinct camera object once, with every output that somebody asked of it."""
    wanted: dict[Cameras, frozenset[str]] = {}
    for name, batches in asked.items():
        for cameras in batches:
            wanted[cameras] = wanted.get(cameras, frozenset()) | parts.guidance[name].needs
    return {
        cameras: parts.renderer(parts.representation, cameras, step, outputs) for cameras, outputs in wanted.items()
    }


def choose_device(name: str, place: str = "device") -> torch.device:
    """The device that a recipe's `device` names; `auto` is CUDA where there is one. Raises BadInput or Unavailable."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"(cpu|cuda|mps|xpu)(:\d{1,3})?", name):
        raise BadInput(f"{name!r} is no device", place=place, remedy="it is auto, cpu, cuda, cuda:1, mps or xpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise Unavailable(f"{name!r}: {reason}", place=place, remedy="use device=cpu or device=auto") from error
    return device


def run(
    recipe: str | Path,
    overrides: Iterable[str] = (),
    profile: str | None = None,
    vram: str | None = None,
    logs: tuple[str, ...] = (),
    port: int | None = None,
) -> Run:
    """Run a recipe to its end and return the run with its `directory` and `outputs`. Raises Gen3dError.

    Args:
        recipe: a file, or the name of a shipped one.
        overrides: values such as "seed=1".
        profile: a named overlay of the recipe.
        vram: what it may take of the GPU's memory, such as "8GB"; default: what is free.
        logs: what is told its events, such as "plain" and "tensorboard"; default: what suits where this runs.
        port: of this computer, where it is shown while it goes on; default: nowhere.
    """
    result = fitting(Run(Recipe.load(recipe, overrides, profile)), vram)
    result.logs, result.port = logs, port
    result.start()
    return result


def fitting(run: Run, vram: str | None, *, changing: bool = True) -> Run:
    """The run, with its recipe changed where it would not fit into the GPU's memory. See `gen3d.vram.fitted`."""
    recipe = fitted(run, vram, changing=changing)
    return run if recipe is run.recipe else Run(recipe, run.plugins)
