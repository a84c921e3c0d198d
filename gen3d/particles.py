"""Several objects in one run: the particles of VSD (Wang et al. 2023, ProlificDreamer, algorithm 1)."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from gen3d import rng
from gen3d.build import build_component
from gen3d.renderer import Renderer
from gen3d.representation import Representation

if TYPE_CHECKING:
    from gen3d.cameras import Cameras
    from gen3d.config import Config
    from gen3d.part import Part, Stage, Step
    from gen3d.registry import Registry
    from gen3d.views import Views


MOST = 256
"""Particles; each keeps an object and its optimizer's state in memory."""


class Particles(Representation):
    """Objects of one kind, of which each step draws and changes one, at random.

    It can do what the active one can, through a class that `of` makes for it. Later stages and exporters get the first.

    Args:
        members: the objects.
    """

    def __init__(self, members: list[Representation]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.index = 0

    @classmethod
    def of(cls, members: list[Representation]) -> Particles:
        """Particles with the public attributes of these: to protocols they have the members' abilities."""
        names = {name for name in dir(members[0]) if not name.startswith("_")} - set(dir(cls(members)))
        forward = {name: property(attrgetter(f"active.{name}")) for name in names}
        return cast("Particles", type(f"{type(members[0]).__name__}Particles", (cls,), forward)(members))

    @property
    def active(self) -> Representation:
        """The one that this step is about."""
        return cast("Representation", self.members[self.index])

    @property
    def result(self) -> Representation:
        """The first one."""
        return cast("Representation", self.members[0])

    def bind(self, stage: Stage) -> None:
        """Each starts from a seed of its own: particles that start alike would stay alike."""
        self.index = 0
        for i, member in enumerate(self.members):
            _bind(cast("Part", member), self.name, _own(stage, i))

    def at(self, step: Step) -> None:
        """Draw the active one, and pass the step on to all: any of them may be what is looked at, or left."""
        self.index = int(torch.randint(len(self.members), (), generator=step.rng("particles")))
        for member in self.members:
            cast("Part", member).at(step)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """Those of each, as "density.0", "density.1", ..., so that a rate for "density" is for all."""
        return _groups(self.members)

    def trained_state(self) -> dict[str, Any]:
        """That of each, by its number."""
        return _state(self.members)

    def load_trained_state(self, state: dict[str, Any]) -> None:
        """Give each its own."""
        _load(self.members, state)

    def initialise_from(self, other: Representation) -> None:
        """All from the one object that the earlier stage left."""
        for member in self.members:
            cast("Representation", member).initialise_from(other)


class ParticleRenderer(Renderer):
    """A renderer for each particle, because what it learns of an object, and the background, are that object's.

    Args:
        members: the renderers, in the particles' order.
        particles: whose active one is drawn.
    """

    def __init__(self, members: list[Renderer], particles: Particles) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.__dict__.update(draws=members[0].draws, offers=members[0].offers)  # of a class for all other renderers
        self._particles = (particles,)  # in a tuple, because they are no part of the renderer

    @property
    def active(self) -> Renderer:
        """The one of the active particle."""
        return cast("Renderer", self.members[self._particles[0].index])

    def bind(self, stage: Stage) -> None:
        """Bind each to its particle."""
        for i, (member, particle) in enumerate(zip(self.members, self._particles[0].members, strict=True)):
            own = replace(_own(stage, i), representation=cast("Representation", particle))
            _bind(cast("Part", member), self.name, own)

    def at(self, step: Step) -> None:
        """Pass the step on."""
        for member in self.members:
            cast("Renderer", member).at(step)

    def forward(self, representation: Representation, cameras: Cameras, step: Step, outputs: frozenset[str]) -> Views:
        """Draw the active particle."""
        views: Views = self.active(cast("Particles", representation).active, cameras, step, outputs)
        return views

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """Those of each, as "background.0", ..."""
        return _groups(self.members)

    def trained_state(self) -> dict[str, Any]:
        """That of each, by its number."""
        return _state(self.members)

    def load_trained_state(self, state: dict[str, Any]) -> None:
        """Give each its own."""
        _load(self.members, state)


def build_object(config: Config, registry: Registry) -> tuple[Representation, Renderer]:
    """A stage's representation and renderer; of each as many as its `particles` say."""
    spec = config.values.get("representation")
    count = spec.get("particles", 1) if isinstance(spec, dict) else 1
    if type(count) is not int or not 1 <= count <= MOST:
        place = ("representation", "particles")
        raise config.error(place, f"{count!r} particles cannot be", f"give a whole number from 1 to {MOST}")
    objects, renderers = [], []
    for _ in range(count):
        objects.append(build_component("representation", config, ("representation",), registry))
        renderers.append(build_component("renderer", config, ("renderer",), registry))
    if count == 1:
        return objects[0], renderers[0]
    particles = Particles.of(objects)
    return particles, ParticleRenderer(renderers, particles)


def _own(stage: Stage, index: int) -> Stage:
    """The stage as one particle sees it: the first as it would be alone, the others with seeds of their own."""
    if not index:
        return stage
    return replace(stage, seed=rng.generator(stage.seed, "particles", index).initial_seed())


def _bind(part: Part, name: str, stage: Stage) -> None:
    part.name = name
    part.bind(stage)


def _groups(members: nn.ModuleList) -> dict[str, list[nn.Parameter]]:
    parts = cast("list[Part]", [*members])
    return {f"{name}.{i}": group for i, part in enumerate(parts) for name, group in part.param_groups().items()}


def _state(members: nn.ModuleList) -> dict[str, Any]:
    return {str(i): part.trained_state() for i, part in enumerate(cast("list[Part]", [*members]))}


def _load(members: nn.ModuleList, state: dict[str, Any]) -> None:
    for i, part in enumerate(cast("list[Part]", [*members])):
        part.load_trained_state(state[str(i)])
