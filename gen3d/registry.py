"""(kind, name) -> class: what a recipe's `type` can say."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gen3d.errors import BadInput, Gen3dError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = ("representation", "renderer", "guidance", "prior", "objective", "optimizer", "exporter")

_MISSPELT = 0.8
"""Likeness from which a name is a slip of the pen rather than something else: two letters swapped in five."""

Target = type | str
"""A class, or "module:Class" to import it when it is first needed."""


@dataclass(frozen=True)
class Component:
    """A registered class and the plugin that brought it."""

    kind: str
    name: str
    plugin: str
    target: Target

    def load(self) -> type[Any]:
        """The class. Raises Unavailable with the plugin's own error where it cannot be imported."""
        if isinstance(self.target, type):
            return self.target
        module, _, name = self.target.partition(":")
        try:
            result: type[Any] = getattr(importlib.import_module(module), name)
        except (Exception, SystemExit) as error:
            cause = f"{self.kind} {self.name!r} cannot be imported: {type(error).__name__}: {error}"
            raise Unavailable(cause, place=f"plugin {self.plugin}", remedy="see `gen3d plugins`") from error
        return result


class Registry:
    """All components of all plugins."""

    def __init__(self) -> None:
        self.components: dict[tuple[str, str], Component] = {}
        self.failed: dict[str, str] = {}
        """Plugins that could not be loaded, with their errors."""

    def add(self, component: Component) -> None:
        """Register one. Raises Gen3dError where the kind is unknown or the name is taken."""
        if component.kind not in KINDS:
            raise Gen3dError(f"unknown kind {component.kind!r}", remedy=f"kinds are {', '.join(KINDS)}")
        taken = self.components.setdefault((component.kind, component.name), component)
        if taken is not component:
            raise Gen3dError(f"{component.kind} {component.name!r} is already registered by plugin {taken.plugin!r}")

    def component(self, kind: str, name: str, place: str = "") -> Component:
        """Find one. Raises BadInput for a misspelt name, or Unavailable where a broken plugin may be the reason."""
        found = self.components.get((kind, name))
        if found:
            return found
        if kind not in KINDS:
            raise BadInput(f"unknown kind {kind!r}", place=place, remedy=did_you_mean(kind, KINDS))
        remedy = did_you_mean(name, self.names(kind))
        if self.failed:
            broken = "; ".join(f"plugin {plugin!r} failed to load: {error}" for plugin, error in self.failed.items())
            remedy = f"{remedy}\n  {broken}"
        if self.failed and not close_match(name, self.names(kind), _MISSPELT):
            raise Unavailable(f"unknown {kind} {name!r}", place=place, remedy=remedy)
        raise BadInput(f"unknown {kind} {name!r}", place=place, remedy=remedy)

    def names(self, kind: str) -> list[str]:
        """The registered names of a kind, sorted."""
        return sorted(name for of, name in self.components if of == kind)


@dataclass(frozen=True)
class Registrar:
    """What `register_components` receives: one method a kind, in the name of one plugin.

    A target is a class, or "module:Class", which is imported only when a recipe names it.
    """

    registry: Registry
    plugin: str

    def _add(self, kind: str, name: str, target: Target) -> None:
        self.registry.add(Component(kind, name, self.plugin, target))

    def representation(self, name: str, target: Target) -> None:
        """Register a Representation."""
        self._add("representation", name, target)

    def renderer(self, name: str, target: Target) -> None:
        """Register a Renderer."""
        self._add("renderer", name, target)

    def guidance(self, name: str, target: Target) -> None:
        """Register a Guidance."""
        self._add("guidance", name, target)

    def prior(self, name: str, target: Target) -> None:
        """Register a Prior."""
        self._add("prior", name, target)

    def objective(self, name: str, target: Target) -> None:
        """Register an Objective."""
        self._add("objective", name, target)

    def optimizer(self, name: str, target: Target) -> None:
        """Register an Optimizer."""
        self._add("optimizer", name, target)

    def exporter(self, name: str, target: Target) -> None:
        """Register an Exporter."""
        self._add("exporter", name, target)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy for a misspelt word."""
    known = sorted(known)
    close = close_match(word, known)
    listing = f"known are: {', '.join(known)}" if known else "none are known"
    return f"did you mean {close!r}? {listing}" if close else listing


def close_match(word: str, known: Iterable[str], likeness: float = 0.5) -> str | None:
    """What a misspelt word may have meant: the most alike, if it is at least so much alike (difflib's ratio)."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=likeness)), None)
