"""The parts of one stage, built from its recipe and wired together."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from gen3d.build import build, build_component
from gen3d.camera_sampler import CameraSampler
from gen3d.errors import BadInput, Unsupported
from gen3d.particles import build_object
from gen3d.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gen3d.config import Config
    from gen3d.guidance import Guidance
    from gen3d.optimizer import Optimizer
    from gen3d.part import Part, Stage
    from gen3d.registry import Registry
    from gen3d.renderer import Renderer
    from gen3d.representation import Representation

DEFAULTS: dict[str, Any] = {"renderer": {"type": "volume"}, "optimizer": {"type": "adam"}}
OWN_OUTPUTS = frozenset({"image", "alpha", "depth"})
"""What every renderer gives without being asked."""


@dataclass
class StageParts:
    """Everything that one stage consists of; nothing is loaded yet.

    Args:
        source: the earlier stage whose object this one starts from, or "inputs": that of the run in `inputs.run`.
        weights: the scheduled weight of each guidance.
    """

    name: str
    steps: int
    source: str | None
    cameras: CameraSampler
    representation: Representation
    renderer: Renderer
    guidance: dict[str, Guidance]
    weights: dict[str, Schedule]
    optimizer: Optimizer

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Every part with its place in the recipe, in the order in which they are bound: priors before renderers."""
        for name, guidance in self.guidance.items():
            yield f"guidance.{name}", guidance
        yield "representation", self.representation
        yield "renderer", self.renderer

    def bind(self, stage: Stage) -> None:
        """Move the parts to the device, bind them to the stage, and give the optimizer what is trained."""
        for name, part in self.parts():
            part.name = name
            part.to(stage.device)
            part.bind(stage)
        if stage.previous is not None:
            self.representation.initialise_from(stage.previous)
        self.bind_optimizer()

    def bind_optimizer(self) -> None:
        """Give the optimizer every part's parameter groups, prefixed with the part's name."""
        groups = {f"{name}.{group}": p for name, part in self.parts() for group, p in part.param_groups().items()}
        self.optimizer.bind(groups)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of the parts and the optimizer."""
        trained = {name: part.trained_state() for name, part in self.parts()}
        return {"parts": trained, "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Put a checkpoint's state back. Raises BadInput where it does not fit."""
        with fitting(state):
            for name, part in self.parts():
                part.load_trained_state(state["parts"][name])
            self.optimizer.load_state_dict(state["optimizer"])

    def is_finite(self) -> bool:
        """Whether the object has only finite numbers."""
        parameters = chain.from_iterable(self.representation.param_groups().values())
        return all(bool(parameter.isfinite().all()) for parameter in parameters)


def restore(representation: Representation, stage: Stage, state: dict[str, Any]) -> Representation:
    """An object as its stage's checkpoint holds it, without the rest of the stage, for a later one or an exporter.

    Raises BadInput where the two do not fit.
    """
    representation.name = "representation"
    representation.to(stage.device)
    representation.bind(stage)
    with fitting(state):
        representation.load_trained_state(state["parts"]["representation"])
    representation.at(stage.step(int(state["step"]) - 1))
    return representation.result


@contextmanager
def fitting(state: dict[str, Any]) -> Iterator[None]:
    """Say what a checkpoint that was made of something else gives cause to."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        cause = f"the checkpoint of stage {state.get('stage')!r} does not fit the recipe: {error}"
        raise BadInput(cause, remedy="resume with the same recipe, and the same version of gen3d") from error


def build_stage(name: str, config: Config, registry: Registry) -> StageParts:
    """Build and check every part of a stage; no weights are loaded. Raises Gen3dError naming the place."""
    if config.values.get("steps") is None:
        raise config.error(("steps",), "'steps' is missing", "add how many steps the stage takes")
    config = config.merged(defaults(config))
    cameras = build(CameraSampler, config.values.get("cameras") or {}, config, ("cameras",), registry)
    guidance, weights = {}, {}
    for key, spec in (config.values.get("guidance") or {}).items():
        if spec is not None:  # null removes a part
            guidance[key] = build_component("guidance", config, ("guidance", key), registry)
            weights[key] = _weight(config, key, spec)
    if not guidance:
        raise config.error(("guidance",), "there is no guidance", "add a term that says what the object should be")
    representation, renderer = build_object(config, registry)
    optimizer = build_component("optimizer", config, ("optimizer",), registry)
    source = config.values.get("from")
    steps = config.values["steps"]
    parts = StageParts(name, steps, source, cameras, representation, renderer, guidance, weights, optimizer)
    _check_fit(parts, config)
    return parts


def defaults(config: Config) -> Config:
    """The components that a recipe need not name."""
    return type(config)({key: value for key, value in DEFAULTS.items() if config.values.get(key) is None})


def _weight(config: Config, key: str, spec: Any) -> Schedule:
    try:
        return Schedule.of(spec.get("weight", 1.0) if isinstance(spec, dict) else 1.0)
    except ValueError as error:
        raise config.error(("guidance", key, "weight"), str(error)) from error


def _check_fit(parts: StageParts, config: Config) -> None:
    if not isinstance(parts.representation, parts.renderer.draws):
        kinds = f"{type(parts.renderer).__name__} draws a {parts.renderer.draws.__name__}"
        cause = f"{kinds}, and {type(parts.representation).__name__} is none"
        raise Unsupported(cause, place=config.place(("renderer",)), remedy="choose a renderer that fits")
    for name, guidance in parts.guidance.items():
        missing = guidance.needs - parts.renderer.offers - OWN_OUTPUTS
        if missing:
            cause = f"needs {', '.join(sorted(missing))}, which {type(parts.renderer).__name__} does not offer"
            raise Unsupported(cause, place=config.place(("guidance", name)), remedy="choose another renderer")
